"""Tries every known way for a byte of a meshed workload to leave in plaintext; a capture outside the pod checks each.

    client: app -> [rules] [sidecar] --- router (captured here) --- server [sidecar] -> app
                                            |
                                            --- stranger (no sidecar; declared plain)

Each attempt sends a marker of its own. The capture runs from the first to the last and must contain none; a second
capture shows that a marker is found once the guard is removed.

Rows: P1."""

import contextlib
import itertools
import signal
import socket
import struct
import threading

from handfast_harness import Mesh, StreamServer, expect, expect_eq, needs, needs_earlier, wait_until
from handfast_harness import conntrack, settings, stream
from handfast_harness.capture import Capture

DEADLINE_S = 240
FIN_PORT, ECHO_PORT, PLAIN_PORT = 7001, 7002, 7003
_VISIBLE = b"plaintext by intent"
_MORE = 0x8000  # MSG_MORE: the bytes are held back, here until the FIN


def arrange(story):
    plain = ["192.0.2.16/28", "2001:db8:4::/64"]
    story.mesh = Mesh(story, outsiders=("stranger",), leaf_ttl="1h",
                      control={"mesh": {"plaintext_networks": plain}})
    story.client, story.server, story.stranger = story.mesh.client, story.mesh.server, story.mesh.stranger
    story.own(StreamServer(story, story.server, FIN_PORT, "fin"))
    story.own(StreamServer(story, story.server, ECHO_PORT, "echo"))
    story.own(StreamServer(story, story.stranger, PLAIN_PORT, "echo"))
    story.markers = []
    story.wire = story.own(Capture(story, story.mesh.net.router, "to-client"))
    for host in (story.server, story.stranger):
        for address in _each(host):
            with story.client.connect(address, ECHO_PORT if host is story.server else PLAIN_PORT, uid=1000) as sock:
                expect_eq(stream.exchange(sock, b"first"), (b"first", "fin"), "echo before the attempts")


def _each(host):
    return host.ipv4, host.ipv6


def _marker(story, name, address=""):
    marker = ("<<%s %s must not be seen>>" % (name, address)).encode()
    story.markers.append(marker)
    return marker


def _stopped(story, guard):
    """How many packets the guard has dropped so far."""
    words = story.client.run(["nft", "list", "chain", "inet", "handfast", guard]).stdout.split()
    return sum(int(words[at + 2]) for at, word in enumerate(words) if word == "counter" and words[at + 1] == "packets")


@contextlib.contextmanager
def _guard_must_stop(story, what, guard="outbound_guard"):
    before = _stopped(story, guard)
    yield
    wait_until("the guard to drop %s" % what, lambda: _stopped(story, guard) > before, interval_s=0.05)


def _send_late(story, address, marker):
    """The server closes its half, the conntrack entry expires, and the app sends its last bytes with its FIN."""
    story.client.sysctl("net/netfilter/nf_conntrack_tcp_timeout_close_wait", 1)
    with story.client.connect(address, FIN_PORT, uid=1000) as sock:
        expect_eq(sock.recv(1), b"", "the server's end")
        wait_until("the conntrack entry to expire", lambda: not conntrack.flows(story.client, FIN_PORT), interval_s=0.05)
        sock.send(marker, _MORE)


def _open_echo(story, address, port=ECHO_PORT):
    sock = story.client.connect(address, port, uid=1000)
    sock.sendall(b"open")
    expect_eq(stream.receive_exactly(sock, 4), b"open", "echo")
    return sock


def finding_p1_a_direct_connection_from_before_the_rules_is_reset(story):
    """Another table keeps conntrack active without our rules, so the flow has an entry without NAT. This comes first,
    since without the rules the leftovers of earlier attempts would leave."""
    story.client.run(["nft", "table inet theirs { chain c { type filter hook output priority 0; ct state new counter; }; }"])
    init = story.binary("handfast-init")
    for address in _each(story.stranger):
        story.client.run([init, "down"])
        with story.client.connect(address, PLAIN_PORT, uid=1000) as sock:
            sock.sendall(_VISIBLE)
            expect_eq(stream.receive_exactly(sock, len(_VISIBLE)), _VISIBLE, "without rules")
            story.client.run([init, "up"])
            sock.sendall(_marker(story, "open before up", address))
            expect_eq(stream.receive_all(sock), (b"", "reset"), "a direct connection after up")
    story.client.run(["nft", "delete table inet theirs"])


def finding_p1_late_data_of_an_expired_conntrack_entry_is_dropped(story):
    for address in _each(story.server):
        with _guard_must_stop(story, "late data to " + address):
            _send_late(story, address, _marker(story, "late data", address))


def finding_p1_after_a_flush_the_flow_reaches_its_sidecar_again(story):
    for address in _each(story.server):
        with _open_echo(story, address) as sock:
            conntrack.flush(story.client)
            marker = _marker(story, "after conntrack -F", address)
            expect_eq(stream.exchange(sock, marker), (marker, "fin"), "echo after conntrack -F")


def finding_p1_after_a_flush_without_tcp_loose_the_flow_is_dropped(story):
    """With nf_conntrack_tcp_loose=0 a flushed flow gets no new entry, so each byte of the app would leave unchanged."""
    story.client.sysctl("net/netfilter/nf_conntrack_tcp_loose", 0)
    for address in _each(story.server):
        with _open_echo(story, address) as sock, _guard_must_stop(story, "data to " + address):
            conntrack.flush(story.client)
            sock.sendall(_marker(story, "tcp_loose=0", address))
    with _open_echo(story, story.server.ipv4):
        pass  # the sidecar's own connections are not affected
    story.client.sysctl("net/netfilter/nf_conntrack_tcp_loose", 1)


def _raw_segment(flags, marker):
    return struct.pack(">HHIIBBHHH", 33000 + flags, PLAIN_PORT, 1000, 2000, 5 << 4, flags, 8192, 0, 0) + marker


def _raw_sockets(story):
    """As root, which the rules do not exempt."""
    for family, address in ((socket.AF_INET, story.stranger.ipv4), (socket.AF_INET6, story.stranger.ipv6)):
        with story.client.entered():
            sock = socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_TCP)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, 7, 16)  # IPV6_CHECKSUM: the kernel writes it
        yield sock, address


def _checksum(data):
    total = sum(struct.unpack(">%dH" % ((len(data) + 1) // 2), data + b"\0" * (len(data) % 2)))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def _with_checksum(segment, source, destination):
    pseudo = socket.inet_aton(source) + socket.inet_aton(destination) + struct.pack(">BBH", 0, 6, len(segment))
    return segment[:16] + struct.pack(">H", _checksum(pseudo + segment)) + segment[18:]


def finding_p1_segments_with_any_flags_are_dropped(story):
    """All 64 combinations, with and without tcp_loose: segments that begin a flow for conntrack are redirected, others
    are dropped."""
    for loose in (0, 1):
        story.client.sysctl("net/netfilter/nf_conntrack_tcp_loose", loose)
        marker = _marker(story, "raw segments, loose=%d" % loose)
        for sock, address in _raw_sockets(story):
            with sock, _guard_must_stop(story, "raw segments"):
                for flags in range(64):
                    segment = _raw_segment(flags, marker)
                    if ":" not in address:
                        segment = _with_checksum(segment, story.client.ipv4, address)
                    with contextlib.suppress(PermissionError):  # EPERM: netfilter dropped it
                        sock.sendto(segment, (address, 0))


def finding_p1_a_socket_that_is_bound_to_an_interface_is_dropped(story):
    """After NAT the kernel routes again, through the interface to which the socket is bound. The app needs no
    privilege."""
    for address in _each(story.server):
        with _open_echo(story, address) as sock, _guard_must_stop(story, "data to " + address, "loopback_guard"):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"eth0\0")
            sock.sendall(_marker(story, "bound to an interface", address))


def finding_p1_data_in_a_syn_is_redirected_with_it(story):
    """TCP Fast Open without a cookie; and MPTCP, whose subflows the kernel opens."""
    story.client.sysctl("net/ipv4/tcp_fastopen", 0x5)
    for address in _each(story.server):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        marker = _marker(story, "fast open", address)
        with story.client.socket(family, uid=1000) as sock:
            sock.settimeout(5.0)
            sock.sendto(marker, socket.MSG_FASTOPEN, (address, ECHO_PORT))
            expect_eq(stream.receive_exactly(sock, len(marker)), marker, "echo of data in a SYN")
        marker = _marker(story, "mptcp", address)
        with story.client.entered(), socket.socket(family, socket.SOCK_STREAM, 262) as sock:  # IPPROTO_MPTCP
            sock.settimeout(5.0)
            sock.connect((address, ECHO_PORT))
            expect_eq(stream.exchange(sock, marker), (marker, "fin"), "echo over MPTCP")


def finding_p1_a_flow_that_is_not_tracked_is_refused(story):
    story.client.run(["nft", "table inet theirs { chain c { type filter hook output priority raw; "
                             "tcp dport %d notrack; }; }" % PLAIN_PORT])
    for address in _each(story.stranger):
        expect_eq(stream.attempt(story.client, address, PLAIN_PORT, _marker(story, "notrack", address))[1], "refused",
                  "a dial that conntrack does not see")
    story.client.run(["nft", "delete table inet theirs"])


def finding_p1_a_flow_that_other_rules_translate_first_is_refused(story):
    story.client.run(["nft", "table inet theirs { chain c { type nat hook output priority -150; "
                             "ip daddr %s tcp dport 7999 dnat ip to %s:%d; }; }" %
                      (story.stranger.ipv4, story.stranger.ipv4, PLAIN_PORT)])
    marker = _marker(story, "dnat of another table")
    expect_eq(stream.attempt(story.client, story.stranger.ipv4, 7999, marker)[1], "refused", "a flow that other rules translate")
    story.client.run(["nft", "delete table inet theirs"])


def finding_p1_rewriting_rules_under_traffic_leaves_no_gap(story):
    failures, ended, calls = [], threading.Event(), []

    def call(address, marker):
        while not ended.is_set():
            try:
                with story.client.connect(address, ECHO_PORT, uid=1000) as sock:
                    if stream.exchange(sock, marker) != (marker, "fin"):
                        failures.append(address)
                calls.append(address)
            except OSError as error:
                failures.append(error)

    callers = [threading.Thread(target=call, args=(address, _marker(story, "rewritten rules", address)))
               for address in _each(story.server)]
    for caller in callers:
        caller.start()
    for number in itertools.count():
        story.client.run([story.binary("handfast-init"), "up", "--exclude-outbound-ports", 9000 + number])
        if number >= 9 and (len(calls) > 10 or failures):
            break
    ended.set()
    for caller in callers:
        caller.join()
    story.client.run([story.binary("handfast-init"), "up"])
    expect_eq(failures, [], "calls that failed while rules were written again")


def _icmp_redirect(story, gateway):
    """An ICMP redirect to the client, as from its router: packets for the server go to `gateway`."""
    inner = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 40, 0, 0, 64, 6, 0, socket.inet_aton(story.client.ipv4),
                        socket.inet_aton(story.server.ipv4)) + struct.pack(">HHI", 40000, ECHO_PORT, 0)
    body = struct.pack(">4s", socket.inet_aton(gateway)) + inner
    return struct.pack(">BBH", 5, 1, _checksum(struct.pack(">BBH", 5, 1, 0) + body)) + body


def finding_p1_icmp_redirects_change_nothing(story):
    for name in ("all", "eth0"):
        story.client.sysctl("net/ipv4/conf/%s/accept_redirects" % name, 1)
        story.client.sysctl("net/ipv4/conf/%s/secure_redirects" % name, 0)
    with _open_echo(story, story.server.ipv4) as sock, story.mesh.net.router.entered(), \
            socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as router:
        for _ in range(5):
            router.sendto(_icmp_redirect(story, "198.51.100.3"), (story.client.ipv4, 0))
        marker = _marker(story, "icmp redirect")
        expect_eq(stream.exchange(sock, marker), (marker, "fin"), "echo after ICMP redirects")


def finding_p1_a_changed_policy_closes_plaintext_connections(story):
    """Plaintext to the stranger was allowed and no longer is; the app keeps sending."""
    plain = story.mesh.control.settings["mesh"]["plaintext_networks"]
    socks = [_open_echo(story, address, PLAIN_PORT) for address in _each(story.stranger)]
    story.mesh.control.reload({"mesh": {"require_mtls_networks": plain}})
    for sock in socks:
        with sock, contextlib.suppress(ConnectionResetError, BrokenPipeError):
            expect(stream.receive_all(sock)[1] in ("fin", "reset"), "a connection that policy no longer allows stays open")
            sock.sendall(_marker(story, "after a changed policy"))
            sock.sendall(_marker(story, "after a changed policy, again"))
    for address in _each(story.stranger):
        expect(stream.attempt(story.client, address, PLAIN_PORT, _marker(story, "required", address))[1] != "fin",
               "plaintext where mesh.require_mtls_networks forbids it")
    story.mesh.control.reload({"mesh": {"require_mtls_networks": []}})


def finding_p1_a_stopped_sidecar_holds_sent_bytes(story):
    sidecar = story.mesh.sidecar("client")
    open_before = [_open_echo(story, address) for address in _each(story.server)]
    sidecar.process.signal(signal.SIGSTOP)
    for sock, address in zip(open_before, _each(story.server)):
        sock.sendall(_marker(story, "stopped sidecar", address))
        with story.client.connect(address, ECHO_PORT, uid=1000) as fresh:
            fresh.sendall(_marker(story, "stopped sidecar, new", address))
        conntrack.flush(story.client)
        sock.sendall(_marker(story, "stopped sidecar, flushed", address))
        sock.close()
    sidecar.process.signal(signal.SIGCONT)


def finding_p1_a_killed_sidecar_leaves_no_way_out(story):
    sidecar = story.mesh.sidecar("client")
    open_before = [_open_echo(story, address) for address in _each(story.server)]
    sidecar.kill()
    for sock, address in zip(open_before, _each(story.server)):
        with sock, contextlib.suppress(ConnectionResetError, BrokenPipeError):
            for number in range(3):
                sock.sendall(_marker(story, "killed sidecar %d" % number, address))
        expect_eq(stream.attempt(story.client, address, ECHO_PORT, _marker(story, "killed, new", address))[1],
                  "refused", "a dial without a sidecar")


@needs(finding_p1_a_killed_sidecar_leaves_no_way_out)
def finding_p1_the_same_with_outbound_mode_require(story):
    sidecar = story.mesh.sidecar("client")
    sidecar.settings = settings.merge(sidecar.settings, {"outbound": {"mode": "require"}})
    settings.write(sidecar.path, sidecar.settings)
    sidecar.start()
    for address in _each(story.stranger):
        expect(stream.attempt(story.client, address, PLAIN_PORT, _marker(story, "require", address))[1] != "fin",
               "plaintext in mode require")
    for address in _each(story.server):
        with _guard_must_stop(story, "late data to " + address):
            _send_late(story, address, _marker(story, "late data, require", address))


@needs_earlier
def finding_p1_the_capture_has_none_of_the_markers(story):
    story.wire.stop()
    expect(len(story.wire.packets()) > 500, "the capture has too few packets")
    expect(story.wire.contains(_VISIBLE), "the capture lacks bytes that were sent in plaintext by intent")
    seen = [marker for marker in story.markers if story.wire.contains(marker)]
    expect_eq(seen, [], "markers that left in plaintext")


def finding_p1_without_the_guard_the_capture_has_the_marker(story):
    story.client.run(["nft", "flush", "chain", "inet", "handfast", "outbound_guard"])
    markers = [_marker(story, "without the guard", address) for address in _each(story.server)]
    with Capture(story, story.mesh.net.router, "to-client") as wire:
        for address, marker in zip(_each(story.server), markers):
            _send_late(story, address, marker)
    for marker in markers:
        expect(wire.contains(marker), "without the guard the capture lacks %s" % marker)
