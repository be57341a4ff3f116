#!/usr/bin/python3
"""Measures how the cost of a pair of sidecars grows; see bench/README.md.

    bench/growth.py                  one worker, then two; about five minutes
    bench/growth.py --most 1000      up to so many connections and destinations

With so many connections open, and then with so many destinations in use, each with a tunnel of its own: CPU per new
connection and per request of 64 others, and the memory of both sidecars. Tunnels grow with connections, 64 per tunnel.
15,370 connections are what 20,000 descriptors carry (limits.max_connections).

Needs root (network namespaces) and the packages of tools/ and test/apt-packages.txt."""

import argparse
import contextlib
import json
import os
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
REPOSITORY = os.path.dirname(HERE)
sys.path[:0] = [HERE, os.path.join(REPOSITORY, "test", "harness")]

import run  # noqa: E402 (the path must be set first)
from handfast_bench import cost, measures  # noqa: E402
from handfast_bench.handfast import Handfast  # noqa: E402
from handfast_bench.world import FAR_ID, World  # noqa: E402
from handfast_harness import topology  # noqa: E402

CONNECTIONS, DESTINATIONS = (1, 10, 100, 1000, 5000, 15000), (1, 10, 100, 1000)
SETTLED_S, HANDSHAKE_S = 2, 0.02
SIZE = measures.Size(bulk_bytes=0, seconds=2, connects=5000, idle=0, rate=0)
COLUMNS = {"pair_kb": "KB of memory per one", "connect_cpu_us": "CPU us per new connection",
           "request_cpu_us": "CPU us per request", "requests_s": "requests/s"}


def addresses(num):
    """Of the application's host, in a documentation range that no host of a topology has."""
    return ["2001:db8:c01d::%x" % (number + 1) for number in range(num)]


def cost_beside(meter):
    return {**meter.keepalive(), **meter.connect()}


def by_connections(world, pair, most):
    """What is open is held by the load's idle mode, beside 32 that stay, so that the heap's first pages and the first
    tunnel are not part of the cost of each."""
    rows, meter = {}, measures.Meter(world, pair, SIZE)
    with world.hold(connections=32, seconds=600):
        cost_beside(meter)
        for num in (point for point in CONNECTIONS if point <= most):
            time.sleep(SETTLED_S)  # duration: connections have closed, and their memory was given back
            before = cost.pss_kb(pair.pids())
            with world.hold(connections=num, seconds=120):
                time.sleep(SETTLED_S)  # duration: what opening them took was given back
                memory = cost.pss_kb(pair.pids()) - before
                rows[num] = {"pair_kb": memory / num, **cost_beside(meter)}
    return rows


def by_destinations(world, pair, destinations):
    rows, meter, used = {}, measures.Meter(world, pair, SIZE), 0
    cost_beside(meter)
    time.sleep(SETTLED_S)  # duration: memory was given back
    before = cost.pss_kb(pair.pids())
    for num in (point for point in DESTINATIONS if point <= len(destinations)):
        for address in destinations[used:num]:
            time.sleep(HANDSHAKE_S)  # duration: a source has 50 handshakes per second at the far side
            if world.load("connect", address=address, connections=1, count=1, seconds=5)["failed"]:
                raise RuntimeError("%s cannot be reached" % address)
        used = num
        time.sleep(SETTLED_S)  # duration: memory was given back
        rows[num] = {"pair_kb": (cost.pss_kb(pair.pids()) - before) / num, **cost_beside(meter)}
    return rows


def measure(folder, binary, workers, most):
    destinations = addresses(min(most, DESTINATIONS[-1]))

    class Grown(Handfast):
        settings = {"workers": workers, "limits": {"per_identity": 20000}}
        control_settings = {"mesh": {"networks": ["2001:db8::/32", "192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24"]},
                            "entries": [{"address": address, "identity": FAR_ID} for address in destinations]}

    with World(os.path.join(folder, "%d" % workers), binary, "reno") as world, contextlib.ExitStack() as stack:
        for address in destinations:
            world.net.add_address("b", address)
        pair = Grown()
        stack.callback(pair.stop)
        pair.start(world)
        return {"connections": by_connections(world, pair, most),
                "destinations": by_destinations(world, pair, destinations)}


def table(what, workers, rows):
    lines = ["| %s, workers %d | %s |" % (what, workers, " | ".join(COLUMNS.values())), "|---" * (len(COLUMNS) + 1) + "|"]
    for num, row in rows.items():
        lines.append("| %s | %s |" % (format(num, ","), " | ".join("%.1f" % row[column] for column in COLUMNS)))
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--most", type=int, default=CONNECTIONS[-1])
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--json", default="growth-result.json", help="file for every figure")
    options = parser.parse_args()
    if os.geteuid() != 0:
        print("network namespaces need root: run this as root", file=sys.stderr)
        return 77
    topology.sweep_leftovers()
    results = {}
    with tempfile.TemporaryDirectory(prefix="handfast-bench-") as folder:
        os.chmod(folder, 0o755)
        binary = run.build(folder, [Handfast])
        for workers in options.workers:
            results[workers] = measure(folder, binary, workers, options.most)
            for what, rows in results[workers].items():
                print(table(what, workers, rows))
            with open(options.json, "w") as file:
                json.dump(results, file, indent=1)
    return 0


if __name__ == "__main__":
    sys.exit(main())
