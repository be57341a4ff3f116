"""Absence never becomes plaintext: unknown destinations are held and refused; only the operator's settings allow
plaintext.

    client: app -> [sidecar] -> stranger, inside mesh.networks and without a sidecar: held 5 s, refused
                             -> stranger's other address 100.64.0.1, outside mesh.networks: plain
                             -> stranger again, once mesh.plaintext_networks has it: plain"""

import time

from handfast_harness import Capture, Mesh, Nginx, expect, expect_eq, expect_in, wait_until
from handfast_harness import stream

OUTSIDE = "100.64.0.1"


def arrange(story):
    story.mesh = Mesh(story, hosts=("client",), outsiders=("stranger",), leaf_ttl="1h")
    story.mesh.net.add_address("stranger", OUTSIDE)
    story.nginx = story.own(Nginx(story, story.mesh.stranger, 80))
    story.client = story.mesh.sidecar("client")


def _get(story, address):
    return story.mesh.client.http("http://%s:80/" % address, uid=1000, timeout_s=8)


def shows_that_an_unknown_destination_is_held_then_refused_naming_the_settings(story):
    with Capture(story, story.mesh.net.router, "to-client") as wire:
        started = time.monotonic()
        expect_eq(stream.attempt(story.mesh.client, story.mesh.stranger.ipv4, 80, b"GET / HTTP/1.0\r\n\r\n"),
                  (b"", "reset"), "the answer")
        took = time.monotonic() - started
    expect(4.5 <= took <= 7, "it was held %.1f s" % took)
    expect(80 not in wire.ports() and not wire.contains(b"GET /"), "bytes were sent to the unknown destination")
    line = story.client.wait_for_access(reason="unresolved")
    for setting in ("mesh.plaintext_networks", "mesh.networks"):
        expect_in(setting, line["detail"]["fix"], "what to do")
    expect_in("mesh.plaintext_networks", str(story.client.admin("/why")), "/why")


def shows_that_connections_outside_the_mesh_networks_are_plaintext(story):
    expect_eq(_get(story, OUTSIDE)[0], 200, "status")
    line = story.client.wait_for_access(destination=OUTSIDE + ":80")
    expect_eq((line["encrypted"], line["destination_id"] if "destination_id" in line else None), (False, None),
              "reason and encryption")
    expect_in(story.mesh.client.ipv4 + " ", "\n".join(story.nginx.requests()), "the peer that the application sees")


def shows_that_a_plaintext_network_of_the_settings_is_plaintext(story):
    story.mesh.control.reload({"mesh": {"plaintext_networks": [story.mesh.stranger.ipv4 + "/32"]}})

    def arrives():
        try:
            return _get(story, story.mesh.stranger.ipv4)[0] == 200
        except OSError:
            return False
    wait_until("the plain destination to be served", arrives, 30)
