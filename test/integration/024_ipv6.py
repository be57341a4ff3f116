"""IPv6 is carried as IPv4 is, from 2001:db8:2::2 to 2001:db8:3::2.

    client (IPv6) -> [sidecar] ==tunnel over IPv6==> server: [sidecar] -> nginx:80, which sees ::6"""

from handfast_harness import Capture, Mesh, Nginx, StreamServer, expect, expect_eq, expect_in, identity_of
from handfast_harness import stream

MARKER = b"marker-in-ipv6\n"


def arrange(story):
    story.mesh = Mesh(story, leaf_ttl="1h", start=False)
    story.mesh.control.configure(entries=[{"address": story.mesh.net.hosts[name].ipv6, "identity": identity_of(name)}
                                          for name in ("client", "server")])
    story.mesh.start()
    story.nginx = story.own(Nginx(story, story.mesh.server, 80, {"marker": MARKER}))
    story.own(StreamServer(story, story.mesh.server, 9000, "hash"))


def shows_that_a_request_goes_through_a_tunnel(story):
    mesh = story.mesh
    with Capture(story, mesh.net.router, "to-client") as wire:
        expect_eq(mesh.client.http("http://[%s]:80/marker" % mesh.server.ipv6, uid=1000), (200, MARKER), "page")
    expect(not wire.contains(MARKER.strip()), "the marker crossed the wire in plaintext")
    line = mesh.sidecar("server").wait_for_access(direction="inbound")
    expect_eq((line["source_id"], line["destination_id"]), (identity_of("client"), identity_of("server")), "identities")
    expect_eq(line["destination"], "[%s]:80" % mesh.server.ipv6, "destination")


def shows_that_the_application_sees_the_sidecars_address(story):
    with open(story.nginx.access_log) as file:
        expect_in("::6 ", file.read().splitlines()[-1], "nginx's log")


def shows_that_bytes_and_ends_are_kept(story):
    data = stream.pattern(3_000_000)
    with story.mesh.client.connect(story.mesh.server.ipv6, 9000, uid=1000) as sock:
        received, ended = stream.exchange(sock, data)
    expect_eq((received.strip().decode(), ended), (stream.sha256(data), "fin"), "hash")
