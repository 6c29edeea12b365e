#!/usr/bin/env python3
"""Measures Hallpass beside what one would use or write instead, on this machine, in one interleaved run.

Needs Linux, Rust, wrk; for the peers Redis, Python's venv and pip, npm. A peer that can't be made is left out.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import load
import machine
import report
import targets
from server import FAILURES, Redis, Server

CONNECTIONS = 16
BURST_CONNECTIONS = 32
LOGIN_CONNECTIONS = 8
# Whose session is checked; and those who log in meanwhile, so many that none comes to 50 sessions, where the product
# ends the oldest.
ADA, USERS = "ada", [f"user-{number}" for number in range(16)]


class Round:
    """One target measured once, start by start."""

    def __init__(self, target, seconds, folder, redis):
        self.target, self.seconds, self.folder, self.redis = target, seconds, folder, redis
        self.figures, self.problems, self.starts = {}, [], []

    def measure(self):
        with self.started("free"):
            pass  # makes the store; the starts that count find one
        self.starts.clear()
        for start in self.target.starts:
            with self.started(start) as server:
                getattr(self, start)(server)
        self.figures["start_ms"] = statistics.median(self.starts)
        return self.figures

    def started(self, start):
        server = Server(self.target, start, self.folder, self.redis)
        self.starts.append(server.start_ms)
        return server

    def load(self, name, server, route, headers=None, **options):
        """Loads a route that must answer each request with success."""
        path = self.target.routes[route]
        server.expect(200, path, headers=headers)
        result = load.run(server, path, self.seconds, CONNECTIONS, headers, **options)
        if result.refused:
            self.problems.append(f"{name}: {result.refused} of {result.requests} not answered with success")
        self.figures[name] = result

    def proof_of(self, server, name):
        if self.target.accounts is None:
            return {}
        server.register(name)
        return server.log_in(name)

    def warm_up(self, server, route, headers):
        """As long as a load, for what compiles while it runs."""
        load.run(server, self.target.routes[route], self.seconds, CONNECTIONS, headers)

    def free(self, server):
        time.sleep(1)
        self.figures["idle_mib"] = machine.resident_mib(server.group)
        proof = self.proof_of(server, ADA)
        machine.forget_peak(server.group)
        self.warm_up(server, "session", proof)
        self.load("session", server, "session", proof)
        self.figures["session_mib"] = machine.peak_mib(server.group)

    def wide(self, server):
        proof = self.proof_of(server, ADA)
        for name in USERS:
            server.register(name)
        self.warm_up(server, "guarded", proof)
        self.load("guarded", server, "guarded", proof)
        if "guard" in self.target.routes:
            self.load("guard", server, "guard", proof)
        self.load("limited", server, "limited")
        self.logins(server)
        self.storm(server, proof)

    def logins(self, server):
        machine.forget_peak(server.group)
        path, _ = self.target.accounts.login(ADA, "")
        script = load.many_users(server, USERS)
        logins = load.run(server, path, self.seconds, LOGIN_CONNECTIONS, script=script)
        if logins.refused:
            self.problems.append(f"logins: {logins.refused} of {logins.requests} refused")
        self.figures["logins"] = logins
        self.figures["logins_mib"] = machine.peak_mib(server.group)

    def storm(self, server, proof):
        """Session checks at a fixed rate, alone and beside logins as fast as they go."""
        path, seconds = self.target.routes["session"], max(self.seconds, 2)
        self.figures["calm_p99_ms"] = load.probe(server, path, seconds, proof)
        login, _ = self.target.accounts.login(ADA, "")
        script = load.many_users(server, USERS)
        # It ends when the probe has its answers, however long they take.
        command = load.command(server, login, 600, LOGIN_CONNECTIONS, script=script)
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as storm:
            try:
                time.sleep(0.5)
                self.figures["storm_p99_ms"] = load.probe(server, path, seconds, proof)
                if storm.poll() is not None:
                    self.problems.append("the storm of logins ended before the probe")
            finally:
                storm.terminate()

    def tight(self, server):
        path = self.target.routes["limited"]
        burst = load.run(server, path, 1, BURST_CONNECTIONS)
        self.figures["admitted"] = burst.requests - burst.refused
        server.expect(429, path)
        result = load.run(server, path, self.seconds, CONNECTIONS)
        if result.refused != result.requests:
            self.problems.append(f"refused: {result.requests - result.refused} of {result.requests} admitted")
        server.expect(429, path)
        self.figures["refused"] = result

    def clients(self, server):
        """The product's own quotas and a client for every few requests: what a wide quota saves is not saved."""
        proof = self.proof_of(server, ADA)
        self.load("guarded_clients", server, "guarded", proof, script=load.many_clients(0))
        self.load("limited_clients", server, "limited", script=load.many_clients(0))


def hash_alone(program, seconds):
    """Argon2id by itself on all cores: hashes a second, and CPU ms of one."""
    with subprocess.Popen([program, str(seconds)], stdout=subprocess.PIPE, text=True) as process:
        hashes = int(process.stdout.read())
        _, status, spent = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    return {"per_second": hashes / seconds, "cpu_ms": (spent.ru_utime + spent.ru_stime) / hashes * 1000}


def say(*words):
    print(*words, file=sys.stderr, flush=True)


def makers(build, axum):
    """What makes each peer, by its name."""

    def better_auth(store):
        return targets.better_auth(targets.install_better_auth(build / "better-auth"), store)

    return {
        "axum-sqlite": lambda: targets.axum(axum, "SQLite"),
        "axum-redis": lambda: targets.axum(axum, "Redis"),
        "better-auth-sqlite": lambda: better_auth("SQLite"),
        "better-auth-redis": lambda: better_auth("Redis"),
        "flask": lambda: targets.flask(targets.install_flask(build / "flask")),
    }


def prepared(options):
    """Everything to measure, built: the product and the bare answer always, a peer if it can be."""
    if options.hallpass and not options.hallpass.is_file():
        sys.exit(f"{options.hallpass} is not there")
    with_app = any(name.startswith("axum") for name in options.only)
    axum = targets.build_axum(options.axum_target or options.build / "axum", with_app)
    try:
        product = options.hallpass or targets.build_hallpass()
    except targets.Unavailable as reason:
        sys.exit(str(reason))
    origin = f"`{options.hallpass}`" if options.hallpass else "the container's binary"
    chosen, left_out = [targets.hallpass(product.resolve(), origin), targets.bare_axum(axum)], []
    for name, make in makers(options.build, axum).items():
        if name not in options.only:
            continue
        try:
            say(f"making {name}")
            peer = make()
            if peer.redis and not shutil.which("redis-server"):
                raise targets.Unavailable("redis-server is missing")
            chosen.append(peer)
        except targets.Unavailable as reason:
            left_out.append(f"{name}: {reason}")
            say(f"  left out: {reason}")
    return axum, chosen, left_out


def measured(chosen, hash_program, options, folder, redis):
    """Figures by target and round, and what went wrong; rounds take the targets in turn, so noise falls on all."""
    figures, problems = {target.name: [] for target in chosen}, []
    hashes = []
    for number in range(1, options.rounds + 1):
        for target in chosen:
            say(f"round {number} of {options.rounds}: {target.name}")
            with tempfile.TemporaryDirectory(dir=folder) as own:
                turn = Round(target, options.seconds, own, redis)
                try:
                    figures[target.name].append(report.flat(turn.measure()))
                except FAILURES as failure:
                    turn.problems.append(str(failure))
            problems += [f"{target.name}: {problem}" for problem in turn.problems]
            for problem in turn.problems:
                say(f"  ! {problem}")
        hashes.append(hash_alone(hash_program, options.seconds))
    for target in chosen:
        for row in figures[target.name]:
            row["installed_mib"] = targets.mebibytes(target.installed)
            if target.runtime:
                row["runtime_mib"] = targets.mebibytes(target.runtime)
    return figures, report.medians(hashes), problems


def options_of(arguments):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = list(makers(Path(), Path()))
    parser.add_argument("--quick", action="store_true", help="for CI: one short round beside a bare answer, and a verdict")
    parser.add_argument("--rounds", type=int, help="default 3")
    parser.add_argument("--seconds", type=int, help="of each load, default 3")
    parser.add_argument("--only", metavar="PEER,…", help=f"of {', '.join(names)}; or none")
    parser.add_argument("--hallpass", type=Path, metavar="FILE", help="its binary, instead of building it")
    parser.add_argument("--build", type=Path, metavar="FOLDER", default=targets.REPOSITORY / "target" / "bench")
    parser.add_argument("--axum-target", type=Path, metavar="FOLDER", help="cargo's, for the axum peer")
    parser.add_argument("--json", type=Path, metavar="FILE", help="every figure of every round")
    options = parser.parse_args(arguments)
    options.rounds = options.rounds or (1 if options.quick else 3)
    options.seconds = options.seconds or (1 if options.quick else 3)
    if not (1 <= options.rounds <= 20 and 1 <= options.seconds <= 30):
        parser.error("1 to 20 rounds of 1 to 30 seconds")
    wanted = ("none" if options.quick else ",".join(names)) if options.only is None else options.only
    options.only = [name for name in wanted.split(",") if name != "none"]
    if unknown := set(options.only) - set(names):
        parser.error(f"no such peer: {', '.join(sorted(unknown))}")
    options.build = options.build.resolve()
    return options


def main():
    options = options_of(sys.argv[1:])
    if not Path("/proc/self/stat").exists():
        sys.exit("CPU time and memory are read from Linux's /proc, which is not there")
    if not shutil.which("wrk"):
        sys.exit("wrk is missing; on Debian: apt-get install wrk redis-server python3-venv npm")
    options.build.mkdir(parents=True, exist_ok=True)
    axum, chosen, left_out = prepared(options)
    # Not in /tmp, which may be memory: the product syncs its accounts to the disk.
    with tempfile.TemporaryDirectory(dir=options.build, prefix="data-") as folder:
        redis = Redis(folder) if any(target.redis for target in chosen) else None
        try:
            figures, hashes, problems = measured(chosen, axum / "hash", options, folder, redis)
        finally:
            if redis:
                redis.stop()
    if not figures["hallpass"] or not figures["bare"]:
        sys.exit("\n".join(problems))
    medians = {name: report.medians(rounds) for name, rounds in figures.items() if rounds}
    print(report.text(options, chosen, medians, hashes, left_out, problems))
    if options.json:
        options.json.write_text(json.dumps({"rounds": figures, "medians": medians, "hash": hashes}, indent=1))
    failures = report.failures(medians, problems, everything=options.quick)
    if failures:
        sys.exit("\n".join(["", "failed:", *failures]))


if __name__ == "__main__":
    main()
