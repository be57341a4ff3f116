"""A reader that stops costs little kernel memory at its sidecars, in either direction.

    client: sockets that do not read -> [sidecar] ==tunnel==> server: [sidecar] -> sends without end; does not read

`ss` shows the kernel memory of each socket; the limits are those of base/net/socket.h: 128 KiB unsent and 208 KiB
unread, each plus the kernel's overhead. Rows: L15."""

import re

from handfast_harness import Mesh, StreamServer, expect, wait_until
from handfast_harness import stream

DEADLINE_S = 120
NUM = 20
KB = 1024
UNSENT_KB, UNREAD_KB = 2 * 128 + 128, 2 * 208 + 128  # with the kernel's overhead and the last segment
SENDERS_KB = 3000  # the application's own socket; 4 MB with segments as large as those of lo


def arrange(story):
    story.mesh = Mesh(story, leaf_ttl="1h")


def _held(host, local=None, remote=None):
    """(written and not acknowledged, received and not read) in KB, the most of any socket with those ports."""
    text = host.run(["ss", "-tmnHO", "state", "established"]).stdout
    held = [(0, 0)]
    for line in text.splitlines():
        ends = [address.rpartition(":") for address in line.split()[2:4]]
        memory = dict(re.findall(r"([a-z]+)(\d+)", line.partition("skmem:")[2]))
        if (local is None or ends[0][2] == str(local)) and (remote is None or ends[1][2] == str(remote)):
            held.append((int(memory["w"]) // KB, int(memory["r"]) // KB))
    return max(out for out, _ in held), max(into for _, into in held)


def _wait_until_full(story, count):
    """Waits until no more bytes move."""
    seen = []

    def is_full():
        seen.append(count())
        return len(seen) > 10 and len(set(seen[-10:])) == 1
    wait_until("everything to be full", is_full, 20, 0.1)


def finding_l15_callers_that_do_not_read(story):
    mesh = story.mesh
    story.own(StreamServer(story, mesh.server, 9001, "source", num_bytes=100_000_000))
    callers = [mesh.client.connect(mesh.server.ipv4, 9001, uid=1000) for _ in range(NUM)]
    for sock in callers:
        stream.receive_exactly(sock, 100_000)
    _wait_until_full(story, lambda: _held(mesh.client, local=15001) + _held(mesh.server, local=9001))
    unsent, _ = _held(mesh.client, local=15001)
    _, unread = _held(mesh.server, remote=9001)
    senders, _ = _held(mesh.server, local=9001)
    expect(unsent <= UNSENT_KB, "the caller's sidecar has %d KB unsent for a stopped reader" % unsent)
    expect(unread <= UNREAD_KB, "the server's sidecar has %d KB unread" % unread)
    expect(senders <= SENDERS_KB, "the sender wrote %d KB ahead" % senders)
    for sock in callers:
        stream.reset(sock)


def finding_l15_servers_that_do_not_read(story):
    mesh = story.mesh
    story.own(StreamServer(story, mesh.server, 9002, "hold"))
    callers = [mesh.client.connect(mesh.server.ipv4, 9002, uid=1000) for _ in range(NUM)]
    sent = [0] * NUM
    for sock in callers:
        sock.setblocking(False)

    def fill():
        for number, sock in enumerate(callers):
            try:
                sent[number] += sock.send(bytes(1 << 20))
            except BlockingIOError:
                pass
        return sum(sent)

    _wait_until_full(story, fill)
    _, unread = _held(mesh.client, local=15001)
    unsent, _ = _held(mesh.server, remote=9002)
    expect(unread <= UNREAD_KB, "the caller's sidecar has %d KB unread" % unread)
    expect(unsent <= UNSENT_KB, "the server's sidecar has %d KB unsent for a stopped reader" % unsent)
