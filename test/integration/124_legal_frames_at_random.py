"""Peers with valid identities send legal frames at random for ten seconds, as clients and as servers. Other connections
are not affected, and no state is left.

    raw: frames at random ==tunnels==> server: [sidecar] -> echo
    client: apps, and an honest load to server -> [sidecar] ==tunnels==> peer: frames at random

HANDFAST_SEED chooses another sequence. With HANDFAST_BIN at a build with sanitizers, their reports count.

Rows: L9, T1."""

import os
import threading
import time

from handfast_harness import Mesh, StreamServer, TestAuthority, expect, expect_eq, identity_of, needs, wait_until
from handfast_harness import stream
from handfast_harness.load import Load
from peers import random_frames

DEADLINE_S = 120
WEB = identity_of("web")
SECONDS = 10
SEED = int(os.environ.get("HANDFAST_SEED", "124"))


def arrange(story):
    story.mesh = Mesh(story, outsiders=("peer", "raw"), leaf_ttl="1h", start=False, sidecar={
        "access_log": "off", "log": {"level": "notice"}, "timeouts": {"connect": "3s"}})
    story.mesh.control.configure(entries=[{"address": story.mesh.peer.ipv4, "identity": WEB}])
    story.mesh.start()
    story.ca = TestAuthority.of(story.mesh.control)
    story.own(StreamServer(story, story.mesh.server, 9000, "echo"))
    story.sidecars = [story.mesh.sidecar(name) for name in ("client", "server")]


def _call_at_random(story, until, ended):
    """The app's calls to the hostile peer: each of them ends, in one way or another."""
    while time.monotonic() < until:
        try:
            with story.mesh.client.connect(story.mesh.peer.ipv4, 80, uid=1000, timeout_s=8) as sock:
                sock.sendall(bytes(5000))
                sock.settimeout(0.3)
                ended.append(stream.receive_all(sock)[1])
        except OSError as error:
            ended.append(type(error).__name__)


def finding_l9_random_legal_frames_affect_no_other_connection(story):
    until, ended = time.monotonic() + SECONDS, []
    callers = random_frames.Callers(story.mesh.raw, story.mesh.server.ipv4, story.ca.leaf(identity_of("raw")),
                                    "%s:9000" % story.mesh.server.ipv4, SEED, SECONDS)
    with random_frames.Called(story.mesh.peer, story.ca.leaf(WEB), SEED, SECONDS) as called, \
            Load(story.mesh.client, story.mesh.server.ipv4, 9000, num_clients=2, new_per_second=5) as load:
        apps = [threading.Thread(target=_call_at_random, args=(story, until, ended), daemon=True) for _ in range(4)]
        for app in apps:
            app.start()
        for app in apps:
            app.join(SECONDS + 15)
        callers.wait()
        load.end()
        expect(callers.num > 20 and called.handshakes > 20 and len(ended) > 20,
               "too few streams: %d, %d, %d" % (callers.num, called.handshakes, len(ended)))
    expect_eq(load.failures, [], "honest connections that failed (seed %d)" % SEED)
    expect(load.num_requests > 50 and load.num_connections > 10, "honest load: %d" % load.num_requests)


@needs(finding_l9_random_legal_frames_affect_no_other_connection)
def finding_l9_an_honest_request_is_served_at_once_afterwards(story):
    for sidecar in story.sidecars:
        expect_eq(sidecar.process.exit_code, None, "exit code of %s (seed %d)" % (sidecar.name, SEED))
    started = time.monotonic()
    with story.mesh.client.connect(story.mesh.server.ipv4, 9000, uid=1000) as sock:
        expect_eq(stream.exchange(sock, b"honest"), (b"honest", "fin"), "an honest request")
    # A lost segment is sent again after 1 s.
    expect(time.monotonic() - started < 3, "it took %.1f s" % (time.monotonic() - started))


def _left(sidecar):
    """Open connections, and tunnels with streams or with a closed peer."""
    tunnels = [one for one in sidecar.admin("/tunnels")["tunnels"]
               if one["streams"] or one["peer"] in (WEB, identity_of("raw"))]
    return [sidecar.metric("handfast_connections_active")] + tunnels


@needs(finding_l9_random_legal_frames_affect_no_other_connection)
def finding_l9_no_state_is_left(story):
    for sidecar in story.sidecars:
        wait_until("no state to be left (seed %d): %s" % (SEED, _left(sidecar)),
                   lambda one=sidecar: _left(one) == [0], 15, 0.2)
        for sign in ("Sanitizer", "runtime error:"):
            expect(sign not in sidecar.process.log(), "%s: a sanitizer reports (seed %d)" % (sidecar.name, SEED))
