"""Breaks the guards of SECURITY.md and of tests/asvs.csv on purpose, and looks whether the tests that name them go red.

`python3 tests/guards/break.py` works on a copy of what is committed, some fifteen breaks to a build, and takes some 50
minutes on 2 cores. `--check` only looks whether every break still applies, which takes no time; that the tests exist is itself a test.

A break that not all its tests saw is tried once more by itself, for another one of its build may have been in the way. They
could also redden each other's tests; `--batch 1` leaves no doubt, and takes a night. A run of all fails too where a test of
SECURITY.md was made red by no break.
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


def breaks(rows):
    every = json.loads((HERE / "breaks.json").read_text())
    return [one for one in every if not rows or one["row"] in rows]


def named_tests():
    """Names of the tests in SECURITY.md's table."""
    table = re.findall(r"^\| .* \|$", (REPOSITORY / "SECURITY.md").read_text().split("\n\nNot here yet")[0], re.MULTILINE)
    return set(re.findall(r"`([a-z0-9]+_[a-z0-9_]+)`", "\n".join(row.rsplit(" | ", 1)[1] for row in table)))


def applies(one, folder):
    return (folder / one["file"]).read_text().count(one["old"]) == 1


def apply(one, folder):
    file = folder / one["file"]
    file.write_text(file.read_text().replace(one["old"], one["new"]))


def red_tests(folder):
    """Names of the tests that fail, without their modules."""
    # A test that waits for what a break prevents must not keep the rest from being seen.
    tests = subprocess.run(
        ["timeout", str(TESTS_MAX_SECONDS), "cargo", "test", "--workspace", "--no-fail-fast"], cwd=folder,
        env={**os.environ, "CARGO_TARGET_DIR": str(COMPILED)},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if tests.returncode == TIMED_OUT:
        sys.exit("the tests did not end: " + ", ".join(re.findall(r"^test (\S+) has been running", tests.stdout, re.MULTILINE)))
    if "could not compile" in tests.stdout:
        errors = re.findall(r"^error.*\n.*-->.*", tests.stdout, re.MULTILINE)
        sys.exit("a break does not compile:\n" + "\n".join(errors))
    return {name.rsplit("::", 1)[-1] for name in re.findall(r"^test (\S+) \.\.\. FAILED", tests.stdout, re.MULTILINE)}


def look(batch, folder, ever_red):
    """Breaks all of a batch at once; the breaks that not all their tests saw, and those that another one of the batch was in the way of.

    Adds the tests that went red to `ever_red`.
    """
    broken, postponed = [], []
    for one in batch:
        if applies(one, folder):
            apply(one, folder)
            broken.append(one)
        else:
            postponed.append(one)
    if not broken:
        sys.exit("what is committed has not: " + "; ".join(one["old"] for one in batch))
    red = red_tests(folder)
    ever_red |= red
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
    parser.add_argument("--batch", type=int, default=15, help="breaks to a build")
    parser.add_argument("rows", nargs="*", help="rows of SECURITY.md's table or of asvs.csv, such as 5.1 or V3.3.1; all unless named")
    options = parser.parse_args()
    chosen = breaks(options.rows)
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
        batches, unseen, ever_red = [chosen[build::builds] for build in range(builds)], [], set()
        while batches:
            batch = batches.pop(0)
            newly_unseen, postponed = look(batch, folder, ever_red)
            if len(batch) == 1:
                unseen += newly_unseen
            else:
                batches += [[one] for one in newly_unseen]
            batches += [postponed] if postponed else []
    print(f"{len(chosen) - len(unseen)} of {len(chosen)} breaks were seen")
    never_red = set() if options.rows else named_tests() - ever_red
    if never_red:
        print("tests of SECURITY.md that no break made red:", ", ".join(sorted(never_red)))
    sys.exit(1 if unseen or never_red else 0)


if __name__ == "__main__":
    main()
