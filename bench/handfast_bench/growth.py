"""How the cost of Handfast grows with connections, and with a second worker. 15,000 connections are four tunnels per
worker, of 4,096 streams each."""

import os
import resource
import sys
import time

from . import cost, measures
from .handfast import Handfast
from .world import World

CONNECTIONS = (1, 10, 100, 1000, 4000, 15000)
QUICK_CONNECTIONS = (1, 100, 1000)
WORKERS = (1, 2)
# What an idle connection may take at both ends together: the structs, and pages that are not full.
KB_PER_CONNECTION_MAX = 4.0
FIXED_MB_MAX = 16.0  # both processes, with the buffers of their tunnels


def _request(meter, connections):
    """CPU per keep-alive request, in us, while so many connections take turns."""
    result, cpu_s = meter._load("keepalive", connections=connections, seconds=meter.size.seconds)  # pylint: disable=W0212
    return 1e6 * cpu_s / result["done"]


def _memory(meter, world, connections, empty_kb):
    with world.hold(connections=connections, seconds=120):
        time.sleep(1)  # duration: all of them are idle
        return cost.pss_kb(meter.pair.pids()) - empty_kb


def _point(meter, world, connections, empty_kb):
    memory_kb = _memory(meter, world, connections, empty_kb)
    holds = memory_kb <= connections * KB_PER_CONNECTION_MAX + FIXED_MB_MAX * 1024
    return {"request_us": _request(meter, min(connections, 1000)), "kb": memory_kb, "holds": holds}


def _points(folder, binary, congestion, workers, counts, size):
    """{connections: point}; a fresh pair per number of workers."""
    class Pair(Handfast):
        settings = {"workers": workers}

    with World(os.path.join(folder, "growth-%d" % workers), binary, congestion) as world:
        pair = Pair()
        try:
            pair.start(world)
            meter = measures.Meter(world, pair, size)
            meter.warm_up()
            time.sleep(measures.SETTLED_S)  # duration: the memory of the start is returned
            empty_kb = cost.pss_kb(pair.pids())
            return {number: _point(meter, world, number, empty_kb) for number in counts}
        finally:
            pair.stop()


def rows(results):
    """results: {workers: {connections: point}}; lines of Markdown."""
    lines = ["| workers | connections | CPU us per request (of at most 1,000 busy) | KB of both ends | bound holds |",
             "|---|---|---|---|---|"]
    for workers, points in results.items():
        lines += ["| %d | %d | %.1f | %.0f | %s |" % (workers, number, point["request_us"], point["kb"],
                                                     "yes" if point["holds"] else "NO")
                  for number, point in points.items()]
    return "\n".join(lines) + "\n"


def most_of_one_identity(descriptors):
    """Half of the connections of sidecar/process.c: two descriptors each, beside those of tunnels and a reserve."""
    return (descriptors - 256 - descriptors // 8) // 4


def _carried(counts):
    """Those that the limit of open files carries, which all that is started inherits."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    carried = [number for number in counts if number <= most_of_one_identity(hard)]
    if left_out := sorted(set(counts) - set(carried)):
        print("left out: %s connections: the hard limit of %d open files carries %d of one identity" %
              (left_out, hard, most_of_one_identity(hard)), file=sys.stderr)
    return carried


def table(folder, binary, congestion, is_quick):
    counts, size = (QUICK_CONNECTIONS, measures.QUICK) if is_quick else (CONNECTIONS, measures.FULL)
    counts = _carried(counts)
    return rows({workers: _points(folder, binary, congestion, workers, counts, size) for workers in WORKERS})
