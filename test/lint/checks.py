#!/usr/bin/env python3
"""Measures how densely each folder holds invariant checks: CHECK, CHECK_UNREACHABLE and _Static_assert per 100 lines of
C and headers. Tests, test helpers, benchmarks and what defines the macros do not count. A figure to read, not a gate.

    checks.py --density              each folder: checks, lines, checks per 100 lines
    checks.py --files FOLDER         the same for each file of a folder"""

import collections
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
ENDING = re.compile(r"\.[ch]$")
TEST = re.compile(r"(^|/)test/|^bench/|_test\.c$|(^|/)test_[a-z0-9_]*\.[ch]$|_test_[a-z0-9_]*\.[ch]$|_bench\.c$|fuzz")
DEFINES = ("base/core/check.h", "base/core/check.c")
CHECK = re.compile(r"(?<![A-Za-z_])(?:CHECK|CHECK_UNREACHABLE|_Static_assert|static_assert)\s*\(")
COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.DOTALL)


def counted(name):
    return ENDING.search(name) and not TEST.search(name) and name not in DEFINES


def measure(text):
    """(checks, lines) of one file; a check that a comment names is none."""
    return len(CHECK.findall(COMMENT.sub("", text))), text.count("\n")


def sums(names, key):
    found = collections.defaultdict(lambda: [0, 0])
    for name in names:
        checks, lines = measure((ROOT / name).read_text())
        found[key(name)][0] += checks
        found[key(name)][1] += lines
    return found


def show(found):
    width = max(len(name) for name in found)
    for name, (checks, lines) in sorted(found.items()):
        print(f"{name:{width}} {checks:5} {lines:7} {100 * checks / max(lines, 1):6.2f}")
    checks, lines = (sum(row[i] for row in found.values()) for i in (0, 1))
    print(f"{'all':{width}} {checks:5} {lines:7} {100 * checks / max(lines, 1):6.2f}")


def main(arguments):
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    names = [name for name in listed.split("\0") if counted(name) and (ROOT / name).is_file()]
    if arguments == ["--density"]:
        show(sums(names, lambda name: str(pathlib.PurePosixPath(name).parent)))
        return 0
    if len(arguments) == 2 and arguments[0] == "--files":
        folder = [name for name in names if str(pathlib.PurePosixPath(name).parent) == arguments[1].rstrip("/")]
        if folder:
            show(sums(folder, lambda name: name))
            return 0
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
