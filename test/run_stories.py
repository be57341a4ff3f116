#!/usr/bin/python3
"""Runs the numbered integration stories of test/integration, most basic first, one after the other.

    test/run_stories.py                 all
    test/run_stories.py 010 042-045     by number or range
    test/run_stories.py rotation        by a part of the file's name
    test/run_stories.py --list          what there is

Needs root (network namespaces) and the packages of test/apt-packages.txt. The programs come from HANDFAST_BIN
(default: bazel-bin). Logs of a story that fails are kept, its line says where; --keep keeps all.
The last line is `N passed, N failed`; the exit code is 0 only if none failed."""

import argparse
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "harness"))

from handfast_harness import story, topology  # noqa: E402 (the path must be set first)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("which", nargs="*", help="a number, a range of numbers, or a part of a name")
    parser.add_argument("--list", action="store_true", help="say what there is and stop")
    parser.add_argument("--keep", action="store_true", help="keep the logs of stories that pass, too")
    parser.add_argument("--logs", default="/tmp/handfast-stories-%d" % os.getpid(), help="folder for the logs")
    parser.add_argument("--second-try", action="store_true",
                        help="tell a story that fails once more, and count the second time (both lines are printed)")
    options = parser.parse_args()
    stories = story.discover(os.path.join(HERE, "integration"), options.which)
    if options.list:
        for path in stories:
            print("%s  %s" % (os.path.basename(path)[:3], story.title(path)))
        return 0
    if not stories:
        print("no story matches %s" % " ".join(options.which), file=sys.stderr)
        return 64
    if os.geteuid() != 0:
        print("network namespaces need root: run this as root", file=sys.stderr)
        return 77
    topology.sweep_leftovers()
    failed = sum(not told(path, options) for path in stories)
    print("%d passed, %d failed" % (len(stories) - failed, failed))
    return 1 if failed else 0


def told(path, options):
    """Whether it passed. On a machine that is busy with others a wait can run out that has nothing to do with us; what is
    broken fails twice."""
    if story.tell(path, options.logs, options.keep):
        return True
    return options.second_try and story.tell(path, os.path.join(options.logs, "second-try"), options.keep)


if __name__ == "__main__":
    sys.exit(main())
