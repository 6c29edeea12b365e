"""Breaks the guards of SECURITY.md and of tests/asvs.csv on purpose, and looks whether the tests that name them go red.

`python3 tests/guards/break.py` works on a copy of what is committed, some twenty breaks to a build, and takes an hour
on 2 cores. `--check` only looks whether every break still applies, which takes no time; that the tests exist, and that some
break expects each of those that are named, are themselves tests.

A break that not all its tests saw is tried once more by itself, for another one of its build may have been in the way; so
is one that may keep its build from compiling or ending. They could also redden each other's tests; `--batch 1` leaves no
doubt, and takes a day.
"""

import argparse
import fcntl
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parent.parent
TESTS_MAX_SECONDS = 1200
# Where nothing else is compiled: Cargo takes what a copy of this repository compiled for what this one would have.
COMPILED = REPOSITORY / "target" / "breaks"
# How `timeout` says that it cut its command off.
TIMED_OUT = 124


class Unfinished(Exception):
    """Not all tests were run, because of these files or tests."""

    def __init__(self, because, words):
        super().__init__(words)
        self.because = because

    def blames(self, one):
        return one["file"] in self.because or not self.because.isdisjoint(one["expect"])


def breaks(rows):
    every = json.loads((HERE / "breaks.json").read_text())
    return [one for one in every if not rows or one["row"] in rows]


def applies(one, folder):
    return (folder / one["file"]).read_text().count(one["old"]) == 1


def apply(one, folder):
    file = folder / one["file"]
    file.write_text(file.read_text().replace(one["old"], one["new"]))


def without_modules(names):
    return {name.rsplit("::", 1)[-1] for name in names}


def red_tests(folder, expected):
    """Names of those of these tests that fail. Raises `Unfinished`."""
    # Without programs, which have no tests of their own: to link those of all functions takes longer than the tests.
    asked = ["cargo", "test", "--workspace", "--lib", "--test", "*", "--no-fail-fast", "--", *expected]
    # A test that waits for what a break prevents must not keep the rest from being seen.
    tests = subprocess.run(
        ["timeout", str(TESTS_MAX_SECONDS), *asked], cwd=folder,
        env={**os.environ, "CARGO_TARGET_DIR": str(COMPILED)},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if tests.returncode == TIMED_OUT:
        waiting = without_modules(re.findall(r"^test (\S+) has been running", tests.stdout, re.MULTILINE))
        raise Unfinished(waiting, f"the tests did not end: {', '.join(sorted(waiting))}")
    if "could not compile" in tests.stdout:
        errors = re.findall(r"^error.*\n *--> (.*?):.*", tests.stdout, re.MULTILINE)
        raise Unfinished(set(errors), f"does not compile: {', '.join(sorted(set(errors)))}")
    return without_modules(re.findall(r"^test (\S+) \.\.\. FAILED", tests.stdout, re.MULTILINE))


def look(batch, folder):
    """Breaks all of a batch at once; the breaks that are not seen or to blame for no answer, and those that have to wait."""
    broken, postponed = [], []
    for one in batch:
        if applies(one, folder):
            apply(one, folder)
            broken.append(one)
        else:
            postponed.append(one)
    if not broken:
        sys.exit("what is committed has not: " + "; ".join(one["old"] for one in batch))
    try:
        red = red_tests(folder, sorted({test for one in broken for test in one["expect"]}))
    except Unfinished as unfinished:
        print(unfinished, flush=True)
        blamed = [one for one in broken if unfinished.blames(one)] or broken
        return blamed, [one for one in broken if one not in blamed] + postponed
    finally:
        subprocess.run(["git", "checkout", "--quiet", "."], cwd=folder, check=True)
    unseen = []
    for one in broken:
        green = [test for test in one["expect"] if test not in red]
        said = f"NOT SEEN by {', '.join(green)}" if green else "seen"
        print(f"{one['row']}: {one['why']}: {said}", flush=True)
        unseen += [one] if green else []
    return unseen, postponed


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="only look whether every break applies")
    parser.add_argument("--batch", type=int, default=20, help="breaks to a build")
    parser.add_argument("rows", nargs="*", help="rows of SECURITY.md's table or of asvs.csv, such as 5.1 or V3.3.1; all unless named")
    options = parser.parse_args()
    chosen = breaks(options.rows)
    if not chosen:
        parser.error("no break is of such a row")
    stale = [one for one in chosen if not applies(one, REPOSITORY)]
    for one in stale:
        print(f"{one['row']}: {one['file']} has not, or not once: {one['old']}")
    if stale or options.check:
        sys.exit(1 if stale else 0)
    COMPILED.mkdir(parents=True, exist_ok=True)
    alone = (COMPILED / "run.lock").open("w")
    try:
        fcntl.flock(alone, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        sys.exit("another run is under way")
    builds = -(-len(chosen) // options.batch)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch, "hallpass")
        subprocess.run(["git", "clone", "--quiet", REPOSITORY, folder], check=True)
        # Neighbours, which the same tests see, come into different builds.
        batches, unseen, done = [chosen[build::builds] for build in range(builds)], [], 0
        while batches:
            batch = batches.pop(0)
            done += 1
            print(f"build {done} of {done + len(batches)}", flush=True)
            newly_unseen, postponed = look(batch, folder)
            if len(batch) == 1:
                unseen += newly_unseen
            else:
                batches += [[one] for one in newly_unseen]
            batches += [postponed] if postponed else []
    print(f"{len(chosen) - len(unseen)} of {len(chosen)} breaks were seen")
    for one in unseen:
        print(f"not seen: {one['row']}: {one['why']}")
    sys.exit(1 if unseen else 0)


if __name__ == "__main__":
    main()
