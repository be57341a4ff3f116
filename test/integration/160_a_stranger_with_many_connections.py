"""One host without a credential exhausts its own share of a sidecar's connections, and no other.

    stranger: idle connections in plaintext, 400 per second --> server: [sidecar, 600 connections] -> echo on 9000
    client: [sidecar] ==tunnel==> the same                       server ==> client, and in plaintext to other

Rows: L1."""

from handfast_harness import Mesh, StreamServer, expect, expect_eq, needs, wait_until
from handfast_harness import fairness, stream
from peers import flood

DEADLINE_S = 300
MAX, PER_SOURCE = 600, 150


def arrange(story):
    story.mesh = Mesh(story, outsiders=("stranger", "other"), leaf_ttl="1h", sidecars={
        "server": {"limits": {"max_connections": MAX}}})
    story.mesh.control.reload({"mesh": {"plaintext_networks": [story.mesh.other.ipv4 + "/32"]}})
    for host, port in ((story.mesh.server, 9000), (story.mesh.client, 9001), (story.mesh.other, 9002)):
        story.own(StreamServer(story, host, port, "echo"))


def _ask(source, target, port):
    def ask():
        with source.connect(target.ipv4, port, uid=1000, timeout_s=5) as sock:
            sock.sendall(b"request")
            expect_eq(stream.receive_exactly(sock, 7), b"request", "echo")
    return ask


def _num_plain(server, most):
    """How many connections in plaintext it has: at no time more than that."""
    num = server.metric('handfast_connections_active{direction="inbound_plain"}')
    expect(num <= most, "%d connections in plaintext, of %d" % (num, most))
    return num


def _attack(story):
    return fairness.Attack(flood.connections(story.mesh.stranger, story.mesh.server.ipv4, 9000, per_second=400,
                                             most=5_000))


def finding_l1_calls_of_the_mesh_and_of_the_workload_are_served(story):
    mesh = story.mesh
    server = mesh.sidecar("server")
    story.text = fairness.expect_unharmed(
        "idle plaintext", {
            "meshed": _ask(mesh.client, mesh.server, 9000),
            "outbound": _ask(mesh.server, mesh.client, 9001),
            "outbound plain": _ask(mesh.server, mesh.other, 9002),
            "plaintext of another source": _ask(mesh.other, mesh.server, 9000),
        }, lambda: _attack(story), fairness.wait_for_count(2 * PER_SOURCE, 30), per_second=30,
        is_recovered=lambda: server.is_ready() and server.metric(
            'handfast_connections_active{direction="inbound_plain"}') < 10)


@needs(finding_l1_calls_of_the_mesh_and_of_the_workload_are_served)
def finding_l1_refusals_are_logged_and_counted(story):
    server = story.mesh.sidecar("server")
    expect(server.metric('handfast_limit_refusals_total{resource="connections",limit="address"}') >= 100,
           "the refusals are not counted")
    line = server.wait_for_access(direction="inbound_plain", reason="limit_reached")
    expect("the limit per address" in line["detail"]["got"] and "limits.per_source" in line["detail"]["fix"], str(line))


def finding_l1_many_sources_exhaust_the_share_of_plaintext_and_it_is_reported(story):
    """Six addresses could have 900: plaintext gets at most half, the rest waits in the backlog, and the pod stays
    ready."""
    mesh, server = story.mesh, story.mesh.sidecar("server")
    sources = ["203.0.113.%d" % number for number in range(201, 207)]
    for address in sources:
        mesh.net.add_address("stranger", address)
    attack = flood.connections(mesh.stranger, mesh.server.ipv4, 9000, per_second=600, most=900, sources=sources)
    conditions = lambda: [condition["name"] for condition in server.admin("/check")["conditions"]]
    with fairness.Attack(attack):
        wait_until("plaintext to be full", lambda: server.metric(
            'handfast_connections_full{direction="inbound_plain"}') == 1, 15)
        wait_until("plaintext to have half of the connections", lambda: _num_plain(server, MAX / 2) == MAX / 2)
        wait_until("the condition", lambda: "no room for plaintext connections" in conditions())
        expect_eq(server.probe()[0], 200, "readiness")
        _ask(mesh.client, mesh.server, 9000)()
        _ask(mesh.server, mesh.client, 9001)()
    wait_until("room again", lambda: server.metric('handfast_connections_full{direction="inbound_plain"}') == 0)
    wait_until("the condition to end", lambda: "no room for plaintext connections" not in conditions())


def finding_l1_an_ipv6_network_is_one_source(story):
    mesh, server = story.mesh, story.mesh.sidecar("server")
    sources = [mesh.stranger.ipv6[:-1] + "%x" % number for number in range(0x100, 0x108)]
    for address in sources:
        mesh.stranger.ip("addr add %s/64 dev eth0 nodad" % address)
    wait_until("earlier connections to end", lambda: _num_plain(server, MAX) < 10)
    attack = flood.connections(mesh.stranger, mesh.server.ipv6, 9000, per_second=400, most=600, sources=sources)
    with fairness.Attack(attack):
        wait_until("the limit of the network", lambda: server.metric(
            'handfast_limit_refusals_total{resource="connections",limit="prefix64"}') >= 50, 30)
        wait_until("the network to have its share", lambda: _num_plain(server, PER_SOURCE + 10) == PER_SOURCE)


def finding_l1_without_room_for_its_own_workload_a_pod_is_not_ready(story):
    """The workload opens more connections than are left for it: the mesh keeps its reserve, and the pod is not
    ready."""
    mesh, server = story.mesh, story.mesh.sidecar("server")
    with fairness.Attack(flood.connections(mesh.server, mesh.client.ipv4, 9001, per_second=400, most=MAX, again=False)):
        wait_until("readiness to fail", lambda: server.probe() == (503, "no room for outbound connections"), 15)
        _ask(mesh.client, mesh.server, 9000)()
    wait_until("readiness", server.is_ready)
