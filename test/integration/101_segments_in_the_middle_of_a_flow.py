"""Inbound segments that conntrack cannot assign to a flow, and flows whose entries were flushed.

    client [sidecar] ====tunnel==== server [sidecar] -> app
                                     |
    stranger (no sidecar) -----------+   exchanges plaintext with the server's app; the client's app calls it

A firewall's reload empties conntrack's table (`conntrack -F`). Then the side that sends first determines how the rules
classify the flow.

Rows: P10, P11."""

import contextlib
import socket
import struct

from handfast_harness import Mesh, StreamServer, expect, expect_eq
from handfast_harness import conntrack, stream

DEADLINE_S = 180
ECHO_PORT, TWO_PORT = 8080, 8081


def arrange(story):
    story.mesh = Mesh(story, outsiders=("stranger",), leaf_ttl="1h",
                      control={"mesh": {"plaintext_networks": ["192.0.2.16/28", "2001:db8:4::/64"]}})
    story.client, story.server, story.stranger = story.mesh.client, story.mesh.server, story.mesh.stranger
    story.app = story.own(StreamServer(story, story.server, ECHO_PORT, "echo"))


def _each(host):
    return host.ipv4, host.ipv6


def _passes(sender, receiver, data):
    sender.sendall(data)
    expect_eq(stream.receive_exactly(receiver, len(data)), data, "what arrived")


@contextlib.contextmanager
def _connection(story, dialing, listening, address):
    """Both apps' ends of one connection that has carried bytes."""
    with listening.listen("::", TWO_PORT) as listener, dialing.connect(address, TWO_PORT, uid=1000, timeout_s=15) as caller:
        caller.sendall(b"hello")
        called, _ = listener.accept()
        with called:
            called.settimeout(15)
            expect_eq(stream.receive_exactly(called, 5), b"hello", "bytes at the called app")
            yield caller, called


def _next_expected(sock):
    """The number that the kernel expects next on this connection, by TCP_REPAIR (linux/tcp.h)."""
    repair, repair_queue, queue_seq = 19, 20, 21
    sock.setsockopt(socket.IPPROTO_TCP, repair, 1)
    sock.setsockopt(socket.IPPROTO_TCP, repair_queue, 1)  # what was received
    number = sock.getsockopt(socket.IPPROTO_TCP, queue_seq) & 0xFFFFFFFF
    sock.setsockopt(socket.IPPROTO_TCP, repair, -1)
    return number


def _inject(story, sock, flags):
    """One segment of the stranger's open connection with a sequence number far outside every window. Its acknowledgment
    number is valid, so the stranger's kernel would accept a reset in answer to it."""
    source, destination, acknowledged = sock.getsockname()[:2], sock.getpeername()[:2], _next_expected(sock)
    family = socket.AF_INET6 if ":" in source[0] else socket.AF_INET
    segment = struct.pack(">HHIIBBHHH", source[1], destination[1], 0x70000000, acknowledged, 5 << 4, flags, 8192, 0, 0)
    with story.stranger.entered():
        sock = socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_TCP)
    with sock:
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, 7, 16)  # IPV6_CHECKSUM: the kernel writes it
        else:
            pseudo = socket.inet_aton(source[0]) + socket.inet_aton(destination[0]) + struct.pack(">BBH", 0, 6, len(segment))
            total = sum(struct.unpack(">16H", pseudo + segment))
            total = (total & 0xFFFF) + (total >> 16)
            segment = segment[:16] + struct.pack(">H", ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF) + segment[18:]
        sock.sendto(segment, (destination[0], 0))


def finding_p10_a_segment_outside_the_window_does_not_end_a_plaintext_connection(story):
    for address in _each(story.server):
        with story.stranger.connect(address, ECHO_PORT) as sock:
            for flags in range(64):
                _inject(story, sock, flags)
                sock.sendall(b"%02d" % flags)
                expect_eq(stream.receive_exactly(sock, 2), b"%02d" % flags, "echo after a segment with flags %d" % flags)


def finding_p11_a_tunnel_survives_a_flush_whichever_side_sends_first(story):
    for address in _each(story.server):
        for flushed in (story.client, story.server):
            for app_first in (True, False):
                with _connection(story, story.client, story.server, address) as (caller, called):
                    conntrack.flush(flushed)
                    if app_first:
                        _passes(caller, called, b"the caller sends first")
                        _passes(called, caller, b"and is answered")
                    else:
                        called.sendall(b"the called side sends first!")
                        with story.client.connect(address, ECHO_PORT, uid=1000) as sock:
                            expect_eq(stream.exchange(sock, b"new"), (b"new", "fin"), "a new connection after it")
                        caller.sendall(b"and so does the caller")
                        expect_eq(stream.receive_exactly(caller, 28), b"the called side sends first!",
                                  "what was sent first")
                        expect_eq(stream.receive_exactly(called, 22), b"and so does the caller", "the answer")


def finding_p11_a_waiting_app_gets_its_answer_by_its_own_keepalive(story):
    for address in _each(story.server):
        with _connection(story, story.client, story.server, address) as (caller, called):
            for option, value in ((socket.TCP_KEEPIDLE, 1), (socket.TCP_KEEPINTVL, 1)):
                caller.setsockopt(socket.IPPROTO_TCP, option, value)
            caller.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            conntrack.flush(story.client)
            _passes(called, caller, b"the answer to a long question")


def finding_p11_plaintext_survives_a_flush_whichever_side_sends_first(story):
    pairs = [(story.client, story.stranger, story.client), (story.stranger, story.server, story.server)]
    for dialing, listening, flushed in pairs:
        for address in _each(listening):
            for caller_first in (True, False):
                with _connection(story, dialing, listening, address) as (caller, called):
                    conntrack.flush(flushed)
                    first, second = (caller, called) if caller_first else (called, caller)
                    first.sendall(b"first")
                    second.sendall(b"second")
                    expect_eq(stream.receive_exactly(second, 5), b"first", "what was sent first after the flush")
                    expect_eq(stream.receive_exactly(first, 6), b"second", "what was sent second after the flush")


def finding_p11_excluded_ports_survive_a_flush_whichever_side_sends_first(story):
    init = story.binary("handfast-init")
    story.server.run([init, "up", "--exclude-inbound-ports", TWO_PORT])
    story.client.run([init, "up", "--exclude-outbound-ports", TWO_PORT])
    for dialing, flushed in ((story.stranger, story.server), (story.client, story.client), (story.client, story.server)):
        for address in _each(story.server):
            for caller_first in (True, False):
                with _connection(story, dialing, story.server, address) as (caller, called):
                    conntrack.flush(flushed)
                    first, second = (caller, called) if caller_first else (called, caller)
                    _passes(first, second, b"first after the flush")
                    _passes(second, first, b"and the answer")
    for host in (story.client, story.server):
        host.run([init, "up"])


def finding_p10_unredirected_traffic_is_refused(story):
    """Rules of another table that disable conntrack must not bypass the sidecar."""
    num_seen = len(story.app.reports())
    story.server.run(["nft", "table inet theirs { chain c { type filter hook prerouting priority raw; "
                             "tcp dport %d notrack; }; }" % ECHO_PORT])
    for address in _each(story.server):
        with contextlib.suppress(socket.timeout):
            story.stranger.connect(address, ECHO_PORT, timeout_s=0.3).close()
            expect(False, "plaintext bypassed the sidecar")
    story.server.run(["nft", "delete table inet theirs"])
    expect_eq(len(story.app.reports()), num_seen, "connections that the app saw")
    for address in _each(story.server):
        with story.stranger.connect(address, ECHO_PORT) as sock:
            expect_eq(stream.exchange(sock, b"again"), (b"again", "fin"), "echo once it is redirected again")
