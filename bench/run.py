#!/usr/bin/python3
"""Measures pairs of proxies side by side; see bench/README.md.

    bench/run.py --quick              one round per congestion control, about 3 minutes
    bench/run.py                      medians of three rounds, about 15 minutes
    bench/run.py --pairs envoy tunnel --congestion reno --measures bulk connect
    bench/run.py --check              fails when a ratio to the best peer is worse by a tenth than in bench/table.json
    bench/run.py --commit             writes bench/table.json and its drawing, bench/table.svg

Needs root (network namespaces) and the packages of tools/, test/ and bench/apt-packages.txt."""

import argparse
import json
import os
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
REPOSITORY = os.path.dirname(HERE)
TABLE, DRAWING = os.path.join(HERE, "table.json"), os.path.join(HERE, "table.svg")
sys.path[:0] = [HERE, os.path.join(REPOSITORY, "test", "harness")]

from handfast_bench import committed, elsewhere, measures, pairs, plot, programs, summary  # noqa: E402 (the path comes first)
from handfast_bench.world import World  # noqa: E402
from handfast_harness import topology  # noqa: E402


def options_of_command_line():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one short round")
    parser.add_argument("--rounds", type=int, help="default: 3, quick: 1")
    parser.add_argument("--pairs", nargs="+", default=[], help="out of " + ", ".join(p.name for p in pairs.PAIRS))
    parser.add_argument("--measures", nargs="+", choices=measures.NAMES, help="default: all")
    parser.add_argument("--congestion", nargs="+", default=[], help="default: the machine's own, and reno")
    parser.add_argument("--json", default="bench-result.json", help="file for every figure of every round")
    parser.add_argument("--check", action="store_true", help="compare with the committed table")
    parser.add_argument("--commit", action="store_true", help="replace the committed table and its drawing")
    parser.add_argument("--envoy", help="folder for the virtual environment with Envoy; default: a new one, removed")
    return parser.parse_args()


def congestion_controls(wanted):
    with open("/proc/sys/net/ipv4/tcp_congestion_control") as file:
        own = file.read().strip()
    return wanted or list(dict.fromkeys([own, "reno"]))


def usable(chosen):
    for pair in list(chosen):
        if reason := pair.unavailable_reason():
            print("left out: %s: %s" % (pair.name, reason), file=sys.stderr)
            chosen.remove(pair)
    return chosen


def one_pair(world, pair, size, names):
    """Figures of one round; a failure of a pair is printed, and it has none."""
    try:
        pair.start(world)
        meter = measures.Meter(world, pair, size)
        if not names:
            return meter.all()
        meter.warm_up()
        return {key: value for name in names for key, value in getattr(meter, name)().items()}
    except Exception as failure:  # the failure of one peer must not end the run of all others
        print("%s failed: %s" % (pair.name, failure), file=sys.stderr)
        return {}
    finally:
        pair.stop()


def rounds_of(folder, binary, congestion, chosen, options):
    """{pair: [figures per round]}; each round starts with another pair, so that none always has the same place."""
    size = measures.QUICK if options.quick else measures.FULL
    num_rounds = options.rounds or (1 if options.quick else 3)
    results = {pair.name: [] for pair in chosen}
    for number in range(num_rounds):
        with World(os.path.join(folder, "%s-%d" % (congestion, number)), binary, congestion) as world:
            turn = number % len(chosen)
            for pair in chosen[turn:] + chosen[:turn]:
                since = time.monotonic()
                results[pair.name].append(one_pair(world, pair(), size, options.measures))
                print("%s, round %d of %d, %s: %.0f s" % (congestion, number + 1, num_rounds, pair.name,
                                                         time.monotonic() - since), file=sys.stderr)
    return results


def kinds(chosen):
    """(names of baselines, of Handfast's own pairs, of peers)"""
    return ([pair.name for pair in chosen if pair.is_baseline], [pair.name for pair in chosen if pair.is_ours],
            [pair.name for pair in chosen if not pair.is_baseline and not pair.is_ours])


def report(congestion, rounds, chosen):
    baselines, ours, peers = kinds(chosen)
    results = {name: summary.medians(figures) for name, figures in rounds.items()}
    constant = elsewhere.figures(congestion, results)
    print(summary.table("congestion control " + congestion, {**results, **constant}, [*baselines, *constant], peers))
    print(summary.verdicts(results, ours, peers))
    return results


def draw(tables):
    baselines, ours, peers = kinds(pairs.PAIRS)
    kind = {**dict.fromkeys(baselines, "baseline"), **dict.fromkeys(ours, "ours"), **dict.fromkeys(peers, "peer")}
    shown = {congestion: {**results, **elsewhere.figures(congestion, results)} for congestion, results in tables.items()}
    return plot.svg(shown, lambda name: kind.get(name, "elsewhere"))


def judge(tables):
    """The exit status of --check."""
    _, ours, peers = kinds(pairs.PAIRS)
    before = committed.read(TABLE)
    if not committed.is_comparable(before, tables, ours, peers):
        print("check: no peer and congestion control of %s is in this run" % TABLE, file=sys.stderr)
        return 2
    findings = committed.findings(before, tables, ours, peers)
    for line in findings:
        print("worse: " + line)
    print("%d ratios are worse by more than %d %%" % (len(findings), 100 * committed.WORSE_BY))
    return 1 if findings else 0


def conclude(tables, options):
    """What is done with the medians of the whole run; the exit status."""
    status = judge(tables) if options.check else 0
    if options.commit:
        committed.write(TABLE, tables)
        with open(DRAWING, "w") as file:
            file.write(draw(tables))
    return status


def main():
    options = options_of_command_line()
    if os.geteuid() != 0:
        print("network namespaces need root: run this as root", file=sys.stderr)
        return 77
    topology.sweep_leftovers()
    everything = {}
    with tempfile.TemporaryDirectory(prefix="handfast-bench-") as folder:
        os.chmod(folder, 0o755)
        for pair in pairs.PAIRS:
            pair.tools = options.envoy or os.path.join(folder, "envoy")
        chosen = usable(pairs.named(options.pairs))
        needed = {"load", "handfast-init"}.union(*(pair.programs for pair in chosen))
        binary = programs.copied(folder, needed)
        for congestion in congestion_controls(options.congestion):
            rounds = rounds_of(folder, binary, congestion, chosen, options)
            everything[congestion] = {"rounds": rounds, "medians": report(congestion, rounds, chosen)}
            with open(options.json, "w") as file:
                json.dump(everything, file, indent=1)
    return conclude({name: result["medians"] for name, result in everything.items()}, options)


if __name__ == "__main__":
    sys.exit(main())
