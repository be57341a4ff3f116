"""With IPv4 alone in mesh.networks, IPv6 between two meshed hosts is not encrypted, and that is reported.

    client [sidecar] ==== IPv4: a tunnel ====== server [sidecar] -> echo:9000
                     ---- IPv6: plaintext ----

Rows: P13."""

from handfast_harness import Mesh, StreamServer, expect, expect_eq, expect_in, needs, settings, wait_until
from handfast_harness import stream

PORT = 9000
IPV4 = ["192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24"]
IPV6 = "2001:db8::/32"
OUTSIDE = "IPv6 outside the mesh"


def arrange(story):
    story.mesh = Mesh(story, leaf_ttl="1h", control={"mesh": {"networks": IPV4}},
                      sidecar={"control": {"address": "192.0.2.2:15012"}})
    story.client, story.server = story.mesh.client, story.mesh.server
    story.own(StreamServer(story, story.server, PORT, "echo"))
    story.sidecar = story.mesh.sidecar("client")


def _condition(story):
    """The condition of the family on /check, or None."""
    found = [one for one in story.sidecar.admin("/check")["conditions"] if one["name"] == OUTSIDE]
    return found[0] if found else None


def _gauge(story, family):
    return story.sidecar.metric('handfast_family_outside_mesh{family="%s"}' % family)


def _call(story, address):
    return stream.attempt(story.client, address, PORT, b"", timeout_s=15.0)


def finding_p13_the_sidecar_reports_that_ipv6_leaves_in_plaintext(story):
    condition = wait_until("the condition", lambda: _condition(story))
    expect_eq(condition["level"], "degraded", "the condition's level")
    expect_in(story.client.ipv6, condition["detail"], "the address")
    expect_in("leaves in plaintext", condition["detail"], "the detail")
    expect_in("mesh.networks", condition["fix"], "the fix")
    wait_until("the gauge", lambda: (_gauge(story, "ipv4"), _gauge(story, "ipv6")) == (0, 1))
    story.sidecar.process.wait_for_log("mesh.networks has no IPv6 network")
    expect_eq(story.sidecar.process.log().count("mesh.networks has no IPv6 network"), 1, "lines about it in the log")
    expect_eq(story.sidecar.probe()[0], 200, "readiness")


@needs(finding_p13_the_sidecar_reports_that_ipv6_leaves_in_plaintext)
def finding_p13_the_control_plane_warns_once(story):
    name = "handfast_control_addresses_outside_mesh_total"
    wait_until("both sidecars to have reported it", lambda: story.mesh.control.metrics()[name] >= 2)
    expect_eq(story.mesh.control.metrics()[name], 2, "sidecars that reported it")
    story.mesh.control.process.wait_for_log("mesh.networks has no IPv6 network")
    expect_eq(story.mesh.control.log().count("mesh.networks has no IPv6 network"), 1, "lines about it in the log")


def finding_p13_the_report_is_correct(story):
    for address, encrypted in ((story.server.ipv4, True), (story.server.ipv6, False)):
        with story.client.connect(address, PORT, uid=1000) as sock:
            expect_eq(stream.exchange(sock, b"echo"), (b"echo", "fin"), "echo over " + address)
        name = "[%s]:%d" % (address, PORT) if ":" in address else "%s:%d" % (address, PORT)
        line = story.sidecar.wait_for_access(direction="outbound", destination=name)
        expect_eq(line.get("destination_id") is not None, encrypted, "a proven destination over " + address)


@needs(finding_p13_the_sidecar_reports_that_ipv6_leaves_in_plaintext)
def finding_p13_intended_plaintext_is_no_condition(story):
    story.mesh.control.reload({"mesh": {"plaintext_networks": [IPV6]}})
    wait_until("the condition to end", lambda: _condition(story) is None)
    wait_until("the gauge to follow", lambda: _gauge(story, "ipv6") == 0)
    story.mesh.control.reload({"mesh": {"plaintext_networks": []}})
    wait_until("the condition to come back", lambda: _condition(story))


def finding_p13_mode_require_refuses_what_the_mesh_does_not_cover(story):
    story.sidecar.settings = settings.merge(story.sidecar.settings, {"outbound": {"mode": "require"}})
    settings.write(story.sidecar.path, story.sidecar.settings)
    story.sidecar.kill()
    story.sidecar.start()
    expect_in("is refused", wait_until("the condition", lambda: _condition(story))["detail"], "the detail")
    expect(_call(story, story.server.ipv6)[1] in ("reset", "refused"), "a call over IPv6 in mode require")
    line = story.sidecar.wait_for_access(direction="outbound", reason="plaintext_refused")
    expect_eq(line["destination"], "[%s]:%d" % (story.server.ipv6, PORT), "what was refused")
    with story.client.connect(story.server.ipv4, PORT, uid=1000) as sock:
        expect_eq(stream.exchange(sock, b"echo"), (b"echo", "fin"), "echo over IPv4")


@needs(finding_p13_the_sidecar_reports_that_ipv6_leaves_in_plaintext)
def finding_p13_once_the_mesh_covers_it_nothing_leaves_in_plaintext(story):
    story.mesh.control.reload({"mesh": {"networks": IPV4 + [IPV6]}})
    wait_until("the condition to end", lambda: _condition(story) is None)
    expect(_call(story, story.server.ipv6)[1] in ("reset", "refused"), "IPv6 to a host whose IPv6 address is not claimed")
    story.sidecar.wait_for_access(direction="outbound", reason="unresolved")
