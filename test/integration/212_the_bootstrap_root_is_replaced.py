"""The bootstrap root gets a successor under load, across kill -9 of the control plane: nothing fails. A sidecar that was
away for all of it comes back, an unused join token is valid until the former one is retired, and a new one always.

    control --- router --- client [sidecar] ==tunnel==> server [sidecar]
                     |
                   other [sidecar], away meanwhile;  late, fresh, last: enroll later, with old and new tokens

Rows: I4."""

import base64
import json
import os

from handfast_harness import Mesh, StreamServer, expect, expect_eq, expect_in, needs, wait_until
from handfast_harness.load import Load
from handfast_harness.mesh import identity_of

DEADLINE_S = 240


def arrange(story):
    story.mesh = Mesh(story, hosts=("client", "server", "other"), leaf_ttl="10m", outsiders=("late", "fresh", "last"))
    story.control = story.mesh.control
    story.own(StreamServer(story, story.mesh.server, 9000, "echo"))


def _ca(story, *words):
    return json.loads(story.control.run("ca", *words, "--output", "json").stdout)["bootstrap"]


def _status(story):
    return _ca(story, "status")


def _roots(status, role):
    return [row["sha256"] for row in status["roots"] if row["role"] == role]


def _pin(token):
    """The SHA-256 of the bootstrap root in a token file."""
    with open(token) as file:
        text = file.read().strip().split(".")[3]
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).hex()


def _num_pins(sidecar):
    with open(os.path.join(sidecar.state, "enrolled")) as file:
        return sum(line.startswith("pin ") for line in file)


def finding_i4_a_replacement_under_load_and_kill_9_fails_nothing(story):
    mesh, control = story.mesh, story.control
    story.tokens = {name: control.token(identity_of(name)) for name in ("late", "last")}
    mesh.sidecar("other").stop()
    before = _status(story)
    story.first = _roots(before, "active")[0]
    expect_eq((before["phase"], before["number"], _pin(story.tokens["late"])), ("none", 0, story.first), "the status")
    pids = {name: mesh.sidecar(name).process.pid for name in ("client", "server")}
    with Load(mesh.client, mesh.server.ipv4, 9000, num_clients=10, new_per_second=10) as load:
        started = _ca(story, "rotate", "--bootstrap")
        expect_eq((started["phase"], len(_roots(started, "next"))), ("publishing", 1), "the first phase")
        wait_until("both to confirm the pin", lambda: _status(story)["num_waited"] == 1, 20, 0.2)
        expect_eq([row["id"] for row in _status(story)["waited"]], [identity_of("other")], "who is waited for")
        for name in ("client", "server"):
            expect_eq(_num_pins(mesh.sidecar(name)), 2, "the pins that %s has stored" % name)
        refused = control.run("ca", "rotate", "--bootstrap", check=False)
        expect_eq(refused.returncode, 1, "a second one")
        expect_in("its successor is published", refused.stderr, "a second one")
        control.kill()
        control.start()
        expect_eq(_status(story)["phase"], "publishing", "the phase after a crash")
        _ca(story, "rotate", "--bootstrap", "--force")
        wait_until("the successor to sign", lambda: _status(story)["phase"] == "overlap", 30, 0.2)
        control.kill()
        control.start()
        status = _status(story)
        expect_eq((status["phase"], _roots(status, "former")), ("overlap", [story.first]), "after another crash")
        for name in ("client", "server"):
            wait_until("the stream of %s" % name,
                       lambda name=name: mesh.sidecar(name).metric("handfast_control_plane_connected") == 1, 20, 0.2)
        load.wait_for_requests(200)
    expect_eq(load.failures, [], "failures")
    expect_eq({name: mesh.sidecar(name).process.pid for name in pids}, pids, "the processes")


@needs(finding_i4_a_replacement_under_load_and_kill_9_fails_nothing)
def finding_i4_who_was_away_comes_back_and_old_and_new_tokens_are_valid(story):
    mesh = story.mesh
    status = wait_until("one sidecar and two tokens to need the former one", lambda: (
        now := _status(story))["num_waited"] == 1 and now["num_tokens"] == 2 and now, 20, 0.2)
    active = _roots(status, "active")[0]
    rows = story.control.metrics()
    expect_eq((rows["handfast_control_bootstrap_root_phase"], rows["handfast_control_bootstrap_root_waited_sidecars"]),
              (2, 1), "the metrics")
    refused = story.control.run("ca", "retire", "--bootstrap", check=False)
    expect_eq(refused.returncode, 1, "retiring what is needed")
    expect_in("1 sidecars have not confirmed its successor, and 2 unused join tokens", refused.stderr, "why not")
    mesh.sidecar("other").start()
    wait_until("it to have the pin", lambda: _num_pins(mesh.sidecar("other")) == 2, 10)
    mesh.start_sidecar("late", token=story.tokens["late"])
    token = story.control.token(identity_of("fresh"))
    expect_eq(_pin(token), active, "the pin of a new token")
    mesh.start_sidecar("fresh", token=token)
    status = wait_until("all to have confirmed it", lambda: (now := _status(story))["num_waited"] == 0 and now, 20, 0.2)
    expect_eq(status["num_tokens"], 1, "tokens that have the former pin")


@needs(finding_i4_who_was_away_comes_back_and_old_and_new_tokens_are_valid)
def finding_i4_a_retired_one_is_refused_with_the_fix_and_the_others_go_on(story):
    mesh, control = story.mesh, story.control
    retired = _ca(story, "retire", "--bootstrap", "--force")
    expect_eq((retired["phase"], len(retired["roots"])), ("none", 1), "the status")
    last = mesh.start_sidecar("last", wait=False, token=story.tokens["last"])
    last.process.wait_for_log("or its former root retired, write a new token", 15)
    control.token(identity_of("last"), path=story.tokens["last"])  # as it advises
    last.wait_until_ready(40)
    control.restart()
    for name in ("other", "late"):
        mesh.sidecar(name).restart()
    expect_eq(_roots(_status(story), "active"), _roots(retired, "active"), "the active one after a restart")


@needs(finding_i4_a_retired_one_is_refused_with_the_fix_and_the_others_go_on)
def finding_i4_the_root_rotates_and_the_successor_gets_one(story):
    """The sealed keys of roots, and of further successors, are opened by the first bootstrap root's key."""
    story.control.run("ca", "rotate")
    wait_until("the rotation to end", lambda: json.loads(story.control.run("ca", "status", "--output", "json").stdout)
               ["phase"] == "none", 40, 0.2)
    _ca(story, "rotate", "--bootstrap")
    wait_until("the second successor to sign", lambda: _status(story)["phase"] == "overlap", 30, 0.2)
    for text in ("an operator replaces the bootstrap root", "replacement 2 of the bootstrap root: the successor signs"):
        expect_in("audit: " + text, story.control.log(), "the audit log")
    story.control.restart()
    status = _status(story)
    expect_eq((status["number"], len(status["roots"])), (2, 2), "the status after a restart")
    story.mesh.sidecar("client").restart()
    wait_until("all to have confirmed it", lambda: _status(story)["num_waited"] == 0, 20, 0.2)
    expect_eq(_ca(story, "retire", "--bootstrap")["phase"], "none", "the end")
    end = story.control.metrics()["handfast_control_bootstrap_root_expiry_timestamp_seconds"]
    expect(end > 0, "no end in the metrics")
