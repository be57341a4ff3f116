"""All inbound connections reach the application from one address, and its ports are reused at once; when they run out,
the log reports it and other ports are not affected.

    client: sockets of the story -> [sidecar] ==tunnel==> server: [sidecar, 100 local ports] -> two servers

Rows: P6."""

import contextlib
import time

from handfast_harness import Mesh, StreamServer, expect, expect_eq, expect_in, wait_until

PORTS = 100
REUSED_AFTER_S = 1.2  # the kernel reuses a port in TIME_WAIT on loopback after a second
DEADLINE_S = 150


def arrange(story):
    story.mesh = Mesh(story, leaf_ttl="1h", start=False)
    story.mesh.server.sysctl("net/ipv4/ip_local_port_range", "40000 %d" % (40000 + PORTS - 1))
    story.mesh.start()
    for port in (9001, 9002):
        story.own(StreamServer(story, story.mesh.server, port, "echo"))


def _connect(story, port, address=None):
    return story.mesh.client.connect(address or story.mesh.server.ipv4, port, uid=1000)


def _try(story, port, address=None):
    """None if the reset arrives before connect() returns."""
    with contextlib.suppress(ConnectionResetError):
        return _connect(story, port, address)


def _answers(sock):
    try:
        sock.sendall(b"x")
        return sock.recv(1) == b"x"
    except ConnectionError:
        return False


def _many_in_turn(story, num, address=None):
    """Opens `num` short connections in turn, each closed by the caller first. Returns how many were answered."""
    answered = 0
    for _ in range(num):
        sock = _try(story, 9001, address)
        if sock:
            answered += _answers(sock)
            sock.close()
    return answered


def finding_p6_the_ports_of_closed_connections_are_reused(story):
    answered = 0
    for _ in range(4):
        answered += _many_in_turn(story, 65)
        time.sleep(REUSED_AFTER_S)  # duration: a closed port is reused after it
    expect_eq(answered, 260, "answered connections of 260")


def finding_p6_in_ipv6_further_addresses_are_used(story):
    """The kernel reuses no port in TIME_WAIT there; 100 ports of 100::6 and 100 of each of eight others."""
    expect_eq(_many_in_turn(story, 260, story.mesh.server.ipv6), 260, "answered connections of 260")


def finding_p6_exhausted_ports_are_reported_and_affect_no_other_port(story):
    mesh, sidecar = story.mesh, story.mesh.sidecar("server")
    held = list(filter(None, (_try(story, 9001) for _ in range(PORTS + 20))))
    answered = [_answers(sock) for sock in held]
    expect(PORTS - 5 <= sum(answered) <= PORTS, "%d of %d are answered" % (sum(answered), PORTS + 20))
    line = sidecar.wait_for_access(reason="ports_exhausted")
    expect_in("ip_local_port_range", line["detail"]["fix"], "what to do")
    expect_in("no local port is free", line["detail"]["got"], "the detail")
    mesh.sidecar("client").wait_for_access(reason="ports_exhausted")
    closed = 'handfast_connections_closed_total{direction="inbound",reason="ports_exhausted"}'
    wait_until("the metric to count it", lambda: sidecar.metric(closed) >= 20)
    with _connect(story, 9002) as other:
        took = []
        for _ in range(100):
            in_vain = _try(story, 9001)
            started = time.monotonic()
            expect(_answers(other), "a connection to another port")
            took.append(time.monotonic() - started)
            if in_vain:
                in_vain.close()
    took.sort()  # a busy machine delays single answers
    expect(took[89] < 0.5, "a tenth of the answers of another port took %.3f s and more meanwhile" % took[89])
    with _connect(story, 9002) as new:
        expect(_answers(new), "a new connection to another port")
    for sock in held:
        sock.close()
    wait_until("ports to be free again", lambda: _many_in_turn(story, 1) == 1, 15)
