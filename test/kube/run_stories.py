#!/usr/bin/python3
"""Runs the stories of test/kube/stories on one cluster; run.sh calls it. The last line is `N passed, N failed`."""

import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.dont_write_bytecode = True

from kube_cluster import programs  # noqa: E402 (the path must be set first)
from handfast_harness import story, topology  # noqa: E402

STORIES = os.path.join(HERE, "stories")
LOGS = "/tmp/handfast-kube-stories-%d" % os.getpid()


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
    results = [story.run(path, LOGS, only=only) for path, only in story.select(STORIES, words).items()]
    print("%d passed, %d failed" % (sum(results), len(results) - sum(results)))
    return 0 if results and all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
