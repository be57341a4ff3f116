"""A sidecar shows its own zone, the zone of each endpoint, and which are preferred: the page /endpoints, and `handfast
endpoints`.

    client: zone east, [sidecar]  ==tunnel==> near: zone east, [sidecar] -> echo
    zoneless: no zone, [sidecar] ==tunnel==> far: zone west, [sidecar] -> echo
    near and far are spiffe://.../sa/web, the service 203.0.113.200:80"""

from handfast_harness import Mesh, StreamServer, expect, expect_eq, expect_in, identity_of, needs_earlier, wait_until
from handfast_harness import stream

DEADLINE_S = 120
SERVICE, WEB, PORT = "203.0.113.200", identity_of("web"), 9000
WEST = "#%08x"  # a zone whose name this sidecar has not


def _fnv1a(text):
    value = 0x811c9dc5
    for byte in text.encode():
        value = (value ^ byte) * 0x01000193 & 0xffffffff
    return value


def arrange(story):
    mesh = story.mesh = Mesh(story, hosts=("client", "zoneless", "near", "far"), leaf_ttl="1h", start=False, services=[
        {"name": "web", "address": SERVICE, "ports": [{"port": 80, "target": PORT}], "identity": WEB}],
        sidecars={"client": {"zone": "east"}, "near": {"zone": "east"}, "far": {"zone": "west"}})
    mesh.start_control()
    for name in ("near", "far"):
        mesh.start_sidecar(name, identity=WEB)
        story.own(StreamServer(story, mesh.net.hosts[name], PORT, "echo"))
    for name in ("client", "zoneless"):
        mesh.start_sidecar(name)
    story.at = {name: "%s:%d" % (mesh.net.hosts[name].ipv4, PORT) for name in ("near", "far")}


def _destination(story, name):
    """{endpoint: its row} of the service."""
    page = story.mesh.sidecar(name).admin("/endpoints")
    rows = [row for row in page["destinations"] if row["destination"] == SERVICE + ":80"]
    return {row["address"]: row for row in rows[0]["endpoints"]} if rows else {}


def _call(story, name):
    return stream.is_answered(story.mesh.net.hosts[name], SERVICE, 80)


def shows_that_a_sidecar_without_a_call_knows_no_destination(story):
    page = story.mesh.sidecar("client").admin("/endpoints")
    expect_eq(page["zone"], {"name": "east", "from": "settings", "preferred": True}, "the own zone")
    expect_eq(story.mesh.sidecar("zoneless").admin("/endpoints")["zone"]["name"], None, "the zone of a host without one")
    done = story.mesh.zoneless.run([story.binary("handfast"), "endpoints"])
    expect_eq(done.stdout.splitlines()[0], "this host is in no zone", "handfast endpoints")


def shows_the_zone_of_each_endpoint_and_which_are_preferred(story):
    for name in ("client", "zoneless"):
        wait_until("both endpoints", lambda: _call(story, name) and len(_destination(story, name)) == 2, 10)
        wait_until("their zones at " + name, lambda: all(row["zones"] for row in _destination(story, name).values()), 10)
    rows = _destination(story, "client")
    expect_eq({at: (row["zones"], row["preferred"], row["identity"]) for at, row in rows.items()}, {
        story.at["near"]: (["east"], True, WEB), story.at["far"]: ([WEST % _fnv1a("west")], False, WEB)}, "of client")
    rows = _destination(story, "zoneless")
    expect_eq({at: (row["zones"], row["preferred"]) for at, row in rows.items()}, {
        story.at["near"]: ([WEST % _fnv1a("east")], False), story.at["far"]: ([WEST % _fnv1a("west")], False)}, "of zoneless")
    text = story.mesh.client.run([story.binary("handfast"), "endpoints"]).stdout
    expect_in("this host is in zone east (settings), whose endpoints are preferred\n", text, "handfast endpoints")
    expect_in("%s:80 meshed, service web\n" % SERVICE, text, "handfast endpoints")
    expect_in("  %s  %s, zone east, preferred\n" % (story.at["near"], WEB), text, "handfast endpoints")
    expect_in("  %s  %s, zone %s\n" % (story.at["far"], WEB, WEST % _fnv1a("west")), text, "handfast endpoints")


@needs_earlier
def shows_that_one_that_is_set_aside_is_named_and_none_is_preferred_then(story):
    story.mesh.sidecar("near").kill()
    wait_until("the near endpoint to be set aside",
               lambda: _call(story, "client") and _destination(story, "client")[story.at["near"]]["set_aside"], 40, 0.05)
    rows = _destination(story, "client")
    expect(not any(row["preferred"] for row in rows.values()) or not rows[story.at["near"]]["set_aside"],
           "an endpoint is preferred while the own zone has none that serves: %s" % rows)
