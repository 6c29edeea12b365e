"""From figures to what is printed: medians, tables, ratios, a verdict."""

import dataclasses
import datetime
import platform
import statistics
from pathlib import Path

import machine
from targets import TIGHT

# Label, figure.
ROWS = [
    ("session check, req/s", "session.per_second"),
    ("— p50, ms", "session.p50_ms"),
    ("— p99, ms", "session.p99_ms"),
    ("— CPU, µs", "session.cpu_us"),
    ("session + limit, req/s", "guarded.per_second"),
    ("— p99, ms", "guarded.p99_ms"),
    ("— CPU, µs", "guarded.cpu_us"),
    ("— CPU, µs, many clients at 600 per minute", "guarded_clients.cpu_us"),
    ("a proxy's question (session + limit), req/s", "guard.per_second"),
    ("— CPU, µs", "guard.cpu_us"),
    ("limit, admitted, req/s", "limited.per_second"),
    ("— CPU, µs", "limited.cpu_us"),
    ("— CPU, µs, many clients at 200 per hour", "limited_clients.cpu_us"),
    ("limit, refused (429), req/s", "refused.per_second"),
    ("— CPU, µs", "refused.cpu_us"),
    (f"admitted of a limit of {TIGHT}", "admitted"),
    ("logins/s", "logins.per_second"),
    ("— p50, ms", "logins.p50_ms"),
    ("— p99, ms", "logins.p99_ms"),
    ("— CPU, ms", "logins.cpu_ms"),
    ("session check at a fixed rate, p99, ms", "calm_p99_ms"),
    ("— beside a storm of logins, p99, ms", "storm_p99_ms"),
    ("memory at rest, MiB", "idle_mib"),
    ("— at most under session checks, MiB", "session_mib"),
    ("— at most under logins, MiB", "logins_mib"),
    ("start to first answer, ms", "start_ms"),
    ("installed, MiB", "installed_mib"),
    ("— and its runtime, MiB", "runtime_mib"),
    ("CPU that others took, % of the machine", "others_percent"),
]
# Where to be a multiple of the product's says nothing.
NOT_COMPARED = {"admitted", "runtime_mib", "others_percent"}
# Beyond this much of the machine, throughput and latency are those of the machine's other work.
OTHERS_MUCH_PERCENT = 10


def flat(figures):
    """One level of numbers, named as in ROWS."""
    numbers = {}
    for name, value in figures.items():
        if dataclasses.is_dataclass(value):
            numbers.update({f"{name}.{key}": number for key, number in dataclasses.asdict(value).items()})
        else:
            numbers[name] = value
    if "logins.cpu_us" in numbers:
        numbers["logins.cpu_ms"] = numbers["logins.cpu_us"] / 1000
    numbers["others_percent"] = 100 * max(value for name, value in numbers.items() if name.endswith(".others"))
    return numbers


def medians(rounds):
    """Figure by figure."""
    return {name: statistics.median(figures[name] for figures in rounds) for name in rounds[0]}


def ratio(over, under):
    return over / under if over is not None and under else None


def ratios(figures, bare, hashes):
    """What says more than the figures do, on whatever machine."""

    def of(name, base):
        return ratio(figures.get(name), base)

    return {
        "rate of session checks ÷ rate of bare answers": of("session.per_second", bare["session.per_second"]),
        "rate of session + limit ÷ rate of bare answers": of("guarded.per_second", bare["session.per_second"]),
        "CPU of a session check ÷ CPU of a bare answer": of("session.cpu_us", bare["session.cpu_us"]),
        "CPU of session + limit ÷ CPU of a bare answer": of("guarded.cpu_us", bare["session.cpu_us"]),
        "CPU of a 429 ÷ CPU of an admitted request": of("refused.cpu_us", figures.get("limited.cpu_us")),
        "admitted ÷ limit, in a burst": of("admitted", TIGHT),
        "CPU of a login ÷ CPU of a bare hash": of("logins.cpu_ms", hashes["cpu_ms"]),
        "logins ÷ bare hashes on all cores, a second": of("logins.per_second", hashes["per_second"]),
        "p99 of a session check beside logins ÷ without": of("storm_p99_ms", figures.get("calm_p99_ms")),
    }


def number(value):
    """Three digits that count."""
    if value is None:
        return "—"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def beside(value, base):
    """A peer's figure, and how many times the product's it is."""
    times = ratio(value, base)
    return number(value) if times is None else f"{number(value)} ({float(f'{times:.2g}'):,g}×)"


def table(header, rows):
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def figures_table(medians):
    product, *peers = medians

    def row(label, name):
        base = medians[product].get(name)
        compared = None if name in NOT_COMPARED else base
        return [label, number(base), *(beside(medians[peer].get(name), compared) for peer in peers)]

    return table(["", *medians], [row(*entry) for entry in ROWS])


def ratios_table(medians, hashes):
    by_target = {name: ratios(figures, medians["bare"], hashes) for name, figures in medians.items()}
    rows = [[label, *(number(by_target[name][label]) for name in medians)] for label in by_target["hallpass"]]
    return table(["", *medians], rows)


def processor():
    models = (line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name"))
    return next(models, platform.machine()).partition(":")[2].strip() or platform.machine()


def busy(medians):
    if max(figures["others_percent"] for figures in medians.values()) > OTHERS_MUCH_PERCENT:
        yield "\n! Others worked on this machine: trust CPU times and their ratios, not rates and latencies."


def text(options, chosen, medians, hashes, left_out, problems):
    """The report, in Markdown."""
    rounds = f"{options.rounds} rounds" if options.rounds > 1 else "1 round"
    where = f"{datetime.date.today()}, {machine.CORES} cores of {processor()}, shared with wrk"
    alone = f"{number(hashes['per_second'])} hashes/s, {number(hashes['cpu_ms'])} ms of CPU each"
    return "\n".join([
        f"{where}. Medians of {rounds}, {options.seconds} s a load; in brackets, how many times Hallpass's figure.",
        "",
        *(f"- **{target.name}**: {target.about}" for target in chosen if target.name in medians),
        *(f"- left out: {reason}" for reason in left_out),
        "",
        figures_table(medians),
        "",
        f"Argon2id alone, by the library of Hallpass and the axum app, on all cores: {alone}.",
        "",
        ratios_table(medians, hashes),
        *busy(medians),
        *(f"\n! {problem}" for problem in problems),
    ])


# How much dearer than an admitted request a refused one may look in a single short round.
REFUSAL_MARGIN = 2.0


def failures(medians, problems, everything):
    """What must hold on any machine, however busy: of the product, or of all that was measured."""
    product = medians["hallpass"]
    found = [problem for problem in problems if everything or problem.startswith("hallpass:")]
    if product["admitted"] != TIGHT:
        found.append(f"hallpass: a limit of {TIGHT} admits {number(product['admitted'])}")
    if product["refused.cpu_us"] > REFUSAL_MARGIN * product["limited.cpu_us"]:
        found.append("hallpass: a 429 costs more than an admitted request")
    return found
