"""Revocation lists of the operator's (identity.crl_files) withdraw what they name, and a bad one nothing else; connections
under identities that were rotated long ago are closed (max_identity_age).

    client: [sidecar, max_identity_age] ==tunnels==> server: [sidecar]
    control: lists/intermediate.crl

Abuse case D21."""

import datetime
import os

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from handfast_harness import Mesh, StreamServer, expect, expect_eq, expect_in, needs, stream, wait_until
from handfast_harness.certificates import TestAuthority

DEADLINE_S = 120
ECHO, APP = 9000, 1000
BACKDATED_S = 60  # of a leaf's notBefore


def _list(story, serials=(), life_s=3600):
    """A revocation list of the intermediate, as its operator's tools would write it."""
    authority, now = story.authority, datetime.datetime.utcnow()
    story.number += 1
    builder = x509.CertificateRevocationListBuilder().issuer_name(authority.intermediate.subject)
    builder = builder.last_update(now - datetime.timedelta(hours=1)).next_update(now + datetime.timedelta(seconds=life_s))
    for serial in serials:
        builder = builder.add_revoked_certificate(x509.RevokedCertificateBuilder().serial_number(int(serial, 16))
                                                  .revocation_date(now).build())
    key = authority.intermediate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    builder = builder.add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(key), critical=False)
    builder = builder.add_extension(x509.CRLNumber(story.number), critical=False)
    return builder.sign(authority._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def _write(story, content):
    with open(story.path + ".new", "wb") as file:
        file.write(content)
    os.chmod(story.path + ".new", 0o644)
    os.rename(story.path + ".new", story.path)


def _conditions(sidecar):
    return {one["name"]: one.get("detail") or "" for one in sidecar.admin("/check")["conditions"]}


def _control_condition(story):
    return story.mesh.control.metrics()['handfast_control_condition{name="revocation_lists"}']


def arrange(story):
    story.path, story.number = os.path.join(story.folder("lists"), "intermediate.crl"), 0
    story.mesh = Mesh(story, leaf_ttl="6s", control={"identity": {"crl_files": [story.path]}}, sidecars={
        "client": {"max_identity_age": "%ds" % (BACKDATED_S + 5), "max_identity_age_grace": "1s"}})
    story.app = story.own(StreamServer(story, story.mesh.server, ECHO, "echo"))
    story.authority = TestAuthority.of(story.mesh.control)


def _connect(story):
    sock = story.own(story.mesh.client.connect(story.mesh.server.ipv4, ECHO, uid=APP, timeout_s=20))
    _passes(sock)
    return sock


def _passes(sock):
    sock.sendall(b"hello")
    expect_eq(stream.receive_exactly(sock, 5), b"hello", "echo")


def shows_that_an_old_identity_is_reported_and_closed(story):
    client, server = story.mesh.sidecar("client"), story.mesh.sidecar("server")
    old = _connect(story)  # first: else a rotation in between would pass for the one that is waited for below
    before = {sidecar: sidecar.serial() for sidecar in (client, server)}
    for sidecar in before:  # both: an identity's age is that of the older end
        sidecar.wait_for_rotation(before[sidecar])
    young = _connect(story)
    expect_eq(stream.receive_all(old), (b"", "reset"), "the connection under the rotated identity")
    _passes(young)  # at once: it becomes as old
    young.close()
    client.wait_for_access(direction="outbound", reason="identity_age")
    expect_in("older than max_identity_age (%d s)" % (BACKDATED_S + 5), client.process.log(), "the log")


def shows_that_a_missing_file_is_a_named_condition(story):
    expect_eq(_control_condition(story), 1, "the condition")
    expect_in("intermediate.crl", story.mesh.control.run("status").stdout, "the status")


@needs(shows_that_a_missing_file_is_a_named_condition)
def shows_that_what_a_list_names_is_cut_and_renewed(story):
    client, server = story.mesh.sidecar("client"), story.mesh.sidecar("server")
    for sidecar in (server, client):
        sidecar.wait_for_rotation()  # so that neither end is too old before the list is read
    sock, serial = _connect(story), client.serial()
    _write(story, _list(story, [serial]))
    expect_eq(stream.receive_all(sock), (b"", "reset"), "the connection of the revoked certificate")
    server.wait_for_access(direction="inbound", reason="withdrawn")
    wait_until("another certificate", lambda: client.serial() != serial, 10)
    wait_until("calls to work again", lambda: stream.is_answered(story.mesh.client, story.mesh.server.ipv4, ECHO), 10)
    wait_until("the condition to end", lambda: _control_condition(story) == 0, 10)


@needs(shows_that_what_a_list_names_is_cut_and_renewed)
def shows_that_D21_a_bad_list_refuses_nothing(story):
    """Stale, garbage, too large: named, and calls go on."""
    server, live = story.mesh.sidecar("server"), _connect(story)
    _write(story, _list(story, life_s=-1))
    wait_until("the stale list to be named", lambda: "past their nextUpdate" in _conditions(server).get(
        "revocation lists", ""), 10)
    _passes(live)
    for content in (b"garbage", b"\x30" + bytes(10_000_000)):
        live = _connect(story)  # another one each time: max_identity_age closes it after some seconds
        named = lambda: story.mesh.control.log().count("a revocation list cannot be used")
        before = named()
        _write(story, content)
        wait_until("the file to be named", lambda: named() > before and _control_condition(story) == 1, 10)
        _connect(story).close()
        _passes(live)
    _write(story, _list(story))
    wait_until("the condition to end", lambda: _control_condition(story) == 0 and "revocation lists" not in
               _conditions(server), 10)
    expect(server.is_ready(), "not ready")
