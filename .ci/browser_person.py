"""A Hallpass, an authenticator app and a person with a browser, for the lives in `browser.py`."""

import contextlib
import os
import pathlib
import secrets
import subprocess
import sys
import time
import urllib.parse
import urllib.request

from axe_playwright_python.sync_playwright import Axe

from totp import STEP_SECONDS, code_at

BINARY, FOLDER, WORK = sys.argv[1], pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3])
PASSWORD, NEW_PASSWORD = "correct horse battery staple", "another good horse battery"
PAGE_MAX_BYTES = 50 * 1024
# What Chromium says of a page that is an error; the page is what we asked for.
HARMLESS = ("Failed to load resource: the server responded with a status of", "Clear-Site-Data header on")


@contextlib.contextmanager
def server(port, args=(), **settings):
    """A Hallpass of its own at http://localhost:port."""
    folder = WORK / f"server-{port}"
    folder.mkdir()
    origin = f"http://localhost:{port}"
    own = {"HALLPASS_DATA_DIR": str(folder / "data"), "HALLPASS_LISTEN": f"127.0.0.1:{port}", "HALLPASS_PUBLIC_URL": origin}
    environment = os.environ | ({} if args else own | settings)
    with open(folder / "log", "w") as log:
        process = subprocess.Popen([BINARY, *args], env=environment, cwd=folder, stdout=log, stderr=log)
    try:
        for _ in range(150):
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"http://127.0.0.1:{port}/" + ("" if args else "readyz"))
                break
            if process.poll() is not None:
                raise SystemExit((folder / "log").read_text())
            time.sleep(0.2)
        yield origin, process
    finally:
        process.terminate()
        process.wait()


class Authenticator:
    """An authenticator app that has scanned a QR code from the screen."""

    def __init__(self, picture):
        link = subprocess.run(["zbarimg", "--quiet", "--raw", picture], check=True, capture_output=True, text=True).stdout.strip()
        self.link = link
        fields = urllib.parse.parse_qs(urllib.parse.urlparse(link).query)
        self.secret, self.last = fields["secret"][0], 0

    def at(self, step):
        return code_at(self.secret, step)

    def code(self):
        """A code that wasn't used, of the step before, this one or the next: all three are accepted."""
        while self.last > time.time() // STEP_SECONDS:
            time.sleep(0.2)
        self.last = max(self.last + 1, int(time.time() // STEP_SECONDS) - 1)
        return self.at(self.last)

    def used(self):
        return self.at(self.last)

    def wrong(self):
        near = {self.at(int(time.time() // STEP_SECONDS) + off) for off in range(-3, 4)}
        return next(code for code in ("000000", "111111", "222222", "333333", "444444", "555555", "666666", "777777") if code not in near)


class Person:
    """Somebody with a browser, in which nothing may go wrong that a page could see."""

    def __init__(self, chromium, origin, **options):
        self.origin, self.name, self.faults = origin, f"ada-{secrets.token_hex(4)}", []
        self.sizes, self.pages = {}, {}
        options.setdefault("viewport", {"width": 390, "height": 844})
        self.context = chromium.new_context(**options)
        self.page = self.context.new_page()
        self.page.set_default_timeout(10_000)
        self.page.on("request", self.request)
        self.page.on("response", self.response)
        self.page.on("console", lambda message: message.text.startswith(HARMLESS) or self.faults.append(f"console: {message.text}"))
        self.page.on("pageerror", lambda error: self.faults.append(f"script: {error}"))
        self.page.on("dialog", lambda dialog: (self.faults.append(f"dialog: {dialog.message}"), dialog.dismiss()))

    def request(self, request):
        if not request.url.startswith(self.origin + "/"):
            self.faults.append(f"a request left the origin: {request.url}")
        if any(secret in request.url for secret in (PASSWORD, NEW_PASSWORD, "code=")):
            self.faults.append(f"a secret in a URL: {request.url}")

    def response(self, response):
        path = urllib.parse.urlparse(response.url).path
        if path.startswith("/assets/") and response.ok:
            with contextlib.suppress(Exception):
                self.sizes[path] = len(response.body())

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is None:
            self.clean()
        self.context.close()

    def clean(self):
        assert not self.faults, "\n".join(self.faults)

    def go(self, path):
        return self.page.goto(self.origin + path)

    def at(self, path):
        self.page.wait_for_url(lambda url: urllib.parse.urlparse(url).path == path)
        self.page.wait_for_load_state()

    def fill(self, action, **fields):
        for name, value in fields.items():
            self.page.fill(f'form[action="{action}"] [name={name}]', value)

    def send(self, action, **fields):
        """Fills a form and sends it by its button; what it is answered with."""
        self.fill(action, **fields)
        with self.page.expect_navigation() as navigation:
            self.page.click(f'form[action="{action}"] button:not([type=button])')
        self.page.wait_for_load_state()
        return navigation.value

    def expect(self, answer, status, path=None):
        assert answer.status == status, f"{answer.url}: {answer.status}, not {status}"
        if path:
            assert urllib.parse.urlparse(self.page.url).path == path, f"{self.page.url}, not {path}"

    def open(self, action):
        """Opens the part of the page that hides a form."""
        details = self.page.locator(f'details:has(form[action="{action}"])').last
        if details.count() and not details.get_attribute("open") is not None:
            details.locator("summary").click()

    def scan(self):
        # As a camera sees it: the screen, not the file.
        picture = WORK / f"qr-{secrets.token_hex(4)}.png"
        self.page.screenshot(path=picture, full_page=True)
        return Authenticator(picture)

    def show(self, name):
        """Keeps a page's pictures, and lets axe look at it in light and dark."""
        width_before = self.page.viewport_size
        self.page.evaluate("document.activeElement && document.activeElement.blur()")
        for scheme in ("light", "dark"):
            self.page.emulate_media(color_scheme=scheme)
            for width in (320, 390, 1280):
                self.page.set_viewport_size({"width": width, "height": 844})
                wide = self.page.evaluate("document.documentElement.scrollWidth")
                assert wide <= width, f"{name} needs {wide} pixels of {width}"
                self.page.screenshot(path=FOLDER / f"{name}-{width}-{scheme}.png", full_page=True)
                if width != 390:
                    found = Axe().run(self.page, options={"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]})
                    assert not found.response["violations"], f"{name}, {scheme}, {width}:\n{found.generate_report()}"
                    assert found.response["passes"], name
        self.page.emulate_media(color_scheme="light")
        self.page.set_viewport_size(width_before)
        weight = len(self.page.content().encode()) + sum(self.sizes.values())
        assert len(self.sizes) >= 3 and weight < PAGE_MAX_BYTES, f"{name}: {weight} bytes"
        self.pages[name] = weight
