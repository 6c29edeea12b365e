"""One server under measurement: started, asked, stopped."""

import http.client
import json
import os
import signal
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import machine

# A start that takes longer has failed.
START_SECONDS = 30
PASSWORD = "correct horse battery"


class Unexpected(Exception):
    """An answer, or the want of one, that makes whatever would be measured meaningless."""


# What a server that fails makes of our requests, too.
FAILURES = (Unexpected, OSError, http.client.HTTPException)


@dataclass(frozen=True)
class Answer:
    status: int
    headers: list
    body: bytes


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """A target's processes, in a process group of their own. Their output goes to a file, as under a supervisor."""

    def __init__(self, target, start, folder, redis):
        self.target, self.folder, self.redis = target, folder, redis if target.redis else None
        if self.redis:
            self.redis.empty()
        self.port = free_port()
        ours = {**target.environment(self.port, folder, redis), **target.starts[start]}
        # Nothing but what is said here sets the product's settings.
        others = {name: value for name, value in os.environ.items() if not name.startswith("HALLPASS_")}
        self.log_path = Path(folder, f"{start}.log")
        machine.take_memory_back()
        with open(self.log_path, "wb") as log:
            started = time.perf_counter()
            self.process = subprocess.Popen(
                target.command, env={**others, **ours}, cwd=target.folder, stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, start_new_session=True)
        self.group = self.process.pid
        try:
            self.start_ms = self.first_answer(started) * 1000
        except BaseException:
            self.stop()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def first_answer(self, started):
        """Seconds from the start of the process to its first 200."""
        asked = f"GET {self.target.ready} HTTP/1.1\r\nHost: localhost:{self.port}\r\nConnection: close\r\n\r\n".encode()
        while time.perf_counter() < started + START_SECONDS and self.process.poll() is None:
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=START_SECONDS) as connection:
                    connection.sendall(asked)
                    if connection.recv(64).startswith(b"HTTP/1.1 200"):
                        return time.perf_counter() - started
            except OSError:
                pass
            # Not in a tight loop, which would take a core from what is starting.
            time.sleep(0.0003)
        raise Unexpected(f"{self.target.name} does not start:\n{self.log_path.read_text(errors='replace')[-2000:]}")

    def ask(self, path, body=None, headers=None):
        """One request: a POST of JSON if there is a body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            if body is None:
                connection.request("GET", path, headers=headers or {})
            else:
                sent = {"Content-Type": "application/json", **(headers or {})}
                connection.request("POST", path, json.dumps(body), sent)
            response = connection.getresponse()
            return Answer(response.status, response.getheaders(), response.read())
        finally:
            connection.close()

    def expect(self, status, path, body=None, headers=None):
        answer = self.ask(path, body, headers)
        if answer.status != status:
            raise Unexpected(f"{self.target.name}: {path} answers {answer.status}, not {status}: {answer.body[:200]}")
        return answer

    def register(self, name):
        """Makes a user, unless an earlier start has."""
        path, body = self.target.accounts.register(name, PASSWORD)
        answer = self.ask(path, body)
        if answer.status not in (200, 201, 409, 422):
            raise Unexpected(f"{self.target.name}: {path} answers {answer.status}: {answer.body[:200]}")

    def log_in(self, name):
        """The Cookie header that a browser would send from now on."""
        answer = self.expect(200, *self.target.accounts.login(name, PASSWORD))
        cookies = [value.split(";")[0] for key, value in answer.headers if key.lower() == "set-cookie"]
        return {"Cookie": "; ".join(cookies)}

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            pass
        try:
            os.killpg(self.group, signal.SIGKILL)  # what the first process has left behind
        except ProcessLookupError:
            pass
        self.process.wait()
        self.log_path.unlink(missing_ok=True)


class Redis:
    """A Redis of our own, in memory alone, for the targets that keep things there."""

    def __init__(self, folder):
        self.port = free_port()
        options = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
        self.process = subprocess.Popen(["redis-server", *options], stdout=subprocess.DEVNULL, start_new_session=True)
        self.group = self.process.pid
        self.address = f"redis://127.0.0.1:{self.port}"
        deadline = time.monotonic() + START_SECONDS
        while not self.answers(b"PING"):
            if time.monotonic() > deadline or self.process.poll() is not None:
                self.stop()
                raise Unexpected("redis-server does not start")
            time.sleep(0.05)

    def answers(self, command):
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=5) as connection:
                connection.sendall(command + b"\r\n")
                return connection.recv(16).startswith(b"+")
        except OSError:
            return False

    def empty(self):
        """Counters of an earlier start would count in the next."""
        if not self.answers(b"FLUSHALL"):
            raise Unexpected("redis-server does not forget")

    def stop(self):
        self.process.terminate()
        self.process.wait()
