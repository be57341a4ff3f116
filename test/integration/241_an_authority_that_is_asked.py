"""An authority of the operator's that the control plane asks by itself: files that are replaced while calls go on, then a
command, then a key in a token. openssl is the authority, SoftHSM the token.

    client: 10 keep-alive clients, 20 new connections per second -> [sidecar] ==tunnels==> server"""

import json
import os
import struct
import subprocess

from handfast_harness import Mesh, StreamServer, expect, expect_eq, expect_in, needs_earlier, wait_until
from handfast_harness.control_plane import CONTROL_UID
from handfast_harness.load import Load

DEADLINE_S = 300
EXTENSIONS = "basicConstraints=critical,CA:TRUE,pathlen:0\nkeyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\n"


def arrange(story):
    story.ca = story.folder("authority")
    with open(os.path.join(story.ca, "extensions"), "w") as file:
        file.write(EXTENSIONS)
    _make_root(story, "root1")
    _make_root(story, "root2")
    _make_root(story, "root3")
    os.chmod(os.path.join(story.ca, "root3.key"), 0o644)
    _put_files(story, "root1")
    files = {name: os.path.join(story.ca, "used." + name) for name in ("certificate", "key", "root")}
    story.mesh = Mesh(story, leaf_ttl="10m", control={"identity": {"ca": {"source": "files", **files}}})
    story.control = story.mesh.control
    story.own(StreamServer(story, story.mesh.server, 9000, "echo"))


def _openssl(story, *words):
    done = subprocess.run(["openssl", *words], cwd=story.ca, capture_output=True, text=True, check=False, timeout=30)
    expect_eq(done.returncode, 0, "openssl %s: %s" % (" ".join(words), done.stderr))
    return done.stdout


def _make_root(story, name):
    _openssl(story, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", name + ".key", "-out", name + ".pem", "-subj",
             "/CN=" + name, "-days", "365", "-addext", "keyUsage=critical,keyCertSign,cRLSign")


def _put_files(story, root, names=("certificate", "key", "root")):
    """An intermediate with a key of its own in the place of the present files."""
    _openssl(story, "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "new.key", "-out",
             "new.csr", "-subj", "/CN=intermediate below " + root)
    _openssl(story, "x509", "-req", "-in", "new.csr", "-CA", root + ".pem", "-CAkey", root + ".key", "-days", "30", "-extfile",
             "extensions", "-out", "new.certificate")
    with open(os.path.join(story.ca, root + ".pem")) as source, open(os.path.join(story.ca, "new.root"), "w") as file:
        file.write(source.read())
    os.chmod(os.path.join(story.ca, "new.key"), 0o644)  # the control plane has another user
    for name in names:
        os.rename(os.path.join(story.ca, "new." + name), os.path.join(story.ca, "used." + name))


def _sha256_of(story, name):
    fingerprint = _openssl(story, "x509", "-in", name, "-noout", "-fingerprint", "-sha256")
    return fingerprint.split("=")[1].strip().replace(":", "").lower()


def _authorities(story):
    status = json.loads(story.control.run("status", "--output", "json").stdout)
    return {row["kind"]: row["sha256"] for row in status["authorities"] if row["kind"] in ("root", "intermediate")}


def _conditions(story):
    status = json.loads(story.control.run("status", "--output", "json").stdout)
    return {row["name"]: row for row in status["conditions"]}


def _wait_for_root(story, root):
    def is_used():
        status = json.loads(story.control.run("ca", "status", "--output", "json").stdout)
        active = [row["sha256"] for row in status["roots"] if row["role"] == "active"]
        return active == [_sha256_of(story, root + ".pem")] and status["phase"] == "none"
    wait_until("%s to be the root" % root, is_used, 40, 0.2)


def _wait_for_intermediate(story):
    wait_until("the intermediate of the files",
               lambda: _authorities(story)["intermediate"] == _sha256_of(story, "used.certificate"), 20, 0.2)


def shows_the_files_in_use_from_the_first_start(story):
    _wait_for_root(story, "root1")
    _wait_for_intermediate(story)


@needs_earlier
def shows_files_that_are_replaced_under_load(story):
    mesh = story.mesh
    with Load(mesh.client, mesh.server.ipv4, 9000, num_clients=10, new_per_second=20) as load:
        _put_files(story, "root1")
        story.control.reload()  # else within 5 s
        _wait_for_intermediate(story)
        serials = {name: sidecar.serial() for name, sidecar in mesh.sidecars.items()}
        _put_files(story, "root2")
        _wait_for_root(story, "root2")
        for name, sidecar in mesh.sidecars.items():
            expect(sidecar.serial() != serials[name], "%s has no new certificate" % name)
        load.wait_for_requests(100)
    expect_eq(load.failures, [], "failures")


@needs_earlier
def shows_that_a_bad_replacement_changes_nothing_and_is_a_condition(story):
    before = _authorities(story)
    _put_files(story, "root2", names=("certificate",))  # without its key
    story.control.reload()
    wait_until("the condition", lambda: "own_authority" in _conditions(story), 15, 0.2)
    expect_in("key", _conditions(story)["own_authority"]["detail"], "the condition")
    expect_eq(story.control.metrics()['handfast_control_condition{name="own_authority"}'], 1, "the metric")
    expect_eq(_authorities(story), before, "the authorities")
    story.control.restart()  # with the same files
    wait_until("the same authorities after a restart", lambda: _authorities(story) == before, 10)
    for words in (("ca", "rotate"), ("ca", "csr")):
        refused = story.control.run(*words, check=False)
        expect_in("identity.ca.source", refused.stderr, " ".join(words))
    _put_files(story, "root2")
    wait_until("the condition to end", lambda: "own_authority" not in _conditions(story), 15, 0.2)


def _write_command(story, text):
    with open(story.command + ".new", "w") as file:
        file.write("#!/bin/sh\nset -e\n" + text)
    os.chmod(story.command + ".new", 0o755)
    os.rename(story.command + ".new", story.command)


def _call_32(number, first, jump):
    """A system call with one argument; where its result is not -1, a jump by so many bytes."""
    return (b"\xb8" + struct.pack("<I", number) + b"\xbb" + struct.pack("<I", first) + b"\x31\xc9\x31\xd2\x31\xf6\x31\xff"
            b"\xcd\x80\x83\xf8\xff\x75" + bytes((jump,)))


def _exit_32(code):
    return b"\xb8" + struct.pack("<I", 1) + b"\xbb" + struct.pack("<I", code) + b"\xcd\x80"


def _write_program_of_32_bits(path):
    """It ends with 0 if unshare() and clone(), both of a user namespace, get EPERM. Elsewhere than on x86-64 true is it."""
    if os.uname().machine != "x86_64":
        os.symlink("/bin/true", path)
        return
    unshare, clone, new_user, sigchld = 310, 120, 0x10000000, 17
    end = _exit_32(0)
    second = _call_32(clone, new_user | sigchld, len(end))
    code = _call_32(unshare, new_user, len(second) + len(end)) + second + end + _exit_32(1)
    at, headers = 0x8048000, 52 + 32
    with open(path, "wb") as file:
        file.write(b"\x7fELF\x01\x01\x01" + bytes(9) + struct.pack("<HHIIIIIHHHHHH", 2, 3, 1, at + headers, 52, 0, 0, 52, 32, 1, 0, 0, 0)
                   + struct.pack("<IIIIIIII", 1, 0, at, at, headers + len(code), headers + len(code), 5, 4096) + code)
    os.chmod(path, 0o755)


@needs_earlier
def shows_a_command_that_signs(story):
    """First one that fails; a rotation to its root begins when it works, and calls go on. It may start a program of 32
    bits, which is refused what the others are."""
    mesh, story.command = story.mesh, os.path.join(story.ca, "sign")
    _write_command(story, "echo 'the vault is sealed' >&2; exit 3\n")
    ca = {"source": "command", "command": [story.command, "root3"], "command_timeout": "20s"}
    story.control.configure({"identity": {"ca": {**ca, "certificate": None, "key": None, "root": None}}})
    with Load(mesh.client, mesh.server.ipv4, 9000, num_clients=10, new_per_second=20) as load:
        story.control.restart()
        # What the files gave is used until its half, so that nothing is asked for now.
        expect("own_authority" not in _conditions(story), "a condition")
        story.control.stop()
        _forget_intermediate(story)
        story.control.start()
        wait_until("the condition", lambda: "the vault is sealed" in _conditions(story).get("own_authority", {}).get("detail", ""),
                   15, 0.2)
        _write_program_of_32_bits(os.path.join(story.ca, "program32"))
        _write_command(story, "cd %s; ./program32 || exit; openssl x509 -req -CA $1.pem -CAkey $1.key -days 30 -copy_extensions copyall "
                              "2>/dev/null; cat $1.pem\n" % story.ca)
        story.control.reload()  # else after the backoff
        _wait_for_root(story, "root3")
        expect("own_authority" not in _conditions(story), "the condition is still there")
        load.wait_for_requests(100)
    expect_eq(load.failures, [], "failures")


@needs_earlier
def shows_a_key_in_a_token(story):
    """SoftHSM has the key of an authority below root4; first with a PIN that it refuses."""
    mesh = story.mesh
    files = _make_token(story)
    pkcs11 = {"module": "/usr/lib/softhsm/libsofthsm2.so", "token": "mesh", "key": "authority", "pin_file": files["pin"],
              "program": story.binary("handfast-pkcs11")}
    story.control.configure({"identity": {"ca": {"source": "pkcs11", "certificate": files["certificate"],
                                                 "root": files["root"], "command": [], "pkcs11": pkcs11}}})
    story.control.environment = {**os.environ, "SOFTHSM2_CONF": files["configuration"]}
    with Load(mesh.client, mesh.server.ipv4, 9000, num_clients=10, new_per_second=20) as load:
        story.control.restart()
        wait_until("the condition",
                   lambda: "CKR_PIN_INCORRECT" in _conditions(story).get("own_authority", {}).get("detail", ""), 15, 0.2)
        with open(files["pin"], "w") as file:
            file.write("1234\n")
        story.control.reload()
        _wait_for_root(story, "root4")
        load.wait_for_requests(100)
    expect_eq(load.failures, [], "failures")
    chain = mesh.sidecar("client").admin("/certs")["identity"]["chain"]
    expect_eq(len(chain), 3, "the leaf, the intermediate, the authority in the token")


def _make_token(story):
    """A P-256 key that never leaves the token; root4 signs a certificate for it."""
    files = {name: os.path.join(story.ca, "token." + name) for name in ("pin", "certificate", "configuration", "folder")}
    environment = {**os.environ, "SOFTHSM2_CONF": files["configuration"]}
    tool = ["pkcs11-tool", "--module", "/usr/lib/softhsm/libsofthsm2.so", "--token-label", "mesh", "--login", "--pin", "1234"]
    os.mkdir(files["folder"])
    with open(files["configuration"], "w") as file:
        file.write("directories.tokendir = %s\nobjectstore.backend = file\n" % files["folder"])
    with open(files["pin"], "w") as file:
        file.write("9999\n")
    os.chmod(files["pin"], 0o600)
    os.chown(files["pin"], CONTROL_UID, CONTROL_UID)
    for words in (["softhsm2-util", "--init-token", "--free", "--label", "mesh", "--pin", "1234", "--so-pin", "5678"],
                  [*tool, "--keypairgen", "--key-type", "EC:prime256v1", "--label", "authority"],
                  [*tool, "--read-object", "--type", "pubkey", "--label", "authority", "--output-file", "public.der"]):
        subprocess.run(words, cwd=story.ca, env=environment, check=True, capture_output=True, timeout=30)
    _make_root(story, "root4")
    with open(os.path.join(story.ca, "extensions"), "w") as file:
        file.write(EXTENSIONS.replace("pathlen:0", "pathlen:1"))
    _openssl(story, "pkey", "-pubin", "-inform", "DER", "-in", "public.der", "-out", "public.pem")
    _openssl(story, "x509", "-new", "-force_pubkey", "public.pem", "-subj", "/CN=authority in a token", "-CA", "root4.pem",
             "-CAkey", "root4.key", "-days", "90", "-extfile", "extensions", "-out", files["certificate"])
    subprocess.run(["chown", "-R", str(CONTROL_UID), files["folder"]], check=True)
    return {**files, "root": os.path.join(story.ca, "root4.pem")}


def _forget_intermediate(story):
    os.unlink(os.path.join(story.control.state, "keys", "intermediate.pem"))
