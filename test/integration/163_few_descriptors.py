"""A sidecar with a low descriptor limit reports how many connections it allows, and its own ports are served when they
are used up.

    stranger: 900 connections in plaintext from 6 addresses --> server: [sidecar, 700 descriptors] -> echo on 9000
    client: [sidecar] ==tunnel==> the same                      15020 is probed meanwhile

Rows: L14."""

import os

from handfast_harness import Mesh, StreamServer, expect, expect_eq, wait_until
from handfast_harness import fairness, stream
from peers import flood

DEADLINE_S = 300
DESCRIPTORS, WANTED, CARRIED = 700, 5000, 320


def arrange(story):
    story.mesh = Mesh(story, outsiders=("stranger", "outside"), leaf_ttl="1h", start=False, sidecars={
        "server": {"limits": {"max_connections": WANTED}}})
    story.mesh.start_control()
    story.mesh.start_sidecar("client")
    server = story.mesh.make_sidecar("server").intercept()
    few = story.folder("few") + "/handfast-sidecar"
    with open(few, "w") as script:
        script.write("#!/bin/sh\nulimit -n %d\nexec %s \"$@\"\n" % (DESCRIPTORS, server._binary))
    os.chmod(few, 0o755)
    server._binary = few
    server.start()
    story.own(StreamServer(story, story.mesh.server, 9000, "echo"))


def finding_l14_a_limit_above_what_the_descriptors_allow_is_lowered_with_a_warning(story):
    server = story.mesh.sidecar("server")
    expect("limits.max_connections is %d, but the descriptor limit of %d allows %d connections through tunnels" % (
        WANTED, DESCRIPTORS, CARRIED) in server.process.log(), "no warning in the log")
    settings = {row["key"]: row["value"] for row in server.admin("/config")["settings"]}
    expect_eq(str(settings["limits.max_connections"]), str(CARRIED), "limits.max_connections in force")


def finding_l14_the_probe_and_the_mesh_keep_their_descriptors(story):
    mesh, server = story.mesh, story.mesh.sidecar("server")
    sources = ["203.0.113.%d" % number for number in range(201, 207)]
    for address in sources:
        mesh.net.add_address("stranger", address)

    def ask():
        with mesh.client.connect(mesh.server.ipv4, 9000, uid=1000, timeout_s=5) as sock:
            sock.sendall(b"request")
            expect_eq(stream.receive_exactly(sock, 7), b"request", "echo")

    def probe():
        expect_eq(mesh.outside.http("http://%s:15020/healthz/ready" % mesh.server.ipv4)[0], 200, "readiness")
    attack = flood.connections(mesh.stranger, mesh.server.ipv4, 9000, per_second=500, most=900, sources=sources)

    def full(flood_under_way):
        wait_until("plaintext to be full", lambda: server.metric(
            'handfast_connections_full{direction="inbound_plain"}') == 1, 30)
    fairness.expect_unharmed("few descriptors", {"meshed": ask, "probe": probe}, lambda: fairness.Attack(attack), full,
                             per_second=30)
    expect("descriptors" not in server.process.log().split("limits.max_connections", 1)[1].split("\n", 1)[1],
           "it ran out of descriptors")
    expect(server.metric("handfast_listener_pauses_total") >= 1, "the pause is not counted")


def finding_l14_refusals_of_a_listener_are_logged_and_counted(story):
    """The limit of the running process is lowered: accepting pauses, callers are refused, and it recovers."""
    mesh, server = story.mesh, story.mesh.sidecar("server")
    allow = lambda number: mesh.server.run(  # as its own user: the soft limit alone
        ["prlimit", "--pid", server.process.pid, "--nofile=%d:" % number], uid=1337)

    def paused():
        """None is free: otherwise a later step refuses. One that is in use for a moment only is free after it."""
        used = {int(number) for number in os.listdir("/proc/%d/fd" % server.process.pid)}
        allow(min(set(range(len(used) + 1)) - used))
        return "accepting is paused; new connections wait and are then refused" in server.process.log()
    with fairness.Attack(flood.connections(mesh.stranger, mesh.server.ipv4, 9000, per_second=50, most=200)):
        wait_until("accepting to pause", paused, 30, 0.2)

        def refused():
            return stream.attempt(mesh.outside, mesh.server.ipv4, 9000, timeout_s=3)[1] == "reset"
        wait_until("a refusal", refused, 30)
        allow(DESCRIPTORS)
    wait_until("readiness", server.is_ready)
    wait_until("the count", lambda: server.metric("handfast_listener_refusals_total") >= 1)
