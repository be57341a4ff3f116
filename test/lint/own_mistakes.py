#!/usr/bin/env python3
"""Greps for the mistakes that this team makes or must never make: each rule says why. Prints one line a finding, then
`N passed, N failed` where N counts rules. Run from the workspace root."""

import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]


def tracked(*patterns):
    names = subprocess.run(["git", "ls-files", "--", *patterns], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return [name for name in names.splitlines() if (ROOT / name).is_file()]


def code_of(name):
    """The file without comments and string literals, line numbers kept."""
    text = (ROOT / name).read_text(encoding="utf-8")
    blank = lambda match: re.sub(r"[^\n]", " ", match.group(0))
    return re.sub(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"', blank, text, flags=re.S)


SOURCES = tracked("*.c", "*.h")
CODE = {name: code_of(name) for name in SOURCES}
RAW = {name: (ROOT / name).read_text(encoding="utf-8") for name in SOURCES}
TESTS = {name for name in SOURCES if name.endswith("_test.c") or name.startswith(("test/", "bench/")) or "/test_" in name}


def grep(texts, pattern, allowed=lambda name: False):
    expression = re.compile(pattern, re.M)
    for name, text in texts.items():
        if allowed(name):
            continue
        for match in expression.finditer(text):
            yield f"{name}:{text.count(chr(10), 0, match.start()) + 1}: {match.group(0).strip()}"


def banned_functions():
    """strcpy and its kind have no bounds; atoi and its kind have no errors."""
    return grep(CODE, r"\b(strcpy|strcat|sprintf|vsprintf|gets|atoi|atol|strtol|strtoul|sscanf|strncpy|alloca)\s*\(")


def allocator_has_one_door():
    """Only base/core/mem decides what happens when memory runs out."""
    return grep(CODE, r"(?<![\w.>])(malloc|calloc|realloc|strdup|strndup|asprintf|free)\s*\(",
                lambda name: name == "base/core/mem.c" or name in TESTS)


def sockets_have_one_door():
    """Descriptors are CLOEXEC and NONBLOCK at birth only if they are born in base/net."""
    return grep(CODE, r"(?<![\w.>])(socket|accept|accept4)\s*\(",
                lambda name: name.startswith("base/net/") or name in TESTS)


DOORS = {
    "ev.h": ("base/core/",),
    "openssl/": ("base/tls/", "certs/", "control/issue/"),
    "nghttp2/": ("base/h2/",),
    "sqlite3.h": ("control/store/",),
    "nftables/": ("intercept/",),
    "ares.h": ("base/net/",),
}


def third_party_headers_have_one_door():
    """So that a library can be replaced, and its traps are known in one place."""
    for header, doors in DOORS.items():
        yield from grep(RAW, r"^\s*#\s*include\s*<" + re.escape(header) + r"[^>]*>",
                        lambda name, doors=doors: name.startswith(doors) or name in TESTS)


def enum_switches_have_no_default():
    """The compiler finds a missing case only where there is no default."""
    for name, text in CODE.items():
        for match in re.finditer(r"\bdefault\s*:", text):
            before = text[:match.start()]
            head = before[before.rfind("switch"):]
            if re.search(r"\bcase\s+[A-Z][A-Z0-9]*_[A-Z0-9_]+\s*:", head) and not re.search(r"errno|signum|\bSIG|sa_family|ss_family|AF_|YAML_", head):
                yield f"{name}:{before.count(chr(10)) + 1}: default in a switch over an enum"


def every_library_has_a_test():
    """A .c file in the libraries without a test beside it is a promise nobody keeps."""
    everything = " ".join(RAW[name] for name in TESTS)
    for name in SOURCES:
        path = pathlib.PurePosixPath(name)
        if path.suffix != ".c" or name in TESTS or path.name.endswith("main.c"):
            continue
        if not name.startswith(("base/", "certs/", "sidecar/", "control/", "intercept/", "cli/")):
            continue
        siblings = {str(other) for other in (ROOT / path.parent).glob("*_test.c")}
        if not siblings:
            yield f"{name}: no test in its folder"


def folders_have_a_readme():
    """One page a folder: purpose, files in reading order, what it may use."""
    for folder in sorted({str(pathlib.PurePosixPath(name).parent) for name in SOURCES}):
        if not (ROOT / folder / "README.md").is_file():
            yield f"{folder}: no README.md"


def no_unfinished_words():
    """What is not done is an issue, not a comment."""
    word = r"(?i)\b(TODO|FIXME|XXX|HACK|not implemented)\b"
    texts = {name: (ROOT / name).read_text(encoding="utf-8", errors="replace")
             for name in tracked("*.c", "*.h", "*.md", "*.sh", "*.py", "*.proto", "BUILD", "*/BUILD", "*.bzl")
             if not name.startswith(("docs/decisions/", "test/lint/"))}
    return grep(texts, word)


def no_private_keys():
    """No key belongs to a commit, test keys included: they are made when they are needed."""
    texts = {name: (ROOT / name).read_text(encoding="utf-8", errors="replace") for name in tracked()
             if not name.startswith("test/lint/")}
    return grep(texts, r"-----BEGIN [A-Z ]*PRIVATE KEY-----\n[A-Za-z0-9+/=]")


def files_stay_small():
    """Above 400 lines a file has more than one idea; tables and tests are exempt."""
    for name in SOURCES:
        lines = RAW[name].count("\n")
        if lines > 400 and name not in TESTS:
            yield f"{name}: {lines} lines"


def headers_are_guarded():
    """#pragma once, everywhere, first."""
    for name in SOURCES:
        if name.endswith(".h") and "#pragma once" not in RAW[name]:
            yield f"{name}: no #pragma once"


RULES = [
    banned_functions,
    allocator_has_one_door,
    sockets_have_one_door,
    third_party_headers_have_one_door,
    enum_switches_have_no_default,
    every_library_has_a_test,
    folders_have_a_readme,
    no_unfinished_words,
    no_private_keys,
    files_stay_small,
    headers_are_guarded,
]


def main():
    failed = 0
    for rule in RULES:
        findings = list(rule())
        failed += bool(findings)
        if findings:
            print(f"{rule.__name__}: {rule.__doc__.splitlines()[0]}")
            for finding in findings:
                print(f"  {finding}")
    print(f"{len(RULES) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
