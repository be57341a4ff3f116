"""Connections of a workload to itself: only those to its service address go through a tunnel.

    server: app -> 203.0.113.200:80 (its service)  -> [sidecar] ==tunnel to itself==> [sidecar] -> app:8080
            app -> its own address                 -> app, past the sidecar
            app -> 127.0.0.1, ::1                  -> app, past the sidecar
            [sidecar], for the client              -> app, past the rules"""

from handfast_harness import Mesh, StreamServer, expect_eq, identity_of, needs
from handfast_harness import stream

SERVICE = "203.0.113.200"


def arrange(story):
    story.mesh = Mesh(story, leaf_ttl="1h", services=[{
        "name": "web", "address": SERVICE, "ports": [{"port": 80, "target": 8080}], "identity": identity_of("server")}])
    story.app = story.own(StreamServer(story, story.mesh.server, 8080, "echo"))
    story.num_seen = 0


def _peer_of(story, host, address, port):
    """The peer address that the application sees when that host dials it there."""
    with host.connect(address, port, uid=1000) as sock:
        expect_eq(stream.exchange(sock, b"echo"), (b"echo", "fin"), "exchange with %s:%d" % (address, port))
    peer = story.app.wait_for_report(story.num_seen)["peer"][0]
    story.num_seen += 1
    return peer.replace("::ffff:", "")


def _streams(story):
    return story.mesh.sidecar("server").metric('handfast_streams_total{direction="inbound"}')


def shows_that_its_own_service_address_goes_through_a_tunnel_to_itself(story):
    server = story.mesh.server
    expect_eq(_peer_of(story, server, SERVICE, 80), "169.254.15.6", "the peer that the app sees")
    expect_eq(_streams(story), 1, "inbound streams")
    line = story.mesh.sidecar("server").wait_for_access(direction="inbound")
    expect_eq((line["source_id"], line["destination_id"]), (identity_of("server"),) * 2, "identities")


@needs(shows_that_its_own_service_address_goes_through_a_tunnel_to_itself)
def shows_that_its_own_address_and_loopback_bypass_the_sidecar(story):
    server = story.mesh.server
    for address in (server.ipv4, "127.0.0.1", server.ipv6, "::1"):
        expect_eq(_peer_of(story, server, address, 8080), address, "the peer that the app sees")
    expect_eq(_streams(story), 1, "inbound streams")


@needs(shows_that_its_own_service_address_goes_through_a_tunnel_to_itself)
def shows_that_the_sidecar_reaches_the_application_past_its_own_rules(story):
    expect_eq(_peer_of(story, story.mesh.client, story.mesh.server.ipv4, 8080), "169.254.15.6", "the peer that the app sees")
    expect_eq(_streams(story), 2, "inbound streams")
