"""A reset is detected although the sidecar does not read from that side, and bytes are counted while a connection is
open.

    stranger (no sidecar) ------- router --- client: [sidecar] ==tunnel== server: [sidecar] -> sockets of the story
    raw (tunnel without windows) ---+

Rows: L3, O7."""

import time

from handfast_harness import Mesh, TestAuthority, expect, expect_eq, identity_of, wait_until
from handfast_harness import stream
from handfast_harness.control_plane import SIDECAR_UID
from peers import hbone

DEADLINE_S = 120
NOTICED_S = 3.0  # each connection is polled once per second, on a loaded machine


def arrange(story):
    story.mesh = Mesh(story, outsiders=("stranger", "raw"), leaf_ttl="1h")
    story.server = story.mesh.sidecar("server")


def _listen(story, port):
    return story.mesh.server.listen(story.mesh.server.ipv4, port, uid=65534)


def _open(story, calls, port):
    listener = _listen(story, port)
    near = calls.connect(story.mesh.server.ipv4, port, uid=1000, timeout_s=8)
    far = listener.accept()[0]
    far.settimeout(8)
    return near, far


def _fill(sock):
    """Writes until nothing has been accepted for a while."""
    sock.setblocking(False)
    full = []

    def is_full():
        try:
            sock.send(bytes(1 << 20))
            full.clear()
        except BlockingIOError:
            full.append(True)
        return len(full) > 15
    wait_until("the reader's side to be full", is_full, 15)


def _reset_is_noticed(story, sender, reason, **wanted):
    stream.reset(sender)
    started = time.monotonic()
    story.server.wait_for_access(reason=reason, deadline_s=NOTICED_S, **wanted)
    expect(time.monotonic() - started < NOTICED_S, "it took %.1f s" % (time.monotonic() - started))


def finding_l3_a_server_that_resets_while_its_caller_does_not_read(story):
    near, far = _open(story, story.mesh.client, 9001)
    _fill(far)
    destination = story.mesh.server.ipv4 + ":9001"
    _reset_is_noticed(story, far, "reset_by_upstream", destination=destination)
    expect_eq(stream.receive_all(near)[1], "reset", "the caller's end")


def finding_l3_a_caller_that_resets_while_the_server_does_not_read(story):
    near, far = _open(story, story.mesh.stranger, 9002)
    _fill(near)
    destination = story.mesh.server.ipv4 + ":9002"
    _reset_is_noticed(story, near, "reset_by_downstream", destination=destination)
    expect_eq(stream.receive_all(far)[1], "reset", "the server's end")


def finding_l3_a_server_can_close_a_stream_whose_peer_grants_no_window(story):
    """The peer keeps its connection open and accepts nothing: the application can still end it."""
    listener = _listen(story, 9003)
    leaf = TestAuthority.of(story.mesh.control).leaf(identity_of("client"))
    with hbone.Client(story.mesh.net.raw, story.mesh.server.ipv4, leaf) as peer:
        answer = peer.connect(story.mesh.server.ipv4 + ":9003")
        expect_eq(answer.status, 200, "the answer")
        app = listener.accept()[0]
        _fill(app)
        _reset_is_noticed(story, app, "reset_by_upstream", destination=story.mesh.server.ipv4 + ":9003")


def finding_l3_a_caller_that_resets_before_the_other_side_has_answered(story):
    """The application's backlog is full, so the other sidecar waits for it; the caller has sent more than is
    buffered."""
    server = story.mesh.server
    full = [server.listen(server.ipv4, 9006, backlog=0, uid=65534)]
    for _ in range(3):
        full.append(server.socket(uid=SIDECAR_UID, gid=SIDECAR_UID))
        full[-1].setblocking(False)
        full[-1].connect_ex((server.ipv4, 9006))
    caller = story.mesh.client.connect(server.ipv4, 9006, uid=1000)
    caller.sendall(bytes(200_000))
    wait_until("the connection to wait for the application", lambda: [
        row for row in story.server.admin("/connections")["connections"]
        if row["destination"].endswith(":9006") and row["step"] == "open"], 5)
    stream.reset(caller)
    story.mesh.sidecar("client").wait_for_access(reason="reset_by_downstream", deadline_s=NOTICED_S,
                                                 destination=server.ipv4 + ":9006")


def finding_l3_a_delayed_orderly_end_is_not_a_reset(story):
    """The sender closes with all of its bytes still in flight to a reader that has not begun."""
    near, far = _open(story, story.mesh.client, 9004)
    data = stream.pattern(600_000, seed=4)
    near.sendall(data)
    near.close()
    time.sleep(NOTICED_S)  # duration: an end would be taken for a reset within it
    expect_eq(stream.receive_all(far), (data, "fin"), "what the server read, late")
    far.close()
    for name in ("client", "server"):  # its last bytes are counted at its end
        story.mesh.sidecar(name).wait_for_access(reason="done", destination=story.mesh.server.ipv4 + ":9004")


def finding_o7_bytes_are_counted_while_the_connection_is_open(story):
    near, far = _open(story, story.mesh.client, 9005)
    names = {"handfast_sent_bytes_total": ("outbound", "client"), "handfast_received_bytes_total": ("inbound", "server")}

    def count(metric):
        direction, name = names[metric]
        return story.mesh.sidecar(name).metric('%s{direction="%s"}' % (metric, direction))

    before = {metric: count(metric) for metric in names}
    near.sendall(b"q" * 1000)
    stream.receive_exactly(far, 1000)
    far.sendall(b"a" * 2000)
    stream.receive_exactly(near, 2000)
    wait_until("the request to be counted", lambda: count("handfast_sent_bytes_total") ==
               before["handfast_sent_bytes_total"] + 1000, NOTICED_S)
    wait_until("the answer to be counted", lambda: count("handfast_received_bytes_total") ==
               before["handfast_received_bytes_total"] + 2000, NOTICED_S)
    istio = 'istio_tcp_received_bytes_total{reporter="source",connection_security_policy="mutual_tls"}'
    expect(story.mesh.sidecar("client").metric(istio) >= 1000, "the metric with Istio's name does not count")
    near.close()
    far.close()
    for name in ("client", "server"):
        story.mesh.sidecar(name).wait_for_access(reason="done", destination=story.mesh.server.ipv4 + ":9005")
    expect_eq(count("handfast_sent_bytes_total") - before["handfast_sent_bytes_total"], 1000, "counted after the end")
