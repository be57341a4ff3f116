"""A stream's first window fits an answer of 100 KB, and memory stays below its limit: the flow-control memory limit
plus 32 KiB per stream.

    client: apps that do not read -> [sidecar, limit 16 MiB] ==tunnel==> peer: python3-h2, sends all that windows allow

Rows: T9."""

import threading
import time

import h2.events

from handfast_harness import Mesh, TestAuthority, expect, identity_of, needs, wait_until
from peers import hbone

DEADLINE_S = 120
WEB = identity_of("web")
STREAMS = 200
KIB = 1024
FIRST = 32 * KIB  # by SETTINGS
BUDGET_KIB = 16 * KIB
BOUND_KIB = BUDGET_KIB + STREAMS * FIRST // KIB
OTHER_KIB = 6 * KIB  # of the process: connections, buffers of one round, allocator overhead


class Source(hbone.Server):
    """Sends to each stream as much as its window allows, forever. `firsts`: the first window of each stream."""

    def __init__(self, *words, **more):
        self.firsts, self.sent, self._sending = [], 0, threading.Lock()
        super().__init__(*words, **more)

    def _take(self, engine, event):
        super()._take(engine, event)
        if isinstance(event, h2.events.RequestReceived):
            self._fill(engine, event.stream_id)
        elif isinstance(event, h2.events.WindowUpdated) and event.stream_id != 0:
            self.firsts.append(FIRST + event.delta)
            self._fill(engine, event.stream_id)

    def _fill(self, engine, stream_id):
        while (room := min(engine.local_flow_control_window(stream_id), engine.max_outbound_frame_size)) > 0:
            engine.send_data(stream_id, bytes(room))
            self.sent += room


def arrange(story):
    story.mesh = Mesh(story, hosts=("client",), outsiders=("peer",), leaf_ttl="1h", start=False,
                      sidecar={"limits": {"flow_control_memory": "%dMiB" % (BUDGET_KIB // KIB)}})
    for name in ("tcp_rmem", "tcp_wmem"):  # so that the kernel's buffers fill soon
        story.mesh.client.sysctl("net/ipv4/" + name, "4096 16384 32768")
    story.mesh.control.configure(entries=[{"address": story.mesh.peer.ipv4, "identity": WEB}])
    story.mesh.start()
    story.client = story.mesh.sidecar("client")
    story.peer = story.own(Source(story.mesh.peer, TestAuthority.of(story.mesh.control).leaf(WEB)))
    story.sockets = []


def _dial(story):
    story.sockets.append(story.mesh.client.connect(story.mesh.peer.ipv4, 80, uid=1000))
    story.sockets[-1].sendall(b"?")


def _resident_kib(story):
    with open("/proc/%d/status" % story.client.process.pid) as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS"))


def finding_t9_the_first_window_is_100_kb(story):
    _dial(story)
    wait_until("the first window", lambda: story.peer.firsts, 10)
    expect(story.peer.firsts[0] >= 100_000, "the first window is %d bytes" % story.peer.firsts[0])


@needs(finding_t9_the_first_window_is_100_kb)
def finding_t9_memory_stays_below_the_stated_bound(story):
    before = _resident_kib(story)
    for _ in range(STREAMS - 1):
        _dial(story)
    wait_until("all streams", lambda: len(story.peer.authorities) == STREAMS, 20)
    seen = [(-1, 0.0)]

    def is_blocked():
        if story.peer.sent != seen[0][0]:
            seen[0] = (story.peer.sent, time.monotonic())
        return time.monotonic() - seen[0][1] > 0.7

    wait_until("the peer to be out of credit", is_blocked, 30, 0.05)
    grown = _resident_kib(story) - before
    story.note = "%d KiB more for %d streams, of a bound of %d" % (grown, STREAMS, BOUND_KIB)
    print("      " + story.note, flush=True)
    expect(grown < BOUND_KIB + OTHER_KIB, story.note)
    for sock in story.sockets:
        sock.close()
    wait_until("all streams to be closed", lambda: not story.client.admin("/connections")["connections"], 10)
