"""What must hold of an API behind a proxy that asks the guard. Usage: guard-client.py ADDRESS CA, or with `down` after
it: the same when the guard can't be asked.

The API behind is echo-api.py; everything under /app/ needs a session, /app/admin a second factor, /app/reports is
limited to three requests a minute, /app/public/ is open.
"""

import json
import re
import secrets
import socket
import ssl
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from urllib.parse import unquote, urlsplit

from totp import code

PASSWORD = "correct horse battery"
address, ca = urlsplit(sys.argv[1]), sys.argv[2]
# Envoy passes no redirect on.
redirects = "no-redirects" not in sys.argv
checks = 0


class Answer:
    def __init__(self, raw):
        head, _, self.body = raw.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        self.status = int(lines[0].split(" ")[1])
        self.headers = {}
        for line in lines[1:]:
            name, _, value = line.partition(":")
            self.headers.setdefault(name.lower(), []).append(value.strip())
        # Only the API says this, so whoever reads it has got through.
        self.reached_the_api = "x-echo" in self.headers

    def header(self, name):
        return ", ".join(self.headers.get(name, []))

    @property
    def json(self):
        body = self.body
        if self.header("transfer-encoding") == "chunked":
            whole = b""
            while body:
                size, _, body = body.partition(b"\r\n")
                whole, body = whole + body[: int(size, 16)], body[int(size, 16) + 2 :]
            body = whole
        return json.loads(body)

    def __repr__(self):
        return f"{self.status} {self.headers} {self.body[:200]}"


@contextmanager
def connection():
    """To the proxy, over TLS."""
    context = ssl.create_default_context(cafile=ca)
    with socket.create_connection((address.hostname, address.port), timeout=20) as plain:
        with context.wrap_socket(plain, server_hostname=address.hostname) as stream:
            yield stream


def ask(target, headers=(), method="GET", body=b""):
    """Sends the target as it is written here: no client library tidies it up first."""
    with connection() as stream:
        lines = [f"{method} {target} HTTP/1.1", f"Host: {address.netloc}", "Connection: close"]
        lines += [f"{name}: {value}" for name, value in headers]
        if body:
            lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
        stream.sendall("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body)
        raw = b""
        try:
            while not whole(raw) and (part := stream.recv(65536)):
                raw += part
        except (ssl.SSLError, ConnectionError):
            pass
    return Answer(raw) if raw else None


def whole(raw):
    """Whether the answer has ended; some servers keep a connection open for a while after it."""
    head, end, body = raw.partition(b"\r\n\r\n")
    length = re.search(rb"\r\ncontent-length: *(\d+)", head, re.I)
    return bool(end) and (len(body) == int(length[1]) if length else body.endswith(b"0\r\n\r\n"))


def post(path, document, headers=()):
    return ask(path, headers, "POST", json.dumps(document).encode())


def check(holds, claim, seen=""):
    global checks
    checks += 1
    if not holds:
        sys.exit(f"guard-client: not so: {claim}: {seen}")


def bearer(token):
    return ("Authorization", f"Bearer {token}")


def canonical(target):
    """The path as the most generous server would read it: everything decoded, resolved, cut off and folded."""
    path = re.sub(r"^\w+://[^/]*", "", target).split("?")[0].split("#")[0]
    for _ in range(3):
        path = unquote(path)
    path = re.sub(r";[^/]*", "", path.replace("\\", "/").split("\0")[0].split("?")[0].split("#")[0])
    rooms = []
    for room in path.split("/"):
        if room == "..":
            rooms = rooms[:-1]
        elif room not in ("", "."):
            rooms.append(room.lower())
    return "/" + "/".join(rooms)


TRICKS = """
/app/admin /app/admin/ /app/ADMIN /app/Admin/x /App/admin /APP/ADMIN /app/%61dmin /app/%41DMIN /%61pp/admin
/app/public/../admin /app/public/../admin/x /app/public/%2e%2e/admin /app/public/.%2e/admin /app/public/%2E%2E/admin
/app/public/..%2fadmin /app/public/..%2Fadmin /app/public/%2e%2e%2fadmin /app/public%2f..%2fadmin /app/public%2f../admin
/app/public/..;/admin /app/public/..;x=y/admin /app/public/;/../admin /app/public;/../admin /app/public/%2e%2e;/admin
/app/admin;x=1 /app/admin;/x /app;x/admin /app/;/admin /app/%3b/admin /app/admin%3bx
/app//admin //app/admin //app//admin /app///admin/ /app/./admin /app/.//admin /app/public/.././admin /./app/admin
/app/public/..%5cadmin /app/public/..\\admin /app\\admin /app/public\\..\\admin /app%5cadmin /app/public/%5c../admin
/app/public/%252e%252e/admin /app/public/..%252fadmin /app%252fadmin /app%2fadmin /app%2Fadmin/x /app/admin%2fx
/app/admin%00 /app/admin%00.html /app/public/%00/../../admin /app/admin%20 /app/admin%09 /app/admin%3fx /app/admin%23x
/app/admin? /app/admin?/app/public/ /app/admin?level=aal1 /app/admin?level=aal1&limit=reports /app/admin#/app/public/
/app/admin/. /app/admin/.. /app/admin/../admin /app/admin/%2e%2e/admin /app/x/../../app/admin /app/../app/admin
/app/public/..%c0%afadmin /app/public/%c0%ae%c0%ae/admin /app/public/..%ef%bc%8fadmin /app/public/..%u2215admin
/app/reports/../admin /app/public/x/../../admin /app/public/x/%2e%2e/%2e%2e/admin /api/authz/../../app/admin
/app/public/../hello /app/public/%2e%2e/hello /app/public/..%2fhello /app/public/..;/hello /app/public//../hello
""".split() + [f"https://{address.netloc}/app/admin", f"http://{address.netloc}/app/public/../admin"]

IDENTITY = ["Remote-User", "Remote-Name", "Remote-Email", "X-Hallpass-User-Id", "X-Hallpass-Level", "X-Hallpass-Methods"]


CHUNKED = "Transfer-Encoding: chunked"


def framings(length):
    """Lines that some readers take for one end of a body, and others for another, or for none (RFC 9112, 6 and 11.2)."""
    return [
        f"{length}\r\n{CHUNKED}", f"{CHUNKED}\r\n{length}", f"Content-Length: 0\r\n{length}", f"{length}\r\nContent-Length: 0",
        "Content-Length: 0, 5", "Content-Length: +0", "Content-Length: 0x0", "Content-Length: -1", "Transfer-Encoding: xchunked",
        f"{length}\r\nTransfer-Encoding: xchunked", f"{length}\r\nTransfer-Encoding : chunked", f"{length}\r\nTransfer-Encoding:\x0bchunked",
        f"{length}\r\n Transfer-Encoding: chunked", f"{length}\r\nTransfer-Encoding: chunked, identity", f"X: a\n{CHUNKED}\r\n{length}",
        f"X: a\r{CHUNKED}\r\n{length}", f"{length}\r\nTransfer-Encoding: identity\r\n{CHUNKED}", f"{CHUNKED}\r\n{CHUNKED}\r\n{length}",
        f"{length}\r\nTransfer_Encoding: chunked", f"Content-Length: 0\r\nX: a\n{length}", f"Content_Length: 0\r\n{CHUNKED}",
        "Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 0", "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c",
        f"Connection: Content-Length\r\n{length}", f"Connection: Transfer-Encoding\r\n{CHUNKED}",
    ]


LAST_CHUNKS = ["0\r\n\r\n", "0\n\n", "0\n\r\n", "0;\n\r\n\r\n", "0;a=\nb\r\n\r\n", "00000000000000000\r\n\r\n"]


def smuggled(hidden, path):
    """Requests that for some readers are one with `hidden`, and for others end before it."""

    def request(framing, body, method="POST", version="1.1"):
        return f"{method} {path} HTTP/{version}\r\nHost: {address.netloc}\r\n{framing}\r\n\r\n{body}"

    # Behind a last chunk for who reads chunks, and without one for who reads no body.
    for body in (f"0\r\n\r\n{hidden}", hidden):
        length = f"Content-Length: {len(body)}"
        for framing in framings(length):
            yield from (request(framing, body, version=version) for version in ("1.1", "1.0"))
        yield request(length, body, method="GET")
    yield from (request(CHUNKED, end + hidden) for end in LAST_CHUNKS)


def talk(text):
    """Sends these bytes, and hears whatever is said to them until nothing more comes."""
    with connection() as stream:
        stream.settimeout(0.5)
        try:
            stream.sendall(text.encode("latin-1"))
            while stream.recv(65536):
                pass
        except (ssl.SSLError, ConnectionError, TimeoutError):
            pass


def nothing_is_smuggled(token):
    """A request in another one's body or behind its end is nobody's, or it is asked about like any other."""
    run = secrets.token_hex(6)
    hidden = f"GET /app/admin/smuggled-{run}%s HTTP/1.1\r\nHost: {address.netloc}\r\n%s\r\n"
    talk(f"POST /app/public/x HTTP/1.1\r\nHost: {address.netloc}\r\nContent-Length: 0\r\n\r\n"
         + hidden % ("-not", f"Authorization: Bearer {token}\r\n"))

    def is_harmless(number, text):
        talk(text)
        # Whoever comes next gets what they asked for.
        seen = ask(f"/app/public/{number}")
        check(seen.status == 200 and seen.json["target"] == f"/app/public/{number}", f"{text!r} is nobody else's", seen)
        there = [target for target in seen.json["smuggled"] if run in target]
        check(there == [f"/app/admin/smuggled-{run}-not"], f"{text!r} smuggles nothing beside what may go there", there)
        seen = ask("/healthz")
        check(seen.status == 200 and not seen.reached_the_api, f"{text!r} confuses nobody", seen)

    # To the API, and to Hallpass itself.
    texts = [text for path in ("/app/public/x", "/logout") for text in smuggled(hidden % ("", ""), path)]
    # No more at once: the proxies have limits of their own.
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(is_harmless, range(len(texts)), texts))


def strangers_words():
    """Each header that only the guard may say, in every spelling that some server takes for it."""
    for name in IDENTITY:
        for spelling in (name, name.lower(), name.upper(), name.replace("-", "_"), name.replace("-", "_").lower(),
                         name.replace("-", "."), name.replace("-", "_", 1)):
            yield spelling, "root"


def up():
    name = f"user-{secrets.token_hex(6)}"
    made = post("/register", {"username": name, "password": PASSWORD, "email": f"{name}@example.org", "delivery": "token"})
    check(made.status == 201, "Hallpass itself is reached through the proxy", made)
    one_step = made.json["token"]

    # Nobody without a session.
    for headers in ([], [bearer("nonsense")], [("Cookie", "__Host-session=nonsense")], [bearer("")],
                    [("Authorization", "Basic cm9vdDpyb290")]):
        seen = ask("/app/hello", headers)
        check(seen.status == 401 and not seen.reached_the_api, f"401 with {headers}", seen)
    seen = ask("/app/hello?a=b", [("Accept", "text/html,application/xhtml+xml")])
    if redirects:
        check(seen.status == 302 and "/login?next=/app/hello" in seen.header("location"),
              "a browser is sent to the login page, and back", seen)
        where = urlsplit(seen.header("location"))
        check(where.netloc in ("", address.netloc), "and to no other host", seen)
    else:
        check(seen.status == 401 and not seen.reached_the_api, "a browser gets in no sooner", seen)

    for site, status in (("cross-site", 403), ("same-site", 403), ("same-origin", 401)):
        seen = ask("/app/hello", [("Sec-Fetch-Site", site)], "POST")
        check(seen.status == status and not seen.reached_the_api, f"a POST from {site} is told {status}", seen)

    # A session of one step.
    seen = ask("/app/hello?x=1", [bearer(one_step)])
    check(seen.status == 200 and seen.reached_the_api, "a session opens /app/", seen)
    got = {name.lower(): value for name, value in seen.json["headers"]}
    check(got.get("remote-user") == name, "the API learns the name", got)
    check(got.get("remote-email") == f"{name}@example.org", "the API learns the address", got)
    check(got.get("x-hallpass-level") == "aal1", "the API learns the level", got)
    check(got.get("x-hallpass-user-id"), "the API learns the id", got)
    check("authorization" not in got and "cookie" not in got, "the API doesn't get the credential", got)
    check(seen.json["target"] == "/app/hello?x=1", "the API gets the target", seen.json)
    seen = ask("/app/hello", [("Cookie", f"theme=dark; __Host-session={one_step}")])
    check(seen.status == 200, "the same with a cookie", seen)
    seen = ask("/app/hello", [("Cookie", f"__Host-session={one_step}"), bearer(one_step)])
    check(seen.status == 400 and not seen.reached_the_api, "cookie and token together are refused", seen)
    seen = post("/app/hello", {"a": 1}, [bearer(one_step)])
    check(seen.status == 200 and seen.json["method"] == "POST" and seen.json["body_bytes"] == 8, "a body arrives", seen)
    seen = ask("/app/admin/users", [bearer(one_step)])
    check(seen.status == 403 and not seen.reached_the_api, "one step is too low for /app/admin", seen)
    seen = ask("/app/admin/users")
    check(seen.status == 401 and not seen.reached_the_api, "none is too low too", seen)

    # A session of two.
    totp = post("/totp", {"password": PASSWORD}, [bearer(one_step)]).json
    confirmed = post("/totp/confirm", {"code": code(totp["secret"])}, [bearer(one_step)])
    check(confirmed.status == 200, "a second step is set up", confirmed)
    seen = ask("/app/hello", [bearer(one_step)])
    check(seen.status == 401 and not seen.reached_the_api, "the token from before is dead at once", seen)
    pending = post("/login", {"username": name, "password": PASSWORD, "delivery": "token"}).json["login_token"]
    for headers in ([bearer(pending)], [("Cookie", f"__Host-session={pending}")], [("Cookie", f"__Host-login={pending}")]):
        seen = ask("/app/hello", headers)
        check(seen.status == 401 and not seen.reached_the_api, "half a login opens nothing", seen)
    seen = post("/login/verify", {"code": code(totp["secret"], 1), "login_token": pending, "delivery": "token"})
    check(seen.status == 200, "the second step is taken", seen)
    two_steps = seen.json["token"]
    seen = ask("/app/admin/users", [bearer(two_steps)])
    check(seen.status == 200 and ["x-hallpass-level", "aal2"] in [[n.lower(), v] for n, v in seen.json["headers"]],
          "two steps open /app/admin", seen)

    nothing_is_smuggled(two_steps)

    # What a client says of itself.
    other = post("/register", {"username": f"{name}-b", "password": PASSWORD, "delivery": "token"}).json["token"]
    lies = [*strangers_words(), ("X-Forwarded-For", "6.6.6.6"), ("Forwarded", "for=6.6.6.6"), ("X-Real-Ip", "6.6.6.6"),
            ("X-Original-Uri", "/app/public/x"), ("X-Forwarded-Uri", "/app/public/x"), ("X-Original-Method", "GET"),
            ("X-Rewrite-Url", "/app/public/x"), ("Cookie", "a=none_of_the_apis_business"),
            ("X-Forwarded-Host", "evil.example")]
    # These would only make it harder, but they are not the client's to send.
    lies += [("X-Hallpass-Require-Level", "aal2"), ("X-Hallpass-Require-Limit", "none_of_that_name")]
    for path, headers in (("/app/public/x", []), ("/app/hello", [bearer(other)])):
        seen = ask(path, [*headers, *lies])
        check(seen.status == 200 and seen.reached_the_api, f"{path} is open to this client", seen)
        text = json.dumps(seen.json["headers"])
        for lie in ("root", "6.6.6.6", "evil.example", "/app/public/x", "none_of_the_apis_business"):
            check(lie not in text, f"a client's word ({lie}) doesn't arrive", text)
    seen = ask("/app/admin/users", [bearer(other), *lies])
    check(seen.status == 403 and not seen.reached_the_api, "nor does it open /app/admin", seen)
    seen = ask("/app/hello", lies)
    check(seen.status == 401 and not seen.reached_the_api, "nor anything else", seen)
    session = ask("/session", [bearer(other), *lies])
    check(session.status == 200 and "6.6.6.6" not in session.body.decode(), "nor does Hallpass believe it", session)
    for path in ("auth-request", "forward-auth", "ext-authz/app/hello", "AUTH-REQUEST"):
        seen = ask(f"/api/authz/{path}", [bearer(other)])
        check(seen.status in (403, 404), f"{path} is not for clients", seen)

    # No spelling of a path gets further than the path does.
    for target in TRICKS:
        for who, headers, may in (
            ("nobody", [], lambda path: path.startswith("/app/public/")),
            ("one step", [bearer(other)], lambda path: not re.match(r"^/app/admin(/|$)", path)),
        ):
            seen = ask(target, headers)
            if seen is not None and seen.reached_the_api:
                path = canonical(seen.json["target"])
                check(may(path), f"{who} doesn't reach {path} by {target}", seen)
            check(seen is None or 200 <= seen.status < 500, f"{target} has an answer", seen)

    # A limit of its own.
    with ThreadPoolExecutor(20) as pool:
        seen = list(pool.map(lambda n: ask("/app/reports/x", [bearer(other), ("X-Forwarded-For", f"6.6.6.{n}")]), range(30)))
    statuses = sorted(answer.status for answer in seen)
    check(statuses == [200] * 3 + [429] * 27, "of 30 parallel requests 3 are admitted, and 27 are told 429", statuses)
    over = next(answer for answer in seen if answer.status == 429)
    check(over.header("retry-after").isdigit() and 0 < int(over.header("retry-after")) <= 61, "and when to come again", over)
    check(not over.reached_the_api, "and don't reach the API", over)
    seen = ask("/app/hello", [bearer(other)])
    check(seen.status == 200, "the rest is not under that limit", seen)

    # The end of a session is the end.
    check(ask("/logout", [bearer(other)], "POST").status == 204, "a session ends")
    seen = ask("/app/hello", [bearer(other)])
    check(seen.status == 401 and not seen.reached_the_api, "and opens nothing any more", seen)


def down():
    for headers in ([], [bearer("nonsense")]):
        seen = ask("/app/hello", headers)
        check(seen.status in (500, 502, 503, 504) and not seen.reached_the_api, "nobody gets in while the guard is away", seen)
    seen = ask("/app/public/x")
    check(seen.status == 200 and seen.reached_the_api, "what is open stays open", seen)


down() if "down" in sys.argv else up()
print(f"guard-client: {checks} checks passed")
