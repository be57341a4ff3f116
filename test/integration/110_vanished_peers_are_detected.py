"""Half-closed connections outlive their conntrack entries, and a peer that vanishes is detected.

    stranger (no sidecar) ---+
                             |
    client: [sidecar] --- router ==tunnel== server: [sidecar] -> sockets of the story
                             |
    database (no sidecar) ---+

Here conntrack drops a half-closed connection after 3 s instead of 60, and keepalive probes start after 1 s instead of
25. Rows: P2, P3, P4."""

import socket
import time

from handfast_harness import Mesh, StreamServer, expect, expect_eq, expect_in, wait_until
from handfast_harness import stream

FORGOTTEN_S = 3
KEEPALIVE = {"idle": "1s", "interval": "1s", "probes": 2}  # a peer that is silent for 3 s counts as lost
DEADLINE_S = 150


def arrange(story):
    story.mesh = Mesh(story, outsiders=("database", "stranger"), leaf_ttl="1h", start=False,
                      sidecar={"keepalive": KEEPALIVE})
    story.mesh.control.configure({"mesh": {"plaintext_networks": [story.mesh.database.ipv4 + "/32"]}})
    story.mesh.start()
    for name in ("client", "server"):  # where the rules enable conntrack
        story.mesh.net.hosts[name].sysctl("net/netfilter/nf_conntrack_tcp_timeout_close_wait", FORGOTTEN_S)


def _listen(host, port):
    return host.listen(host.ipv4, port, uid=65534)


def _accept(listener):
    sock = listener.accept()[0]
    sock.settimeout(10)
    return sock


def _num_open(story, name):
    return story.mesh.sidecar(name).metric("handfast_connections_active")


def _num_kept(host, side, port):
    """Sockets that send keepalive probes."""
    listed = host.run(["ss", "-tnoH", "state", "established", side, "=", ":%d" % port]).stdout
    return listed.count("timer:(keepalive,")


def finding_p2_connections_that_are_closed_late_leave_no_state(story):
    server = story.own(StreamServer(story, story.mesh.server, 9001, "fin"))
    pool = [story.mesh.client.connect(story.mesh.server.ipv4, 9001, uid=1000) for _ in range(10)]
    for sock in pool:
        expect_eq(stream.receive_all(sock), (b"", "fin"), "the server's end")
    time.sleep(FORGOTTEN_S + 1.5)  # duration: a silent flow is forgotten within it
    expect_eq(_num_open(story, "client"), 10, "connections of the client's sidecar")
    for sock in pool:
        sock.send(b"late", socket.MSG_MORE)  # leaves with the FIN, as one segment
        sock.close()
    for name in ("client", "server"):
        wait_until("the connections of %s's sidecar to end" % name, lambda: _num_open(story, name) == 0, 15)
    reports = [server.wait_for_report(number) for number in range(10)]
    expect_eq([(report["received"], report["ended"]) for report in reports], [(4, "fin")] * 10, "what the server read")


def finding_p3_an_answer_arrives_long_after_the_request_ended(story):
    mesh = story.mesh
    ways = {  # caller, called host, port
        "through a tunnel": (mesh.client, mesh.server, 9002),
        "plain, out of the mesh": (mesh.client, mesh.database, 9003),
        "plain, into the mesh": (mesh.stranger, mesh.server, 9004),
    }
    open_ones = {}
    for way, (asks, answers, port) in ways.items():
        listener = _listen(answers, port)
        sock = asks.connect(answers.ipv4, port, uid=1000, timeout_s=10)
        sock.sendall(b"question")
        sock.shutdown(socket.SHUT_WR)
        peer = _accept(listener)
        expect_eq(stream.receive_all(peer), (b"question", "fin"), "the question " + way)
        open_ones[way] = sock, peer
    time.sleep(FORGOTTEN_S + 1.5)  # duration: a silent flow is forgotten within it
    for way, (sock, peer) in open_ones.items():
        peer.sendall(b"answer " + way.encode())
        peer.close()
        expect_eq(stream.receive_all(sock), (b"answer " + way.encode(), "fin"), "the answer " + way)
    expect_eq(mesh.sidecar("client").access_log(failed=True), [], "failures of the client's sidecar")


def finding_p4_a_vanished_peer_is_detected_and_a_stopped_reader_stays_connected(story):
    mesh, router = story.mesh, story.mesh.net.router
    database, server = _listen(mesh.database, 9005), _listen(mesh.server, 9006)
    slow_reader = _listen(mesh.server, 9007)

    def open_pair(asks, listener, host):
        return asks.connect(host.ipv4, listener.getsockname()[1], uid=1000, timeout_s=20), _accept(listener)

    idle, _idle_peer = open_pair(mesh.client, database, mesh.database)
    busy, _busy_peer = open_pair(mesh.client, database, mesh.database)
    _caller, app = open_pair(mesh.stranger, server, mesh.server)
    paused, reader = open_pair(mesh.stranger, slow_reader, mesh.server)
    paused.setblocking(False)

    def fill():
        try:
            paused.send(bytes(1 << 20))
        except BlockingIOError:
            return True

    quiet = []
    wait_until("the paused reader to be full", lambda: quiet.append(fill()) or quiet[-10:] == [True] * 10, 10)
    wait_until("keepalive on the sidecars' sockets", lambda: (_num_kept(mesh.client, "dport", 9005),
               _num_kept(mesh.client, "sport", 15001), _num_kept(mesh.server, "sport", 15006)) == (2, 2, 2))
    router.ip("route add blackhole %s/32" % mesh.database.ipv4, "route add blackhole %s/32" % mesh.client.ipv4)
    busy.sendall(b"into the dark")
    for what, sock in (("an idle connection", idle), ("one with bytes under way", busy)):
        sock.settimeout(12)
        expect_eq(stream.receive_all(sock), (b"", "reset"), what)
    expect_eq(mesh.sidecar("server").access_log(direction="inbound_plain", reason="unresponsive"), [], "closed too early")
    while fill():
        stream.receive_exactly(reader, 1 << 16)  # it reads again, and its sender continues
    router.ip("route del blackhole %s/32" % mesh.client.ipv4, "route add blackhole %s/32" % mesh.stranger.ipv4)
    app.settimeout(12)
    expect_eq(stream.receive_all(app), (b"", "reset"), "the connection of a caller that vanished")
    line = mesh.sidecar("client").wait_for_access(reason="unresponsive", direction="outbound")
    expect_in("the side that was called: the host was silent", line["detail"]["got"], "the side that vanished")
    line = mesh.sidecar("server").wait_for_access(reason="unresponsive", direction="inbound_plain")
    expect_in("the side that called: the host was silent", line["detail"]["got"], "the side that vanished")
    router.ip("route del blackhole %s/32" % mesh.stranger.ipv4)


def finding_p2_a_keepalive_interval_that_is_too_long_is_reported(story):
    client = story.mesh.sidecar("client")
    expect("nf_conntrack_tcp_timeout_close_wait" not in client.process.log(), "a warning without a reason")
    client.reload({"keepalive": {"idle": "%ds" % FORGOTTEN_S}})
    client.restart()
    client.process.wait_for_log("lower keepalive.idle or raise net.netfilter.nf_conntrack_tcp_timeout_close_wait")
