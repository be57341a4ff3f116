"""malicious_api_requests: an authenticated identity makes requests that it is not allowed to make.

    other: a genuine certificate -x-> server: [sidecar: only client may] -> echo
                                 -x-> control: the operator's calls, other identities, false lengths"""

import os
import struct

from handfast_harness import Mesh, StreamServer, TestAuthority, expect, expect_eq, expect_in, identity_of, needs_earlier
from handfast_harness import stream
from peers import hbone
from peers.enrollment import Enrollment, field, fields, make_csr, new_key

OPERATOR = ("TokenCreate", "Status", "Ban", "Release")


def arrange(story):
    story.mesh = Mesh(story, hosts=("client", "server"), outsiders=("other",), leaf_ttl="1h", policy={
        "workloads": [{"identity": identity_of("server"), "rules": [
            {"name": "only-the-client", "action": "allow", "sources": [{"id": identity_of("client")}]}]}]})
    story.app = story.own(StreamServer(story, story.mesh.server, 80, "echo"))
    story.leaf = TestAuthority.of(story.mesh.control).leaf(identity_of("other"))


def _control(story, identity=True):
    return Enrollment(story.mesh.other, story.mesh.control.host.ipv4, story.leaf if identity else None)


def shows_that_a_denied_identity_does_not_reach_the_application(story):
    with hbone.Client(story.mesh.other, story.mesh.server.ipv4, story.leaf) as tunnel:
        for _ in range(50):
            answer = tunnel.exchange(story.mesh.server.ipv4 + ":80", b"POST /admin/delete HTTP/1.1\r\n\r\n")
            expect_eq((answer.status, answer.reason(), answer.data), (401, "denied", b""), "answer")
    expect_eq(story.app.reports(), [], "connections that the application saw")


def shows_that_workloads_cannot_call_the_operator_service(story):
    for method in OPERATOR:
        with _control(story) as control:
            answer = control.call("/handfast.v1.Operator/" + method, field(1, identity_of("admin").encode()))
            expect_eq(answer.headers.get("grpc-status"), "12", "status of " + method)


def shows_that_only_root_and_their_own_user_command_the_programs(story):
    """C19: by the mode of the socket and, where an operator opened it to all users, by the uid behind the
    connection."""
    control, sidecar = story.mesh.control, story.mesh.sidecar("client")
    sockets = {"control": control.socket, "sidecar": sidecar.settings["admin_socket"]}
    try_both = lambda uid: {
        "control": control.run("ban", identity_of("server"), check=False, uid=uid),
        "sidecar": sidecar.host.run([story.binary("handfast-sidecar"), "quit", "--admin_socket", sockets["sidecar"]],
                                    uid=uid, check=False)}
    for is_open in (False, True):
        for path in sockets.values() if is_open else ():
            os.chmod(os.path.dirname(path), 0o777)
            os.chmod(path, 0o777)
        for name, done in try_both(1000).items():
            expect_eq(done.returncode, 77, "exit code, %s, open to all: %s: %s" % (name, is_open, done))
            expect_in("root or the %s's own user" % name.replace("control", "control plane"), done.stderr, "who may")
    control.process.wait_for_log("operator refused")  # in the audit log
    expect(identity_of("server") not in control.run("ban", "list", uid=1336).stdout, "another user banned an identity")
    expect_eq((control.process.exit_code, sidecar.process.exit_code), (None, None), "the programs' ends")


def shows_that_without_a_certificate_only_attest_can_be_called(story):
    for path in ("Identity/Stream", "Discovery/Stream"):
        with _control(story, identity=False) as control:
            answer = control.call("/handfast.v1." + path, field(1, field(1, 1)))
            expect_eq(answer.headers.get("grpc-status"), "16", "status of " + path)


def shows_that_a_certificate_alone_does_not_renew(story):
    """An identity stream with a genuine certificate, and an attestation key that was never enrolled."""
    key, csr = new_key(), make_csr(new_key(), [identity_of("client")])
    from cryptography.hazmat.primitives import serialization
    spki = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    renew = field(2, field(1, 1) + field(2, csr) + field(3, field(2, b"")) + field(4, spki) + field(5, b"no proof"))
    hello = field(1, field(1, 1) + field(3, b"peer"))
    with _control(story) as control:
        down = dict(control.talk("/handfast.v1.Identity/Stream", [hello, renew], lambda down: 2 in dict(fields(down))))
    answer = dict(fields(down[2]))
    expect(2 not in answer and answer.get(3), "the renewal was answered with %s" % answer)


def shows_that_a_false_length_is_refused_before_memory_is_allocated(story):
    before = story.mesh.control.process.rss_kb()
    for length in (0xFFFFFFFF, 0x40000000, 64 << 20):
        for identity in (False, True):
            path = "/handfast.v1." + ("Identity/Stream" if identity else "Enrollment/Attest")
            with _control(story, identity) as control:
                answer = control.request(path, struct.pack(">BI", 0, length) + b"x" * 1000, end=False)
                expect(answer.headers.get("grpc-status") not in (None, "0"),
                       "a message of %d bytes: %s %s" % (length, answer.headers, answer.ended))
    grown = story.mesh.control.process.rss_kb() - before
    expect(grown < 8192, "the control plane grew by %d KB" % grown)


@needs_earlier
def shows_that_other_identities_are_served_as_before(story):
    with story.mesh.client.connect(story.mesh.server.ipv4, 80, uid=1000) as sock:
        expect_eq(stream.exchange(sock, b"as before"), (b"as before", "fin"), "echo")
    expect_eq(story.mesh.control.process.exit_code, None, "exit code of the control plane")
