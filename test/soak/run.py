#!/usr/bin/python3
"""Random faults under mixed real traffic, judged by invariants: what no fault explains fails the run. As root:

    test/soak/run.py --seconds 180               a random seed, which is printed
    test/soak/run.py --seconds 180 --seed 7      the same faults in the same order, whatever the timing
    test/soak/run.py --faults kill_sidecar,loss  only these; --list shows all
    test/soak/run.py --seed 7 --plan 20          prints the first steps, and runs nothing

The programs come from HANDFAST_BIN (default: bazel-bin). The first step that leaves something unexplained ends the run;
then seed, faults and the logs' folder are printed. The last line is `N passed, N failed`: each fault that was survived
counts as one, each invariant as one."""

import argparse
import collections
import contextlib
import inspect
import itertools
import json
import os
import random
import shutil
import sys
import tempfile
import threading
import time

sys.path[:0] = [os.path.join(os.path.dirname(os.path.abspath(__file__)), part) for part in ("../harness", "..")]

from handfast_harness import StoryFailure, topology, wait_until  # noqa: E402 (the path must be set first)
from handfast_harness.story import Story  # noqa: E402
from soak import faults, judge, plan  # noqa: E402
from soak.arrangement import World  # noqa: E402
from soak.traffic import SERVED, Traffic  # noqa: E402

_SCAN_S = 25  # between two readings of what was captured
_SETTLE_S = 1.0  # from whole again to a calm point
_IDLE_END_S = 60  # connections whose application is gone without a packet: found by keepalive after 25 s


class Run:
    def __init__(self, story, options):
        self.story, self.seed, self.is_sanitized = story, options.seed, options.sanitizers
        self.world = World(story, options.control_planes)
        self.faults, self.steps, self.broken, self.judged = [], [], [], 0
        self.wire = judge.Wire(story, self.world.mesh.net, self.seed, self.faults)
        self.traffic = story.own(Traffic(self.world.mesh, self.seed))
        self.unexplained, self.samples, self._scanned = [], judge.Samples(), time.monotonic()

    def warm_up(self):
        wait_until("traffic of each kind", lambda: all(self.traffic.counts[kind] for kind in SERVED), 120, 0.1)
        self.samples.take(self.world)

    def holds(self):
        return not (self.broken or self.unexplained or self.wire.found or judge.refused_stays_refused(self.traffic, self.faults))

    def perform(self, step):
        self.steps.append(step)
        time.sleep(step.pause_s)  # duration: the plan's pause, of which the traffic makes use
        now = [faults.TABLE[draw.name](self.world, draw.target, **draw.parameters) for draw in step.draws]
        self.faults += now
        threads = [threading.Thread(target=self._break_and_mend, args=(fault,)) for fault in now]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if not self.broken:
            self._wait_until_whole(now)
        self._calm_point()

    def _break_and_mend(self, fault):
        try:
            fault.began = time.monotonic()
            fault.do()
            fault.done = time.monotonic()
            time.sleep(fault.duration_s)  # duration: of the fault
            fault.undone = time.monotonic()
            fault.undo()
        except Exception as error:  # a fault that cannot be made or mended is a finding
            self.broken.append("%s of %s: %s: %s" % (fault.name, fault.target, type(error).__name__, error))

    def _wait_until_whole(self, now):
        last = max(fault.undone for fault in now)
        for fault in now:
            while lacks := fault.what_lacks():
                if time.monotonic() - last > fault.promise_s:
                    self.broken.append("%s of %s: not whole %.0f s after it: %s" % (fault.name, fault.target, fault.promise_s, lacks))
                    return
                time.sleep(0.1)  # duration: the pause between two polls
        for fault in now:
            fault.whole, fault.took_s = time.monotonic(), time.monotonic() - last

    def _calm_point(self):
        if self.broken:
            return
        time.sleep(_SETTLE_S)  # duration: connections that were cut are open again
        if ended := self.world.what_has_ended():
            self.broken.append("at a calm point " + ended)
            return
        self.samples.take(self.world)
        self.judge_failures()
        if time.monotonic() - self._scanned > _SCAN_S:
            self.wire.scan()
            self._scanned = time.monotonic()

    def judge_failures(self):
        fresh = self.traffic.failures[self.judged:]
        self.judged += len(fresh)
        self.unexplained += judge.unexplained(fresh, self.faults)

    def end(self):
        """{invariant: what is against it}"""
        self.traffic.end()
        self.judge_failures()
        mesh = self.world.mesh
        with contextlib.suppress(StoryFailure):
            wait_until("all connections to end", lambda: not judge.metrics_balance(mesh), _IDLE_END_S, 0.5)
        with contextlib.suppress(StoryFailure):
            wait_until("processes that were upgraded to end", lambda: not judge.former_processes_have_ended(self.world), 30, 0.5)
        self.wire.end()
        return {
            "every failure is explained by a fault": [text_of(failure, self.faults) for failure in self.unexplained],
            "nothing of the mesh is plaintext on the wire": self.wire.no_plaintext(),
            "no wrong peer in any access log": judge.no_wrong_peer(mesh, self.faults),
            "what is refused stays refused": judge.refused_stays_refused(self.traffic, self.faults),
            "each kind of traffic took part": judge.everything_was_tried(self.traffic),
            "memory does not grow": [] if self.is_sanitized else self.samples.no_growth_of_memory(),
            "descriptors do not grow": self.samples.no_growth_of_descriptors(),
            "no program has crashed": judge.no_crash(self.story),
            "metrics balance": judge.metrics_balance(mesh),
            "processes that were upgraded have ended": judge.former_processes_have_ended(self.world),
        }


def text_of(failure, performed):
    """With the last fault before it."""
    before = [fault for fault in performed if fault.began and fault.began <= failure.at]
    after = "%.1f s after the begin of %s of %s" % (failure.at - before[-1].began, before[-1].name, before[-1].target) if before else "before all"
    return "%s, %s: %s, it last moved %.1f s before, %s (%s)" % (failure.kind, failure.phase, failure.how, failure.at - failure.since,
                                                                 after, failure.text)


def rows_of_faults(run):
    """[(name, count, explained failures as {kind how: count}, longest time until whole)]"""
    rows = []
    for name in sorted({fault.name for fault in run.faults}):
        of = [fault for fault in run.faults if fault.name == name]
        kinds = collections.Counter("%s %s" % (failure.kind, failure.how) for fault in of for failure in fault.explained)
        rows.append((name, len(of), dict(kinds), max(fault.took_s for fault in of)))
    return rows


def print_report(run, invariants):
    print("\n%-16s %5s %9s  %s" % ("fault", "count", "whole in", "failures that it explains"))
    for name, count, kinds, took_s in rows_of_faults(run):
        print("%-16s %5d %7.1f s  %s" % (name, count, took_s, ", ".join("%d %s" % (number, kind) for kind, number in kinds.items())))
    print("\ntraffic: " + ", ".join("%d %s" % (number, kind) for kind, number in sorted(run.traffic.counts.items())))
    print("packets captured: %d" % run.wire.num_packets)
    for name, (first, last) in run.samples.growth().items():
        print("%-10s %6d KB and %4d descriptors at first, %6d KB and %4d at the end" % (name, *first, *last))
    for name, rows in run.samples.over_time().items():
        print("%-10s %s" % (name, ", ".join("%d KB at %.1f min" % (kb, minute) for minute, kb in rows)))
    print()
    for name, against in invariants.items():
        print("[%s] %s" % ("FAILS" if against else "holds", name))
        for sentence in against[:8]:
            print("        " + sentence)
    for sentence in run.broken:
        print("[FAILS] " + sentence)


def write_json(path, run, invariants, seconds, num_passed, num_failed):
    with open(path, "w") as file:
        json.dump({"seed": run.seed, "control_planes": len(run.world.controls), "seconds": seconds, "broken": run.broken,
                   "steps": [plan.text(step) for step in run.steps],
                   "faults": [dict(zip(("name", "count", "explained", "whole_s"), row)) for row in rows_of_faults(run)],
                   "traffic": run.traffic.counts, "invariants": invariants, "memory_kb_and_descriptors": run.samples.growth(),
                   "memory_kb_by_minute": run.samples.over_time(),
                   "passed": num_passed, "failed": num_failed}, file, indent=1)


def soak(options, table, folder):
    """(passed, failed)"""
    with contextlib.closing(Story(os.path.join(folder, "run"))) as story:
        run = Run(story, options)
        run.warm_up()
        began = time.monotonic()
        for step in plan.steps(options.seed, table, options.control_planes):
            if time.monotonic() - began >= options.seconds or not run.holds():
                break
            print("%5.0f s  %s" % (time.monotonic() - began, plan.text(step)), flush=True)
            run.perform(step)
        seconds = time.monotonic() - began
        invariants = run.end()
        print_report(run, invariants)
        num_failed = sum(map(bool, invariants.values())) + len(run.broken)
        num_passed = len(run.faults) - len(run.broken) + sum(not against for against in invariants.values())
        if options.json:
            write_json(options.json, run, invariants, seconds, num_passed, num_failed)
        return num_passed, num_failed


def read_options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=180, help="how long faults begin; the run takes some 30 s more")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().getrandbits(32))
    parser.add_argument("--faults", help="names, separated by commas (default: all)")
    parser.add_argument("--control-planes", type=int, choices=(1, 2, 3), default=1, help="more than one: with a store in etcd")
    parser.add_argument("--sanitizers", action="store_true", help="the programs are built with a sanitizer: memory is not judged")
    parser.add_argument("--json", metavar="FILE", help="writes the report to it, too")
    parser.add_argument("--plan", type=int, metavar="STEPS", help="prints so many steps, and runs nothing")
    parser.add_argument("--list", action="store_true", help="prints the faults, and runs nothing")
    parser.add_argument("--keep-logs", action="store_true", help="also of a run that passes")
    return parser.parse_args()


def chosen(options):
    """{name: kind} of the faults of the run; ValueError if a name is none of them."""
    table = faults.of(options.control_planes)
    if not options.faults:
        return table
    names = options.faults.split(",")
    if unknown := set(names) - set(table):
        raise ValueError("no such fault: %s (there are %s)" % (", ".join(sorted(unknown)), ", ".join(table)))
    return {name: table[name] for name in names}


def main():
    options = read_options()
    if options.list:
        for name, kind in faults.TABLE.items():
            print("%-16s %-34s %s" % (name, " ".join(kind.targets), " ".join(inspect.getdoc(kind).split())))
        return 0
    try:
        table = chosen(options)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 64
    print("seed %d" % options.seed, flush=True)
    if options.plan:
        print("\n".join(map(plan.text, itertools.islice(plan.steps(options.seed, table, options.control_planes), options.plan))))
        return 0
    if os.geteuid() != 0:
        print("network namespaces need root: run this as root", file=sys.stderr)
        return 77
    topology.sweep_leftovers()
    folder = tempfile.mkdtemp(prefix="hf-")  # short: paths of Unix sockets end at 107 bytes
    os.chmod(folder, 0o755)
    num_passed, num_failed = soak(options, table, folder)
    if num_failed or options.keep_logs:
        print("seed %d; logs: %s" % (options.seed, folder))
    else:
        shutil.rmtree(folder)
    print("%d passed, %d failed" % (num_passed, num_failed))
    return 1 if num_failed else 0


if __name__ == "__main__":
    sys.exit(main())
