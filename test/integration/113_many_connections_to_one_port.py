"""All inbound connections reach the application from one address, and its ports are used again at once; where they do run
out, the log says so and nobody else waits for it.

    client: sockets of the story's -> [sidecar] ==tunnel==> server: [sidecar, 100 local ports] -> two servers

Rows: P6."""

import contextlib
import time

from handfast_harness import Mesh, StreamServer, expect, expect_eq, expect_in, wait_until
from handfast_harness import stream

PORTS = 100
REUSED_AFTER_S = 1.2  # the kernel's own: a port in TIME_WAIT on loopback is free after a second
DEADLINE_S = 60


def arrange(story):
    story.mesh = Mesh(story, leaf_ttl="1h", start=False)
    story.mesh.server.sysctl("net/ipv4/ip_local_port_range", "40000 %d" % (40000 + PORTS - 1))
    story.mesh.start()
    for port in (9001, 9002):
        story.own(StreamServer(story, story.mesh.server, port, "echo"))


def _connect(story, port, address=None):
    return story.mesh.client.connect(address or story.mesh.server.ipv4, port, uid=1000)


def _try(story, port, address=None):
    """None where the reset is there before connect() returns."""
    with contextlib.suppress(ConnectionResetError):
        return _connect(story, port, address)


def _answers(sock):
    try:
        sock.sendall(b"x")
        return sock.recv(1) == b"x"
    except ConnectionError:
        return False


def _many_in_turn(story, num, address=None):
    """How many of so many short connections, one after the other, are answered; the caller closes first."""
    answered = 0
    for _ in range(num):
        sock = _try(story, 9001, address)
        if sock:
            answered += _answers(sock)
            sock.close()
    return answered


def finding_p6_the_ports_of_ended_connections_are_used_again(story):
    answered = 0
    for _ in range(4):
        answered += _many_in_turn(story, 65)
        time.sleep(REUSED_AFTER_S)
    expect_eq(answered, 260, "answered connections of 260")


def finding_p6_in_ipv6_the_spare_addresses_take_over(story):
    """The kernel reuses no port in TIME_WAIT there; 100 ports of 100::6 and 100 of each of eight others."""
    expect_eq(_many_in_turn(story, 260, story.mesh.server.ipv6), 260, "answered connections of 260")


def finding_p6_out_of_ports_is_said_and_holds_up_nobody(story):
    mesh, sidecar = story.mesh, story.mesh.sidecar("server")
    held = list(filter(None, (_try(story, 9001) for _ in range(PORTS + 20))))
    answered = [_answers(sock) for sock in held]
    expect(PORTS - 5 <= sum(answered) <= PORTS, "%d of %d are answered" % (sum(answered), PORTS + 20))
    line = sidecar.wait_for_access(reason="ports_exhausted")
    expect_in("ip_local_port_range", line["why"]["fix"], "what to do")
    expect_in("no local port is free", line["why"]["got"], "what happened")
    mesh.sidecar("client").wait_for_access(reason="ports_exhausted")
    expect(sidecar.metric('handfast_connections_closed_total{direction="inbound",reason="ports_exhausted"}') >= 20,
           "the metric does not say so")
    with _connect(story, 9002) as other:
        slowest = 0.0
        for _ in range(100):
            in_vain = _try(story, 9001)
            started = time.monotonic()
            expect(_answers(other), "another port's connection")
            slowest = max(slowest, time.monotonic() - started)
            if in_vain:
                in_vain.close()
    expect(slowest < 0.5, "another port's answer took %.3f s meanwhile" % slowest)
    with _connect(story, 9002) as new:
        expect(_answers(new), "a new connection to another port")
    for sock in held:
        sock.close()
    wait_until("ports to be free again", lambda: _many_in_turn(story, 1) == 1, 5)
