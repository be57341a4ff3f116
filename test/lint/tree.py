"""What every lint needs: the tracked files of the tree, and the last line `N passed, N failed`."""

import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]


def tracked(*patterns):
    """Names of the tracked files that exist, by patterns of git; without one: all."""
    names = subprocess.run(["git", "ls-files", "--", *patterns], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return [name for name in names.splitlines() if (ROOT / name).is_file()]


def tracked_texts(*patterns):
    """{name: text} of the tracked files that are text; the fuzz corpora are not."""
    texts = {}
    for name in tracked(*patterns):
        data = b"\0" if name.startswith("test/fuzz/corpus/") else (ROOT / name).read_bytes()
        if b"\0" not in data:
            texts[name] = data.decode("utf-8", errors="replace")
    return texts


def report(num_passed, findings):
    """Prints the findings and the last line; returns the exit code."""
    for finding in findings:
        print(finding)
    print(f"{num_passed} passed, {len(findings)} failed")
    return 1 if findings else 0


def report_rules(rules, *arguments):
    """The same for rules: functions that yield findings, whose first line of documentation is the rule. Counts rules."""
    failed = 0
    for rule in rules:
        findings = list(rule(*arguments))
        failed += bool(findings)
        if findings:
            print(f"{rule.__name__}: {rule.__doc__.splitlines()[0]}")
        for finding in findings:
            print(f"  {finding}")
    print(f"{len(rules) - failed} passed, {failed} failed")
    return 1 if failed else 0
