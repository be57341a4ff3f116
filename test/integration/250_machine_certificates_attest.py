"""A machine certificate of the operator's own CA attests: an entry makes its identity, each certificate is proven anew,
and what the CA revokes or the operator removes ends.

    db: [sidecar with a machine certificate made by openssl] ==tunnels==> server: [sidecar]
    thief: certificates and connections of others -x-> control"""

import json
import os
import shutil

from handfast_harness import Mesh, StreamServer, expect, expect_eq, expect_in, identity_of, needs_earlier, wait_until
from handfast_harness import stream
from handfast_harness.control_plane import SIDECAR_UID
from peers.enrollment import Enrollment, new_key
from peers.machines import MachineCa, x509_data

DEADLINE_S = 240
DENIED, INVALID = "7", "3"
DB, WEB = identity_of("db"), identity_of("web")
ENTRIES = [{"name": "db", "identity": DB, "selectors": ["x509:san:dns:db1.example"], "ttl": "4s"},
           {"name": "web", "identity": WEB, "selectors": ["x509:subject:cn:web1"]}]


def arrange(story):
    story.mesh = Mesh(story, hosts=("server",), outsiders=("db", "thief"), leaf_ttl="1h", start=False)
    story.control = story.mesh.control
    story.machines = story.folder("machines")
    os.chmod(story.machines, 0o755)
    story.ca = MachineCa(os.path.join(story.machines, "ca"))
    story.control.configure({"attestation": {"x509": {"roots": story.ca.root, "crl": story.ca.crl}, "entries": ENTRIES}})
    story.mesh.start()
    story.own(StreamServer(story, story.mesh.server, 9000, "echo"))


def _install(story, machine):
    """The files of the sidecar, put in place by renaming."""
    for source, name in ((machine.chain, "machine.pem"), (machine.key, "machine.key")):
        path = os.path.join(story.machines, name)
        shutil.copy(source, path + ".new")
        os.chmod(path + ".new", 0o600)
        os.chown(path + ".new", SIDECAR_UID, SIDECAR_UID)
        os.rename(path + ".new", path)


def _root_sha256(story):
    rows = json.loads(story.control.run("status", "--output", "json").stdout)["authorities"]
    return next(row["sha256"] for row in rows if row["kind"] == "bootstrap root")


def _attest(story, attestation, **words):
    with Enrollment(story.mesh.thief, story.control.host.ipv4) as control:
        return control.attest(attestation=attestation, **words)


def _refused(story, attestation, status, text):
    result = _attest(story, attestation)
    expect_eq((result.status, result.chain), (status, []), "the answer (%s)" % result.message)
    expect_in(text, result.message, "the reason")


def shows_that_a_machine_certificate_attests_and_renews(story):
    _install(story, story.ca.issue("db1", "DNS:db1.example,URI:urn:machine:db1", key="rsa:2048"))
    sidecar = story.mesh.start_sidecar("db", token="none", configuration={
        "control": {"bootstrap_root_sha256": _root_sha256(story)},
        "identity": {"token_file": None, "x509_certificate_file": os.path.join(story.machines, "machine.pem"),
                     "x509_key_file": os.path.join(story.machines, "machine.key")}})
    expect_eq(sidecar.identity()["id"], DB, "the identity")
    with story.mesh.db.connect(story.mesh.server.ipv4, 9000, uid=1000) as sock:
        sock.sendall(b"hello")
        expect_eq(stream.receive_exactly(sock, 5), b"hello", "the answer through a tunnel")
    sidecar.wait_for_rotation(deadline_s=10)  # the entry's ttl, not identity.leaf_ttl
    expect_eq(len(story.control.svid_holders(DB)), 1, "records of the sidecar")


def shows_that_W29_a_proof_of_another_connection_is_refused(story):
    machine, key = story.ca.issue("web1", "DNS:web1.example"), new_key()
    seen = {}

    def keep(exported, spki):
        seen["data"] = machine.proof(exported, spki)
        return seen["data"]

    expect_eq(_attest(story, keep, key=key).status, "0", "the machine itself")
    again = _attest(story, lambda *_: seen["data"], key=key)
    expect_eq((again.status, again.chain), (DENIED, []), "the same bytes on another connection")
    _refused(story, lambda exported, spki: machine.proof(exported, b"another attestation key"), DENIED, "signature")
    alone = _attest(story, None, key=key)
    expect_eq((alone.status, alone.chain), (DENIED, []), "the attestation key without the machine's")


def shows_that_W30_certificates_of_others_and_for_other_purposes_are_refused(story):
    foreign = MachineCa(os.path.join(story.machines, "foreign"))
    past = {"days": ("-startdate", "20200101000000Z", "-enddate", "20210101000000Z")}
    for ca, words, text in ((foreign, {}, "not trusted"), (story.ca, {"usage": "serverAuth"}, "clientAuth"),
                            (story.ca, past, "expired")):
        _refused(story, ca.issue("web1", "DNS:web1.example", **words).proof, DENIED, text)
    _refused(story, lambda *_: x509_data([b"\x30\x00"] * 9, b""), INVALID, "at most 8")
    _refused(story, lambda *_: x509_data([], b""), INVALID, "no certificate")
    large = _attest(story, lambda *_: x509_data([bytes(60000)], b""))  # beyond the 16 KiB of a request
    expect(large.status != "0" and not large.chain, "a chain of 60 kB was answered with %s" % large.status)
    _refused(story, story.ca.issue("unlisted", "DNS:other.example").proof, DENIED, "no entry fits")


@needs_earlier
def shows_that_W32_a_removed_entry_ends_at_the_next_renewal(story):
    machine, sidecar = story.ca.issue("web1", "DNS:web1.example"), story.mesh.sidecar("db")
    contradiction = {"name": "other", "identity": identity_of("other"), "selectors": ["x509:san:dns:web1.example"]}
    story.control.reload(attestation={**story.control.settings["attestation"], "entries": ENTRIES + [contradiction]})
    wait_until("entries that contradict each other to be refused", lambda: _attest(story, machine.proof).status == DENIED, 10)
    _refused(story, machine.proof, DENIED, "give different identities")
    story.control.reload(attestation={**story.control.settings["attestation"], "entries": ENTRIES[1:]})
    sidecar.process.wait_for_log("no entry fits", 15)
    wait_until("the identity to end", lambda: not sidecar.is_ready(), 15)
    story.control.reload(attestation={**story.control.settings["attestation"], "entries": ENTRIES})
    sidecar.wait_until_ready(70)  # after each refusal it waits longer, up to a minute


@needs_earlier
def shows_that_W31_what_the_ca_revokes_ends_and_another_one_is_taken_over(story):
    sidecar = story.mesh.sidecar("db")
    path = os.path.join(story.machines, "ca", "db1-chain.pem")
    story.ca.revoke(type("Machine", (), {"chain": path}))
    sidecar.process.wait_for_log("is on a revocation list", 15)
    _install(story, story.ca.issue("db1", "DNS:db1.example"))
    sidecar.wait_for_rotation(deadline_s=70)
    sidecar.wait_until_ready()
    story.control.run("ban", DB)
    wait_until("the ban to end it", lambda: not sidecar.is_ready(), 20)
    _refused(story, story.ca.issue("db1", "DNS:db1.example").proof, DENIED, "is banned")
