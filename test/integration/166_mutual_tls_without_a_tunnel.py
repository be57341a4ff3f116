"""A program that holds an SVID and has no sidecar is a caller like any other: by mutual TLS on a port of the workload.

    legacy: curl --cert svid.pem -> 8443 [sidecar of server, no rules] -> 127.0.0.1:8080 nginx
                                    8443 [sidecar of ruled, with rules] -> 127.0.0.1:8080 nginx
    owner, other: [sidecars], whose SVIDs legacy has as files"""

import os
import socket
import ssl

from handfast_harness import (Capture, Mesh, Nginx, expect, expect_eq, expect_in, identity_of, needs, wait_until)
from handfast_harness import stream

DEADLINE_S = 180
APP = 1000
MARKER = b"marker-that-must-never-be-on-the-wire\n"
BULK = os.urandom(1 << 20) * 8


def _files_of(story, name):
    folder = story.folder("files-" + name)
    os.chmod(folder, 0o777)
    story.mesh.net.hosts[name].run([story.binary("handfast-sidecar"), "svid", "--write", folder, "--once",
                                    "--workload_api.socket", story.sockets + "/" + name], uid=APP, timeout_s=30)
    return folder


def arrange(story):
    story.sockets = story.folder("sockets")
    os.chmod(story.sockets, 0o777)
    inbound = {"listeners": {"inbound": [{"port": 8443, "to": "127.0.0.1:8080", "mtls": True}]}}
    mesh = story.mesh = Mesh(story, hosts=("owner", "other", "server", "ruled"), outsiders=("legacy",), leaf_ttl="1h",
                             start=False, policy={"workloads": [
                                 {"identity": identity_of(name), "rules": [{
                                     "name": "owner-may", "sources": [{"id": identity_of("owner")}],
                                     "ports": [8443]}]} for name in ("server", "ruled")]})
    mesh.start_control()
    mesh.start_sidecar("server", rules=None, configuration={"interception": "none", **inbound})
    mesh.start_sidecar("ruled", configuration=inbound)
    for name in ("server", "ruled"):
        story.own(Nginx(story, mesh.net.hosts[name], 8080, {"marker": MARKER, "bulk": BULK}, addresses=["127.0.0.1"]))
    for name in ("owner", "other"):
        mesh.start_sidecar(name, configuration={"workload_api": {"socket": story.sockets + "/" + name, "uids": [APP]}})
    story.files = {name: _files_of(story, name) for name in ("owner", "other")}


def _curl(story, page, name="owner", to="server", check=True):
    folder = story.files[name]
    # An SVID has no host name, so curl cannot check it; shows_that_a_caller_can_verify_the_workload does.
    return story.mesh.legacy.run(["curl", "-ksS", "--max-time", "10", "--cert", folder + "/svid.pem", "--key",
                                  folder + "/svid_key.pem", "https://%s:8443/%s" % (story.mesh.net.hosts[to].ipv4, page)],
                                 check=check, timeout_s=20)


def _session(story, name="owner", to="server"):
    context = ssl.create_default_context(cafile=story.files["owner"] + "/svid_bundle.pem")
    context.check_hostname = False
    if name:
        context.load_cert_chain(story.files[name] + "/svid.pem", story.files[name] + "/svid_key.pem")
    plain = story.mesh.legacy.connect(story.mesh.net.hosts[to].ipv4, 8443, uid=APP)
    return context.wrap_socket(plain)


def shows_that_curl_with_an_svid_gets_its_page_in_tls_alone(story):
    with Capture(story, story.mesh.net.router, "to-legacy") as wire:
        expect_eq(_curl(story, "marker").stdout.encode(), MARKER, "the page")
    expect(not wire.contains(MARKER.strip()), "the marker crossed the wire in plaintext")
    expect_eq(wire.ports(), {8443}, "ports that were dialed")


@needs(shows_that_curl_with_an_svid_gets_its_page_in_tls_alone)
def shows_that_the_log_names_identity_and_rule(story):
    line = story.mesh.sidecar("server").wait_for_access(direction="inbound", reason="done")
    expect_eq((line["source_id"], line["rule"], line["encrypted"], line["endpoint"]),
              (identity_of("owner"), "owner-may", True, "127.0.0.1:8080"), "the line")
    expect_in(story.mesh.legacy.ipv4 + ":", line["source"], "the source")
    expect_eq(line["destination"], story.mesh.server.ipv4 + ":8443", "the destination")
    group = line["key_exchange"]
    expect(group, "the log does not name the key exchange")
    expect(story.mesh.sidecar("server").metric(
        'handfast_tunnel_key_exchanges_total{direction="inbound",group="%s"}' % group) >= 1, "%s is not counted" % group)


def shows_that_a_caller_can_verify_the_workload(story):
    with _session(story) as session:
        expect_eq(session.version(), "TLSv1.3", "the version")
        names = [value for kind, value in session.getpeercert()["subjectAltName"] if kind == "URI"]
        expect_eq(names, [identity_of("server")], "the identity that the caller sees")
        session.sendall(b"GET /bulk HTTP/1.0\r\n\r\n")
        body = b"".join(iter(lambda: session.recv(1 << 16), b"")).partition(b"\r\n\r\n")[2]
    expect_eq(stream.sha256(body), stream.sha256(BULK), "8 MiB")


def shows_that_rules_lead_there_too(story):
    expect_eq(_curl(story, "marker", to="ruled").stdout.encode(), MARKER, "the page")
    line = story.mesh.sidecar("ruled").wait_for_access(direction="inbound", reason="done")
    expect_eq((line["source_id"], line["endpoint"]), (identity_of("owner"), "127.0.0.1:8080"), "the line")


def shows_that_an_identity_that_no_rule_allows_is_refused(story):
    expect(_curl(story, "marker", "other", check=False).returncode != 0, "curl got an answer")
    line = story.mesh.sidecar("server").wait_for_access(reason="denied")
    expect_eq(line["source_id"], identity_of("other"), "the identity that is refused")


def shows_that_without_an_svid_nothing_passes(story):
    def refused(make):
        try:
            with make() as session:
                session.sendall(b"GET /marker HTTP/1.0\r\n\r\n")
                return session.recv(1 << 16) == b""
        except OSError:
            return True

    def make_own():
        folder = story.folder("own")
        story.mesh.legacy.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                               "-subj", "/CN=own", "-addext", "subjectAltName=URI:" + identity_of("owner"), "-keyout",
                               folder + "/key.pem", "-out", folder + "/cert.pem"])
        context = ssl.create_default_context(cafile=story.files["owner"] + "/svid_bundle.pem")
        context.check_hostname = False
        context.load_cert_chain(folder + "/cert.pem", folder + "/key.pem")
        return context.wrap_socket(story.mesh.legacy.connect(story.mesh.server.ipv4, 8443, uid=APP))

    expect(refused(lambda: _session(story, name=None)), "a caller without a certificate was served")
    expect(refused(make_own), "a caller with a certificate of its own making was served")
    expect_in(stream.attempt(story.mesh.legacy, story.mesh.server.ipv4, 8443, b"GET / HTTP/1.0\r\n\r\n")[1],
              ("reset", "end"), "the end of a plaintext request")
    wait_until("/why to name a refused caller", lambda: any(
        story.mesh.legacy.ipv4 in entry.get("remote", "") for entry in story.mesh.sidecar("server").admin("/why")["failures"]))


def _fails(story, to, make):
    """The lines and failed handshakes that this adds, after it was cut."""
    sidecar = story.mesh.sidecar(to)
    failed = sidecar.metric("handfast_handshake_failures_total")
    with make() as sock:
        own = {"direction": "inbound", "source": "%s:%d" % sock.getsockname()[:2]}  # an earlier caller's line may come late
        wait_until("the caller to be cut", lambda: _is_cut(sock), 10)
    wait_until("a line of the failed handshake", lambda: sidecar.access_log(**own), 5)
    lines = sidecar.access_log(**own)
    expect_eq([line["destination"] for line in lines], [story.mesh.net.hosts[to].ipv4 + ":8443"], "destinations")
    expect_eq(sidecar.metric("handfast_handshake_failures_total") - failed, 1, "failed handshakes that were counted")
    return lines[0]


def shows_that_a_failed_handshake_is_a_line_of_the_access_log(story):
    """With rules and without them."""
    def plain(to, data):
        sock = story.mesh.legacy.connect(story.mesh.net.hosts[to].ipv4, 8443, uid=APP)
        sock.sendall(data)
        return sock

    for to in ("server", "ruled"):
        line = _fails(story, to, lambda: plain(to, b"GET / HTTP/1.0\r\n\r\n"))
        expect_eq((line["reason"], line["detail"]["error"], line["encrypted"]), ("tls_failed", "protocol", False),
                  "a request in plaintext to " + to)
        expect_in(story.mesh.legacy.ipv4 + ":", line["source"], "the source")
        line = _fails(story, to, lambda: plain(to, b"\x16\x03\x01"))
        expect_eq((line["reason"], line["detail"]["error"]), ("tls_timeout", "timeout"), "a caller that stops")
        line = _fails(story, to, lambda: _session(story, name=None, to=to))
        expect_eq((line["reason"], line["detail"]["error"]), ("tls_failed", "no_certificate"), "one without an SVID")
        closed = story.mesh.sidecar(to).metric('handfast_connections_closed_total{direction="inbound",reason="tls_failed"}')
        expect(closed >= 2, "%d closed connections with tls_failed" % closed)


class _HalfSession:
    """Has sent its certificate, and withholds the last record of its handshake."""

    def __init__(self, story):
        context = ssl.create_default_context(cafile=story.files["owner"] + "/svid_bundle.pem")
        context.check_hostname = False
        context.load_cert_chain(story.files["owner"] + "/svid.pem", story.files["owner"] + "/svid_key.pem")
        self.coming, self.going = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.coming, self.going)
        self.plain = story.mesh.legacy.connect(story.mesh.server.ipv4, 8443, uid=APP)
        self.source = "%s:%d" % self.plain.getsockname()[:2]
        self.plain.settimeout(5)
        while not self._handshake():
            self.plain.sendall(self.going.read())
            self.coming.write(self.plain.recv(1 << 16))
        flight, at = self.going.read(), 0
        records = []
        while at < len(flight):
            end = at + 5 + int.from_bytes(flight[at + 3:at + 5], "big")
            records.append(flight[at:end])
            at = end
        expect(len(records) >= 3, "%d records of the last flight: the certificate is not apart" % len(records))
        self.rest = records.pop()
        self.plain.sendall(b"".join(records))

    def _handshake(self):
        try:
            self.tls.do_handshake()
            return True
        except ssl.SSLWantReadError:
            return False

    def finish(self, request):
        self.tls.write(request)
        self.plain.sendall(self.rest + self.going.read())


def shows_that_a_ban_cuts_the_open_connection(story):
    session = _session(story)
    session.sendall(b"GET /marker HTTP/1.1\r\nHost: a\r\n\r\n")
    expect_in(b"200", session.recv(1 << 16), "the answer before the ban")
    half = _HalfSession(story)
    story.mesh.control.run("ban", identity_of("owner"))
    wait_until("the connection to be cut", lambda: _is_cut(session), 10)
    half.finish(b"GET /marker HTTP/1.1\r\nHost: a\r\n\r\n")  # served, it would stay open
    wait_until("the handshake that began before the ban to be refused", lambda: _is_cut(half.plain), 10)
    seen = lambda: [(entry["what"], entry["error"]) for entry in story.mesh.sidecar("server").admin("/why")["failures"]
                    if entry.get("remote") == half.source]
    expect_eq(wait_until("/why of the handshake", seen), [("connection", "revoked")], "/why of the handshake")
    story.mesh.sidecar("server").wait_for_access(reason="withdrawn")
    expect(_curl(story, "marker", check=False).returncode != 0, "a banned identity got an answer")


def _is_cut(session):
    session.settimeout(0.2)
    try:
        return session.recv(1 << 16) == b""
    except socket.timeout:
        return False
    except OSError:
        return True
