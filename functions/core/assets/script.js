// What scripts add to pages that are whole without them: copying, printing, showing a password, sending a complete code,
// counting down, times in the reader's own time zone.
'use strict';

const all = (selector) => document.querySelectorAll(selector);

// A private page that the browser kept whole must not come back after the session has ended.
addEventListener('pageshow', (event) => {
  if (event.persisted && document.body.hasAttribute('data-private')) location.reload();
  for (const form of all('form')) delete form.dataset.sent;
});

// A form is sent once, however often its button is pressed; but who stopped the browser may send it again, once
// no answer can come any more.
for (const form of all('form[method=post]:not([data-again])')) {
  form.addEventListener('submit', (event) => {
    if (form.dataset.sent) event.preventDefault();
    else setTimeout(() => { delete form.dataset.sent; }, 30000);
    form.dataset.sent = 'yes';
  });
}

// A code is complete with its sixth digit.
for (const input of all('[data-code]')) {
  input.addEventListener('input', () => {
    if (/^\s*(\d\s*){6}$/.test(input.value) && input.form.checkValidity()) input.form.requestSubmit();
  });
}

for (const button of all('[data-copy]')) {
  if (!navigator.clipboard) continue;
  const label = button.textContent;
  button.hidden = false;
  button.setAttribute('aria-live', 'polite');
  button.addEventListener('click', async () => {
    await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).innerText.trim());
    button.textContent = button.dataset.done;
    setTimeout(() => { button.textContent = label; }, 2000);
  });
}

for (const button of all('[data-print]')) {
  button.hidden = false;
  button.addEventListener('click', () => print());
}

for (const button of all('[data-reveal]')) {
  const input = document.getElementById(button.dataset.reveal);
  const [show, hide] = [button.textContent, button.dataset.hide];
  const label = button.getAttribute('aria-label');
  const set = (revealed) => {
    input.type = revealed ? 'text' : 'password';
    button.textContent = revealed ? hide : show;
    button.setAttribute('aria-label', revealed ? label.replace(show, hide) : label);
  };
  button.hidden = false;
  button.addEventListener('click', () => set(input.type === 'password'));
  input.form.addEventListener('submit', () => set(false));
}

for (const timer of all('[data-countdown]')) {
  const end = Date.now() + timer.dataset.countdown * 1000;
  const tick = () => {
    const left = Math.max(0, Math.ceil((end - Date.now()) / 1000));
    const two = (number) => String(number).padStart(2, '0');
    const [hours, minutes, seconds] = [Math.floor(left / 3600), Math.floor(left / 60) % 60, left % 60];
    timer.textContent = hours ? `${hours}:${two(minutes)}:${two(seconds)}` : `${minutes}:${two(seconds)}`;
    if (left) return;
    clearInterval(ticking);
    timer.parentElement.textContent = timer.dataset.done;
  };
  const ticking = setInterval(tick, 1000);
  tick();
}

for (const time of all('time[data-local]')) {
  const style = time.dataset.local === 'date' ? { dateStyle: 'medium' } : { dateStyle: 'medium', timeStyle: 'short' };
  time.title = time.textContent;
  time.textContent = new Intl.DateTimeFormat(document.documentElement.lang, style).format(new Date(time.dateTime));
}
