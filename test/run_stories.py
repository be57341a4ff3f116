#!/usr/bin/python3
"""Runs the numbered integration stories of test/integration, most basic first, one after the other.

    test/run_stories.py                 all
    test/run_stories.py 010 042-045     by number or range
    test/run_stories.py rotation        by a part of the file's name
    test/run_stories.py 053:sigterm     one function, by its name or a part that only it has
    test/run_stories.py --list [WHICH]  lists stories, their functions, and what each needs
    test/run_stories.py --each-alone 053    each function of the story in a run of its own
    test/run_stories.py --long          the stories of heavy programs, which no other command runs (test/apt-packages-long.txt)
    test/run_stories.py --keep 053      leaves the story's mesh standing
    test/run_stories.py --down FOLDER   removes it

Needs root (network namespaces) and the packages of test/apt-packages.txt. The programs come from HANDFAST_BIN
(default: bazel-bin). Logs of a story that fails are kept, and its line has their path; --keep-logs keeps all.

One function runs after `arrange` and the earlier functions that it needs: those that it names with @needs(...), and
those that set an attribute of the story that it reads. --with-earlier runs all earlier ones. What ran is printed.
--each-alone runs every selected function that way, which shows that no declaration is missing; results are per function.

--keep: when the story has ended, passed or failed, its mesh stands. With a terminal, a shell opens in the first host that
has a sidecar, and all is removed when you leave it. Without one, the commands that enter each host are printed and the
command ends; --down with the folder of the story removes all.

With --second-try a story that fails runs once more. One that passes only then is flaky: it is listed above the last
line. Two flaky stories per run, and one more per 50 stories, do not fail the run; beyond that each counts as failed.
The last line is `N passed, N failed`; the exit code is 0 only if none failed."""

import argparse
import contextlib
import os
import signal
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "harness"))

from handfast_harness import StoryFailure, shown, standing, story, topology, tries  # noqa: E402 (the path must be set first)


def read_options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("which", nargs="*",
                        help="a number, a range of numbers, or a part of a name; STORY:FUNCTION for one function")
    parser.add_argument("--long", action="store_true", help="only the stories that have LONG; without it only the others")
    parser.add_argument("--list", action="store_true", help="print stories and their functions, and run none")
    parser.add_argument("--with-earlier", action="store_true",
                        help="before a function that was selected, run all earlier ones of its story")
    parser.add_argument("--each-alone", action="store_true",
                        help="run each function in a run of its own, after what it needs")
    parser.add_argument("--keep", action="store_true", help="leave the mesh of one story standing (see above)")
    parser.add_argument("--down", metavar="FOLDER", help="remove the mesh that --keep left standing")
    parser.add_argument("--keep-logs", action="store_true", help="keep the logs of stories that pass, too")
    parser.add_argument("--logs", default="/tmp/handfast-stories-%d" % os.getpid(), help="folder for the logs")
    parser.add_argument("--second-try", action="store_true",
                        help="run a story that fails once more; what passes then is flaky (see above)")
    return parser.parse_args()


def print_list(selected):
    for path, only in selected.items():
        number = os.path.basename(path)[:3]
        print("%s  %s" % (number, story.title(path)))
        for function in shown.functions(path):
            if only is not None and function.name not in only:
                continue
            print("     %s:%s" % (number, function.name))
            if function.title != function.name.replace("_", " "):
                print("         %s" % function.title)
            if function.needs:
                print("         needs: %s" % ", ".join(function.needs))


def main():
    options = read_options()
    try:
        selected = story.select(os.path.join(HERE, "integration"), options.which, options.with_earlier)
    except shown.SelectionError as error:
        print(error, file=sys.stderr)
        return 64
    if options.list:
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # its reader, such as head, may have enough
        print_list(selected)
        return 0
    selected = {path: only for path, only in selected.items() if story.is_long(path) == options.long}
    if not selected:
        print("no story matches %s %s" % (" ".join(options.which), "and is long" if options.long else "(a long one needs --long)"),
              file=sys.stderr)
        return 64
    if options.keep and len(selected) != 1:
        print("--keep leaves one story standing, and %d are selected" % len(selected), file=sys.stderr)
        return 64
    if options.keep and options.each_alone:
        print("--keep leaves one run standing, and --each-alone makes several", file=sys.stderr)
        return 64
    if os.geteuid() != 0:
        print("network namespaces need root: run this as root", file=sys.stderr)
        return 77
    if options.down:
        return take_down(options.down)
    topology.sweep_leftovers()
    if options.keep:
        return keep(options, *next(iter(selected.items())))
    return run_all(options, selected)


def take_down(folder):
    try:
        print("taken down; the logs stay in %s" % standing.take_down(folder))
        return 0
    except StoryFailure as failure:
        print(failure, file=sys.stderr)
        return 1


def keep(options, path, only):
    run = lambda before_close: story.run(path, options.logs, only=only, before_close=before_close)
    passed = run(standing.shell) if sys.stdin.isatty() else standing.run_in_keeper(run)
    print("%d passed, %d failed" % (passed, not passed))
    return 0 if passed else 1


def runs_of(options, selected):
    """[(path, functions to run or None for all, folder for the logs)]"""
    if not options.each_alone:
        return [(path, only, options.logs) for path, only in selected.items()]
    return [(path, shown.choose(path, [name]), os.path.join(options.logs, str(number)))
            for path, only in selected.items()
            for number, name in enumerate(only or [function.name for function in shown.functions(path)])]


def run_all(options, selected):
    outcomes = [(os.path.basename(path)[:-3], outcome(path, only, logs, options))
                for path, only, logs in runs_of(options, selected)]
    with contextlib.suppress(OSError):
        os.rmdir(options.logs)  # if it is there and empty
    return 1 if tries.sum_up(outcomes) else 0


def outcome(path, only, logs, options):
    second = lambda: story.run(path, os.path.join(logs, "second-try"), options.keep_logs, only)
    return tries.outcome(lambda: story.run(path, logs, options.keep_logs, only), second if options.second_try else None)


if __name__ == "__main__":
    sys.exit(main())
