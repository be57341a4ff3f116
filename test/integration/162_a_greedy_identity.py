"""An allowed identity opens streams without end, and a denied one tunnels without end: others are served.

    greedy, denied: genuine certificates ==tunnels==> server: [sidecar, 400 connections, 80 tunnels] -> echo on 9000
    client: [sidecar] ==tunnel==> the same            server ==> client; 15020 is probed meanwhile

Rows: L3, L4."""

from handfast_harness import Mesh, StreamServer, TestAuthority, expect, expect_eq, identity_of
from handfast_harness import fairness, stream
from peers import flood, hbone

DEADLINE_S = 300
MAX, TUNNELS = 400, 80


def arrange(story):
    denied = {"name": "no-denied", "action": "deny", "sources": [{"id": identity_of("denied")}]}
    allowed = {"name": "all", "action": "allow", "sources": [{"trust_domain": "cluster.local"}]}
    story.mesh = Mesh(story, outsiders=("raw", "outside"), leaf_ttl="1h", policy={
        "workloads": [{"identity": identity_of("server"), "rules": [denied, allowed]}]}, sidecars={
            "server": {"limits": {"max_connections": MAX, "max_tunnels": TUNNELS}}})
    story.own(StreamServer(story, story.mesh.server, 9000, "echo"))
    story.own(StreamServer(story, story.mesh.client, 9001, "echo"))
    authority = TestAuthority.of(story.mesh.control)
    story.leaves = {name: authority.leaf(identity_of(name)) for name in ("greedy", "denied", "modest")}


def _ask(source, target, port):
    def ask():
        with source.connect(target.ipv4, port, uid=1000, timeout_s=5) as sock:
            sock.sendall(b"request")
            expect_eq(stream.receive_exactly(sock, 7), b"request", "echo")
    return ask


def _requests(story):
    mesh = story.mesh

    def probe():
        expect_eq(mesh.outside.http("http://%s:15020/healthz/ready" % mesh.server.ipv4)[0], 200, "readiness")

    def new_tunnel():
        with hbone.Client(mesh.outside, mesh.server.ipv4, story.leaves["modest"]) as tunnel:
            expect_eq(tunnel.connect(mesh.server.ipv4 + ":9000").status, 200, "status")
    return {"meshed": _ask(mesh.client, mesh.server, 9000), "outbound": _ask(mesh.server, mesh.client, 9001),
            "probe": probe, "new tunnel": new_tunnel}


def _refused(story, resource, limit):
    return story.mesh.sidecar("server").metric(
        'handfast_limit_refusals_total{resource="%s",limit="%s"}' % (resource, limit))


def _idle(story):
    return lambda: story.mesh.sidecar("server").metric('handfast_connections_active{direction="inbound"}') < 20


def finding_l3_streams_of_one_identity_leave_room_for_others(story):
    """One identity gets at most half of the connections; more are refused with limit_reached."""
    mesh = story.mesh
    attack = flood.tunnels(mesh.raw, mesh.server.ipv4, story.leaves["greedy"], per_second=2, most=4, streams=200,
                           authority=mesh.server.ipv4 + ":9000")
    fairness.expect_unharmed("streams", _requests(story), lambda: fairness.Attack(attack),
                             fairness.wait_for_count(MAX, 30), per_second=20, is_recovered=_idle(story))
    expect(_refused(story, "connections", "identity") >= MAX / 4, "the identity has no limit")
    line = mesh.sidecar("server").wait_for_access(direction="inbound", reason="limit_reached")
    expect("the limit per identity is reached: " + identity_of("greedy") in line["detail"]["got"], str(line))


def finding_l4_tunnels_of_a_denied_identity_leave_room_for_others(story):
    mesh, server = story.mesh, story.mesh.sidecar("server")
    sources = ["198.51.100.%d" % number for number in range(201, 205)]
    for address in sources:
        mesh.net.add_address("raw", address)
    attack = flood.tunnels(mesh.raw, mesh.server.ipv4, story.leaves["denied"], per_second=60, most=1_000,
                           sources=sources)
    before = server.process.num_fds()
    fairness.expect_unharmed("tunnels", _requests(story), lambda: fairness.Attack(attack),
                             fairness.wait_for_count(TUNNELS, 30), per_second=20)
    expect(server.metric('handfast_tunnels_opened_total{direction="inbound"}') > TUNNELS, "the attack opened too few tunnels")
    expect(server.process.num_fds() - before < 2 * TUNNELS, "%d descriptors more" % (server.process.num_fds() - before))


def finding_l4_an_idle_tunnel_is_closed_and_one_in_use_stays(story):
    """20 tunnels per address: the oldest idle one gets GOAWAY, the one with a stream stays."""
    mesh = story.mesh
    address, leaf = mesh.server.ipv4, story.leaves["modest"]
    busy = story.own(hbone.Client(mesh.outside, address, leaf))
    expect_eq(busy.connect(address + ":9000").status, 200, "the busy tunnel")
    others = [story.own(hbone.Client(mesh.outside, address, leaf)) for _ in range(TUNNELS // 4)]
    while others[0].goaway is None:
        others[0].pump()
    number = next(iter(busy.streams))
    busy.engine.send_data(number, b"still here")
    busy.flush()
    busy.wait(number, lambda stream: stream.data == b"still here")
    expect_eq((busy.streams[number].data, busy.goaway), (b"still here", None), "the busy tunnel")
