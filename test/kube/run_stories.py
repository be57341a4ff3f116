#!/usr/bin/python3
"""Runs the stories of test/kube/stories; run.sh calls it. The last line is `N passed, N failed`.

Many stories run on two clusters at once (HANDFAST_KUBE_SHARES): they wait more than they compute. Each takes the next one
that has not begun, in their order, and has the output of a story when it has ended. A story that fails runs once more,
on a new cluster; what a flaky story counts as is in handfast_harness/tries.py."""

import functools
import multiprocessing
import os
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.dont_write_bytecode = True

from kube_cluster import programs, shared  # noqa: E402 (the path must be set first)
from handfast_harness import story, topology, tries  # noqa: E402

STORIES = os.path.join(HERE, "stories")
LOGS = "/tmp/handfast-kube-stories-%d" % os.getpid()
VERDICTS = (tries.FAILED, tries.FLAKY, tries.PASSED)  # as the shares count them: what has not ended is 0


def _run_share(chosen, taken, outcomes):
    """Runs stories until each has been taken. taken: a counter; outcomes: a place per story; all shares have both."""
    try:
        while True:
            with taken.get_lock():
                at, taken.value = taken.value, taken.value + 1
            if at >= len(chosen):
                return
            run = functools.partial(_run_quietly, *chosen[at])
            outcomes[at] = VERDICTS.index(tries.outcome(run, functools.partial(_run_again, run)))
    finally:
        shared.end()


def _run_again(run):
    shared.end()
    return run(logs=os.path.join(LOGS, "second-try"))


def _run_quietly(path, only, logs=LOGS):
    """Its output is printed in one piece."""
    sys.stdout.flush()
    out = os.dup(1)
    with tempfile.TemporaryFile() as text:
        os.dup2(text.fileno(), 1)
        try:
            return story.run(path, logs, only=only)
        finally:
            sys.stdout.flush()
            os.dup2(out, 1)
            os.close(out)
            text.seek(0)
            os.write(1, text.read())


def _run_all(chosen):
    """[(name, outcome)]; a story that no share ended has failed."""
    num = min(int(os.environ.get("HANDFAST_KUBE_SHARES", "2")), max(1, len(chosen) // 3))
    taken, outcomes = multiprocessing.Value("i", 0), multiprocessing.Array("i", len(chosen))
    shares = [multiprocessing.Process(target=_run_share, args=(chosen, taken, outcomes)) for _ in range(num)]
    for share in shares:
        share.start()
    for share in shares:
        share.join()
    return [(os.path.basename(path)[:-3], VERDICTS[what]) for (path, _), what in zip(chosen, outcomes)]


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
    return 1 if tries.sum_up(_run_all(chosen)) or not chosen else 0


if __name__ == "__main__":
    sys.exit(main())
