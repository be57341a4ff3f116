"""The simulated sidecars: test/herd in several processes, because one may not have enough descriptors."""

import os
import resource
import subprocess

from handfast_harness.herd import Herd

from . import cost
from .plane import FIRST_SERVICE, SERVICES

KEPT = 200  # descriptors of a process that are not sidecars'


def address_of(number):
    return "127.77.%d.%d" % divmod(number + 256, 256)


def add_addresses(num):
    """A connection to each of them comes from it. They are routes: with 15,000 addresses of an interface the kernel looks
    through lists of 60 for each connection, which no machine of a mesh does."""
    lines = "".join("route add local %s dev lo table local src %s\n" % (address, address)
                    for address in map(address_of, range(num)))
    subprocess.run(["ip", "-batch", "-"], input=lines, text=True, check=True)


class Herds:
    def __init__(self, binary, socket, folder, num, key_exchange=None):
        most = resource.getrlimit(resource.RLIMIT_NOFILE)[1] - KEPT
        each = max(2, -(-num // most))
        self.num, self.herds, first = num, [], 0
        for number in range(each):
            size = num // each + (number < num % each)
            own = os.path.join(folder, "herd-%d" % number)
            os.makedirs(own)
            self.herds.append(Herd([binary, socket, own, address_of(first), str(size), "100000", str(first), str(SERVICES),
                                    FIRST_SERVICE, *([key_exchange] if key_exchange else [])], size))
            first += size
        for herd in self.herds:
            if herd.await_row("made", True, 300) is None:
                raise RuntimeError("a herd was not made")

    def start(self, since_ms, *kinds):
        for herd in self.herds:
            herd.start(*kinds, since_ms=since_ms)

    def since(self, kind, since_ms):
        for herd in self.herds:
            herd.since(kind, since_ms)

    def cut(self, each):
        for herd in self.herds:
            herd.command("cut %d" % each)

    def await_all(self, kind, deadline_s):
        """The milliseconds at which each hundredth part of each herd had the event, sorted; None: not all had it in time."""
        rows = [herd.await_event(kind, deadline_s) for herd in self.herds]
        return None if None in rows else sorted(ms for row in rows for ms in row)

    def num_claims(self):
        return sum(herd.num_claims() for herd in self.herds)

    def total(self, key):
        return sum(herd.last.get(key, 0) for herd in self.herds)

    def issued_per_second(self, from_ms, to_ms):
        """Of all herds together, for each second of that time."""
        seconds = [0] * max(1, (to_ms - from_ms) // 1000)
        for herd in self.herds:
            for (_, before), (ms, now) in zip(herd.issued, herd.issued[1:]):
                place = (ms - from_ms) // 1000
                if 0 <= place < len(seconds):
                    seconds[place] += now - before
        return seconds

    def cpu_s(self):
        return cost.cpu_s(*(herd.process.pid for herd in self.herds))

    def stop(self):
        for herd in self.herds:
            herd.stop()


def part(sorted_ms, share):
    return sorted_ms[min(len(sorted_ms) - 1, int(share * (len(sorted_ms) - 1) + 0.5))]
