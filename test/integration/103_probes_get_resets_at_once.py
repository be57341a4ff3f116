"""connect() succeeds before the destination is reached; a later failure reaches the caller at once, as a reset.

    client: app -> [sidecar] --- server [sidecar] -> port without a listener       (meshed: its sidecar answers 503)
                            --- stranger: port without a listener                  (plain: the kernel answers RST)
    stranger -> server: port without a listener                                    (inbound, like a kubelet's probe)

Rows: P7, P9."""

import socket
import time

from handfast_harness import Mesh, StreamServer, expect, expect_eq
from handfast_harness import stream

CLOSED, OPEN = 7999, 8080
AT_ONCE_S = 2.0  # on a machine under load; a few milliseconds without load


def arrange(story):
    story.mesh = Mesh(story, outsiders=("stranger",), leaf_ttl="1h",
                      control={"mesh": {"plaintext_networks": ["192.0.2.16/28", "2001:db8:4::/64"]}})
    story.client, story.server, story.stranger = story.mesh.client, story.mesh.server, story.mesh.stranger
    for host in (story.server, story.stranger):
        story.own(StreamServer(story, host, OPEN, "echo"))
        for address in (host.ipv4, host.ipv6):
            with story.client.connect(address, OPEN, uid=1000) as sock:
                expect_eq(stream.exchange(sock, b"echo"), (b"echo", "fin"), "echo")


def _probe(host, address, port):
    """Connects and waits for the outcome. Returns the end and the seconds it took."""
    begun = time.monotonic()
    try:
        with host.connect(address, port, uid=1000, timeout_s=20.0) as sock:
            ended = stream.receive_all(sock)[1]
    except ConnectionResetError:  # so early that connect() itself fails
        ended = "reset"
    return ended, time.monotonic() - begun


def _is_reset_at_once(host, address):
    ended, seconds = _probe(host, address, CLOSED)
    expect_eq(ended, "reset", "a closed port of %s" % address)
    expect(seconds < AT_ONCE_S, "the reset came after %.1f s" % seconds)


def finding_p7_a_refusing_meshed_destination_resets_the_caller_at_once(story):
    for address in (story.server.ipv4, story.server.ipv6):
        _is_reset_at_once(story.client, address)
    story.mesh.sidecar("client").wait_for_access(direction="outbound", reason="connect_refused")


def finding_p7_a_refusing_plaintext_destination_resets_the_caller_at_once(story):
    for address in (story.stranger.ipv4, story.stranger.ipv6):
        _is_reset_at_once(story.client, address)


def finding_p7_an_inbound_probe_of_a_closed_port_is_reset_at_once(story):
    for address in (story.server.ipv4, story.server.ipv6):
        _is_reset_at_once(story.stranger, address)


def finding_p7_an_excluded_port_refuses_as_without_a_sidecar(story):
    """The documented way for probes that only connect."""
    story.server.run([story.binary("handfast-init"), "up", "--exclude-inbound-ports", CLOSED])
    for address in (story.server.ipv4, story.server.ipv6):
        try:
            story.stranger.connect(address, CLOSED).close()
            expect(False, "a closed port that is excluded accepted a connection")
        except ConnectionRefusedError:
            pass
    story.server.run([story.binary("handfast-init"), "up"])


def finding_p9_every_caller_has_the_sidecars_address(story):
    """As documented: there is no PROXY protocol and no TPROXY yet."""
    with story.server.listen("::", 9100, uid=1000) as listener:
        for address, seen in ((story.server.ipv4, "::ffff:169.254.15.6"), (story.server.ipv6, "100::6")):
            for caller in (story.client, story.stranger):
                with caller.connect(address, 9100, uid=1000):
                    sock, peer = listener.accept()
                    with sock:
                        expect_eq(peer[0], seen, "the peer that the app sees")


def finding_p9_an_excluded_port_shows_the_caller(story):
    """The documented way where the address matters more than encryption."""
    story.server.run([story.binary("handfast-init"), "up", "--exclude-inbound-ports", 9100])
    with story.server.listen("::", 9100, uid=1000) as listener, story.stranger.connect(story.server.ipv6, 9100) as sock:
        accepted, peer = listener.accept()
        with accepted:
            expect_eq(peer[0], story.stranger.ipv6, "the peer that the app sees")
            expect_eq(sock.family, socket.AF_INET6, "family")
    story.server.run([story.binary("handfast-init"), "up"])
