#!/usr/bin/env python3
"""Runs clang-tidy over all C files, one per processor at a time, and caches which were clean: a file is checked
again only when it, a header it includes, or .clang-tidy has changed. Arguments: files, or none for all. Needs
HANDFAST_GENERATED and HANDFAST_BORINGSSL, folders of headers that the build makes (gate_tidy.sh sets them). Prints the
findings, then `N passed, N failed` where N counts files."""

import concurrent.futures
import functools
import hashlib
import os
import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
GENERATED, BORINGSSL = os.environ["HANDFAST_GENERATED"], os.environ["HANDFAST_BORINGSSL"]
FLAGS = ["-std=gnu17", "-D_GNU_SOURCE", "-I.", f"-I{GENERATED}", "-isystem", BORINGSSL]
CACHE = pathlib.Path(tempfile.gettempdir()) / f"handfast-tidy-{os.getuid()}"

# Tests make and remove folders with a command line, and forge bytes that are not strings.
TEST_CHECKS = "-cert-env33-c,-bugprone-not-null-terminated-result"


def is_test(name):
    return name.endswith("_test.c") or name.startswith(("test/", "bench/")) or "/test_" in name


@functools.lru_cache(maxsize=None)
def text_of(name):
    for folder in (ROOT, pathlib.Path(GENERATED)):
        if (folder / name).is_file():
            return (folder / name).read_bytes()
    return b""


def closure(name, seen):
    if name not in seen:
        seen.add(name)
        for include in re.findall(rb'^\s*#\s*include\s*"([^"]+)"', text_of(name), re.M):
            closure(include.decode(), seen)
    return seen


def key_of(name):
    digest = hashlib.sha256("\0".join(FLAGS + [TEST_CHECKS]).encode())
    for part in [".clang-tidy", "third_party/boringssl/Cargo.lock", *sorted(closure(name, set()))]:
        digest.update(part.encode() + b"\0" + hashlib.sha256(text_of(part)).digest())
    return digest.hexdigest()


def examine(name):
    """The findings, "" for none."""
    known = CACHE / key_of(name)
    if known.exists():
        return ""
    command = ["nice", "-n", "10", "clang-tidy", "--quiet", name]
    command += [f"--checks={TEST_CHECKS}"] if is_test(name) else []
    run = subprocess.run(command + ["--", *FLAGS], cwd=ROOT, capture_output=True, text=True)
    if run.returncode == 0:
        known.touch()
        return ""
    return "\n".join(line.replace(f"{ROOT}/", "") for line in run.stdout.splitlines() if re.search(r": (error|warning): ", line)) \
        or run.stderr[-2000:]


def main():
    listed = subprocess.run(["git", "ls-files", "--", "*.c"], cwd=ROOT, check=True, capture_output=True, text=True).stdout.split()
    names = sys.argv[1:] or [name for name in listed if (ROOT / name).is_file()]
    CACHE.mkdir(mode=0o700, exist_ok=True)
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for findings in pool.map(examine, names):
            if findings:
                failed += 1
                print(findings, flush=True)
    print(f"{len(names) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
