"""Half-close, reset, every byte of 100 MB, and back-pressure pass through a tunnel unchanged.

    client: sockets of the story -> [sidecar] ==tunnel==> server: [sidecar] -> programs of the story"""

import socket

from handfast_harness import Mesh, StreamServer, expect, expect_eq, needs, wait_until
from handfast_harness import stream

LARGE = 100 * 1000 * 1000
DEADLINE_S = 180


def arrange(story):
    story.mesh = Mesh(story, leaf_ttl="1h")


def _serve(story, port, mode, **options):
    return story.own(StreamServer(story, story.mesh.server, port, mode, **options))


def _connect(story, port):
    return story.mesh.client.connect(story.mesh.server.ipv4, port, uid=1000, timeout_s=60)


def shows_that_the_client_may_close_first_and_still_get_its_answer(story):
    _serve(story, 9001, "hash")
    with _connect(story, 9001) as sock:
        received, ended = stream.exchange(sock, b"some bytes")
    expect_eq((received.strip().decode(), ended), (stream.sha256(b"some bytes"), "fin"), "answer after half-close")


def shows_that_the_server_may_close_first_and_still_read(story):
    server = _serve(story, 9002, "fin")
    with _connect(story, 9002) as sock:
        expect_eq(stream.receive_all(sock), (b"", "fin"), "the server's end")
        sock.sendall(b"sent after the server closed")
        sock.shutdown(socket.SHUT_WR)
        report = server.wait_for_report()
    expect_eq((report["received"], report["ended"]), (28, "fin"), "what the server read after its FIN")


def shows_that_a_reset_by_the_client_is_a_reset_at_the_server(story):
    server = _serve(story, 9003, "echo")
    sock = _connect(story, 9003)
    sock.sendall(b"x")
    stream.receive_exactly(sock, 1)
    stream.reset(sock)
    expect_eq(server.wait_for_report()["ended"], "reset", "the server's view")
    for name in ("client", "server"):
        story.mesh.sidecar(name).wait_for_access(reason="reset_by_downstream")


def shows_that_a_reset_by_the_server_is_a_reset_at_the_client(story):
    _serve(story, 9004, "reset", num_bytes=5)
    with _connect(story, 9004) as sock:
        sock.sendall(b"hello")
        expect_eq(stream.receive_all(sock), (b"", "reset"), "the client's view")
    for name in ("client", "server"):
        story.mesh.sidecar(name).wait_for_access(reason="reset_by_upstream")


def shows_that_100_mb_arrive_complete_each_way(story):
    data = stream.pattern(LARGE, seed=7)
    _serve(story, 9005, "hash")
    with _connect(story, 9005) as sock:
        received, ended = stream.exchange(sock, data)
    expect_eq((received.strip().decode(), ended), (stream.sha256(data), "fin"), "hash of the bytes at the server")
    _serve(story, 9006, "source", num_bytes=LARGE, seed=7)
    with _connect(story, 9006) as sock:
        received, ended = stream.exchange(sock, b"")
    expect_eq((len(received), stream.sha256(received), ended), (LARGE, stream.sha256(data), "fin"), "the answer")


@needs(shows_that_the_client_may_close_first_and_still_get_its_answer)
def shows_that_a_stopped_reader_stops_its_sender_and_no_other(story):
    mesh = story.mesh
    _serve(story, 9007, "hold")
    before = {name: mesh.sidecar(name).process.rss_kb() for name in ("client", "server")}
    stuck = [_connect(story, 9007) for _ in range(4)]
    sent = [0] * len(stuck)

    def fill():
        before_all = sum(sent)
        for number, sock in enumerate(stuck):
            sock.setblocking(False)
            try:
                sent[number] += sock.send(bytes(1 << 20))
            except BlockingIOError:
                pass
        return sum(sent) == before_all

    quiet = []  # the senders count as stopped when nothing has moved for a while
    wait_until("the senders to be stopped", lambda: quiet.append(fill()) or quiet[-25:] == [True] * 25, 20)
    expect(max(sent) < 32 << 20, "a sender was never stopped: it sent %d bytes" % max(sent))
    with _connect(story, 9001) as sock:
        expect_eq(stream.exchange(sock, b"z" * 100_000)[1], "fin", "another connection meanwhile")
    for name, kb in before.items():
        grown = mesh.sidecar(name).process.rss_kb() - kb
        expect(grown < 64 * 1024 + 8 * 1024, "%s uses %d KB more for four readers that stopped" % (name, grown))
    for sock in stuck:
        stream.reset(sock)
