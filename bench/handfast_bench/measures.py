"""What is measured of one pair, one after the other: each returns figures by name. Lower is better in all but rates."""

import time
from dataclasses import dataclass

from . import cost


@dataclass(frozen=True)
class Size:
    """How much load a run makes. Every load is bounded in time as well."""
    bulk_bytes: int
    seconds: int
    connects: int
    idle: int
    rate: int  # requests a second of the open loop


QUICK = Size(bulk_bytes=1 << 30, seconds=2, connects=10000, idle=1000, rate=1000)
FULL = Size(bulk_bytes=2 << 30, seconds=3, connects=20000, idle=2000, rate=1000)


class Meter:
    """One pair that runs, in its world."""

    def __init__(self, world, pair, size):
        self.world, self.pair, self.size = world, pair, size

    def _load(self, mode, **settings):
        """What the load told and what CPU the pair took meanwhile."""
        pids = self.pair.pids()
        before = cost.cpu_s(pids)
        told = self.world.load(mode, **settings)
        cpu_s = cost.cpu_s(pids) - before
        if told["failed"] or not told["done"]:
            raise RuntimeError("%s of %d requests failed through %s (%s)" %
                               (told["failed"], told["done"] + told["failed"], self.pair.name, mode))
        return told, cpu_s

    def warm_up(self):
        self._load("keepalive", connections=8, count=200, seconds=5)
        self._load("connect", connections=8, count=50, seconds=5)

    def process(self):
        pids = self.pair.pids()
        return {"process_mb": cost.largest_rss_kb(pids) / 1024} if pids else {}

    def idle(self):
        """Memory that N open connections add to both sides. Some stay open throughout, so that what a first connection
        costs (a tunnel, a heap's first pages) is not counted as the price of each."""
        pids = self.pair.pids()
        if not pids:
            return {}
        with self.world.hold(connections=32, seconds=60):
            before = cost.pss_kb(pids)
            with self.world.hold(connections=self.size.idle, seconds=60):
                time.sleep(0.5)
                more = cost.pss_kb(pids) - before
        return {"idle_kb": more / self.size.idle}

    def bulk(self):
        told, cpu_s = self._load("keepalive", connections=4, count=4, response=self.size.bulk_bytes // 4, seconds=30)
        gigabytes = told["bytes"] / 1e9
        return {"bulk_cpu_s_gb": cpu_s / gigabytes, "bulk_mb_s": 1000 * gigabytes / told["seconds"]}

    def keepalive(self):
        told, cpu_s = self._load("keepalive", connections=64, seconds=self.size.seconds)
        return {"request_cpu_us": 1e6 * cpu_s / told["done"], "requests_s": told["done"] / told["seconds"]}

    def connect(self):
        told, cpu_s = self._load("connect", connections=16, count=self.size.connects, seconds=2 * self.size.seconds)
        return {"connect_cpu_us": 1e6 * cpu_s / told["done"], "connects_s": told["done"] / told["seconds"]}

    def latency(self):
        told, _ = self._load("open", connections=64, rate=self.size.rate, seconds=self.size.seconds)
        return {"p50_us": told["p50_us"], "p99_us": told["p99_us"], "p999_us": told["p999_us"]}

    def mixed(self):
        """Small requests while two downloads run."""
        told, _ = self._load("open", connections=16, rate=self.size.rate // 2, seconds=self.size.seconds, downloads=2)
        return {"mixed_p50_us": told["p50_us"], "mixed_p99_us": told["p99_us"],
                "mixed_mb_s": told["download_bytes"] / told["seconds"] / 1e6}

    def all(self):
        self.warm_up()
        figures = {}
        for measure in (self.process, self.idle, self.bulk, self.keepalive, self.connect, self.latency, self.mixed):
            figures.update(measure())
        return figures
