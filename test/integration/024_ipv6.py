"""IPv6 is carried as IPv4 is, from 2001:db8:2::2 to 2001:db8:3::2; the sidecars claim the addresses of both families.

    client (IPv6) -> [sidecar] ==tunnel over IPv6==> server: [sidecar] -> nginx:80, which sees 100::6

Rows: P9."""

import ipaddress

from handfast_harness import Capture, Mesh, Nginx, StreamServer, expect, expect_eq, expect_in, identity_of, needs
from handfast_harness import stream, wait_until
from handfast_harness.control_plane import SIDECAR_UID

MARKER = b"marker-in-ipv6\n"

DEADLINE_S = 480


def arrange(story):
    story.mesh = Mesh(story, leaf_ttl="20s")
    story.nginx = story.own(Nginx(story, story.mesh.server, 80, {"marker": MARKER}))
    story.own(StreamServer(story, story.mesh.server, 9000, "hash"))


def held(story, name):
    return {claim["address"] for claim in story.mesh.sidecar(name).admin("/certs")["addresses"] if claim["held"]}


def wait_until_both_are_held(story, name):
    host = story.mesh.net.hosts[name]
    # A family whose tries failed, as while the control plane was away, is tried again once per minute.
    wait_until("both addresses of %s to be claimed" % name, lambda: held(story, name) == {host.ipv4, host.ipv6}, 75.0)


def shows_that_each_family_is_claimed_by_a_stream_of_its_own(story):
    for name in ("client", "server"):
        wait_until_both_are_held(story, name)


@needs(shows_that_each_family_is_claimed_by_a_stream_of_its_own)
def shows_that_a_request_goes_through_a_tunnel(story):
    mesh = story.mesh
    with Capture(story, mesh.net.router, "to-client") as wire:
        expect_eq(mesh.client.http("http://[%s]:80/marker" % mesh.server.ipv6, uid=1000), (200, MARKER), "page")
    expect(not wire.contains(MARKER.strip()), "the marker crossed the wire in plaintext")
    line = mesh.sidecar("server").wait_for_access(direction="inbound")
    expect_eq((line["source_id"], line["destination_id"]), (identity_of("client"), identity_of("server")), "identities")
    expect_eq(line["destination"], "[%s]:80" % mesh.server.ipv6, "destination")


@needs(shows_that_a_request_goes_through_a_tunnel)
def finding_p9_the_application_sees_an_address_that_is_not_ipv4_compatible(story):
    peer = story.nginx.requests()[-1].split()[0]
    expect_eq(peer, "100::6", "whom nginx sees")
    expect(not ipaddress.ip_address(peer) in ipaddress.ip_network("::/96"), "an IPv4-compatible address")


@needs(shows_that_each_family_is_claimed_by_a_stream_of_its_own)
def shows_that_bytes_and_ends_are_preserved(story):
    data = stream.pattern(3_000_000)
    with story.mesh.client.connect(story.mesh.server.ipv6, 9000, uid=1000) as sock:
        received, ended = stream.exchange(sock, data)
    expect_eq((received.strip().decode(), ended), (stream.sha256(data), "fin"), "hash")


def shows_that_both_claims_survive_a_rotation_and_a_restart_of_the_control_plane(story):
    story.mesh.sidecar("server").wait_for_rotation()
    wait_until_both_are_held(story, "server")
    story.mesh.control.restart()
    wait_until("the control plane to have both claims again", lambda: all(
        address in story.mesh.control.run("status").stdout for address in (story.mesh.server.ipv4, story.mesh.server.ipv6)), 75.0)
    wait_until_both_are_held(story, "server")


def shows_that_the_other_family_carries_identity_when_one_is_down(story):
    mesh, sidecar = story.mesh, story.mesh.sidecar("server")
    mesh.net.router.ip("route add blackhole %s/32" % mesh.net.control.ipv4)
    sidecar.wait_for_rotation(deadline_s=40.0)
    wait_until("the claim over IPv6 alone", lambda: mesh.server.ipv6 in held(story, "server"), 15.0)
    mesh.net.router.ip("route del blackhole %s/32" % mesh.net.control.ipv4)


def shows_that_release_ends_both_claims(story):
    mesh, sidecar = story.mesh, story.mesh.sidecar("server")
    # A family that was unreachable is tried again once per minute; this tests the release alone.
    wait_until("both addresses to be claimed again", lambda: len(held(story, "server")) == 2, 90.0)
    output = mesh.server.run([sidecar._binary, "release", "--config", sidecar.path], uid=SIDECAR_UID).stdout
    expect_in("releasing the address claims", output, "answer")
    wait_until("the control plane to have released both", lambda: all(
        "released: %s" % address in mesh.control.log() for address in (mesh.server.ipv4, mesh.server.ipv6)), 75.0)
    wait_until("no address to be held", lambda: held(story, "server") == set())
