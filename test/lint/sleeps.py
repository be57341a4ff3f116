#!/usr/bin/env python3
"""Tests wait for conditions, and so do the programs of docker/ and bench/: a sleep there has a comment of the form
`duration: WHY` on its line, or it is a finding.
Prints a line per finding, then `N passed, N failed`, where N counts rules. house_rules.py runs the same rule.

What a test waits for is polled: wait_until() of the harness, WAIT_UNTIL() of base/core/test_wait.h, loopback_settle() of
sidecar/leg/tcp_pair.h; or time itself is injected (clock_fake_advance()). `duration:` is for a sleep whose length is
what the test is about, such as the pace of a load, and for the pause between two polls."""

import pathlib
import re
import sys

from tree import report_rules, tracked_texts

# Also under another name, as an event that nothing sets, as a select() of nothing, and as a command of a shell.
PYTHON = re.compile(r"""(?<!\w)sleep\s*\(|import sleep as|Event\(\)\.wait\(\s*[0-9.]|select\(\[\], ?\[\], ?\[\],|["'(;&|]\s*sleep\s+["0-9.$]|["']sleep["'],\s*["']?\d{1,5}\b""")
C = re.compile(r"(?<![\w.>])(?:u|nano|clock_nano|thrd_)?sleep\s*\(|(?<![\w.>])poll\s*\(\s*NULL\b|(?<![\w.>])select\s*\(\s*0\s*,")
SHELL = re.compile(r"(?:^|[;&|({]|\bdo|\bthen|\belse)\s*sleep\s+[\"0-9.$]")
REASON = re.compile(r"(?:#|/\*) duration: \w")
ABOUT_SLEEPS = ("test/lint/sleeps.py", "test/lint/lint_test.py")


def is_test(name):
    return name.startswith(("test/", "docker/", "bench/")) or name.endswith("_test.c") or "/test_" in name


def expression_for(name):
    return {".py": PYTHON, ".c": C, ".h": C, ".sh": SHELL}.get(pathlib.PurePath(name).suffix)


def tests_wait_for_conditions(texts):
    """A sleep in a test, in docker/ or in bench/ has a comment `duration: WHY`; what is waited for is polled."""
    for name, text in texts.items():
        expression = expression_for(name)
        if expression is None or not is_test(name) or name in ABOUT_SLEEPS:
            continue
        for number, line in enumerate(text.splitlines(), 1):
            if expression.search(line) and not REASON.search(line):
                yield f"{name}:{number}: {line.strip()}"


if __name__ == "__main__":
    sys.exit(report_rules([tests_wait_for_conditions], tracked_texts("*.py", "*.c", "*.h", "*.sh")))
