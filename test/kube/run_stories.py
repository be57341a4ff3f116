#!/usr/bin/python3
"""Runs the stories of test/kube/stories; run.sh calls it. The last line is `N passed, N failed`.

Many stories run on two clusters at once (HANDFAST_KUBE_SHARES): they wait more than they compute. Each takes the next one
that has not begun, in their order, and has the output of a story when it has ended."""

import multiprocessing
import os
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.dont_write_bytecode = True

from kube_cluster import programs, shared  # noqa: E402 (the path must be set first)
from handfast_harness import story, topology  # noqa: E402

STORIES = os.path.join(HERE, "stories")
LOGS = "/tmp/handfast-kube-stories-%d" % os.getpid()


def _run_share(chosen, taken, passed):
    """Runs stories until each has been taken. taken, passed: counters that all shares have."""
    try:
        while True:
            with taken.get_lock():
                at, taken.value = taken.value, taken.value + 1
            if at >= len(chosen):
                return
            if _run_quietly(*chosen[at]):
                with passed.get_lock():
                    passed.value += 1
    finally:
        shared.end()


def _run_quietly(path, only):
    """Its output is printed in one piece."""
    sys.stdout.flush()
    out = os.dup(1)
    with tempfile.TemporaryFile() as text:
        os.dup2(text.fileno(), 1)
        try:
            return story.run(path, LOGS, only=only)
        finally:
            sys.stdout.flush()
            os.dup2(out, 1)
            os.close(out)
            text.seek(0)
            os.write(1, text.read())


def _run_all(chosen):
    """How many passed."""
    num = min(int(os.environ.get("HANDFAST_KUBE_SHARES", "2")), max(1, len(chosen) // 3))
    taken, passed = multiprocessing.Value("i", 0), multiprocessing.Value("i", 0)
    shares = [multiprocessing.Process(target=_run_share, args=(chosen, taken, passed)) for _ in range(num)]
    for share in shares:
        share.start()
    for share in shares:
        share.join()
    return passed.value


def main():
    words = sys.argv[1:]
    if words == ["--list"]:
        for path in story.select(STORIES, []):
            print("%s  %s" % (os.path.basename(path)[:3], story.title(path)))
        return 0
    if os.geteuid() != 0:
        print("expected to be root, for network namespaces; run this as root", file=sys.stderr)
        return 77
    try:
        programs.build(lambda line: print(line, flush=True))
    except programs.Missing as reason:
        print("the Kubernetes stories are left out: %s" % reason)
        print("0 passed, 0 failed")
        return 0
    if words == ["build"]:
        print("built: %s" % programs.folder())
        return 0
    root = os.path.dirname(os.path.dirname(HERE))
    subprocess.run([os.path.join(root, "tools/install_packages.sh"), os.path.join(root, "test/apt-packages.txt"),
                    os.path.join(HERE, "apt-packages.txt")], check=True)
    topology.sweep_leftovers()
    chosen = list(story.select(STORIES, words).items())
    passed = _run_all(chosen)
    print("%d passed, %d failed" % (passed, len(chosen) - passed))
    return 0 if chosen and passed == len(chosen) else 1


if __name__ == "__main__":
    sys.exit(main())
