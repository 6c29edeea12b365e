"""Login, sessions, a second step and limits as tutorials on Flask assemble them: Flask-Limiter, Flask-Session, pyotp.

In its favour: limits are in Redis and so shared by all workers, a session isn't written at each request (which is
Flask-Session's default), and there is no throttle on guesses, no code that works only once, no origin check, no log.

REDIS: an address without a database. QUOTA: admitted an hour.
"""

import os

from argon2 import PasswordHasher
from argon2.exceptions import VerificationError
from flask import Flask, abort, request, session
from flask_limiter import Limiter
from flask_limiter.util import get_remote_address
from flask_session import Session
from pyotp import TOTP, random_base32
from redis import Redis

users = Redis.from_url(os.environ["REDIS"] + "/0", decode_responses=True)
passwords = PasswordHasher(time_cost=2, memory_cost=19456, parallelism=1)
# Verified in place of an unknown user's, which so takes as long. Written down, or each worker's start would hash.
NOBODYS = "$argon2id$v=19$m=19456,t=2,p=1$c29tZSBzYWx0IG9mIG91cnM$c29tZSBkaWdlc3Qgb2Ygb3VycywgMzIgYnl0ZXMgbG8"

app = Flask(__name__)
app.config["SECRET_KEY"] = "only for measuring"
app.config["SESSION_TYPE"] = "redis"
app.config["SESSION_REDIS"] = Redis.from_url(os.environ["REDIS"] + "/1")
app.config["SESSION_REFRESH_EACH_REQUEST"] = False
Session(app)
limiter = Limiter(get_remote_address, app=app, storage_uri=os.environ["REDIS"] + "/2")
limited = limiter.limit(f"{os.environ['QUOTA']} per hour")


def key(username):
    return f"user:{username}"


def current_user():
    return session.get("user") or abort(401)


@app.post("/register")
def register():
    username = request.json["username"]
    users.hset(key(username), "password", passwords.hash(request.json["password"]))
    return {"user": username}, 201


@app.post("/login")
@limited
def login():
    username = request.json["username"]
    stored = users.hget(key(username), "password")
    try:
        passwords.verify(stored or NOBODYS, request.json["password"])
    except VerificationError:
        abort(401)
    if stored is None:
        abort(401)
    app.session_interface.regenerate(session)
    session["user"] = username
    return {"user": username}


@app.get("/session")
def who():
    return {"user": current_user()}


@app.get("/guarded")
@limited
def guarded():
    return {"user": current_user()}


@app.get("/resource")
@limited
def resource():
    return {"data": "This is rate-limited"}


@app.post("/totp")
@limited
def start_second_step():
    secret = random_base32()
    users.hset(key(current_user()), "totp", secret)
    return {"secret": secret, "otpauth_url": TOTP(secret).provisioning_uri(current_user(), "bench")}


@app.post("/login/verify")
@limited
def verify():
    secret = users.hget(key(current_user()), "totp") or abort(409)
    if not TOTP(secret).verify(request.json["code"], valid_window=1):
        abort(401)
    session["second_step"] = True
    return {"user": current_user()}


@app.get("/healthz")
def healthz():
    return "ok"
