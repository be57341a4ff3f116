"""A source that is not allowed is refused, with the rule's name on both ends; a change closes denied connections alone.

    client --tunnel--> server: [sidecar: allow client and, at first, other on port 80] -> echo
    other  --tunnel-->"""

from handfast_harness import Mesh, StreamServer, TestAuthority, expect_eq, expect_in, identity_of, needs, wait_until
from handfast_harness import stream
from peers import hbone


def _policy(*names):
    return {"workloads": [{"identity": identity_of("server"), "rules": [{
        "name": "only-friends", "action": "allow", "sources": [{"id": identity_of(name)} for name in names]}]}]}


def arrange(story):
    story.mesh = Mesh(story, hosts=("client", "other", "server"), leaf_ttl="1h", policy=_policy("client", "other"))
    story.app = story.own(StreamServer(story, story.mesh.server, 80, "echo"))


def _connect(story, name):
    return story.mesh.net.hosts[name].connect(story.mesh.server.ipv4, 80, uid=1000, timeout_s=8)


def _passes(sock, data):
    sock.sendall(data)
    expect_eq(stream.receive_exactly(sock, len(data)), data, "echo")


def shows_that_a_change_closes_exactly_the_denied_connections(story):
    live = {name: [_connect(story, name) for _ in range(3)] for name in ("client", "other")}
    for sock in live["client"] + live["other"]:
        _passes(sock, b"before")
    story.mesh.control.reload(policy=_policy("client"))
    for sock in live["other"]:
        expect_eq(stream.receive_all(sock), (b"", "reset"), "a connection that is now denied")
        sock.close()
    for sock in live["client"]:
        _passes(sock, b"after")
        sock.close()
    wait_until("three lines with policy_changed", lambda: len(story.mesh.sidecar("server").access_log(
        reason="policy_changed", source_id=identity_of("other"))) == 3)
    expect_eq(story.mesh.sidecar("server").access_log(reason="policy_changed", source_id=identity_of("client")), [],
              "connections of the client that were closed")


@needs(shows_that_a_change_closes_exactly_the_denied_connections)
def shows_that_denied_sources_are_refused_with_the_reason_on_both_ends(story):
    story.app.wait_for_report(5)
    num_before = len(story.app.reports())
    expect_eq(stream.attempt(story.mesh.other, story.mesh.server.ipv4, 80), (b"", "reset"), "a new connection")
    story.mesh.sidecar("server").wait_for_access(direction="inbound", reason="denied")
    story.mesh.sidecar("other").wait_for_access(direction="outbound", reason="denied")
    expect_eq(len(story.app.reports()), num_before, "connections that the application saw")


@needs(shows_that_a_change_closes_exactly_the_denied_connections)
def shows_that_a_tunnel_answers_401_with_the_reason(story):
    ca = TestAuthority.of(story.mesh.control)
    story.mesh.net.add("raw")
    with hbone.Client(story.mesh.net.raw, story.mesh.server.ipv4, ca.leaf(identity_of("other"))) as tunnel:
        answer = tunnel.connect(story.mesh.server.ipv4 + ":80")
        expect_eq((answer.status, answer.reason()), (401, "denied"), "answer")
    with hbone.Client(story.mesh.net.raw, story.mesh.server.ipv4, ca.leaf(identity_of("client"))) as tunnel:
        answer = tunnel.exchange(story.mesh.server.ipv4 + ":80", b"allowed")
        expect_eq((answer.status, answer.data, answer.ended), (200, b"allowed", "fin"), "answer")


def shows_that_deny_overrides_allow(story):
    policy = _policy("client")
    policy["workloads"][0]["rules"].append({"name": "not-today", "action": "deny",
                                            "sources": [{"trust_domain": "cluster.local"}]})
    story.mesh.control.reload(policy=policy)

    wait_until("the client to be denied", lambda: stream.attempt(
        story.mesh.client, story.mesh.server.ipv4, 80, timeout_s=2) == (b"", "reset"), 20)
    expect_eq(stream.attempt(story.mesh.client, story.mesh.server.ipv4, 80), (b"", "reset"), "a new connection")
    line = story.mesh.sidecar("server").wait_for_access(reason="denied", source_id=identity_of("client"))
    expect_in("not-today", line["rule"], "the rule in the log")
