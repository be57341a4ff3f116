#!/usr/bin/python3
"""Runs the numbered integration stories of test/integration, most basic first, one after the other.

    test/run_stories.py                 all
    test/run_stories.py 010 042-045     by number or range
    test/run_stories.py rotation        by a part of the file's name
    test/run_stories.py --list          what there is

Needs root (network namespaces) and the packages of test/apt-packages.txt. The programs come from HANDFAST_BIN
(default: bazel-bin). Logs of a story that fails are kept, its line says where; --keep keeps all.

With --second-try a story that fails runs once more. One that passes only then is flaky: it is listed above the last
line, and it counts as failed unless test/integration/flaky.txt names it with a reason.
The last line is `N passed, N failed`; the exit code is 0 only if none failed."""

import argparse
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "harness"))

from handfast_harness import story, topology  # noqa: E402 (the path must be set first)


PASSED, FLAKY, FAILED = "passed", "flaky", "failed"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("which", nargs="*", help="a number, a range of numbers, or a part of a name")
    parser.add_argument("--list", action="store_true", help="say what there is and stop")
    parser.add_argument("--keep", action="store_true", help="keep the logs of stories that pass, too")
    parser.add_argument("--logs", default="/tmp/handfast-stories-%d" % os.getpid(), help="folder for the logs")
    parser.add_argument("--second-try", action="store_true",
                        help="run a story that fails once more; what passes then is flaky (see above)")
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
    accepted = accepted_flaky()
    outcomes = {path: outcome(path, options) for path in stories}
    flaky = [path for path, what in outcomes.items() if what == FLAKY]
    for path in flaky:
        name = os.path.basename(path)[:-3]
        print("flaky: %s (%s)" % (name, accepted.get(name, "not in test/integration/flaky.txt, so it counts as failed")))
    failed = sum(what == FAILED for what in outcomes.values())
    failed += sum(os.path.basename(path)[:-3] not in accepted for path in flaky)
    print("%d passed, %d failed" % (len(stories) - failed, failed))
    return 1 if failed else 0


def accepted_flaky():
    """{name of a story: why it may fail once}, from flaky.txt: `NAME: REASON` per line, # comments."""
    with open(os.path.join(HERE, "integration", "flaky.txt")) as file:
        lines = [line.split("#")[0].strip() for line in file]
    pairs = [line.partition(":") for line in lines if line]
    for name, _, reason in pairs:
        if not reason.strip() or not os.path.exists(os.path.join(HERE, "integration", name + ".py")):
            raise SystemExit("test/integration/flaky.txt: expected `NAME: REASON` of a story that exists, got %r" % name)
    return {name: reason.strip() for name, _, reason in pairs}


def outcome(path, options):
    """PASSED, FLAKY (only the second time) or FAILED."""
    if story.tell(path, options.logs, options.keep):
        return PASSED
    if options.second_try and story.tell(path, os.path.join(options.logs, "second-try"), options.keep):
        return FLAKY
    return FAILED


if __name__ == "__main__":
    sys.exit(main())
