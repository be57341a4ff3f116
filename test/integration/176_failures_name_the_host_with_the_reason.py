"""A failure whose reason is on another host names that host: its address and its identity.

Rows: O9.

    control --- client: [sidecar] ==tunnel==> server: [sidecar] -> echo, which policy denies; stranger dials 15008"""

from handfast_harness import Mesh, StreamServer, expect, expect_in, identity_of, wait_until
from handfast_harness import stream


def arrange(story):
    story.mesh = Mesh(story, leaf_ttl="1h", outsiders=("stranger",))
    story.own(StreamServer(story, story.mesh.server, 9000, "echo"))
    story.client, story.server = story.mesh.sidecar("client"), story.mesh.sidecar("server")
    deny = {"name": "deny-all", "action": "deny", "sources": [{"trust_domain": "cluster.local"}]}
    story.mesh.control.reload({"policy": {"workloads": [{"identity": identity_of("server"), "rules": [deny]}]}})
    wait_until("the rule to apply", lambda: story.server.admin("/config")["policy"]["num_rules"] == 1, 15)


def _fixes(sidecar, **wanted):
    return [entry["fix"] for entry in sidecar.admin("/why")["failures"]
            if all(entry.get(key) == value for key, value in wanted.items())]


def finding_o9_a_refused_sidecar_names_the_one_that_refused(story):
    place = "(%s, %s)" % (story.mesh.server.ipv4, identity_of("server"))
    stream.attempt(story.mesh.client, story.mesh.server.ipv4, 9000, b"x")
    wait_until("an entry of /why", lambda: _fixes(story.client, what="connection"), 15)
    expect_in("run `handfast why` beside the other sidecar " + place, _fixes(story.client, what="connection"), "/why")
    line = story.client.wait_for_access(reason="denied")
    expect_in(place, line["detail"]["fix"], "the access log")


def finding_o9_a_broken_handshake_names_the_peer(story):
    hello = bytes.fromhex("160301000501000001fc")  # a ClientHello that ends after its first bytes
    stream.attempt(story.mesh.stranger, story.mesh.server.ipv4, 15008, hello)
    place = "(%s)" % story.mesh.stranger.ipv4
    wait_until("an entry with the stranger's address", lambda: any(place in fix for fix in _fixes(story.server, what="tunnel")), 15)


def finding_o9_the_control_plane_is_named_by_its_address(story):
    story.mesh.control.kill()
    wait_until("the end of the stream in /why", lambda: _fixes(story.client, what="control plane"), 10)
    addresses = story.mesh.control.addresses
    entry = [entry for entry in story.client.admin("/why")["failures"] if entry["what"] == "control plane"][0]
    expect(entry["remote"] in addresses and any(address in entry["got"] for address in addresses), "the entry: %s" % entry)
