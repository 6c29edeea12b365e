"""People's lives with Hallpass, in a real browser. Called by `browser` with BINARY FOLDER WORK."""

import base64
import pathlib
import secrets
import shutil
import time

from playwright.sync_api import expect, sync_playwright

from browser_person import FOLDER, NEW_PASSWORD, PASSWORD, WORK, Person, server

CHROMIUM_ARGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync"]
GENEROUS = {f"HALLPASS_LIMITS__{name}": "100000 per minute" for name in
            ("DEFAULT", "LOGIN", "VERIFY", "REGISTER", "PASSWORD", "PAGES", "SESSIONS", "SESSION")}


def say(what):
    print(f"{time.monotonic() - STARTED:6.1f} s  {what}", flush=True)


def life(chromium, origin, language, scripts):
    """A whole life, from registration to logout. Pictures are taken where there are scripts, which axe needs."""
    name = f"{language} with{'' if scripts else 'out'} scripts"
    locale = {"en": "en-GB", "zh-Hant": "zh-TW"}[language]
    with Person(chromium, origin, java_script_enabled=scripts, locale=locale) as person:
        page = person.page
        show = (lambda what: person.show(f"{language}-{what}")) if scripts else (lambda what: None)
        person.expect(person.go("/"), 200)
        assert page.get_attribute("html", "lang") == language, page.get_attribute("html", "lang")
        show("home")
        # Nobody is logged in: private pages lead to the login, and back.
        person.go("/account/sessions")
        person.at("/login")
        show("login")
        page.click(".aside a")
        person.at("/register")
        show("register")
        person.expect(person.send("/register", username="a", password="password"), 422, "/register")
        show("register-refused")
        assert page.input_value("[name=username]") == "a" and page.input_value("[name=password]") == ""
        person.expect(person.send("/register", username=person.name, password="password"), 422)
        person.expect(person.send("/register", username=person.name, email=f"{person.name}@example.org", password=PASSWORD), 200, "/account/sessions")
        expect(page.locator(".notice")).to_be_visible()
        show("sessions-registered")
        page.reload()
        expect(page.locator(".notice")).to_have_count(0)
        person.go("/account")
        show("account")
        person.expect(person.send("/logout"), 200, "/")
        show("logged-out")
        # Nothing private comes back.
        page.go_back()
        page.wait_for_load_state()
        assert person.name not in page.content()

        person.go("/login")
        person.expect(person.send("/login", username=person.name, password="not the password"), 401, "/login")
        assert page.input_value("[name=username]") == person.name and page.input_value("[name=password]") == ""
        show("login-refused")
        person.expect(person.send("/login", username=person.name, password=PASSWORD), 200, "/account")

        person.go("/account/security")
        show("security-off")
        person.expect(person.send("/totp", password="not the password"), 401)
        show("security-refused")
        person.expect(person.send("/totp", password=PASSWORD), 200, "/totp")
        authenticator = person.scan()
        assert page.get_attribute('a[href^="otpauth:"]', "href") == authenticator.link
        assert "".join(page.inner_text("#secret").split()) == authenticator.secret
        show("set-up")
        if scripts:
            page.click("[data-copy=secret]")
            expect(page.locator("[data-copy=secret]")).not_to_have_text({"en": "Copy", "zh-Hant": "複製"}[language])
            # The sixth digit sends it.
            with page.expect_navigation() as navigation:
                page.type("[name=code]", authenticator.wrong())
            person.expect(navigation.value, 401)
        else:
            person.expect(person.send("/totp/confirm", code=authenticator.wrong()), 401)
        assert authenticator.secret not in page.content()
        show("set-up-refused")
        person.expect(confirm(person, "/totp/confirm", authenticator.code(), scripts), 200, "/totp/confirm")
        codes = page.locator(".codes code").all_inner_texts()
        assert len(set(codes)) == 10
        show("recovery-codes")
        with page.expect_download() as download:
            page.click('form[action$="recovery-codes.txt"] button')
        kept = pathlib.Path(download.value.path()).read_text(encoding="utf-8")
        assert all(code in kept for code in codes) and download.value.suggested_filename == "recovery-codes.txt"
        if scripts:
            page.emulate_media(media="print")
            page.screenshot(path=FOLDER / f"{language}-recovery-codes-print.png", full_page=True)
            page.emulate_media(media="screen")
        page.click('a.button[href="/account/security"]')
        person.at("/account/security")
        show("security-on")
        person.expect(person.send("/logout"), 200, "/")

        person.go("/login?next=%2Faccount%2Fsessions")
        person.expect(person.send("/login", username=person.name, password=PASSWORD), 200, "/login/verify")
        show("verify")
        person.expect(confirm(person, "/login/verify", authenticator.wrong(), scripts), 401, "/login/verify")
        show("verify-refused")
        person.expect(confirm(person, "/login/verify", authenticator.used(), scripts), 401, "/login/verify")
        person.expect(confirm(person, "/login/verify", authenticator.code(), scripts), 200, "/account/sessions")

        # Another browser, by a recovery code; ended from here.
        with Person(chromium, origin, java_script_enabled=scripts, locale=locale, user_agent="<script>alert(1)</script>\"'><img src=x onerror=alert(2)>") as other:
            other.go("/login")
            other.expect(other.send("/login", username=person.name, password=PASSWORD), 200, "/login/verify")
            other.page.click("summary")
            recover = 'form:has([name=recovery_code])'
            for code, status in (("aaaa-bbbb-cccc-dddd-eeee-ffff", 401), (codes[0], 200)):
                if not other.page.is_visible(f"{recover} input"):
                    other.page.click("summary")
                other.page.fill(f"{recover} [name=recovery_code]", code)
                with other.page.expect_navigation() as navigation:
                    other.page.click(f"{recover} button")
                other.expect(navigation.value, status)
            other.at("/account")
            page.reload()
            assert page.locator(".sessions li").count() == 2
            expect(page.locator(".sessions")).to_contain_text("<script>alert(1)</script>")
            show("sessions")
            with page.expect_navigation():
                page.click('.sessions form[action$="/revoke"] button')
            person.at("/account/sessions")
            assert page.locator(".sessions li").count() == 1
            other.go("/account")
            other.at("/login")

        person.go("/account/security")
        person.open("/password")
        person.expect(person.send("/password", current_password="not the password", new_password=NEW_PASSWORD), 401)
        show("password-refused")
        person.expect(person.send("/password", current_password=PASSWORD, new_password=NEW_PASSWORD), 200, "/account/security")
        show("password-changed")
        person.open("/recovery-codes")
        person.expect(person.send("/recovery-codes", password=NEW_PASSWORD, code=authenticator.code()), 200, "/recovery-codes")
        assert not set(codes) & set(page.locator(".codes code").all_inner_texts())
        fresh = page.locator(".codes code").first.inner_text()
        person.go("/account/security")
        person.open("/totp/disable")
        person.expect(person.send("/totp/disable", password=NEW_PASSWORD, recovery_code=codes[1]), 401)
        show("turn-off-refused")
        person.expect(person.send("/totp/disable", password=NEW_PASSWORD, recovery_code=fresh), 200, "/account/security")
        person.expect(person.send("/logout"), 200, "/")
        person.go("/login")
        person.expect(person.send("/login", username=person.name, password=NEW_PASSWORD), 200, "/account")

        # The other language, and back.
        other_language = {"en": "zh-Hant", "zh-Hant": "en"}[language]
        for tag in (other_language, language):
            with page.expect_navigation():
                page.click(f'button[name=language][value="{tag}"]')
            person.at("/account")
            assert page.get_attribute("html", "lang") == tag
        person.expect(person.send("/logout"), 200, "/")
    if person.pages:
        say(f"{name}: {len(person.pages)} pages, the heaviest {max(person.pages.values())} bytes")
    else:
        say(name)


def confirm(person, action, code, scripts):
    """Types a code: with scripts its last digit sends the form."""
    if not scripts:
        return person.send(action, code=code)
    with person.page.expect_navigation() as navigation:
        person.page.type(f'form[action="{action}"] [name=code]', code)
    person.page.wait_for_load_state()
    return navigation.value


def by_keyboard(chromium, origin):
    """The same with the keyboard alone."""
    with Person(chromium, origin, viewport={"width": 1280, "height": 844}) as person:
        page = person.page

        def focus(selector):
            for _ in range(60):
                page.keyboard.press("Tab")
                if page.evaluate("selector => document.activeElement.matches(selector)", selector):
                    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
                    assert outline != "none", f"{selector} has no visible focus"
                    return
            raise AssertionError(f"the keyboard does not get to {selector} on {page.url}")

        def press(selector, key="Enter"):
            focus(selector)
            with page.expect_navigation() as navigation:
                page.keyboard.press(key)
            page.wait_for_load_state()
            return navigation.value

        def write(**fields):
            for name, text in fields.items():
                focus(f"[name={name}]")
                page.keyboard.type(text)

        person.go("/")
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.matches('.skip')"), "the first stop skips to the content"
        press('a[href="/register"]')
        write(username=person.name, password=PASSWORD)
        person.expect(press("button:not([type=button])"), 200, "/account")
        press('a.button[href="/account/security"]')
        write(password=PASSWORD)
        person.expect(press('form[action="/totp"] button:not([type=button])', "Space"), 200, "/totp")
        authenticator = person.scan()
        focus("[name=code]")
        with page.expect_navigation() as navigation:
            page.keyboard.type(authenticator.code())
        person.expect(navigation.value, 200, "/totp/confirm")
        press('a.button[href="/account/security"]')
        focus("details:has(form[action='/password']) summary")
        page.keyboard.press("Enter")
        write(current_password=PASSWORD, new_password=NEW_PASSWORD)
        person.expect(press('form[action="/password"] button:not([type=button])'), 200, "/account/security")
        person.expect(press('form[action="/logout"] button'), 200, "/")
        press('a[href="/login"]')
        write(username=person.name, password=NEW_PASSWORD)
        page.keyboard.press("Enter")
        person.at("/login/verify")
        focus("[name=code]")
        with page.expect_navigation() as navigation:
            page.keyboard.type(authenticator.code())
        person.expect(navigation.value, 200, "/account")
        press('a[href="/account/sessions"]')
        press('form[action="/logout"] button')
        person.at("/")
    say("by keyboard")


def hostile(chromium, origin):
    """Text that would be markup, and names that turn the text around."""
    with Person(chromium, origin, user_agent="\"><svg onload=alert(1)>") as person:
        person.go("/login")
        text = "\"><script>alert(1)</script>"
        person.expect(person.send("/login", username=text, password="x"), 401)
        assert person.page.input_value("[name=username]") == text
        person.go("/login?next=javascript:alert(1)")
        assert person.page.locator('form[action="/login"] [name=next]').count() == 0
        person.go("/login?next=%2Faccount%3Fq%3D%22%3E%3Cscript%3Ealert(1)%3C%2Fscript%3E")
        # Right to left, and as long as they come.
        name = "שלום" + secrets.token_hex(30)
        person.go("/register")
        person.expect(person.send("/register", username=name, password=PASSWORD), 200, "/account")
        person.show("hostile-account")
        person.go("/account/sessions")
        expect(person.page.locator(".sessions")).to_contain_text("<svg onload=alert(1)>")
        person.show("hostile-sessions")
    say("hostile names, user agents and fields are shown as text")


def problems(chromium, origin):
    with Person(chromium, origin) as person:
        person.expect(person.go("/nowhere"), 404)
        person.show("problem-404")
        person.page.goto("about:blank")
        # Another site's form.
        person.page.set_content(f'<form method="post" action="{origin}/logout"><button>x</button></form>')
        with person.page.expect_navigation() as navigation:
            person.page.click("button")
        person.expect(navigation.value, 403)
        person.show("problem-403")
    say("404 and 403")


def limited(chromium, port):
    settings = {"HALLPASS_LIMITS__LOGIN": "2 per minute", "HALLPASS_LIMITS__PAGES": "20 per minute"}
    with server(port, **settings) as (origin, _), Person(chromium, origin) as person:
        person.go("/login")
        for status in (401, 401, 429):
            answer = person.send("/login", username="nobody", password="not a password")
            person.expect(answer, status, "/login")
        timer = person.page.locator("[data-countdown]")
        assert 0 < int(timer.get_attribute("data-countdown")) <= 60 == int(answer.headers["retry-after"])
        before = timer.inner_text()
        expect(timer).not_to_have_text(before)
        person.show("limit-form")
        while (answer := person.go("/")).status == 200:
            pass
        person.expect(answer, 429)
        person.show("limit-page")
        with Person(chromium, origin, java_script_enabled=False) as plain:
            plain.expect(plain.go("/"), 429)
            assert "second" in plain.page.inner_text("[role=timer]")
    say("limits")


def cut_off(chromium, port):
    with server(port, ["dynamodb", "--listen", f"127.0.0.1:{port}"]) as (_, store):
        (WORK / "keys").write_bytes(base64.b64encode(secrets.token_bytes(32)))
        (WORK / "keys").chmod(0o600)
        settings = {"HALLPASS_STORE": "dynamodb", "HALLPASS_KEYS_FILE": str(WORK / "keys"), "AWS_REGION": "us-east-1",
                    "AWS_ENDPOINT_URL_DYNAMODB": f"http://127.0.0.1:{port}", "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x"}
        with server(port + 1, **settings) as (origin, _), Person(chromium, origin) as person:
            person.page.set_default_timeout(30_000)
            person.expect(person.go("/login"), 200)
            store.terminate()
            store.wait()
            person.expect(person.send("/login", username="ada", password=PASSWORD), 503, "/login")
            person.show("cut-off-form")
            person.expect(person.go("/account"), 503)
            person.show("cut-off-page")
    say("cut off from the store")


def branded(chromium, port):
    settings = GENEROUS | {"HALLPASS_PAGES__NAME": "University App", "HALLPASS_PAGES__ACCENT": "#ffd500"}
    with server(port, **settings) as (origin, _), Person(chromium, origin) as person:
        person.go("/login")
        assert "University App" in person.page.title()
        person.show("branded-login")
    say("an operator's name and colour")


def main():
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=shutil.which("chromium") or shutil.which("google-chrome"), args=CHROMIUM_ARGS)
        with server(5604, **GENEROUS) as (origin, _):
            for language in ("en", "zh-Hant"):
                for scripts in (True, False):
                    life(chromium, origin, language, scripts)
            by_keyboard(chromium, origin)
            hostile(chromium, origin)
            problems(chromium, origin)
        limited(chromium, 5605)
        cut_off(chromium, 5606)
        branded(chromium, 5608)
        chromium.close()
    print(f"browser: passed; {len(list(FOLDER.glob('*.png')))} pictures in {FOLDER}")


STARTED = time.monotonic()
main()
