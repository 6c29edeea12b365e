"""What chance doesn't find: schemathesis gets living sessions, right passwords, codes and ids from here.

    SCHEMATHESIS_HOOKS=contract.py schemathesis run ...    (CONTRACT_ADDRESS: whom, CONTRACT_ANSWERS: a file to write)
    contract.py DOCUMENT ANSWERS                           (fails unless every operation has succeeded in every way)
"""

import atexit
import collections
import http.cookiejar
import itertools
import json
import os
import secrets
import sys
import time

import requests
import schemathesis
from schemathesis.core.failures import AcceptedNegativeData
from schemathesis.openapi.checks import AllowHeaderMismatch, RejectedPositiveData, UnsupportedMethodResponse

from totp import STEP_SECONDS, code_at

PASSWORD = "correct horse battery"
FORM = "application/x-www-form-urlencoded"
# A limit that the settings name, for what demands one.
LIMIT = "spare"
GUARD = "/api/authz/"
PAGES = {"/login", "/login/verify", "/register"}
EMPTY = {"POST /logout", "POST /sessions/revoke-others", "POST /sessions/{id}/revoke"}

run = secrets.token_hex(3)
names = (f"{run}-{number}" for number in itertools.count())
turns = collections.Counter()
# Addresses that somebody may have registered with.
taken = set()
# By operation and status: how many.
answers = collections.defaultdict(collections.Counter)
# By the id of a request that was made right: the tokens that its success ends, and those that it leaves alone.
outcomes = {}
# Calls to what asks for a session, each made with one that had just been seen to live, and those refused nevertheless.
with_session = 0
without = 0


def address():
    return os.environ["CONTRACT_ADDRESS"]


def client():
    """No cookies are kept: every request says itself who sends it."""
    client = requests.Session()
    client.cookies.set_policy(http.cookiejar.DefaultCookiePolicy(allowed_domains=[]))
    return client


calls = client()


def call(method, path, status, token=None, **body):
    """An answer of that status."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    answer = calls.request(method, address() + path, headers=headers, json=body or None)
    assert answer.status_code == status, f"{method} {path}: {answer.status_code} {answer.text}"
    return answer


def lives(token):
    answer = calls.get(address() + "/session", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code in (200, 401), answer.text
    return answer.status_code == 200


class Person:
    """An account of its own, logged in."""

    def __init__(self):
        self.username = next(names)
        registration = {"username": self.username, "password": PASSWORD, "delivery": "token"}
        self.token = call("POST", "/register", 201, **registration).json()["token"]
        self.last_step = 0

    def log_in(self):
        """Another session, or a pending login."""
        login = {"username": self.username, "password": PASSWORD, "delivery": "token"}
        return call("POST", "/login", 200, **login).json()

    def set_up(self):
        self.secret = call("POST", "/totp", 200, self.token, password=PASSWORD).json()["secret"]
        return self

    def enrol(self):
        answer = call("POST", "/totp/confirm", 200, self.set_up().token, code=self.code())
        self.token, self.recovery_codes = answer.headers["X-Session-Token"], answer.json()["recovery_codes"]
        return self

    def code(self):
        """This step's code at first, then the next one's, since a code works once."""
        self.last_step = max(int(time.time()) // STEP_SECONDS, self.last_step + 1)
        return code_at(self.secret, self.last_step)


def authorize(case, token):
    """As a form's sender does, by the cookie; otherwise by the bearer token."""
    case.headers.pop("Authorization", None)
    case.cookies.pop("__Host-session", None)
    if case.media_type == FORM:
        case.cookies["__Host-session"] = token
    else:
        case.headers["Authorization"] = f"Bearer {token}"


def fill(case, **fields):
    """What must be right; all other fields stay as they were drawn."""
    case.body = {**case.body, **fields}


def second_step(case, person, **fields):
    """Either a code or a recovery code, by turns."""
    for name in ("code", "recovery_code"):
        case.body.pop(name, None)
    turns["second step"] += 1
    if turns["second step"] % 2:
        fill(case, code=person.code(), **fields)
    else:
        fill(case, recovery_code=person.recovery_codes[0], **fields)


# One for each operation that doesn't succeed by chance, or that ends sessions: makes the request right, and tells which
# tokens its success ends and which it leaves alone.


def register(case):
    fill(case, username=next(names), password=PASSWORD)
    email = case.body.get("email")
    if email and email.lower() in taken:
        del case.body["email"]
    elif email:
        taken.add(email.lower())
    return [], []


def log_in(case):
    turns["log in"] += 1
    person = Person() if turns["log in"] % 2 else Person().enrol()
    fill(case, username=person.username, password=PASSWORD)
    return [], [person.token]


def verify(case):
    person = Person().enrol()
    second_step(case, person, login_token=person.log_in()["login_token"])
    return [], [person.token]


def log_out(case):
    person = Person()
    authorize(case, person.token)
    return [person.token], [person.log_in()["token"]]


def change_password(case):
    person, other = two_sessions(case)
    fill(case, current_password=PASSWORD, new_password="battery horse correct")
    return [person.token, other], []


def set_up(case):
    person, other = two_sessions(case)
    fill(case, password=PASSWORD)
    return [], [person.token, other]


def confirm(case):
    person, other = two_sessions(case)
    fill(case, code=person.set_up().code())
    return [person.token, other], []


def disable(case):
    person = Person().enrol()
    authorize(case, person.token)
    second_step(case, person, password=PASSWORD)
    return [person.token], []


def replace(case):
    person = Person().enrol()
    authorize(case, person.token)
    fill(case, password=PASSWORD, code=person.code())
    return [], [person.token]


def end(case):
    person, other = two_sessions(case)
    case.path_parameters["id"] = call("GET", "/session", 200, other).json()["session"]["id"]
    return [other], [person.token]


def end_others(case):
    person, other = two_sessions(case)
    return [other], [person.token]


def ask(case):
    person = Person().enrol()
    authorize(case, person.token)
    for container, name in (case.query, "limit"), (case.headers, "x-hallpass-require-limit"):
        if name in container:
            container[name] = LIMIT
    return [], [person.token]


def two_sessions(case):
    person = Person()
    authorize(case, person.token)
    return person, person.log_in()["token"]


RIGHT = {
    "GET /api/authz/auth-request": ask,
    "GET /api/authz/ext-authz": ask,
    "GET /api/authz/forward-auth": ask,
    "POST /register": register,
    "POST /login": log_in,
    "POST /login/verify": verify,
    "POST /logout": log_out,
    "POST /password": change_password,
    "POST /totp": set_up,
    "POST /totp/confirm": confirm,
    "DELETE /totp": disable,
    "POST /totp/disable": disable,
    "POST /recovery-codes": replace,
    "DELETE /sessions/{id}": end,
    "POST /sessions/{id}/revoke": end,
    "DELETE /sessions": end_others,
    "POST /sessions/revoke-others": end_others,
}
# Their renewed token is in the answer.
RENEWING = {"POST /password", "POST /totp/confirm", "DELETE /totp", "POST /totp/disable"}


class Guesser:
    """Who sends what is drawn at random, always with a session that lives."""

    person = None

    def token(self):
        """Of a session that lives, whatever was called before."""
        if self.person is None or not lives(self.person.token):
            self.person = Person().set_up()
        assert lives(self.person.token)
        return self.person.token


guesser = Guesser()


@schemathesis.auth(refresh_interval=None)
class Session:
    """Tells schemathesis that these are credentials and no chance; which ones, is decided at the call."""

    def get(self, case, context):
        return "of whoever calls" if context.operation.definition.raw.get("security") else None

    def set(self, case, data, context):
        authorize(case, data)


def drawn_valid(case):
    return case.meta is not None and case.meta.generation.mode.is_positive and is_of(case.operation, case)


def is_of(operation, case):
    """Not a method that the document doesn't have."""
    return case.method == operation.method.upper()


@schemathesis.hook
def before_call(context, case, kwargs):
    """A living session; and of the valid requests to each operation every other one is made right."""
    global with_session
    label = case.operation.label
    if case._has_explicit_auth:
        authorize(case, guesser.token())
        with_session += is_of(case.operation, case)
    if not drawn_valid(case):
        return
    if case.media_type == FORM and isinstance(case.body, dict):
        # A form can't say null.
        case.body = {name: value for name, value in case.body.items() if value is not None}
    if label in RIGHT:
        turns[label, case.media_type] += 1
        if turns[label, case.media_type] % 2 or case.id in outcomes:
            outcomes[case.id] = RIGHT[label](case)


@schemathesis.hook
def after_call(context, case, response):
    global without
    if is_of(case.operation, case):
        answers[case.operation.label][response.status_code] += 1
        if case._has_explicit_auth and response.status_code == 401 and b"session-required" in response.content:
            without += 1
    # Whoever guesses too much is slowed down; what is to be seen here are the answers to guesses.
    if response.status_code == 429:
        guesser.person = None


@schemathesis.check
def right_requests_succeed(ctx, response, case):
    """Also that each session ends, goes on or is renewed as the contract has it."""
    if case.id not in outcomes:
        return
    assert 200 <= response.status_code < 400, f"{response.status_code}, though all was right"
    ended, others = outcomes[case.id]
    if case.operation.label in RENEWING:
        others = [*others, renewed(response)]
    for token in ended:
        assert not lives(token), "a session that should have ended goes on"
    for token in others:
        assert lives(token), "a session that should go on has ended"


def renewed(response):
    for cookie in response.headers.get("set-cookie", []):
        if cookie.startswith("__Host-session="):
            return cookie.split(";")[0].partition("=")[2]
    return response.headers["x-session-token"][0]


@schemathesis.hook
def filter_failure(context, failure, case, response):
    """What schemathesis takes for failures and the contract doesn't."""
    path, status = case.operation.path, response.status_code
    match failure:
        case RejectedPositiveData() if case.id not in outcomes:
            # Schemas don't have the rules for names, passwords, addresses and codes, nor the names of limits.
            return status != (400 if path.startswith(GUARD) else 422)
        case AcceptedNegativeData():
            # An empty form is one with no fields, whatever was drawn to become it.
            return not (case.media_type == FORM and not response.request.body and case.operation.label in EMPTY)
        case UnsupportedMethodResponse():
            # A proxy asks with its client's method; and there are pages, which the document leaves out.
            return not (path.startswith(GUARD) or (case.method == "GET" and path in PAGES))
        case AllowHeaderMismatch():
            return not (path in PAGES and failure.undocumented_methods == ["GET"] and not failure.missing_methods)
    return True


@atexit.register
def write():
    if answers:
        with open(os.environ["CONTRACT_ANSWERS"], "w") as file:
            told = {"answers": answers, "right": len(outcomes), "with_session": with_session, "without": without}
            json.dump(told, file)


def main():
    """Each success and each redirect of a form that the document has was seen; no call was short of a session."""
    document, told = (json.load(open(path)) for path in sys.argv[1:])
    missing = []
    for path, item in document["paths"].items():
        for method, operation in item.items():
            label = f"{method.upper()} {path}"
            seen = told["answers"].get(label, {})
            print(f"{label:33}", ", ".join(f"{status}: {count}" for status, count in sorted(seen.items())))
            wanted = [status for status in operation["responses"] if status.startswith("2") or status == "303"]
            missing += [f"{label} {status}" for status in wanted if status not in seen]
    print(f"contract: {told['with_session']} calls with a living session, {told['right']} made right")
    assert not missing, f"never seen: {', '.join(missing)}"
    assert told["with_session"] and not told["without"], f"{told['without']} calls had no session"


if __name__ == "__main__":
    main()
