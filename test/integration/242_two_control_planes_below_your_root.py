"""Two control planes with one state in etcd, each with an intermediate of its own below the operator's root: the first
one's comes from files, the second one's from a command. Calls go on while an intermediate is replaced; a stolen root is
cut off at once, and neither source brings it back.

    control (files), control2 (command) ---- etcd1
       |
    client: keep-alive clients and new connections -> [sidecar] ==tunnels==> [sidecar] server"""

import json
import os
import subprocess
import time

from handfast_harness import Mesh, StreamServer, expect, expect_eq, expect_in, identity_of, needs_earlier, stream, wait_until
from handfast_harness.control_plane import CONTROL_UID
from handfast_harness.control_planes import another_control_plane, carry_keys, start_sidecars
from handfast_harness.etcd import Etcd
from handfast_harness.load import Load

DEADLINE_S = 300
EXTENSIONS = "basicConstraints=critical,CA:TRUE,pathlen:0\nkeyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\n"
SIGN = """#!/bin/sh
set -e
cd %s
root=$(cat command.root)
openssl x509 -req -CA $root.pem -CAkey $root.key -days 30 -copy_extensions copyall 2>/dev/null
cat $root.pem
"""


def arrange(story):
    mesh = story.mesh = Mesh(story, outsiders=("control2", "etcd1"), leaf_ttl="12s", start=False)
    story.etcd = Etcd(story, [mesh.net.hosts["etcd1"]]).start()
    _make_authority(story)
    files = {name: os.path.join(story.ca, "used." + name) for name in ("certificate", "key", "root")}
    mesh.control.configure({"store": story.etcd.settings(), "identity": {"ca": {"source": "files", **files}}})
    mesh.control.start()
    other = another_control_plane(mesh.control, mesh.net.hosts["control2"])
    carry_keys(mesh.control, other)
    ca = {"source": "command", "command": [os.path.join(story.ca, "sign")], "command_timeout": "20s"}
    other.configure({"identity": {"ca": {**ca, "certificate": None, "key": None, "root": None}}})
    other.start()
    story.controls = [mesh.control, other]
    start_sidecars(mesh, story.controls, ("client", "server"))
    story.own(StreamServer(story, mesh.server, 9000, "echo"))


def _openssl(story, *words):
    done = subprocess.run(["openssl", *words], cwd=story.ca, capture_output=True, text=True, check=False, timeout=30)
    expect_eq(done.returncode, 0, "openssl %s: %s" % (" ".join(words), done.stderr))
    return done.stdout


def _write(story, name, text):
    with open(os.path.join(story.ca, name), "w") as file:
        file.write(text)


def _make_authority(story):
    story.ca = story.folder("authority")
    _write(story, "extensions", EXTENSIONS)
    _write(story, "sign", SIGN % story.ca)
    os.chmod(os.path.join(story.ca, "sign"), 0o755)
    for root in ("root1", "root2"):
        _openssl(story, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-384", "-nodes", "-keyout",
                 root + ".key", "-out", root + ".pem", "-subj", "/CN=" + root, "-days", "365", "-addext",
                 "keyUsage=critical,keyCertSign,cRLSign")
        os.chown(os.path.join(story.ca, root + ".key"), CONTROL_UID, CONTROL_UID)
    _put_files(story, "root1")
    _write(story, "command.root", "root1")


def _put_files(story, root):
    """An intermediate with a key of its own in the place of the first control plane's."""
    _openssl(story, "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "new.key", "-out",
             "new.csr", "-subj", "/CN=intermediate below " + root)
    _openssl(story, "x509", "-req", "-in", "new.csr", "-CA", root + ".pem", "-CAkey", root + ".key", "-days", "30", "-extfile",
             "extensions", "-out", "new.certificate")
    os.chown(os.path.join(story.ca, "new.key"), CONTROL_UID, CONTROL_UID)
    with open(os.path.join(story.ca, root + ".pem")) as source:
        _write(story, "new.root", source.read())
    for name in ("certificate", "key", "root"):
        os.rename(os.path.join(story.ca, "new." + name), os.path.join(story.ca, "used." + name))


def _sha256_of(story, name):
    fingerprint = _openssl(story, "x509", "-in", name, "-noout", "-fingerprint", "-sha256")
    return fingerprint.split("=")[1].strip().replace(":", "").lower()


def _status(control, *words):
    return json.loads(control.run(*(words or ("status",)), "--output", "json").stdout)


def _authority(control, kind):
    return next(row["sha256"] for row in _status(control)["authorities"] if row["kind"] == kind)


def _trouble(control):
    return next((row["detail"] for row in _status(control)["conditions"] if row["name"] == "own_authority"), "")


def _has_ended_at(control, root):
    """The rotation is over, and this root is the active one there and of its signer."""
    status = _status(control, "ca", "status")
    active = [row["sha256"] for row in status["roots"] if row["role"] == "active"]
    return status["phase"] == "none" and active == [root] and _authority(control, "root") == root


def _wait_for_root(story, name):
    root = _sha256_of(story, name + ".pem")
    for control in story.controls:
        wait_until("%s at %s" % (name, control.name), lambda control=control: _has_ended_at(control, root), 60, 0.3)


def _each_issues(story):
    """With the other one away."""
    for control in story.controls:
        other = next(each for each in story.controls if each is not control)
        other.stop()
        serials = {name: sidecar.serial() for name, sidecar in story.mesh.sidecars.items()}
        for name, sidecar in story.mesh.sidecars.items():
            sidecar.wait_for_rotation(serials[name], deadline_s=12)
        chains = [sidecar.admin("/certs")["identity"]["chain"] for sidecar in story.mesh.sidecars.values()]
        other.start()
        expect_eq({chain[1]["sha256"] for chain in chains}, {_authority(control, "intermediate")},
                  "the issuer while %s alone runs" % control.name)


def shows_that_each_has_an_intermediate_of_its_own_and_issues(story):
    _wait_for_root(story, "root1")
    own = [_authority(control, "intermediate") for control in story.controls]
    expect(own[0] != own[1], "one intermediate for both")
    expect_eq(own[0], _sha256_of(story, "used.certificate"), "the intermediate of the files")
    with Load(story.mesh.client, story.mesh.server.ipv4, 9000, num_clients=4, new_per_second=10) as load:
        _each_issues(story)
        load.wait_for_requests(50)
    expect_eq(load.failures, [], "failures")


@needs_earlier
def shows_that_the_intermediate_of_one_is_replaced_under_load(story):
    second = _authority(story.controls[1], "intermediate")
    with Load(story.mesh.client, story.mesh.server.ipv4, 9000, num_clients=4, new_per_second=10) as load:
        _put_files(story, "root1")
        story.controls[0].reload()  # else within 5 s
        wait_until("the next intermediate", lambda: _authority(story.controls[0], "intermediate") ==
                   _sha256_of(story, "used.certificate"), 20, 0.2)
        load.wait_for_requests(50)
    expect_eq(load.failures, [], "failures")
    expect_eq(_authority(story.controls[1], "intermediate"), second, "the intermediate of the other one")


def _call(story):
    try:
        with story.mesh.client.connect(story.mesh.server.ipv4, 9000, uid=1000) as sock:
            sock.sendall(b"hello")
            return stream.receive_exactly(sock, 5) == b"hello"
    except (OSError, EOFError):
        return False


@needs_earlier
def shows_that_a_stolen_root_of_the_operators_is_cut_off_and_stays_away(story):
    """Before another root exists: the mesh goes on below one of the signers' own."""
    num_attested = sum(control.log().count("audit: attested: ") for control in story.controls)
    stolen = _sha256_of(story, "root1.pem")
    with story.mesh.client.connect(story.mesh.server.ipv4, 9000, uid=1000) as standing:
        standing.sendall(b"hello")
        expect_eq(stream.receive_exactly(standing, 5), b"hello", "the answer before")
        standing.settimeout(0.05)
        began = time.monotonic()
        story.controls[1].run("ca", "replace", "--compromised")
        wait_until("the end of what the root has opened", lambda: stream.is_cut(standing), 2, 0.02)
        wait_until("calls below the next root", lambda: _call(story), 4, 0.05)
        print("calls again after %.2f s" % (time.monotonic() - began))
    for control in story.controls:
        control.reload()  # each source is asked, and still has the stolen root
        wait_until("the condition at %s" % control.name, lambda control=control: "withdrawn" in _trouble(control), 20, 0.3)
    for control in story.controls:
        expect(stolen not in [row["sha256"] for row in _status(control, "ca", "status")["roots"]], "the stolen root is there")
    wait_until("one root in use at both", lambda: _authority(story.controls[0], "root") == _authority(story.controls[1], "root"), 10, 0.2)
    expect_eq(sum(control.log().count("audit: attested: ") for control in story.controls), num_attested,
              "attestations: the streams stood")
    for sidecar in story.mesh.sidecars.values():
        wait_until("one root at %s" % sidecar.host.name, lambda sidecar=sidecar: [
            len(bundle["roots"]) for bundle in sidecar.admin("/certs")["bundles"]] == [1], 5)


@needs_earlier
def shows_the_operators_next_root_taking_over_under_load(story):
    with Load(story.mesh.client, story.mesh.server.ipv4, 9000, num_clients=4, new_per_second=10) as load:
        _put_files(story, "root2")
        _write(story, "command.root", "root2")
        for control in story.controls:
            control.reload()
        _wait_for_root(story, "root2")
        for control in story.controls:
            wait_until("the end of the condition", lambda control=control: _trouble(control) == "", 20, 0.3)
        load.wait_for_requests(50)
    expect_eq(load.failures, [], "failures")
    refused = story.controls[0].run("ca", "rotate", check=False)
    expect_in("put the next root into the files", refused.stderr, "handfast ca rotate")
    expect_in(identity_of("client"), story.controls[1].run("status").stdout, "status")


@needs_earlier
def shows_that_the_others_intermediate_stays_revoked_until_it_ends(story):
    """Revoked by its serial at the first one, whose signer never had it."""
    path = story.controls[1].key_file("intermediate")
    end = _openssl(story, "x509", "-in", path, "-noout", "-enddate", "-dateopt", "iso_8601").split("=")[1].strip()
    serial = _openssl(story, "x509", "-in", path, "-noout", "-serial").split("=")[1].strip().lower()
    answer = _status(story.controls[0], "revoke", serial)
    expect_eq((answer["unknown"], answer["until"]), (False, end.replace(" ", "T")), "the answer")
