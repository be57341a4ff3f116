"""A sidecar that is killed during a transfer resets both applications' connections: a partial transfer never ends
cleanly.

    stranger (no sidecar) --- router --- client: [sidecar, killed] ==tunnel== server: [sidecar, killed] -> programs
                                |
    database (no sidecar) ------+

An orderly end still delivers every byte. Rows: P15."""

import socket
import threading

from handfast_harness import Mesh, StreamServer, expect, expect_eq, wait_until
from handfast_harness import stream

LARGE = 400_000_000  # more than is transferred before the kill
SMALL = 3_000_000
DEADLINE_S = 180


def arrange(story):
    story.mesh = Mesh(story, outsiders=("database", "stranger"), leaf_ttl="1h", start=False)
    story.mesh.control.configure({"mesh": {"plaintext_networks": [story.mesh.database.ipv4 + "/32"]}})
    story.mesh.start()
    for host in (story.mesh.server, story.mesh.database):
        story.own(StreamServer(story, host, 9001, "source", num_bytes=SMALL))
        story.own(StreamServer(story, host, 9002, "hash"))


class _Transfer:
    """A connection between two sockets of the story: `sends` writes until it fails, `reads` reads to the end."""

    def __init__(self, calls, serves, port, is_download):
        listener = serves.listen(serves.ipv4, port, uid=65534)
        listener.settimeout(20)
        near = calls.connect(serves.ipv4, port, uid=1000, timeout_s=20)
        far = listener.accept()[0]
        far.settimeout(20)
        self.reads, self.sends = (near, far) if is_download else (far, near)
        self.received, self.ended, self.sent = 0, None, 0
        self.threads = [threading.Thread(target=work, daemon=True) for work in (self._send, self._read)]
        for thread in self.threads:
            thread.start()

    def _send(self):
        block = bytes(1 << 16)
        try:
            while self.sent < LARGE:
                self.sent += self.sends.send(block)
            self.sends.shutdown(socket.SHUT_WR)
            self.sender_ended = "fin" if not self.sends.recv(1) else "bytes"
        except OSError as error:
            self.sender_ended = type(error).__name__

    def _read(self):
        try:
            while data := self.reads.recv(1 << 16):
                self.received += len(data)
            self.ended = "fin"
        except OSError as error:
            self.ended = type(error).__name__

    def wait_until_it_moves(self):
        wait_until("bytes to pass", lambda: self.received > 1_000_000, 10)

    def wait_for_both_ends(self):
        for thread in self.threads:
            thread.join(20)
        return self.ended, self.sender_ended in ("ConnectionResetError", "BrokenPipeError")


def _kill_during(story, name, port, is_download, calls=None, serves=None):
    transfer = _Transfer(calls or story.mesh.client, serves or story.mesh.server, port, is_download)
    transfer.wait_until_it_moves()
    story.mesh.sidecar(name).kill()
    expect_eq(transfer.wait_for_both_ends(), ("ConnectionResetError", True), "both ends after %s's sidecar was killed" %
              name)
    expect(transfer.received < LARGE, "the transfer was over before the kill")
    story.mesh.sidecar(name).start()


def finding_p15_killing_the_callers_sidecar_resets_a_download(story):
    _kill_during(story, "client", 9010, is_download=True)


def finding_p15_killing_the_servers_sidecar_resets_a_download(story):
    _kill_during(story, "server", 9011, is_download=True)


def finding_p15_killing_the_callers_sidecar_resets_an_upload(story):
    _kill_during(story, "client", 9012, is_download=False)


def finding_p15_killing_the_servers_sidecar_resets_an_upload(story):
    _kill_during(story, "server", 9013, is_download=False)


def finding_p15_the_same_for_plaintext_connections(story):
    mesh = story.mesh
    _kill_during(story, "client", 9014, True, serves=mesh.database)
    _kill_during(story, "client", 9015, False, serves=mesh.database)
    _kill_during(story, "server", 9016, True, calls=mesh.stranger)


def finding_p15_an_orderly_end_delivers_every_byte_in_every_direction(story):
    mesh = story.mesh
    data = stream.pattern(SMALL, seed=1)
    for calls, serves in ((mesh.client, mesh.server), (mesh.client, mesh.database), (mesh.stranger, mesh.server)):
        way = "%s to %s" % (calls.name, serves.name)
        with calls.connect(serves.ipv4, 9002, uid=1000, timeout_s=20) as sock:
            received, ended = stream.exchange(sock, data)
        expect_eq((received.strip().decode(), ended), (stream.sha256(data), "fin"), "an upload, " + way)
        with calls.connect(serves.ipv4, 9001, uid=1000, timeout_s=20) as sock:
            received, ended = stream.exchange(sock, b"")
        expect_eq((len(received), stream.sha256(received), ended), (SMALL, stream.sha256(data), "fin"),
                  "a download, " + way)


def finding_p15_a_server_that_answers_and_closes_at_once_is_read_to_its_end(story):
    """Both sides call close() at the same moment, with the whole answer still in flight."""
    answer = stream.pattern(300_000, seed=3)
    listener = story.mesh.server.listen(story.mesh.server.ipv4, 9020, uid=65534)
    for _ in range(20):
        with story.mesh.client.connect(story.mesh.server.ipv4, 9020, uid=1000, timeout_s=20) as sock:
            sock.sendall(b"?")
            sock.shutdown(socket.SHUT_WR)
            peer = listener.accept()[0]
            expect_eq(peer.recv(1), b"?", "the question")
            peer.sendall(answer)
            peer.close()
            expect_eq(stream.receive_all(sock), (answer, "fin"), "the answer")
