"""Three rotations of the mesh's root in a row under 2,000 open connections and steady new ones: nothing fails. Then one
that waits for a sidecar that is silent, is given up, and goes on without it.

    client: 2,000 open connections, 20 keep-alive clients, 20 new connections per second -> [sidecar] ==tunnels==> server
    other: [sidecar], which is stopped

Rows: I4."""

import json
import re
import signal
import time

from handfast_harness import Mesh, StreamServer, TestAuthority, expect, expect_eq, expect_in, identity_of, needs, stream, wait_until
from handfast_harness.load import Load
from peers import hbone, tls

DEADLINE_S = 480
NUM_OPEN = 2000


def arrange(story):
    story.mesh = Mesh(story, hosts=("client", "server", "other"), leaf_ttl="10m", outsiders=("raw",))
    story.control = story.mesh.control
    story.own(StreamServer(story, story.mesh.server, 9000, "echo"))


def _status(story):
    return json.loads(story.control.run("ca", "status", "--output", "json").stdout)


def _rotate(story, *words):
    return json.loads(story.control.run("ca", "rotate", *words, "--output", "json").stdout)


def _roots(status, role):
    return [row["sha256"] for row in status["roots"] if row["role"] == role]


def _wait_for_end(story, number, deadline_s=60):
    wait_until("the end of rotation %d" % number,
               lambda: (now := _status(story))["phase"] == "none" and now["number"] == number, deadline_s, 0.2)
    return _status(story)


def finding_i4_three_rotations_under_load_fail_nothing(story):
    mesh = story.mesh
    before = _status(story)
    expect_eq((before["phase"], before["number"], len(before["roots"])), ("none", 0, 1), "the status at first")
    pids = {name: sidecar.process.pid for name, sidecar in mesh.sidecars.items()}
    standing = [mesh.client.connect(mesh.server.ipv4, 9000, uid=1000) for _ in range(NUM_OPEN)]
    try:
        with Load(mesh.client, mesh.server.ipv4, 9000, num_clients=20, new_per_second=20) as load:
            for number in (1, 2, 3):
                serials = {name: sidecar.serial() for name, sidecar in mesh.sidecars.items()}
                active = _roots(_status(story), "active")
                expect_eq(_rotate(story)["phase"], "publishing", "the phase at first")
                status = _wait_for_end(story, number)
                expect(_roots(status, "active") != active, "the same root signs")
                expect_in(active[0], _roots(status, "retired"), "the retired roots")
                for name, sidecar in mesh.sidecars.items():
                    expect(sidecar.serial() != serials[name], "%s has no new certificate" % name)
                load.wait_for_requests(200)
        for number, sock in enumerate(standing):
            request = b"%07d " % number
            sock.sendall(request)
            expect_eq(stream.receive_exactly(sock, len(request)), request, "the answer on an open connection")
    finally:
        for sock in standing:
            sock.close()
    expect_eq(load.failures, [], "failures")
    expect(load.num_connections > 20, "only %d new connections were made" % load.num_connections)
    expect_eq({name: sidecar.process.pid for name, sidecar in mesh.sidecars.items()}, pids, "the processes")
    wait_until("the connections to end", lambda: mesh.sidecar("server").metric("handfast_connections_open") == 0, 20)
    for sidecar in mesh.sidecars.values():
        bad = [line for line in sidecar.access_log() if line["reason"] != "done"]
        expect_eq(bad[:3], [], "connections of %s with another reason than done" % sidecar.name)


@needs(finding_i4_three_rotations_under_load_fail_nothing)
def finding_i4_nothing_new_is_accepted_from_a_retired_root(story):
    """The page of each sidecar: one root."""
    for sidecar in story.mesh.sidecars.values():
        wait_until("one root at %s" % sidecar.name, lambda sidecar=sidecar: [
            len(bundle["roots"]) for bundle in sidecar.admin("/certs")["bundles"]] == [1], 10)


def finding_i4_a_restart_of_the_control_plane_goes_on_with_the_rotation(story):
    number = _status(story)["number"] + 1
    story.mesh.sidecar("other").process.signal(signal.SIGSTOP)
    try:
        _rotate(story)
        story.control.kill()
        story.control.start()
        wait_until("the sidecars that are there to confirm it", lambda: _status(story)["num_waited"] == 1, 20, 0.2)
    finally:
        story.mesh.sidecar("other").process.signal(signal.SIGCONT)
    status = _wait_for_end(story, number)
    expect_eq(len(_roots(status, "active")), 1, "the roots that sign")
    expect(_call_from(story, "client"), "a call afterward")


def finding_i4_a_silent_sidecar_is_named_and_waited_for(story):
    number = _status(story)["number"] + 1
    active = _roots(_status(story), "active")
    story.mesh.sidecar("other").process.signal(signal.SIGSTOP)
    try:
        _rotate(story)
        wait_until("the others to confirm it", lambda: _status(story)["num_waited"] == 1, 20, 0.2)
        status = _status(story)
        expect_eq([row["id"] for row in status["waited"]], [identity_of("other")], "who is waited for")
        text = story.control.run("ca", "status").stdout
        expect_in("the next root is published; sidecars confirm it", text, "ca status")
        expect_in("waiting for 1 sidecars", text, "ca status")
        refused = story.control.run("ca", "rotate", check=False)
        expect_eq(refused.returncode, 1, "a second rotation")
        expect_in("is under way", refused.stderr, "a second rotation")
        expect_eq(story.control.metrics()["handfast_control_rotation_waited_sidecars"], 1, "the metric")
        expect_eq(story.control.metrics()["handfast_control_rotation_phase"], 1, "the metric")
        aborted = json.loads(story.control.run("ca", "abort", "--output", "json").stdout)
        expect_eq((aborted["phase"], _roots(aborted, "active")), ("none", active), "the status after an abort")
        expect_eq(story.control.run("ca", "abort", check=False).returncode, 1, "a second abort")
        _rotate(story, "--force")
        status = _wait_for_end(story, number + 1, 60)
        expect(_roots(status, "active") != active, "the same root signs")
    finally:
        story.mesh.sidecar("other").process.signal(signal.SIGCONT)
    wait_until("the silent one to have a new certificate",
               lambda: story.mesh.sidecar("other").probe()[0] == 200 and _call_from(story, "other"), 60, 0.5)


def _call_from(story, name):
    try:
        with story.mesh.sidecar(name).host.connect(story.mesh.server.ipv4, 9000, uid=1000) as sock:
            sock.sendall(b"hello")
            return stream.receive_exactly(sock, 5) == b"hello"
    except (OSError, EOFError):
        return False


def finding_i4_a_root_whose_key_was_stolen_is_withdrawn_within_2_s(story):
    mesh = story.mesh
    stolen = TestAuthority.of(story.control).leaf(identity_of("client"))
    with hbone.Client(mesh.raw, mesh.server.ipv4, stolen):
        pass  # accepted before
    refused = story.control.run("ca", "replace", check=False)
    expect_eq(refused.returncode, 64, "without --compromised")
    num_attested = story.control.log().count("audit: attested: ")
    with mesh.client.connect(mesh.server.ipv4, 9000, uid=1000) as standing:
        standing.sendall(b"hello")
        expect_eq(stream.receive_exactly(standing, 5), b"hello", "the answer before")
        standing.settimeout(0.05)
        began = time.monotonic()
        story.control.run("ca", "replace", "--compromised")
        wait_until("the end of what the root has opened", lambda: stream.is_cut(standing), 2, 0.02)
        wait_until("calls below the next root", lambda: _call_from(story, "client"), 4, 0.05)
        print("calls again after %.2f s" % (time.monotonic() - began))
    wait_until("every sidecar to have the next root alone", lambda: all(
        len(bundle["roots"]) == 1 for sidecar in mesh.sidecars.values() for bundle in sidecar.admin("/certs")["bundles"]), 5)
    try:
        with hbone.Client(mesh.raw, mesh.server.ipv4, stolen):
            expect(False, "a certificate below the withdrawn root is accepted")
    except tls.Refused as refused:
        expect_eq(str(refused), "unknown ca", "the alert")
    expect_eq(story.control.log().count("audit: attested: "), num_attested, "attestations: the streams stood")


@needs(finding_i4_a_silent_sidecar_is_named_and_waited_for)
def shows_that_every_step_is_in_the_audit_log(story):
    log = story.control.log()
    for text in ("an operator rotates the mesh's root", "an operator gives up the rotation", "the next root is published",
                 "the next root signs", "of the mesh's root: ended"):
        expect(re.search("audit: .*" + re.escape(text), log), "no line with '%s'" % text)
