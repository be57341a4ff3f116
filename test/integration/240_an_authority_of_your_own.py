"""A root of the operator's, whose key is never on the control plane's host: openssl signs the intermediate. Calls go on
meanwhile.

    client: 10 keep-alive clients, 20 new connections per second -> [sidecar] ==tunnels==> server
    openssl: the offline root"""

import json
import os
import subprocess

from handfast_harness import Mesh, StreamServer, expect, expect_eq, expect_in, identity_of, needs, needs_earlier, wait_until
from handfast_harness.load import Load

DEADLINE_S = 240


def arrange(story):
    story.mesh = Mesh(story, leaf_ttl="10m")
    story.control = story.mesh.control
    story.own(StreamServer(story, story.mesh.server, 9000, "echo"))
    story.ca = story.folder("authority")
    make_root(story, "root")


def openssl(story, *words):
    done = subprocess.run(["openssl", *words], cwd=story.ca, capture_output=True, text=True, check=False, timeout=30)
    expect_eq(done.returncode, 0, "openssl %s: %s" % (" ".join(words), done.stderr))
    return done.stdout


def make_root(story, name, *more):
    openssl(story, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-384", "-nodes", "-keyout", name + ".key",
            "-out", name + ".pem", "-subj", "/CN=offline " + name, "-days", "365", "-addext", "keyUsage=critical,keyCertSign,cRLSign",
            *more)


def sha256_of(story, name):
    return openssl(story, "x509", "-in", name, "-noout", "-fingerprint", "-sha256").split("=")[1].strip().replace(":", "").lower()


def sign(story, name, root, *more):
    """As docs/rotate.md describes it; returns the file of the chain."""
    with open(os.path.join(story.ca, name + ".csr"), "w") as file:
        file.write(story.control.run("ca", "csr").stdout)
    openssl(story, "x509", "-req", "-in", name + ".csr", "-CA", root + ".pem", "-CAkey", root + ".key", "-days", "30",
            "-out", name + ".pem", *(more or ("-copy_extensions", "copyall")))
    chain = os.path.join(story.ca, name + ".chain.pem")
    with open(chain, "w") as file:
        for part in (name, root):
            with open(os.path.join(story.ca, part + ".pem")) as source:
                file.write(source.read())
    return chain


def status(story):
    return json.loads(story.control.run("ca", "status", "--output", "json").stdout)


def root_in_use(story):
    return [row["sha256"] for row in status(story)["roots"] if row["role"] == "active"]


def intermediate_of(story):
    authorities = json.loads(story.control.run("status", "--output", "json").stdout)["authorities"]
    return [row["sha256"] for row in authorities if row["kind"] == "intermediate"]


def wait_for_root(story, sha256, deadline_s=40):
    wait_until("the rotation to end", lambda: root_in_use(story) == [sha256] and status(story)["phase"] == "none",
               deadline_s, 0.2)


def shows_that_C40_a_chain_that_no_sidecar_would_accept_changes_nothing(story):
    before = status(story)
    with open(os.path.join(story.ca, "flat.ext"), "w") as file:
        file.write("basicConstraints = critical, CA:FALSE\n")
    flat = sign(story, "flat", "root", "-extfile", "flat.ext")  # no authority
    make_root(story, "domain", "-addext", "nameConstraints=critical,permitted;URI:other.example")
    foreign = sign(story, "foreign", "domain")
    bare = os.path.join(story.ca, "root.pem")
    for chain, text in ((flat, "not a certificate authority"), (foreign, "expected:"), (bare, "handfast ca csr")):
        done = story.control.run("ca", "import", chain, check=False)
        expect_eq(done.returncode, 1, "the import of %s: %s" % (chain, done.stderr))
        expect_in(text, done.stderr, "the import of %s" % chain)
    expect_eq(status(story), before, "the status")


def shows_an_offline_root_taking_over_under_load(story):
    mesh = story.mesh
    with Load(mesh.client, mesh.server.ipv4, 9000, num_clients=10, new_per_second=20) as load:
        serials = {name: sidecar.serial() for name, sidecar in mesh.sidecars.items()}
        chain = sign(story, "first", "root")
        story.first = chain
        expect_in("the next root is published", story.control.run("ca", "import", chain).stdout, "the answer")
        wait_for_root(story, sha256_of(story, "root.pem"))
        for name, sidecar in mesh.sidecars.items():
            expect(sidecar.serial() != serials[name], "%s has no new certificate" % name)
        load.wait_for_requests(100)
    expect_eq(load.failures, [], "failures")
    wait_until("one root", lambda: [len(bundle["roots"]) for bundle in mesh.sidecar("client").admin("/certs")["bundles"]] == [1], 10)
    for name in ("root.pem", "intermediate.pem"):
        with open(os.path.join(story.control.state, "keys", name)) as file:
            expect_eq("PRIVATE KEY" in file.read(), name != "root.pem", "a key in %s" % name)
    expect_in("imported an intermediate", story.control.log(), "the audit log")
    wait_until("what is no longer used to be removed", lambda: not {"root-former.pem", "intermediate-request.pem"} & set(
        os.listdir(os.path.join(story.control.state, "keys"))), 10)


@needs(shows_an_offline_root_taking_over_under_load)
def shows_the_next_intermediate_at_once(story):
    before, number = intermediate_of(story), status(story)["number"]
    chain = sign(story, "second", "root")
    expect_in("no rotation is under way", story.control.run("ca", "import", chain).stdout, "the answer")
    wait_until("the signer to show it", lambda: intermediate_of(story) == [sha256_of(story, "second.pem")], 15, 0.2)
    expect(before != intermediate_of(story) and status(story)["number"] == number, "another rotation")
    refused = story.control.run("revoke", "--intermediate", check=False)
    expect_eq(refused.returncode, 1, "a revocation without a successor")
    expect_in("handfast ca csr", refused.stderr, "a revocation without a successor")


@needs_earlier
def shows_that_it_outlives_a_restart(story):
    story.control.kill()
    story.control.start()
    serial = story.mesh.sidecar("client").serial()
    story.mesh.sidecar("client").restart()
    wait_until("another certificate of the client", lambda: story.mesh.sidecar("client").serial() != serial, 10)
    expect_eq(root_in_use(story), [sha256_of(story, "root.pem")], "the root")
    with story.mesh.client.connect(story.mesh.server.ipv4, 9000, uid=1000) as sock:
        sock.sendall(b"hello")
        expect_eq(sock.recv(5), b"hello", "a call")
    expect_in(identity_of("client"), story.control.run("status").stdout, "status")


@needs_earlier
def shows_the_way_back_to_a_root_of_the_signers_own(story):
    story.control.run("ca", "rotate")
    own = sha256_of(story, "root.pem")
    wait_until("the rotation to end", lambda: root_in_use(story) != [own] and status(story)["phase"] == "none", 40, 0.2)
