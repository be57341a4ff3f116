"""Beside keepalived or HAProxy a program may bind to addresses of other hosts (ip_nonlocal_bind). A sidecar takes them for
its own no more than without.

    client: [sidecar, redirect] ==tunnel==> server: [sidecar, listener 80, no rules] -> echo
                                --plaintext--> stranger, port 15020 -> echo"""

from handfast_harness import Mesh, StreamServer, expect_eq, stream

OUTSIDE = "100.64.0.1"  # of the stranger, outside mesh.networks
PROBE_PORT = 15020  # of each sidecar


def arrange(story):
    mesh = story.mesh = Mesh(story, outsiders=("stranger",), leaf_ttl="1h", start=False)
    mesh.net.add_address("stranger", OUTSIDE)
    for host in (mesh.client, mesh.server):
        for family in ("ipv4", "ipv6"):
            host.sysctl("net/%s/ip_nonlocal_bind" % family, 1)
    mesh.start_control()
    mesh.start_sidecar("client")
    mesh.start_sidecar("server", rules=None, configuration={
        "interception": "none",
        "listeners": {"inbound": [{"port": 80, "to": "127.0.0.1:9000"}, {"port": 81, "to": "[::1]:9000"}]}})
    story.own(StreamServer(story, mesh.server, 9000, "echo"))
    story.own(StreamServer(story, mesh.stranger, PROBE_PORT, "echo"))


def shows_that_a_listener_without_rules_serves(story):
    for address, port in ((story.mesh.server.ipv4, 80), (story.mesh.server.ipv6, 81)):
        with story.mesh.client.connect(address, port, uid=1000) as sock:
            stream.ask(sock)


def shows_that_a_port_of_the_sidecar_at_another_host_is_no_loop(story):
    with story.mesh.client.connect(OUTSIDE, PROBE_PORT, uid=1000) as sock:
        stream.ask(sock)


def shows_that_a_host_without_rules_has_no_trace_of_them(story):
    answer = story.mesh.stranger.run([story.binary("handfast"), "check"], check=False)
    story.mesh.stranger.sysctl("net/ipv4/ip_nonlocal_bind", 1)
    again = story.mesh.stranger.run([story.binary("handfast"), "check"], check=False)
    expect_eq((again.returncode, again.stdout, again.stderr), (answer.returncode, answer.stdout, answer.stderr),
              "what handfast check reports")
