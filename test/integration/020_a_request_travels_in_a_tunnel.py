"""One request from curl to nginx goes through a tunnel, without a change to either program.

    control
       |
    router --- client: curl -> [sidecar] ==tunnel 15008==> server: [sidecar] -> nginx:80
       ^ captured here"""

import json
import re

from handfast_harness import Capture, Mesh, Nginx, expect, expect_eq, expect_in, identity_of, needs, wait_until
from handfast_harness import capture, stream

MARKER = b"marker-that-must-never-be-on-the-wire\n"


def arrange(story):
    story.mesh = Mesh(story, leaf_ttl="1h")
    story.nginx = story.own(Nginx(story, story.mesh.server, 80, {"marker": MARKER}))


def shows_that_curl_gets_its_page_and_the_wire_has_tls_1_3_only(story):
    mesh = story.mesh
    with Capture(story, mesh.net.router, "to-client") as wire:
        page = mesh.client.run(["curl", "-sS", "--max-time", "5", "http://%s/marker" % mesh.server.ipv4], uid=1000)
    expect_eq(page.stdout.encode(), MARKER, "the page")
    expect(not wire.contains(MARKER.strip()), "the marker crossed the wire in plaintext")
    expect(not wire.contains(b"HTTP/1.1"), "a request or an answer crossed the wire in plaintext")
    # The sidecar may connect to the control plane at any time.
    expect_eq(wire.ports() - {15012}, {15008}, "ports that were dialed")
    tunnels = {key: data for key, data in wire.streams().items() if 15008 in (key[1], key[3])}
    expect_eq(len(tunnels), 2, "directions of one tunnel")
    for (_, source_port, _, _), data in tunnels.items():
        records = capture.tls_records(data)
        expect_eq(sum(5 + len(record.body) for record in records), len(data), "bytes in TLS records")
        if source_port == 15008:
            expect_eq(capture.tls_negotiated_version(data), 0x304, "TLS version")


@needs(shows_that_curl_gets_its_page_and_the_wire_has_tls_1_3_only)
def shows_that_both_access_logs_name_both_identities(story):
    mesh = story.mesh
    for name, direction in (("client", "outbound"), ("server", "inbound")):
        line = mesh.sidecar(name).wait_for_access(direction=direction)
        expect_eq((line["reason"], line["encrypted"]), ("done", True), "reason and encryption at " + name)
        expect_eq((line["source_id"], line["destination_id"]), (identity_of("client"), identity_of("server")),
                  "identities in the log of " + name)
        expect_eq(line["destination"], mesh.server.ipv4 + ":80", "destination in the log of " + name)
        expect(line["bytes_received"] > len(MARKER), "the log of %s counts fewer bytes than the page has" % name)


@needs(shows_that_curl_gets_its_page_and_the_wire_has_tls_1_3_only)
def shows_that_the_application_sees_the_sidecars_address(story):
    expect_in("169.254.15.6 ", story.nginx.requests()[-1], "nginx's log")


@needs(shows_that_curl_gets_its_page_and_the_wire_has_tls_1_3_only)
def shows_that_the_next_requests_use_the_same_tunnel(story):
    mesh = story.mesh
    for _ in range(20):
        expect_eq(mesh.client.http("http://%s:80/marker" % mesh.server.ipv4, uid=1000), (200, MARKER), "page")
    for name, direction in (("client", "outbound"), ("server", "inbound")):
        of = lambda metric: mesh.sidecar(name).metric('%s{direction="%s"}' % (metric, direction))
        expect_eq((of("handfast_streams_total"), of("handfast_tunnels_opened_total")), (21, 1),
                  "streams and tunnels of " + name)


def shows_that_a_closed_port_is_refused_and_both_sidecars_log_the_reason(story):
    mesh = story.mesh
    expect_eq(stream.attempt(mesh.client, mesh.server.ipv4, 4444), (b"", "reset"), "the answer of a closed port")
    for name, direction in (("client", "outbound"), ("server", "inbound")):
        mesh.sidecar(name).wait_for_access(direction=direction, reason="connect_refused")


@needs(shows_that_curl_gets_its_page_and_the_wire_has_tls_1_3_only)
def shows_what_is_open_to_an_operator_beside_either_sidecar(story):
    mesh = story.mesh
    with mesh.client.connect(mesh.server.ipv4, 80, uid=1000):
        for name, direction, other in (("client", "outbound", "server"), ("server", "inbound", "client")):
            host = mesh.sidecar(name).host
            ask = lambda *words: host.run([story.binary("handfast"), *words]).stdout
            row = r"^%s +\S+ -> %s:80  %s, encrypted, \S+, \d+ s, \d+ bytes sent, \d+ received$" % (
                direction, re.escape(mesh.server.ipv4), re.escape(identity_of(other)))
            wait_until("the connection at " + name, lambda: re.search(row, ask("connections"), re.M), 5)
            expect(re.search(r"^%s +\S+ - \S+  %s, X25519MLKEM768, [1-9]\d* streams, peer's certificate until 2\S+Z$" % (
                direction, re.escape(identity_of(other))), ask("tunnels"), re.M), "tunnels: " + ask("tunnels"))
            expect_in("\ncontrol.address: %s:15012" % mesh.control.host.ipv4, ask("config"), "config")
            expect_eq(set(json.loads(ask("connections", "--output", "json"))), {"total", "shown", "connections"}, "as JSON")
    expect_eq(mesh.client.run([story.binary("handfast"), "config", "x"], check=False).returncode, 64, "a word that is no pod")
