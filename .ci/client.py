"""Journeys over HTTP, as a client outside sees them. Only Python's own library.

    client.py ADDRESS [--ca FILE] journey        a login with two steps, from registration to revocation
    client.py ADDRESS [--ca FILE] limit          of 200 parallel requests exactly 10 are admitted
    client.py ADDRESS [--ca FILE] remember FILE  makes accounts with sessions, and writes them down
    client.py ADDRESS [--ca FILE] crash FILE     the same, until the server is gone
    client.py ADDRESS [--ca FILE] recall FILE    every one of them still opens, and its password still logs in
    client.py ADDRESS [--ca FILE] load FILE SECONDS [--posts]
                                                 asks with them until the time is over; any failure is one too many
"""

import argparse
import http.client
import json
import secrets
import ssl
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

from totp import code

PASSWORD = "correct horse battery"


class Api:
    """One client: an address, and the token of its session."""

    def __init__(self, address, ca=None):
        self.url = urlsplit(address)
        self.context = ssl.create_default_context(cafile=ca) if self.url.scheme == "https" else None
        self.token = None

    def ask(self, method, path, body=None, headers=None, timeout=20):
        headers = dict(headers or {})
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        payload = None
        if body is not None:
            payload = json.dumps(body)
            headers["Content-Type"] = "application/json"
        if self.context:
            connection = http.client.HTTPSConnection(self.url.netloc, timeout=timeout, context=self.context)
        else:
            connection = http.client.HTTPConnection(self.url.netloc, timeout=timeout)
        try:
            connection.request(method, path, payload, headers)
            answer = connection.getresponse()
            text = answer.read()
            return answer.status, {name.lower(): value for name, value in answer.getheaders()}, text
        finally:
            connection.close()

    def get(self, path, expected, **more):
        return self._expect("GET", path, expected, **more)

    def post(self, path, body, expected, **more):
        return self._expect("POST", path, expected, body=body, **more)

    def delete(self, path, expected, **more):
        return self._expect("DELETE", path, expected, **more)

    def _expect(self, method, path, expected, **more):
        status, headers, text = self.ask(method, path, **more)
        check(status == expected, f"{method} {path}: {expected} expected, {status} came: {text.decode()[:300]}")
        fresh = headers.get("x-session-token")
        if fresh:
            self.token = fresh
        return json.loads(text) if text else None

    def register(self, name):
        answer = self.post("/register", {"username": name, "password": PASSWORD, "delivery": "token"}, 201)
        self.token = answer["token"]

    def log_in(self, name):
        self.token = None
        answer = self.post("/login", {"username": name, "password": PASSWORD, "delivery": "token"}, 200)
        self.token = answer.get("token")
        return answer


def check(holds, otherwise):
    if not holds:
        sys.exit(f"client: {otherwise}")


def fresh_name():
    return f"user-{secrets.token_hex(6)}"


def journey(new):
    name = fresh_name()
    owner, phone, thief = new(), new(), new()
    owner.get("/session", 401)
    owner.register(name)
    session = owner.get("/session", 200, headers={"X-Forwarded-For": "6.6.6.6", "Forwarded": "for=6.6.6.6"})
    check(session["session"]["level"] == "aal1", session)
    check("6.6.6.6" not in json.dumps(session), "a client's word for its own address is believed")
    thief.post("/login", {"username": name, "password": "wrong horse battery"}, 401)

    secret = owner.post("/totp", {"password": PASSWORD}, 200)["secret"]
    recovery = owner.post("/totp/confirm", {"code": code(secret)}, 200)["recovery_codes"]
    check(len(recovery) == 10, recovery)

    pending = phone.log_in(name)
    check(pending["next"] == "verify", pending)
    phone.get("/session", 401)
    answer = phone.post(
        "/login/verify", {"code": code(secret, 1), "login_token": pending["login_token"], "delivery": "token"}, 200
    )
    phone.token = answer["token"]
    check(phone.get("/session", 200)["session"]["level"] == "aal2", "two steps make no second level")
    pending = thief.log_in(name)
    thief.post("/login/verify", {"code": code(secret, 1), "login_token": pending["login_token"]}, 401)

    sessions = owner.get("/sessions", 200)["sessions"]
    check(len(sessions) == 2, sessions)
    other = next(session for session in sessions if not session["current"])
    owner.delete(f"/sessions/{other['id']}", 204)
    phone.get("/session", 401)
    owner.post("/password", {"current_password": PASSWORD, "new_password": PASSWORD + "!"}, 204)
    owner.get("/session", 200)
    owner.post("/logout", None, 204)
    owner.get("/session", 401)


def limit(new):
    """The client must not have asked for it within the last minute."""

    def once(_):
        status, headers, _ = new().ask("GET", "/api/resource")
        check("ratelimit" in headers, f"{status} is not Hallpass's own answer: {headers}")
        if status == 429:
            check(int(headers["retry-after"]) > 0, headers)
        return status

    with ThreadPoolExecutor(50) as pool:
        statuses = list(pool.map(once, range(200)))
    admitted, refused = statuses.count(200), statuses.count(429)
    print(f"limit: of 200 parallel requests {admitted} admitted, {refused} refused")
    check((admitted, refused) == (10, 190), statuses)


def remember(new, file):
    known = []
    for _ in range(5):
        api, name = new(), fresh_name()
        api.register(name)
        known.append({"name": name, "token": api.token})
    with open(file, "w") as out:
        json.dump(known, out)


def crash(new, file):
    """What was acknowledged is written down; the last request is not, nobody can know."""
    known = []
    while True:
        api, name = new(), fresh_name()
        try:
            api.register(name)
        except (OSError, http.client.HTTPException):
            break
        known.append({"name": name, "token": api.token})
    check(len(known) > 5, "the server was gone too soon")
    print(f"crash: {len(known)} accounts acknowledged before the server was gone")
    with open(file, "w") as out:
        json.dump(known, out)


def recall(new, file):
    for account in read(file):
        api = new()
        api.token = account["token"]
        session = api.get("/session", 200)
        check(session["user"]["username"] == account["name"], session)
        api.log_in(account["name"])
        check(api.token, "the password opens no session")


def read(file):
    with open(file) as text:
        return json.load(text)


def load(new, file, seconds, posts):
    """Some sixty requests a second, by eight clients; each answer must be the right one."""
    until = time.monotonic() + seconds
    known = read(file)
    counts, failures, lock = {}, [], threading.Lock()

    def client(number):
        api = new()
        account = known[number % len(known)]
        while time.monotonic() < until:
            requests = [("GET", "/session", None, 200)]
            if posts:
                # The end of a session that nobody had; and a login that takes its time and is refused.
                requests.append(("POST", "/logout", None, 204))
                if secrets.randbelow(8) == 0:
                    requests.append(("POST", "/login", {"username": fresh_name(), "password": PASSWORD}, 401))
            for method, path, body, expected in requests:
                api.token = account["token"] if path == "/session" else None
                try:
                    status, _, text = api.ask(method, path, body)
                    seen = str(status)
                except (OSError, http.client.HTTPException) as error:
                    status, text, seen = None, str(error).encode(), type(error).__name__
                with lock:
                    counts[f"{method} {path} {seen}"] = counts.get(f"{method} {path} {seen}", 0) + 1
                    if status != expected:
                        failures.append(f"{method} {path}: {seen} {text.decode()[:200]}")
            time.sleep(0.11 * len(requests))

    threads = [threading.Thread(target=client, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(f"load: {sum(counts.values())} requests, {counts}")
    check(counts, "nothing was asked")
    check(not failures, f"{len(failures)} failed: {failures[:5]}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("address")
    parser.add_argument("--ca")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("journey")
    commands.add_parser("limit")
    for command in ("remember", "crash", "recall", "load"):
        with_file = commands.add_parser(command)
        with_file.add_argument("file")
    with_file.add_argument("seconds", type=float)
    with_file.add_argument("--posts", action="store_true")
    said = parser.parse_args()

    def new():
        return Api(said.address, said.ca)

    match said.command:
        case "journey":
            journey(new)
        case "limit":
            limit(new)
        case "remember":
            remember(new, said.file)
        case "crash":
            crash(new, said.file)
        case "recall":
            recall(new, said.file)
        case "load":
            load(new, said.file, said.seconds, said.posts)
    print(f"client: {said.command}: passed")


main()
