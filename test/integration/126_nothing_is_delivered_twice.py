"""Two endpoints of a service receive a connection's bytes, and then accept, refuse or break it at random. Bytes that
may have been delivered are never sent again, and bytes that certainly were not reach the other endpoint.

    client: app -> [sidecar] ==tunnel==> one: python3-h2
                             ==tunnel==> two: python3-h2      both are spiffe://.../sa/web

Rows: P8."""

import concurrent.futures
import random
import threading

import h2.events

from handfast_harness import Mesh, TestAuthority, expect, expect_eq, identity_of, wait_until
from handfast_harness import stream
from peers import hbone

SERVICE, WEB = "203.0.113.200", identity_of("web")
CALLS = 200
UNDELIVERED = ("503", "refused")


class Fickle(hbone.Server):
    """Decides about a stream when its first bytes arrive; `seen`: the outcomes per call, shared by both endpoints."""

    def __init__(self, host, identity, seed, seen):
        self.random, self.seen = random.Random(seed), seen
        self.decided = {}
        super().__init__(host, identity)

    def _take(self, engine, event):
        if not isinstance(event, h2.events.DataReceived) or not event.data:
            return
        engine.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        key = id(engine), event.stream_id
        if key in self.decided:
            return
        how = self.decided[key] = self.random.choice(("accepted", "accepted", "503", "503", "refused", "broken"))
        self.seen.add(event.data[:8], how)
        if how == "accepted":
            engine.send_headers(event.stream_id, [(":status", "200")])
            engine.send_data(event.stream_id, event.data[:8], end_stream=True)
        elif how == "503":
            engine.send_headers(event.stream_id, [(":status", "503"), ("handfast-reason", "connect_refused")],
                                end_stream=True)
        else:
            engine.reset_stream(event.stream_id, hbone.REFUSED_STREAM if how == "refused" else hbone.CANCEL)


class Seen:
    def __init__(self):
        self._lock, self.of = threading.Lock(), {}

    def add(self, call, how):
        with self._lock:
            self.of.setdefault(call, []).append(how)


def arrange(story):
    story.mesh = Mesh(story, hosts=("client",), outsiders=("one", "two"), leaf_ttl="1h", start=False,
                      services=[{"name": "web", "address": SERVICE, "ports": [{"port": 80, "target": 8080}],
                                 "identity": WEB}])
    ends = [story.mesh.net.hosts[name] for name in ("one", "two")]
    story.mesh.control.configure(entries=[{"address": end.ipv4, "identity": WEB} for end in ends])
    story.mesh.start()
    ca = TestAuthority.of(story.mesh.control)
    story.seen = Seen()
    story.ends = [story.own(Fickle(end, ca.leaf(WEB), 126 + i, story.seen)) for i, end in enumerate(ends)]


def _call(story, number):
    """The answer to this call and its end. Some calls send more than is buffered for a retry."""
    data = (b"%08d" % number) + bytes((0, 1000, 25_000, 60_000)[number % 4])
    try:
        with story.mesh.client.connect(SERVICE, 80, uid=1000, timeout_s=15) as sock:
            sock.sendall(data)
            return stream.receive_all(sock)
    except (ConnectionResetError, BrokenPipeError):
        return b"", "reset"


def finding_p8_possibly_delivered_bytes_are_sent_once_and_others_are_retried(story):
    with concurrent.futures.ThreadPoolExecutor(10) as pool:
        got = dict(enumerate(pool.map(lambda number: _call(story, number), range(CALLS))))
    wait_until("both endpoints to be used", lambda: all(end.decided for end in story.ends), 5)
    for number, outcome in got.items():
        call = b"%08d" % number
        seen = story.seen.of.get(call, [])
        expect(all(how in UNDELIVERED for how in seen[:-1]), "call %d was sent again after %s" % (number, seen))
        expect_eq(outcome, (call, "fin") if seen[-1:] == ["accepted"] else (b"", "reset"), "call %d, %s" % (number, seen))
    tried_again = sum(len(seen) > 1 for seen in story.seen.of.values())
    expect(tried_again > CALLS / 10, "only %d of %d were tried again" % (tried_again, CALLS))
    served = sum(outcome[1] == "fin" for outcome in got.values())
    expect(served > CALLS / 3, "only %d of %d were served" % (served, CALLS))
