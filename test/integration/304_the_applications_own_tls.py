"""The application's own TLS is carried as bytes: SNI, ALPN and certificates are its own, however its ClientHello is cut.

    client: OpenSSL -> [sidecar] ==tunnel==> server: [sidecar] -> nginx 443
    client: OpenSSL -> [sidecar] --plain--> stranger: nginx 443
    stranger: OpenSSL --plain--> server: [sidecar, 444 permissive] -> nginx 444"""

import contextlib
import os
import pwd
import socket
import ssl
import struct

from handfast_harness import Capture, Nginx, WebPki, carried, expect, expect_eq, expect_in, identity_of, strict_mesh, stream
from handfast_harness import capture

DEADLINE_S = 240
NAME, KEY_SHARE, X25519 = "by-sni.example", 51, 29
# (name, bytes per record of the ClientHello or None, bytes per segment, bytes of further ALPN names)
WAYS = [("as OpenSSL sends it", None, 1 << 20, 0), ("in segments of one byte", None, 1, 0), ("in records of one byte", 1, 1 << 20, 0),
        ("in records and segments of a few bytes", 7, 5, 0), ("of more than 16 KiB", None, 1 << 20, 16500),
        ("of more than 16 KiB in small segments", None, 97, 16500), ("of 48 KiB in records of 1 KiB", 1024, 1 << 20, 48000)]


def arrange(story):
    story.mesh = strict_mesh(story, control={"mesh": {"plaintext_networks": ["192.0.2.16/28", "2001:db8:4::/64"]}},
                             policy={"workloads": [{"identity": identity_of("server"),
                                                    "ports": [{"port": 444, "mode": "permissive"}]}]})
    story.client, story.server, story.stranger = story.mesh.client, story.mesh.server, story.mesh.net.stranger
    story.pki = WebPki(story.folder("pki"), "the application's authority")
    os.chmod(story.pki.path("ca.crt"), 0o644)
    for name in (NAME, "other.example"):
        story.pki.issue(name, [name], uid=pwd.getpwnam("www-data").pw_uid)
    settings = ("ssl_protocols TLSv1.2 TLSv1.3; ssl_certificate %s; ssl_certificate_key %s; location / { return 200 '$ssl_server_name $ssl_alpn_protocol "
                "$http_x_marker'; }" % (story.pki.path("$ssl_server_name.crt"), story.pki.path("$ssl_server_name.key")))
    for host, port in ((story.server, 443), (story.server, 444), (story.stranger, 443)):
        story.own(Nginx(story, host, port, extra=settings, flags="ssl http2"))


def _in_records(records, size):
    """The handshake messages of TLS records in records of `size` bytes, RFC 8446 5.1."""
    message = b"".join(record.body for record in capture.tls_records(records))
    parts = [message[at:at + size] for at in range(0, len(message), size)]
    return b"".join(struct.pack("!BHH", capture.HANDSHAKE, 0x0301, len(part)) + part for part in parts)


class _Session:
    """A TLS session over a socket whose ClientHello leaves in the given way; `hello`: its bytes as they were sent."""

    def __init__(self, story, sock, way, marker):
        _, per_record, self.segment, num_alpn = way
        context = ssl.create_default_context(cafile=story.pki.path("ca.crt"))
        context.set_alpn_protocols([marker, *("x" * 246 + "%04d" % number for number in range(num_alpn // 251)), "http/1.1"])
        self.coming, self.going, self.sock = ssl.MemoryBIO(), ssl.MemoryBIO(), sock
        self.tls = context.wrap_bio(self.coming, self.going, server_hostname=NAME)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with contextlib.suppress(ssl.SSLWantReadError):
            self.tls.do_handshake()
        self.hello = self.going.read()
        if per_record:
            self.hello = _in_records(self.hello, per_record)
        self._send(self.hello)
        self._until_done(self.tls.do_handshake)

    def _send(self, data):
        for at in range(0, len(data), self.segment):
            self.sock.sendall(data[at:at + self.segment])

    def _until_done(self, call):
        while True:
            try:
                done = call()
                self._send(self.going.read())
                return done
            except ssl.SSLWantReadError:
                self._send(self.going.read())
                got = self.sock.recv(1 << 16)
                expect(got, "the server ended the session")
                self.coming.write(got)

    def ask(self, marker):
        """The body of an answer of nginx."""
        request = "GET / HTTP/1.1\r\nHost: %s\r\nX-Marker: %s\r\nConnection: close\r\n\r\n" % (NAME, marker)
        self._until_done(lambda: self.tls.write(request.encode()))
        parts = iter(lambda: self._until_done(lambda: self.tls.read(1 << 16)), b"")
        return b"".join(parts).decode().partition("\r\n\r\n")[2]


def _expect_untouched(story, host, target, port, way, marker):
    """The session has the certificate for its SNI and the ALPN that the application's server chose. A ClientHello with one byte
    changed would fail the handshake (Finished, RFC 8446 4.4.4). Returns the ClientHello."""
    with host.connect(target.ipv4, port, uid=1000, timeout_s=10) as sock:
        session = _Session(story, sock, way, marker)
        expect(len(session.hello) > 16384 or not way[3], "the ClientHello has %d bytes only" % len(session.hello))
        expect_eq((session.tls.version(), session.tls.selected_alpn_protocol()), ("TLSv1.3", "http/1.1"), "version and ALPN, " + way[0])
        expect_eq(session.tls.getpeercert()["subjectAltName"], (("DNS", NAME),), "the names of the certificate, " + way[0])
        expect_eq(session.ask(marker), "%s http/1.1 %s" % (NAME, marker), "SNI, ALPN and marker as nginx got them, " + way[0])
        return session.hello


def shows_that_tls_in_a_tunnel_is_untouched(story):
    with carried(story.mesh, 443, strangers=False) as marker:  # whose bytes are in the ClientHello, so it is not on the wire either
        for way in WAYS:
            _expect_untouched(story, story.client, story.server, 443, way, marker)


def shows_that_tls_outside_the_mesh_is_untouched(story):
    """In both directions; the wire has the ClientHello as it was cut into records."""
    with Capture(story, story.mesh.net.router, "to-stranger", "tcp and dst portrange 443-444") as wire:
        hellos = [_expect_untouched(story, host, target, port, way, "plain-marker") for way in WAYS
                  for host, target, port in ((story.client, story.stranger, 443), (story.stranger, story.server, 444))]
    sent = [data for key, data in wire.streams().items() if key[3] in (443, 444)]
    for hello in hellos:
        expect(any(data.startswith(hello) for data in sent), "a ClientHello of %d bytes is not on the wire" % len(hello))


def shows_that_curl_and_s_client_verify_the_application(story):
    with carried(story.mesh, 443, strangers=False) as marker:
        for name in (NAME, "other.example"):
            at = "%s:443:%s" % (name, story.server.ipv4)
            done = story.client.run(["curl", "-sS", "--max-time", "10", "--cacert", story.pki.path("ca.crt"), "--resolve", at,
                                     "-H", "X-Marker: " + marker, "https://%s/" % name], uid=1000)
            expect_eq(done.stdout, "%s h2 %s" % (name, marker), "SNI, ALPN and marker as nginx got them")
        done = story.client.run(["openssl", "s_client", "-connect", story.server.ipv4 + ":443", "-servername", NAME, "-alpn", "http/1.1",
                                 "-CAfile", story.pki.path("ca.crt"), "-verify_hostname", NAME, "-verify_return_error",
                                 "-max_send_frag", "512"], input="")
        for text in ("Verification: OK", "ALPN protocol: http/1.1"):
            expect_in(text, done.stdout, "the output of s_client")


def _extension(kind, body):
    return struct.pack("!HH", kind, len(body)) + body


def _post_quantum_hello(marker):
    """A ClientHello of 16 KiB and more with the key shares of X25519MLKEM768, SecP384R1MLKEM1024 and a larger one, then X25519."""
    shares = [(0x11EC, 1216), (0x11ED, 1665), (0xFE00, 13500), (X25519, 32)]  # RFC 8446 4.2.8; 0xFE00: for private use
    key_shares = b"".join(struct.pack("!HH", group, length) + os.urandom(length) for group, length in shares)
    groups = b"".join(struct.pack("!H", group) for group, _ in shares)
    names = b"".join(bytes([len(one)]) + one for one in (marker.encode(), b"h2"))
    listed = lambda body: struct.pack("!H", len(body)) + body
    extensions = (_extension(0, listed(b"\0" + listed(NAME.encode()))) + _extension(10, listed(groups)) +
                  _extension(13, listed(b"\x04\x03\x08\x04")) + _extension(16, listed(names)) + _extension(43, b"\x02\x03\x04") +
                  _extension(KEY_SHARE, listed(key_shares)))
    body = b"\x03\x03" + os.urandom(32) + b"\x20" + os.urandom(32) + listed(b"\x13\x01") + b"\x01\0" + listed(extensions)
    message = b"\x01" + len(body).to_bytes(3, "big") + body
    return b"".join(struct.pack("!BHH", capture.HANDSHAKE, 0x0301, len(message[at:at + 16384])) + message[at:at + 16384]
                    for at in range(0, len(message), 16384))


def _server_hello(story, host, target, port, hello):
    """The first record of the answer."""
    with host.connect(target.ipv4, port, uid=1000) as sock:
        sock.sendall(hello)
        head = stream.receive_exactly(sock, 5)
        return head + stream.receive_exactly(sock, int.from_bytes(head[3:], "big"))


def shows_that_16_kib_of_post_quantum_key_shares_are_answered(story):
    """OpenSSL 3.0 has none of these groups; it answers for X25519, which comes last."""
    with carried(story.mesh, 443, strangers=False) as marker:
        hello = _post_quantum_hello(marker)
        answers = [_server_hello(story, story.client, story.server, 443, hello)]
    expect(len(hello) > 16384, "the ClientHello has %d bytes only" % len(hello))
    answers += [_server_hello(story, story.client, story.stranger, 443, hello),
                _server_hello(story, story.stranger, story.server, 444, hello)]
    for answer in answers:
        expect_eq(capture.tls_negotiated_version(answer), 0x304, "the version")
        expect(struct.pack("!HHHH", KEY_SHARE, 36, X25519, 32) in answer, "the server did not choose X25519")
