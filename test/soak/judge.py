"""What must hold, during a soak and at its end. Each check returns a list of sentences; an empty one means that it holds.

Failures are explained by the faults (faults.py); all else here is about what no fault may cause."""

import datetime
import json
import os
import re
import statistics
import time

from handfast_harness import identity_of
from handfast_harness.capture import Capture

from soak import traffic

_CRASH = re.compile(r"check failed|[a-z]Sanitizer: |runtime error:|Segmentation|SIGSYS|stack smashing|double free|bad system call", re.I)
# What a sidecar of this mesh can never have met: each peer has the identity that discovery has, and the rules redirect everything.
_NEVER = ("wrong_peer", "peer_untrusted", "peer_expired", "loop_refused", "no_original_dst", "not_local")
# The last quarter's median may be so many times what was before, and so many KB more. Before: of a process that was never ended
# the first quarter's median; of several, which begin anew and carry what traffic there is, the most of the first half.
_MEMORY_OF_ONE, _MEMORY_OF_SEVERAL = (1.25, 1024), (1.25, 4096)
_DESCRIPTORS = 1.25, 24
_MIN_SAMPLES = 8


def unexplained(failures, faults):
    """Gives each failure to the first fault that explains it. Returns the others."""
    left = []
    for failure in failures:
        fault = next((fault for fault in faults if fault.explains(failure)), None)
        (fault.explained if fault else left).append(failure)
    return left


def moment_of(wall_s):
    """The moment, as the faults have it, of a time of this machine's clock."""
    return wall_s - time.time() + time.monotonic()


class Wire:
    """What crosses the router: captures one after the other, which overlap, so that their files stay small. `faults`: those so
    far; a list that grows."""

    def __init__(self, story, net, seed, faults):
        self._story, self._net, self._markers, self._faults = story, net, traffic.markers(seed), faults
        self.found, self.num_packets, self.sees_plaintext = [], 0, False
        self._capture = self._begin()

    def _begin(self):
        return self._story.own(Capture(self._story, self._net.router, "any", "inbound and tcp"))

    def scan(self):
        """Reads what was captured until now, removes it, and goes on capturing."""
        before, self._capture = self._capture, self._begin()
        self._read(before)

    def end(self):
        self._read(self._capture)

    def _read(self, capture):
        *secret, visible = self._markers
        self.num_packets += len(capture.packets())
        self.found += ["the marker %r is on the wire: %s" % (marker, capture.path)
                       for marker in secret if capture.contains(marker, but=self._is_by_a_fault)]
        self.sees_plaintext = self.sees_plaintext or capture.contains(visible)
        if not self.found:
            capture.discard()

    def _is_by_a_fault(self, packet):
        """Whether a fault has its host send in plaintext when this packet was captured."""
        at = moment_of(packet.time)
        hosts = [self._net.hosts[fault.plaintext_from] for fault in self._faults if fault.plaintext_from and fault.lasts(at, at)]
        return any(packet.source in (host.ipv4, host.ipv6) for host in hosts)

    def no_plaintext(self):
        return self.found + ([] if self.sees_plaintext else ["the capture has not seen what is plaintext by intent: it shows nothing"])


def _lines(sidecar):
    """Of all its processes so far."""
    with open(sidecar.process.log_path, errors="replace") as file:
        for text in file:
            if text.startswith("{") and '"direction"' in text:
                yield json.loads(text)


def _moved(line):
    return line.get("bytes_sent", 0) + line.get("bytes_received", 0) > 0


def _port(line):
    return int(line.get("destination", ":0").rpartition(":")[2])


def _wrong_outbound(name, line):
    if not _moved(line):
        return False
    return not line["encrypted"] or name == "denied" and line.get("bytes_received", 0) or \
        line.get("destination_id") != identity_of("server") or line.get("source_id") != identity_of(name)


def _wrong_inbound(name, line):
    source = line.get("source_id")
    if source == identity_of("denied"):
        return line["reason"] == "done" or line.get("bytes_received", 0)
    return name != "server" or not line["encrypted"] or source not in (identity_of("client"), identity_of("bystander"))


def _wrong_plain(name, line):
    if _port(line) == traffic.PERMISSIVE:
        return line["encrypted"] or "source_id" in line
    return line["encrypted"] or line["reason"] == "done" or line.get("bytes_received", 0)


_WRONG = {"outbound": _wrong_outbound, "inbound": _wrong_inbound, "inbound_plain": _wrong_plain}


def wrong_line(name, line, faults=()):
    """Whether this line of the access log of that host must not be."""
    return line["reason"] in _NEVER and not _is_by_a_fault(line, faults) or bool(_WRONG[line["direction"]](name, line))


def _is_by_a_fault(line, faults):
    """Whether a fault causes this close reason then. A line of later than now is of a process whose clock the fault has set."""
    causes = [fault for fault in faults if line["reason"] in fault.reasons]
    if not causes:
        return False
    wall_s = datetime.datetime.fromisoformat(line["time"].replace("Z", "+00:00")).timestamp()
    at = moment_of(wall_s)
    return wall_s > time.time() + 60 or any(fault.lasts(at, at) for fault in causes)


def no_wrong_peer(mesh, faults):
    """Every line of every access log: who it was, and that it was encrypted."""
    wrong, num_refused = [], {"denied": 0, "plaintext_refused": 0}
    for name, sidecar in mesh.sidecars.items():
        for line in _lines(sidecar):
            if line["reason"] in num_refused and name == "server":
                num_refused[line["reason"]] += 1
            if wrong_line(name, line, faults):
                wrong.append("access log of %s: %s" % (name, json.dumps(line)))
    return wrong[:5] + ["the server has logged no refusal with %s" % reason for reason, number in num_refused.items() if not number]


def refused_stays_refused(now, faults):
    """Nothing of the denied identity or to the strict port was ever served, nothing of a ban or rule while it held."""
    served = ["%s was served: %r" % (row.kind, row.text) for row in now.answers_to_refused
              if not any(fault.exposes == row.kind and fault.lasts(row.since, row.at) for fault in faults)]
    return served[:3] + ["%s was served while %s held" % (row.kind, fault.name)
                         for fault in faults if fault.refuses for row in now.served if fault.must_have_refused(row)][:3]


def everything_was_tried(now):
    """Each kind of traffic took part: what is served was served, and what is refused was tried."""
    return ["no %s in this run" % kind for kind in (*traffic.SERVED, *traffic.REFUSED) if not now.counts[kind]]


def no_crash(story):
    found = []
    for name in sorted(os.listdir(story.root)):
        if name.endswith(".log"):
            with open(os.path.join(story.root, name), errors="replace") as file:
                found += ["%s: %s" % (name, line.strip()[:200]) for line in file if _CRASH.search(line)]
    return found[:5]


def metrics_balance(mesh):
    """Once nothing is open: connections opened are connections closed, per direction, of each process of now."""
    wrong = []
    for name, sidecar in mesh.sidecars.items():
        try:
            rows = sidecar.metrics()
        except OSError as error:
            wrong.append("%s: no metrics: %s" % (name, error))
            continue
        for direction in ("outbound", "inbound", "inbound_plain"):
            opened, active = (rows['handfast_connections_%s{direction="%s"}' % (what, direction)] for what in ("opened_total", "active"))
            closed = sum(value for row, value in rows.items()
                         if row.startswith("handfast_connections_closed_total{") and 'direction="%s"' % direction in row)
            if opened != closed or active:
                wrong.append("%s, %s: %d opened, %d closed, %d active" % (name, direction, opened, closed, active))
    return wrong


def former_processes_have_ended(world):
    return ["the process %d that was upgraded still runs" % process.pid for process, _ in world.former if process.exit_code is None] + \
        ["a process that was upgraded has ended with %d" % process.exit_code
         for process, _ in world.former if process.exit_code not in (None, 0)]


def anonymous_kb(pid):
    """What the process has of its own: of the program's file its share depends on how many others run."""
    with open("/proc/%d/smaps_rollup" % pid) as file:
        return sum(int(line.split()[1]) for line in file if line.startswith("Pss_Anon:"))


class Samples:
    """Memory and descriptors of each process that must run, at calm points."""

    def __init__(self):
        self.rows, self._began = {}, time.monotonic()  # {(name, pid): [(KB, descriptors, seconds since the begin)]}

    def take(self, world):
        at_s = time.monotonic() - self._began
        for name, process in world.processes().items():
            self.rows.setdefault((name, process.pid), []).append((anonymous_kb(process.pid), process.num_fds(), at_s))

    def _of(self, name, what):
        """In the order of time, over all processes of that name."""
        return [row[what] for (of, _), rows in self.rows.items() if of == name for row in rows]

    def growth(self):
        """{name: (first quarter's medians, last quarter's)} of (KB, descriptors), without the first sample (warm-up)."""
        medians = {}
        for name in dict.fromkeys(name for name, _ in self.rows):
            both = [self._of(name, what)[1:] for what in (0, 1)]
            quarter = max(1, len(both[0]) // 4)
            if both[0]:
                medians[name] = tuple(tuple(statistics.median(part) for part in parts) for parts in
                                      ([values[:quarter] for values in both], [values[-quarter:] for values in both]))
        return medians

    def over_time(self):
        """{name: [(minute, KB)]} after a sixth, a third, two thirds and all of the time: 5, 10, 20 and 30 of 30 minutes."""
        last_s = max(row[2] for rows in self.rows.values() for row in rows)
        found = {}
        for name in dict.fromkeys(name for name, _ in self.rows):
            both = list(zip(self._of(name, 2), self._of(name, 0)))
            nearest = [min(both, key=lambda row: abs(row[0] - last_s * part)) for part in (1 / 6, 1 / 3, 2 / 3, 1)]
            found[name] = [(round(at_s / 60, 1), kb) for at_s, kb in nearest]
        return found

    def no_growth_of_memory(self):
        return [text for name, (_, last) in self._judged() if (text := self._memory_growth(name, last[0]))]

    def _memory_growth(self, name, last):
        is_one = len([of for of, _ in self.rows if of == name]) == 1
        kbs = self._of(name, 0)[1:]
        before = self.growth()[name][0][0] if is_one else max(kbs[:len(kbs) // 2])
        factor, more = _MEMORY_OF_ONE if is_one else _MEMORY_OF_SEVERAL
        return "%s: %d KB at first, %d at the end" % (name, before, last) if last > before * factor + more else ""

    def no_growth_of_descriptors(self):
        factor, more = _DESCRIPTORS
        return ["%s: %d descriptors at first, %d at the end" % (name, first[1], last[1])
                for name, (first, last) in self._judged() if last[1] > first[1] * factor + more]

    def _judged(self):
        """growth() of what has samples enough."""
        return [(name, both) for name, both in self.growth().items() if len(self._of(name, 0)) >= _MIN_SAMPLES]
