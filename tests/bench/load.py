"""Load: wrk, as fast as the server answers, and a paced probe that asks at a fixed rate."""

import http.client
import json
import os
import re
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import machine
from server import FAILURES, PASSWORD, Unexpected

MILLISECONDS = {"us": 0.001, "ms": 1, "s": 1000, "m": 60_000}
# Clients that the script `many_clients` makes up send this many requests each, fewer than the least quota measured.
REQUESTS_PER_CLIENT = 150


@dataclass(frozen=True)
class Load:
    """What one run of wrk showed."""

    requests: int
    # Neither 2xx nor 3xx.
    refused: int
    per_second: float
    p50_ms: float
    p99_ms: float
    # Of the server and its Redis, a request.
    cpu_us: float
    # Used by neither the server nor wrk nor us, of all cores.
    others: float


def parse(output):
    """The figures in what wrk prints: requests, refused, a second, p50 and p99."""

    def milliseconds(percentile):
        number, unit = re.search(rf"^\s+{percentile}%\s+([\d.]+)(us|ms|s|m)$", output, re.MULTILINE).groups()
        return float(number) * MILLISECONDS[unit]

    errors = re.search(r"Socket errors: (.*)", output)
    if errors:
        raise Unexpected(f"connections failed: {errors[1]}")
    requests = int(re.search(r"(\d+) requests in", output)[1])
    if requests == 0:
        raise Unexpected("not one request was answered")
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", output)
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", output)[1])
    return requests, int(refused[1]) if refused else 0, rate, milliseconds(50), milliseconds(99)


def command(server, path, seconds, connections, headers=None, script=None):
    options = ["-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "20s", "--latency"]
    for name, value in (headers or {}).items():
        options += ["-H", f"{name}: {value}"]
    if script:
        file = Path(server.folder, "wrk.lua")
        file.write_text(script)
        options += ["-s", str(file)]
    return ["wrk", *options, f"http://127.0.0.1:{server.port}{path}"]


def run(server, path, seconds, connections, headers=None, script=None):
    """Loads a route, and says what that cost the server."""
    groups = [server.group] + ([server.redis.group] if server.redis else [])

    def used():
        return sum(map(machine.cpu_seconds, groups))

    arguments = command(server, path, seconds, connections, headers, script)
    used_before, busy_before, own_before, began = used(), machine.busy_seconds(), time.process_time(), time.monotonic()
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as wrk:
        output = wrk.stdout.read()
        _, status, spent = os.wait4(wrk.pid, 0)
        wrk.returncode = os.waitstatus_to_exitcode(status)
    wall, cpu, busy = time.monotonic() - began, used() - used_before, machine.busy_seconds() - busy_before
    if wrk.returncode:
        raise Unexpected(f"wrk fails: {output}")
    requests, *figures = parse(output)
    ours = cpu + spent.ru_utime + spent.ru_stime + time.process_time() - own_before
    others = max(0.0, busy - ours) / wall / machine.CORES
    return Load(requests, *figures, cpu_us=cpu / requests * 1e6, others=others)


def many_users(server, names):
    """A script for wrk that logs users in, one after the other: no one of them is where logins meet."""
    bodies = [json.dumps(server.target.accounts.login(name, PASSWORD)[1]) for name in names]
    return "\n".join([
        f"local bodies = {{ {', '.join(json.dumps(body) for body in bodies)} }}",
        'wrk.method, wrk.headers["Content-Type"] = "POST", "application/json"',
        "local sent = 0",
        "request = function()",
        "  sent = sent + 1",
        "  return wrk.format(nil, nil, nil, bodies[sent % #bodies + 1])",
        "end",
    ])


def many_clients(first):
    """A script for wrk that names a new client's address in X-Forwarded-For after some requests, from the first on."""
    return "\n".join([
        f"local sent, client, request_of_client = 0, {first}, nil",
        "request = function()",
        f"  if sent % {REQUESTS_PER_CLIENT} == 0 then",
        "    client = client + 1",
        "    wrk.headers['X-Forwarded-For'] = string.format('10.%d.%d.%d',",
        "      math.floor(client / 65536) % 256, math.floor(client / 256) % 256, client % 256)",
        "    request_of_client = wrk.format()",
        "  end",
        "  sent = sent + 1",
        "  return request_of_client",
        "end",
    ])


# The probe: on each of so many connections, so many requests a second.
PROBE_CONNECTIONS = 8
PROBE_PER_SECOND = 25


def probe(server, path, seconds, headers):
    """p99 in ms of requests at a fixed rate, far below what any target can answer.

    Counted from when each was due, so that a request which waits for the one before shows it.
    """
    latencies, failures, pause = [], [], 1 / PROBE_PER_SECOND
    began = time.perf_counter() + 0.05

    def ask(nth):
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
        try:
            for request in range(seconds * PROBE_PER_SECOND):
                due = began + (request + nth / PROBE_CONNECTIONS) * pause
                time.sleep(max(0.0, due - time.perf_counter()))
                connection.request("GET", path, headers=headers)
                response = connection.getresponse()
                response.read()
                latencies.append((time.perf_counter() - due) * 1000)
                if response.status != 200:
                    failures.append(response.status)
        except FAILURES as error:
            failures.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=ask, args=(nth,)) for nth in range(PROBE_CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise Unexpected(f"{server.target.name}: {path} under the probe: {failures[0]}")
    return percentile(latencies, 99)


def percentile(values, percent):
    """The least value that so many percent do not exceed."""
    rank = -(-len(values) * percent // 100)
    return sorted(values)[max(rank, 1) - 1]
