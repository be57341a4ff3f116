"""On the control plane's host a sidecar attests by its user over a Unix socket: the kernel has who connected, no number of
a process is trusted, and other users get nothing.

    control, local: [sidecar of uid 1337] --unix socket--> control      uid 1000 -x-> the same socket"""

import array
import json
import os
import socket
import subprocess

from handfast_harness import Mesh, expect, expect_eq, expect_in, identity_of, needs_earlier, wait_until
from handfast_harness.control_plane import CONTROL_UID, SIDECAR_UID
from peers.enrollment import Enrollment, field

DEADLINE_S = 120
LOCAL = identity_of("local")
DENIED = "7"
CONNECT = """
import array, os, socket, sys
out, fd = socket.socket(fileno=0), socket.socket(socket.AF_UNIX)
fd.connect(sys.argv[1])
out.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd.fileno()]))])
out.recv(1)
"""
FLOOD = """
import socket, sys
held = []
for _ in range(200):
    one = socket.socket(socket.AF_UNIX)
    one.connect(sys.argv[1])
    held.append(one)
sys.stdin.read()
"""


def arrange(story):
    story.mesh = Mesh(story, hosts=(), leaf_ttl="1h", start=False)
    story.control = story.mesh.control
    folder = story.folder("unix")
    os.chown(folder, CONTROL_UID, CONTROL_UID)
    os.chmod(folder, 0o755)
    story.path = os.path.join(folder, "streams.sock")
    story.control.configure({"listen": {"streams_socket": story.path}, "attestation": {"entries": [
        {"name": "local", "identity": LOCAL, "selectors": ["unix:uid:%d" % SIDECAR_UID], "ttl": "4s"}]}})
    story.mesh.start_control()


def _attest(story, sock):
    with Enrollment(story.control.host, story.path, sock=sock) as control:
        return control.attest(attestation=lambda *_: field(4, b""))


def _status(story):
    rows = json.loads(story.control.run("status", "--output", "json").stdout)
    return next(row["sha256"] for row in rows["authorities"] if row["kind"] == "bootstrap root"), [
        row for row in rows["svid_holders"] if row["id"] == LOCAL]


def shows_that_a_sidecar_of_this_host_attests_renews_and_claims_its_address(story):
    sidecar = story.mesh.make_sidecar("control", identity=LOCAL, token="none", configuration={
        "interception": "none", "control": {"address": ["unix:" + story.path, story.control.address], "bootstrap_root_sha256": _status(story)[0]},
        "identity": {"token_file": None, "unix_peer": True}})
    sidecar.start()
    expect_eq(sidecar.identity()["id"], LOCAL, "the identity")
    sidecar.wait_for_rotation(deadline_s=10)
    # A certificate of 4 s is renewed with 2 s left, which is not late.
    wait_until("no condition", lambda: sidecar.admin("/check")["conditions"] == [], 10)
    rows = wait_until("the claim over TCP", lambda: [row for row in _status(story)[1] if row["addresses"]], 10)
    expect_in(story.control.host.ipv4, json.dumps(rows[0]["addresses"]), "the address")


def _socket_of(story, process):
    """The connection that a process of the sidecar's user has made, handed over by it, and that process."""
    ours, theirs = socket.socketpair(socket.AF_UNIX)
    child = subprocess.Popen(["/usr/bin/python3", "-c", process, story.path], stdin=theirs.fileno(), user=SIDECAR_UID,
                             group=SIDECAR_UID, extra_groups=[])
    theirs.close()
    _, ancillary, _, _ = ours.recvmsg(1, socket.CMSG_SPACE(4))
    return socket.socket(fileno=array.array("i", ancillary[0][2])[0]), ours, child


def shows_that_W40_the_identity_is_of_the_process_that_connected_while_it_lives(story):
    sock, ours, child = _socket_of(story, CONNECT)
    result = _attest(story, sock)
    expect_eq((result.status, [one.value for one in result.ids()] if result.chain else result.message), ("0", [LOCAL]),
              "a descriptor that its user's process handed over")
    ours.close()
    child.wait()
    sock, ours, child = _socket_of(story, CONNECT)
    ours.close()
    child.wait()
    result = _attest(story, sock)
    expect_eq((result.status, result.chain), (DENIED, []), "after that process has ended")
    expect_in("has ended", result.message, "the reason")


def shows_that_W40_other_users_and_changed_ones_get_nothing(story):
    other = socket.socket(socket.AF_UNIX)
    other.connect(story.path)
    result = _attest(story, other)
    expect_eq((result.status, result.chain), (DENIED, []), "the answer to root, which no entry names")
    expect_in("no entry fits", result.message, "the reason")
    changed = socket.socket(socket.AF_UNIX)
    os.setegid(SIDECAR_UID)
    os.seteuid(SIDECAR_UID)
    changed.connect(story.path)
    os.seteuid(0)
    os.setegid(0)
    result = _attest(story, changed)
    expect_eq((result.status, result.chain), (DENIED, []), "the answer to a process that was another user")
    with Enrollment(story.control.host, story.control.host.ipv4) as control:
        result = control.attest(attestation=lambda *_: field(4, b""))
    expect(result.status != "0" and not result.chain, "Unix peer credentials over TCP were answered with %s" % result.status)


@needs_earlier
def shows_that_W41_a_flood_of_one_user_leaves_the_others(story):
    sidecar = story.mesh.sidecar("control")
    flood = subprocess.Popen(["/usr/bin/python3", "-c", FLOOD, story.path], user=1000, group=1000, extra_groups=[],
                             stdin=subprocess.PIPE)
    try:
        sidecar.restart()
        sidecar.wait_for_rotation(deadline_s=10)
        story.control.process.wait_for_log("100:0:0:3e8::")  # uid 1000
    finally:
        flood.kill()
        flood.wait()
