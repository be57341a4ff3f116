"""Inbound connections share one source address and few local ports. Open connections are not affected by others:
neither by refused ones, when the application has closed its listener and serves its open connections, nor by many short
ones beside one that its caller has half-closed.

    client: sockets of the story -> [sidecar] ==tunnel==> server: [sidecar, 256 local ports] -> the story's own server

Rows: P3, P6."""

import contextlib
import socket

from handfast_harness import Mesh, expect, expect_eq
from handfast_harness import stream

PORT = 9001
HALF_CLOSED, OTHERS = 3, 400
STANDING, REFUSED = 60, 120
DEADLINE_S = 180


def arrange(story):
    story.mesh = Mesh(story, leaf_ttl="1h", start=False)
    story.mesh.server.sysctl("net/ipv4/ip_local_port_range", "40000 40255")
    story.mesh.start()
    story.listening = story.mesh.server.listen("0.0.0.0", PORT)
    story.listening.settimeout(10)


def _connect(story, held):
    near = held.enter_context(story.mesh.client.connect(story.mesh.server.ipv4, PORT, uid=1000))
    far = held.enter_context(story.listening.accept()[0])
    far.settimeout(10)
    near.settimeout(10)
    return near, far


def _come_and_go(story, num):
    """Short connections that their caller ends first; returns how many were complete."""
    whole = 0
    for _ in range(num):
        with contextlib.suppress(OSError), contextlib.ExitStack() as held:
            near, far = _connect(story, held)
            near.shutdown(socket.SHUT_WR)
            far.recv(1)
            far.sendall(b"x")
            far.shutdown(socket.SHUT_WR)
            whole += stream.receive_all(near) == (b"x", "fin")
    return whole


def finding_p6_a_late_answer_on_a_half_closed_connection_arrives(story):
    with contextlib.ExitStack() as held:
        waiting = [_connect(story, held) for _ in range(HALF_CLOSED)]
        for near, far in waiting:
            near.sendall(b"question")
            near.shutdown(socket.SHUT_WR)
            expect_eq(stream.receive_all(far), (b"question", "fin"), "the question")
        whole = _come_and_go(story, OTHERS)
        expect(whole >= 200, "%d of %d were whole meanwhile" % (whole, OTHERS))  # ports may run out in this small range
        for near, far in waiting:
            far.sendall(b"late answer")
            far.shutdown(socket.SHUT_WR)
            expect_eq(stream.receive_all(near), (b"late answer", "fin"), "the answer")


def _is_refused(story):
    with contextlib.suppress(ConnectionResetError), \
            story.mesh.client.connect(story.mesh.server.ipv4, PORT, uid=1000) as sock:
        sock.settimeout(3)
        return stream.receive_all(sock) == (b"", "reset")
    return True


def finding_p6_open_connections_stay_when_the_application_stops_listening(story):
    with contextlib.ExitStack() as held:
        standing = [_connect(story, held) for _ in range(STANDING)]
        story.listening.close()
        expect_eq(sum(_is_refused(story) for _ in range(REFUSED)), REFUSED, "refused at once, of %d" % REFUSED)
        alive = 0
        for near, far in standing:
            with contextlib.suppress(OSError):
                near.sendall(b"ping")
                alive += stream.receive_exactly(far, 4) == b"ping"
        expect_eq(alive, STANDING, "connections that are still open, of %d" % STANDING)
