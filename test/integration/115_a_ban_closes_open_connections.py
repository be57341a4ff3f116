"""A ban closes the open connections and idle tunnels of that identity within two seconds, and no others.

    friend --tunnel--> server: [sidecar] -> echo
    banned --tunnel-->

Withdrawn roots and revocation lists have the same effect (sidecar/tunnel, certs: finding_t7_...; stories 210 and 214).
Rows: T7."""

import time

from handfast_harness import Mesh, StreamServer, TestAuthority, expect, expect_eq, identity_of, wait_until
from handfast_harness import stream
from peers import hbone

AT_ONCE_S = 2.0


def arrange(story):
    story.mesh = Mesh(story, hosts=("friend", "banned", "server"), outsiders=("raw",), leaf_ttl="1h")
    story.own(StreamServer(story, story.mesh.server, 9000, "echo"))
    story.ca = TestAuthority.of(story.mesh.control)


def _connect(story, name):
    sock = story.mesh.net.hosts[name].connect(story.mesh.server.ipv4, 9000, uid=1000, timeout_s=8)
    _passes(sock)
    return sock


def _passes(sock):
    sock.sendall(b"x")
    expect_eq(stream.receive_exactly(sock, 1), b"x", "echo")


def _tunnels_of(story, name):
    return [row for row in story.mesh.sidecar("server").admin("/tunnels")["tunnels"] if row["peer"] == identity_of(name)]


def finding_t7_a_ban_closes_connections_and_tunnels_of_that_identity_and_no_other(story):
    live = {name: _connect(story, name) for name in ("friend", "banned")}
    leaf = story.ca.leaf(identity_of("banned"))
    with hbone.Client(story.mesh.net.raw, story.mesh.server.ipv4, leaf) as idle:  # never closes by itself
        expect_eq(idle.exchange(story.mesh.server.ipv4 + ":9000", b"y").data, b"y", "echo")
        expect(len(_tunnels_of(story, "banned")) >= 2, "the tunnels are not open")
        story.mesh.control.run("ban", identity_of("banned"))
        started = time.monotonic()
        expect_eq(stream.receive_all(live["banned"]), (b"", "reset"), "the banned identity's connection")
        wait_until("the banned identity's tunnels to be closed", lambda: not _tunnels_of(story, "banned"), AT_ONCE_S)
        expect(time.monotonic() - started < AT_ONCE_S, "it took %.1f s" % (time.monotonic() - started))
    story.mesh.sidecar("server").wait_for_access(reason="withdrawn", source_id=identity_of("banned"))
    _passes(live["friend"])
    expect_eq(story.mesh.sidecar("server").access_log(reason="withdrawn", source_id=identity_of("friend")), [],
              "connections of the friend that were closed")
    with _connect(story, "friend"):
        pass


def _is_in_use(story, epoch):
    return all(story.mesh.sidecar(name).admin("/certs")["epoch"]["counter"] == epoch for name in ("friend", "server"))


def shows_that_a_change_of_trust_replaces_no_tunnel_that_it_does_not_concern(story):
    """Else each ban, and each root of a partner, would have every tunnel of the mesh made anew."""
    opened = lambda: [story.mesh.sidecar(name).metric("handfast_tunnels_opened_total") for name in ("friend", "server")]
    with _connect(story, "friend") as standing:
        before, epoch = opened(), story.mesh.control.metrics()["handfast_control_trust_epoch"]
        story.mesh.control.run("ban", identity_of("absent"))
        wait_until("the trust of after the ban", lambda: _is_in_use(story, epoch + 1), 10)
        with _connect(story, "friend"):
            expect_eq(opened(), before, "tunnels opened by friend and server")
        _passes(standing)
