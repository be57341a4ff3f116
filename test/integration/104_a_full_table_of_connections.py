"""The conntrack table is full: new connections fail, open ones keep working, and nothing leaves in plaintext.

    client: app -> [rules, full table] [sidecar] --- router (a capture) --- server [sidecar] -> echo

Rows: P1."""

import contextlib

from handfast_harness import Mesh, StreamServer, expect, expect_eq, needs, needs_earlier
from handfast_harness import conntrack, stream
from handfast_harness.capture import Capture

DEADLINE_S = 180
PORT = 7002


def arrange(story):
    story.mesh = Mesh(story, leaf_ttl="1h")
    story.client, story.server = story.mesh.client, story.mesh.server
    story.own(StreamServer(story, story.server, PORT, "echo"))
    story.wire = story.own(Capture(story, story.mesh.net.router, "to-client"))
    story.addresses = story.server.ipv4, story.server.ipv6


def _open(story, address):
    sock = story.client.connect(address, PORT, uid=1000)
    sock.sendall(b"open")
    expect_eq(stream.receive_exactly(sock, 4), b"open", "echo")
    return sock


def finding_p1_a_full_table_drops_new_connections_and_keeps_open_ones(story):
    story.markers = [b"<<full table, new %d>>" % number for number in range(2)]
    open_before = [_open(story, address) for address in story.addresses]
    expect(conntrack.fill(story, story.client), "the table of connections is full")
    for address, marker in zip(story.addresses, story.markers):
        with contextlib.suppress(OSError), story.client.connect(address, PORT, uid=1000, timeout_s=0.3) as late:
            late.sendall(marker)
            expect(False, "a new connection with a full table")
    for sock in open_before:
        with sock:
            marker = b"<<full table, open>>"
            expect_eq(stream.exchange(sock, marker), (marker, "fin"), "a connection that is in the table")
            story.markers.append(marker)


@needs(finding_p1_a_full_table_drops_new_connections_and_keeps_open_ones)
def finding_p1_new_connections_work_again_afterwards(story):
    conntrack.flush(story.client)
    for address in story.addresses:
        _open(story, address).close()


@needs_earlier
def finding_p1_nothing_left_in_plaintext(story):
    story.wire.stop()
    expect(len(story.wire.packets()) > 50, "the capture has too few packets")
    expect_eq([marker for marker in story.markers if story.wire.contains(marker)], [], "markers that left in plaintext")
