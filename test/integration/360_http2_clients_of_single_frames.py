"""Each HTTP/2 server takes a client that ignores the size of its table of header fields, and ends the connection of one whose
streams are not as in RFC 9113. Decision 105.

    peer: single frames ==tunnel==> server: [sidecar] 15008 -> echo
    peer: single frames over TLS --> control plane 15012
    server: single frames -> [sidecar] workload.sock"""

import contextlib
import os

from handfast_harness import Mesh, StreamServer, TestAuthority, expect_eq, identity_of
from peers import http2_frames
from peers.http2_frames import Frames
from peers.tls import Tls

TUNNEL, STREAMS = 15008, 15012
NAME = "x-" + "n" * 100


def arrange(story):
    story.socket = os.path.join(story.folder("sockets"), "workload.sock")
    os.chmod(os.path.dirname(story.socket), 0o777)
    story.mesh = Mesh(story, hosts=("server",), outsiders=("peer",), leaf_ttl="1h", sidecars={
        "server": {"workload_api": {"socket": story.socket, "uids": [0]}}})
    story.leaf = TestAuthority.of(story.mesh.control).leaf(identity_of("peer"))
    story.own(StreamServer(story, story.mesh.server, 80, "echo"))
    call = [(":method", "POST"), (":scheme", "http"), (":authority", "localhost"), ("content-type", "application/grpc"),
            ("te", "trailers"), ("workload.spiffe.io", "true")]
    story.requests = {
        "tunnel": [(":method", "CONNECT"), (":authority", story.mesh.server.ipv4 + ":80")],
        "control": call + [(":path", "/handfast.v1.Enrollment/Attest")],
        "workload": call + [(":path", "/SpiffeWorkloadAPI/FetchX509SVID")],
    }


@contextlib.contextmanager
def _client(story, server):
    if server == "workload":
        with story.mesh.server.connect_unix(story.socket) as sock:
            yield Frames(sock.sendall, lambda: sock.recv(65536))
        return
    address, port = (story.mesh.server.ipv4, TUNNEL) if server == "tunnel" else (story.mesh.net.control.ipv4, STREAMS)
    with story.mesh.peer.connect(address, port) as sock:
        tls = Tls(sock, story.leaf).handshake()
        yield Frames(tls.send, tls.receive)


def shows_that_a_table_of_the_initial_size_is_used(story):
    """2 KB of header fields that the client refers to by their index in the next request."""
    for server, request in story.requests.items():
        fields = sorted(request, key=lambda field: not field[0].startswith(":")) + [
            (NAME + str(number), "v" * 100) for number in range(8)]
        with _client(story, server) as client:
            for stream in (1, 3):
                client.request(stream, fields)
                client.until(lambda: stream in client.ended)
            expect_eq((client.goaway, client.ended), (None, {1, 3}), "the end of requests to %s" % server)


def _expect_goaway(story, code, frames):
    for server, request in story.requests.items():
        fields = sorted(request, key=lambda field: not field[0].startswith(":"))
        with _client(story, server) as client:
            frames(client, fields)
            client.until(lambda: client.goaway is not None)
            expect_eq(client.goaway, code, "GOAWAY of %s" % server)


def shows_that_a_request_on_a_stream_that_has_ended_is_an_error(story):
    def frames(client, fields):
        client.request(1, fields)
        client.until(lambda: 1 in client.ended)
        client.request(1, fields)
    _expect_goaway(story, http2_frames.STREAM_CLOSED, frames)


def shows_that_a_request_below_an_earlier_one_is_an_error(story):
    def frames(client, fields):
        client.request(5, fields)
        client.request(3, fields)
    _expect_goaway(story, http2_frames.PROTOCOL_ERROR, frames)


def shows_that_a_priority_without_a_stream_is_an_error(story):
    _expect_goaway(story, http2_frames.PROTOCOL_ERROR,
                   lambda client, _: client.send(http2_frames.PRIORITY, payload=b"\0\0\0\1\x10"))
