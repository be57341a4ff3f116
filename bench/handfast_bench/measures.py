"""The measurements of one pair, in turn: each returns figures by name. Lower is better in all but rates."""

import time
from dataclasses import dataclass

from . import cost


@dataclass(frozen=True)
class Size:
    """The amount of load of a run. Every load is bounded in time as well."""
    bulk_bytes: int
    seconds: int
    connects: int
    idle: int
    rate: int  # requests per second of the open loop


SETTLED_S = 10  # after it, a program's start is over
QUICK = Size(bulk_bytes=1 << 30, seconds=2, connects=10000, idle=1000, rate=1000)
FULL = Size(bulk_bytes=2 << 30, seconds=3, connects=20000, idle=2000, rate=1000)
NAMES = ("process", "idle", "bulk", "keepalive", "connect", "latency", "mixed")  # of Meter's methods, in order


class Meter:
    """One running pair, in its world."""

    def __init__(self, world, pair, size):
        self.world, self.pair, self.size = world, pair, size

    def _load(self, mode, **settings):
        """(the load's result, the pair's CPU time meanwhile)"""
        pids = self.pair.pids()
        before = cost.cpu_s(pids)
        result = self.world.load(mode, **settings)
        cpu_s = cost.cpu_s(pids) - before
        if result["failed"] or not result["done"]:
            raise RuntimeError("%s of %d requests failed through %s (%s)" %
                               (result["failed"], result["done"] + result["failed"], self.pair.name, mode))
        return result, cpu_s

    def warm_up(self):
        self._load("keepalive", connections=8, count=200, seconds=5)
        self._load("connect", connections=8, count=50, seconds=5)

    def process(self):
        pids = self.pair.pids()
        time.sleep(SETTLED_S if pids else 0)  # duration: a process counts as idle after it, in every pair
        return {"process_mb": cost.largest_rss_kb(pids) / 1024} if pids else {}

    def idle(self):
        """Memory that N open connections add to both sides. Some stay open throughout, so that the cost of a first connection (a tunnel, the heap's first pages) is not part of the cost of each."""
        pids = self.pair.pids()
        if not pids:
            return {}
        with self.world.hold(connections=32, seconds=60):
            before = cost.pss_kb(pids)
            with self.world.hold(connections=self.size.idle, seconds=60):
                time.sleep(0.5)  # duration: a connection counts as idle after it, in every mesh that is compared
                more = cost.pss_kb(pids) - before
        return {"idle_kb": more / self.size.idle}

    def bulk(self):
        result, cpu_s = self._load("keepalive", connections=4, count=4, response=self.size.bulk_bytes // 4, seconds=30)
        gigabytes = result["bytes"] / 1e9
        return {"bulk_cpu_s_gb": cpu_s / gigabytes, "bulk_mb_s": 1000 * gigabytes / result["seconds"]}

    def keepalive(self):
        result, cpu_s = self._load("keepalive", connections=64, seconds=self.size.seconds)
        return {"request_cpu_us": 1e6 * cpu_s / result["done"], "requests_s": result["done"] / result["seconds"]}

    def connect(self):
        result, cpu_s = self._load("connect", connections=16, count=self.size.connects, seconds=2 * self.size.seconds)
        return {"connect_cpu_us": 1e6 * cpu_s / result["done"], "connects_s": result["done"] / result["seconds"]}

    def latency(self):
        result, _ = self._load("open", connections=64, rate=self.size.rate, seconds=self.size.seconds)
        return {"p50_us": result["p50_us"], "p99_us": result["p99_us"], "p999_us": result["p999_us"]}

    def mixed(self):
        """Small requests while two downloads run."""
        result, _ = self._load("open", connections=16, rate=self.size.rate // 2, seconds=self.size.seconds, downloads=2)
        return {"mixed_p50_us": result["p50_us"], "mixed_p99_us": result["p99_us"],
                "mixed_mb_s": result["download_bytes"] / result["seconds"] / 1e6}

    def all(self):
        self.warm_up()
        figures = {}
        for name in NAMES:
            figures.update(getattr(self, name)())
        return figures
