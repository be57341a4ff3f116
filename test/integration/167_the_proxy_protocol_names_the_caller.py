"""A workload that reads the PROXY protocol learns its caller's address and SPIFFE ID; a caller cannot choose either.

    client: curl -> [sidecar] ==tunnel==> server: [sidecar] -> nginx 8080 with `listen proxy_protocol`
    liar: a peer whose `forwarded` has another's address       -> a reader of the header on 9000
    stranger: plaintext"""

import socket
import struct

from handfast_harness import Mesh, Nginx, TestAuthority, expect_eq, identity_of, stream
from peers import hbone

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
WHO = "location /who { return 200 '$proxy_protocol_addr:$proxy_protocol_port $proxy_protocol_server_port\\n'; }"


def arrange(story):
    story.mesh = Mesh(story, outsiders=("liar", "stranger"), leaf_ttl="1h", workers=2, sidecar={
        "inbound": {"proxy_protocol": [8080, 9000]}})
    story.own(Nginx(story, story.mesh.server, 8080, extra=WHO, flags="proxy_protocol"))
    story.plain = story.own(Nginx(story, story.mesh.server, 8081))
    story.reader = story.mesh.server.listen("::", 9000)
    story.reader.settimeout(5)


def _read(story):
    """(source, destination, {type: value}, rest) of the next connection to 9000, as its own reading of the header."""
    sock, _ = story.reader.accept()
    with sock:
        sock.settimeout(5)
        head = stream.receive_exactly(sock, 16)
        expect_eq((head[:12], head[12]), (SIGNATURE, 0x21), "signature, version and command")
        body = stream.receive_exactly(sock, struct.unpack("!H", head[14:])[0])
        size, family = {0x11: (4, socket.AF_INET), 0x21: (16, socket.AF_INET6)}[head[13]]
        ends = [socket.inet_ntop(family, body[at:at + size]) for at in (0, size)]
        ports = struct.unpack("!HH", body[2 * size:2 * size + 4])
        rest, found = body[2 * size + 4:], {}
        while rest:
            length = struct.unpack("!H", rest[1:3])[0]
            found[rest[0]], rest = rest[3:3 + length], rest[3 + length:]
        sock.sendall(b"answer")
        return (ends[0], ports[0]), (ends[1], ports[1]), found, stream.receive_exactly(sock, 5)


def _called_by(story, host, address):
    with host.connect(address, 9000, uid=1000) as sock:
        sock.sendall(b"hello")
        own = sock.getsockname()[:2]
        return own, _read(story)


def shows_that_nginx_logs_the_callers_own_socket(story):
    for address, own in ((story.mesh.server.ipv4, story.mesh.client.ipv4), (story.mesh.server.ipv6, story.mesh.client.ipv6)):
        url = "http://%s:8080/who" % ("[%s]" % address if ":" in address else address)
        done = story.mesh.client.run(["curl", "-sS", "--max-time", "15", "-w", "%{local_port}", url], uid=1000)
        text, port = done.stdout.split("\n")
        expect_eq(text, "%s:%s 8080" % (own, port), "what nginx got over " + address)


def shows_that_other_ports_get_no_header(story):
    status, _ = story.mesh.client.http("http://%s:8081/" % story.mesh.server.ipv4, uid=1000)
    expect_eq(status, 200, "the answer of a port without the PROXY protocol")


def shows_that_the_identity_is_in_the_header_in_both_families(story):
    for address in (story.mesh.server.ipv4, story.mesh.server.ipv6):
        own, (source, destination, found, rest) = _called_by(story, story.mesh.client, address)
        expect_eq((source, destination), (own, (address, 9000)), "source and destination")
        expect_eq((found, rest), ({0xD0: identity_of("client").encode()}, b"hello"), "identity and the first bytes")


def shows_that_a_stranger_has_its_address_and_no_identity(story):
    own, (source, _, found, _) = _called_by(story, story.mesh.stranger, story.mesh.server.ipv4)
    expect_eq((source, found), (own, {}), "source and TLVs of a caller in plaintext")


def shows_that_a_header_of_the_caller_is_data_behind_ours(story):
    forged = SIGNATURE + b"\x21\x11\x00\x0c" + bytes([192, 0, 2, 1, 192, 0, 2, 2, 0, 1, 0, 2])
    with story.mesh.stranger.connect(story.mesh.server.ipv4, 9000, uid=1000) as sock:
        sock.sendall(forged)
        source, _, _, rest = _read(story)
        expect_eq((source, rest), (sock.getsockname()[:2], forged[:5]), "source and the first bytes")


def shows_that_a_peer_cannot_name_another_source(story):
    mesh = story.mesh
    leaf = TestAuthority.of(mesh.control).leaf(identity_of("client"))
    with hbone.Client(mesh.liar, mesh.server.ipv4, leaf) as tunnel:
        own = tunnel.tls.sock.getsockname()[:2]
        for text, port in ((mesh.stranger.ipv4 + ":4444", own[1]), ("127.0.0.1:4444", own[1]), ("unknown", own[1]),
                           ("[%s]:4444" % mesh.liar.ipv6, own[1]), (mesh.liar.ipv4 + ":0", own[1]),
                           (mesh.liar.ipv4 + ":4444", 4444)):
            number = tunnel.request([(":method", "CONNECT"), (":authority", mesh.server.ipv4 + ":9000"),
                                     ("forwarded", 'for="%s"' % text)])
            tunnel.engine.send_data(number, b"hello")
            tunnel.flush()
            source, _, found, _ = _read(story)
            expect_eq((source, found), ((mesh.liar.ipv4, port), {0xD0: identity_of("client").encode()}),
                      "the source of a peer that names %s" % text)
            tunnel.wait(number, lambda answered: answered.ended is not None)


def shows_that_a_server_that_speaks_first_is_not_kept_waiting(story):
    with story.mesh.client.connect(story.mesh.server.ipv4, 9000, uid=1000) as sock:
        peer, _ = story.reader.accept()
        with peer:
            peer.sendall(b"220 ready")
            expect_eq(stream.receive_exactly(sock, 9), b"220 ready", "the greeting, before the caller sent anything")
