"""Journeys with other people's libraries: requests over TLS, pyotp for codes, http_sf for the RateLimit fields.

    clients.py ADDRESS    (REQUESTS_CA_BUNDLE names the authority)
"""

import sys
import time

import http_sf
import pyotp
import requests

PASSWORD = "correct horse battery"
STEP_SECONDS = 30
fields_read = 0


class Client(requests.Session):
    """A session whose every answer has its RateLimit fields read."""

    def __init__(self, address):
        super().__init__()
        self.address = address

    def request(self, method, path, *args, **more):
        url = path if "://" in path else self.address + path
        answer = super().request(method, url, *args, **more)
        read_limits(answer)
        return answer


def read_limits(answer):
    """Both fields parse as RFC 9651 lists of strings with integer parameters, and belong together."""
    global fields_read
    headers = answer.headers
    assert ("RateLimit" in headers) == ("RateLimit-Policy" in headers), headers
    if "RateLimit" not in headers:
        return
    policies, limits = (
        http_sf.parse(headers[name].encode(), tltype="list") for name in ("RateLimit-Policy", "RateLimit")
    )
    known = {}
    for name, parameters in policies:
        assert isinstance(name, str) and parameters["q"] > 0 and parameters["w"] > 0, headers
        known[name] = parameters
    [(name, left)] = limits
    assert name in known and 0 <= left["r"] <= known[name]["q"], headers
    assert 0 <= left["t"] <= known[name]["w"], headers
    if answer.status_code == 429:
        assert left["r"] == 0 and 1 <= left["t"] <= int(headers["Retry-After"]), headers
    fields_read += 1


def expect(answer, status):
    assert answer.status_code == status, f"{answer.request.method} {answer.url}: {answer.status_code} {answer.text}"
    return answer


def forms_redirects_and_cookies(address):
    """As a browser without scripts: a form, a redirect, a cookie that only TLS gets."""
    client = Client(address)
    page = expect(client.post("/register", data={"username": "ada", "password": PASSWORD}), 200)
    assert [hop.status_code for hop in page.history] == [303] and page.url == address + "/account", page.history
    assert "ada" in page.text
    [cookie] = [cookie for cookie in client.cookies if cookie.name == "__Host-session"]
    assert cookie.secure and cookie.path == "/" and not cookie.domain_specified
    assert cookie.has_nonstandard_attr("HttpOnly") and cookie.get_nonstandard_attr("SameSite") == "Lax"
    expect(client.get("/session"), 200)
    refused = client.post("/login", data={"username": "ada", "password": "wrong", "next": "//evil.example"})
    expect(refused, 401)
    page = expect(client.post("/login", data={"username": "ada", "password": PASSWORD, "next": "//evil.example"}), 200)
    assert page.url.startswith(address + "/"), page.url
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    page = expect(client.post("/logout", data="", headers=form), 200)
    assert page.url == address + "/", page.url
    assert "__Host-session" not in client.cookies
    expect(client.get("/session"), 401)


def until_early_in_a_step():
    """A step that has just begun, so that "now" is the same step here and there."""
    passed = time.time() % STEP_SECONDS
    if passed > STEP_SECONDS / 2:
        time.sleep(STEP_SECONDS - passed)


def codes(address):
    """pyotp reads our link and its codes are ours: this step's, the one before and the one after, no others."""
    client = Client(address)
    expect(client.post("/register", json={"username": "otto", "password": PASSWORD}), 201)
    link = expect(client.post("/totp", json={"password": PASSWORD}), 200).json()["otpauth_url"]
    otp = pyotp.parse_uri(link)
    assert (otp.digits, otp.interval, otp.issuer, otp.name) == (6, 30, "Ünïversity App", "otto"), link
    until_early_in_a_step()
    # Backwards in time first: a step that was accepted burns all before it.
    now = int(time.time())
    expect(client.post("/totp/confirm", json={"code": otp.at(now - STEP_SECONDS)}), 200)
    for offset, status in [(-2, 401), (-1, 401), (2, 401), (0, 200), (0, 401), (1, 200), (1, 401)]:
        other = Client(address)
        expect(other.post("/login", json={"username": "otto", "password": PASSWORD}), 200)
        code = otp.at(now + offset * STEP_SECONDS)
        answer = other.post("/login/verify", json={"code": code})
        assert answer.status_code == status, f"{offset} steps from now: {answer.status_code}, not {status}"
        if status == 200:
            assert expect(other.get("/session"), 200).json()["session"]["level"] == "aal2"


def limits(address):
    """To the last permit and past it."""
    client = Client(address)
    statuses = [client.get("/api/resource").status_code for _ in range(12)]
    assert statuses == [200] * 10 + [429] * 2, statuses
    # As a proxy that asks under two limits, one of which has two windows: three policies, of which the nearest is told.
    expect(client.post("/register", json={"username": "otis", "password": PASSWORD}), 201)
    answers = [client.get("/api/authz/forward-auth?limit=orders") for _ in range(7)]
    assert [answer.status_code for answer in answers] == [200] * 5 + [429] * 2, answers
    assert len(http_sf.parse(answers[0].headers["RateLimit-Policy"].encode(), tltype="list")) == 3, answers[0].headers
    assert [item for item, _ in http_sf.parse(answers[0].headers["RateLimit"].encode(), tltype="list")] == ["orders-minute"]
    for path in ["/session", "/healthz", "/docs", "/openapi.json", "/", "/nowhere"]:
        client.get(path)


def main():
    [address] = sys.argv[1:]
    forms_redirects_and_cookies(address)
    print(f"clients: requests {requests.__version__} keeps cookies, follows redirects and logs out, over TLS")
    codes(address)
    print("clients: pyotp's codes are ours, for every step that is accepted and refused")
    limits(address)
    assert fields_read > 30, fields_read
    print(f"clients: http_sf reads the RateLimit fields of {fields_read} answers")


if __name__ == "__main__":
    main()
