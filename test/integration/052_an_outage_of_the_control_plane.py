"""The control plane is killed: nothing fails while certificates are valid, and nothing leaks when they expire.

    control (killed, started again) --- router --- client: load -> [sidecar] ==tunnel==> server: [sidecar] -> echo

Leaf certificates live 24 s, so renewals are due 12 to 16 s after the last."""

import re
import time

from handfast_harness import Capture, Mesh, StreamServer, expect, expect_eq, needs, wait_until
from handfast_harness import stream
from handfast_harness.load import Load

DEADLINE_S = 240
MARKER = b"marker-that-must-not-leave-in-plaintext"


def arrange(story):
    story.mesh = Mesh(story, leaf_ttl="24s")
    story.own(StreamServer(story, story.mesh.server, 9000, "echo"))
    story.client = story.mesh.sidecar("client")


def _time_to_expiry(story, of=min):
    found = [sidecar.identity() for sidecar in story.mesh.sidecars.values()]
    return of(identity["time_to_expiry_seconds"] if identity else 0 for identity in found)


def shows_that_an_outage_across_a_renewal_affects_no_connection(story):
    with Load(story.mesh.client, story.mesh.server.ipv4, 9000, num_clients=10) as load:
        serials = {name: sidecar.wait_for_rotation() for name, sidecar in story.mesh.sidecars.items()}
        wait_until("a moment shortly before a renewal", lambda: _time_to_expiry(story) <= 14, 30)
        story.mesh.control.kill()
        wait_until("a renewal to be overdue", lambda: _time_to_expiry(story) <= 7, 30)
        story.mesh.control.start()
        for name, sidecar in story.mesh.sidecars.items():
            expect_eq(sidecar.probe()[0], 200, "readiness of %s" % name)
            wait_until("%s to renew" % name, lambda: sidecar.serial() != serials[name], 30, 0.1)
        load.wait_for_requests()
    expect_eq(load.failures, [], "failures")


def shows_that_after_expiry_nothing_is_sent_and_both_report_it(story):
    with stream_of(story) as live:
        live.sendall(b"before")
        expect_eq(stream.receive_exactly(live, 6), b"before", "a connection while the certificates are valid")
        story.mesh.control.kill()
        wait_until("the certificates to expire", lambda: _time_to_expiry(story, max) == 0, 40, 0.1)
        wait_until("readiness to end", lambda: story.client.probe()[0] == 503, 5, 0.1)
        shown = story.client.host.run([story.binary("handfast"), "certs"]).stdout
        expect(re.match(r"\S+/client, EXPIRED at 2\S+Z\n", shown), "what certs begins with: %s" % shown[:200])
        with Capture(story, story.mesh.net.router, "to-client") as wire:
            expect_eq(stream.attempt(story.mesh.client, story.mesh.server.ipv4, 9000, MARKER), (b"", "reset"),
                      "a new connection")
        expect(not wire.contains(MARKER) and 9000 not in wire.ports(), "bytes left in plaintext")
        story.client.wait_for_access(reason="no_identity")
        live.sendall(b"still")
        expect_eq(stream.receive_exactly(live, 5), b"still", "a connection from before")


def stream_of(story):
    return story.mesh.client.connect(story.mesh.server.ipv4, 9000, uid=1000)


@needs(shows_that_after_expiry_nothing_is_sent_and_both_report_it)
def shows_that_everything_recovers_within_two_seconds_of_its_return(story):
    process = story.client.process
    story.mesh.control.start()
    back = time.monotonic()
    wait_until("both to be ready", lambda: all(sidecar.is_ready() for sidecar in story.mesh.sidecars.values()), 10)
    took = time.monotonic() - back
    expect(took < 2.0, "it took %.1f s" % took)
    with stream_of(story) as sock:
        expect_eq(stream.exchange(sock, b"healed"), (b"healed", "fin"), "a new connection")
    expect_eq((process is story.client.process, process.exit_code), (True, None), "the sidecar that ran before")
