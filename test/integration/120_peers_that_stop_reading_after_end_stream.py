"""A peer that has sent its complete answer may decline the rest of the request: END_STREAM, then RST_STREAM(NO_ERROR),
RFC 9113 8.1.

    client: app -> [sidecar] ==tunnel==> peer: python3-h2, answers and declines the rest
    raw: python3-h2, sends, ends and declines the answer ==tunnel==> server: [sidecar] -> an app that reads to the end

Rows: T1, T11."""

import random
import time

import h2.events

from handfast_harness import Mesh, StreamServer, TestAuthority, expect, expect_eq, identity_of, wait_until
from handfast_harness import stream
from peers import hbone

DEADLINE_S = 120
WEB = identity_of("web")
ANSWERS = 40


class Brisk(hbone.Server):
    """Answers the first bytes of a stream with `reply` and declines the rest."""

    def _take(self, engine, event):
        super()._take(engine, event)
        if not isinstance(event, h2.events.DataReceived) or event.stream_id in self.answered:
            return
        self.answered.add(event.stream_id)
        engine.send_data(event.stream_id, self.whole, end_stream=self.code == hbone.NO_ERROR)
        engine.reset_stream(event.stream_id, self.code)

    def __init__(self, *words, **more):
        self.answered, self.whole, self.code = set(), b"", hbone.NO_ERROR
        super().__init__(*words, **more)


def arrange(story):
    story.mesh = Mesh(story, outsiders=("peer", "raw"), leaf_ttl="1h", start=False)
    story.mesh.control.configure(entries=[{"address": story.mesh.peer.ipv4, "identity": WEB}])
    story.mesh.start()
    ca = TestAuthority.of(story.mesh.control)
    story.client = story.mesh.sidecar("client")
    story.peer = story.own(Brisk(story.mesh.peer, ca.leaf(WEB)))
    story.leaf = ca.leaf(identity_of("client"))
    story.app = story.own(StreamServer(story, story.mesh.server, 9000, "hash"))
    story.own(StreamServer(story, story.mesh.server, 9001, "reset", num_bytes=4))


def _dial(story):
    return story.mesh.client.connect(story.mesh.peer.ipv4, 80, uid=1000)


def finding_t1_every_complete_answer_arrives_with_its_end(story):
    seed = random.Random(120)
    for _ in range(ANSWERS):
        story.peer.whole = stream.pattern(seed.randrange(1, 30000), 120)
        with _dial(story) as sock:
            sock.sendall(b"a question")
            expect_eq(stream.receive_all(sock), (story.peer.whole, "fin"), "the answer")
    wait_until("all to be logged", lambda: len(story.client.access_log()) == ANSWERS)
    expect_eq(len(story.client.access_log(reason="done")), ANSWERS, "connections that are done")
    expect_eq(story.peer.handshakes, 1, "tunnels")


def finding_t1_an_app_that_is_still_sending_gets_the_answer_and_the_end(story):
    story.peer.whole = b"enough"
    with _dial(story) as sock:
        sock.sendall(stream.pattern(300_000))
        expect_eq(stream.receive_exactly(sock, 6), b"enough", "the answer")
        sock.sendall(b"a few bytes more, before the end arrives")
        expect_eq(stream.receive_all(sock), (b"", "fin"), "the end")
    story.client.wait_for_access(reason="done", bytes_received=6)


def finding_t1_an_app_that_never_stops_sending_is_reset(story):
    story.peer.whole = b"enough"

    def send_to_the_end():
        end = time.monotonic() + 20
        with _dial(story) as sock:
            try:
                while time.monotonic() < end:
                    sock.sendall(b"a line for the log\n")
                    time.sleep(0.02)  # duration: the pace of the slow reader
            except (ConnectionResetError, BrokenPipeError):
                return True
        return False

    expect(send_to_the_end(), "an app that only sends got no reset")
    story.client.wait_for_access(reason="reset_by_upstream")


def finding_t1_a_complete_request_arrives_although_the_caller_declines_the_answer(story):
    data = stream.pattern(20_000)
    with hbone.Client(story.mesh.raw, story.mesh.server.ipv4, story.leaf) as tunnel:
        number = tunnel.request([(":method", "CONNECT"), (":authority", "%s:9000" % story.mesh.server.ipv4)])
        tunnel.wait(number, lambda one: one.status == 200)
        tunnel.engine.send_data(number, data, end_stream=True)
        tunnel.engine.reset_stream(number, hbone.NO_ERROR)
        tunnel.flush()
        report = story.app.wait_for_report()
    expect_eq((report["received"], report["ended"]), (len(data), "fin"), "the request at the application")
    line = story.mesh.sidecar("server").wait_for_access(direction="inbound")
    expect(line["reason"] == "done", "logged as %s" % line["reason"])


def finding_t11_a_reset_by_the_application_is_cancel(story):
    with hbone.Client(story.mesh.raw, story.mesh.server.ipv4, story.leaf) as tunnel:
        number = tunnel.request([(":method", "CONNECT"), (":authority", "%s:9001" % story.mesh.server.ipv4)])
        tunnel.wait(number, lambda one: one.status == 200)
        tunnel.engine.send_data(number, b"1234")
        tunnel.flush()
        ended = tunnel.wait(number, lambda one: one.ended is not None).ended
    expect_eq(ended, "reset %d" % hbone.CANCEL, "the end of the stream")


def finding_t11_a_reset_of_any_code_before_the_end_is_a_reset_to_the_app(story):
    story.peer.whole = b"a part"
    for story.peer.code in (hbone.CONNECT_ERROR, hbone.CANCEL, 2):
        with _dial(story) as sock:
            sock.sendall(b"a question")
            got, ended = stream.receive_all(sock)
        expect(story.peer.whole.startswith(got) and ended == "reset", "code %d: %s %s" % (story.peer.code, got, ended))
