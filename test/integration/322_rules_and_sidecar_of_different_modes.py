"""Interception rules of another mode than the sidecar's are a condition, which names what to run, until they agree.

    client: [sidecar] ==tunnel==> hidden: rules of redirect, [sidecar with interception: tproxy] -> source of the caller
                      ==tunnel==> seen: rules of tproxy, [sidecar with interception: redirect] -> the same"""

import json

from handfast_harness import Mesh, StreamServer, expect, expect_eq, expect_in, needs_earlier, wait_until
from handfast_harness import stream

PORT, CONDITION = 9000, "interception rules of another mode"
MISMATCH = 'handfast_condition{name="rules_mode"}'
DEADLINE_S = 180


def arrange(story):
    mesh = story.mesh = Mesh(story, hosts=("client", "hidden", "seen"), leaf_ttl="1h", start=False)
    mesh.start_control()
    mesh.start_sidecar("client")
    mesh.start_sidecar("hidden", wait=False, configuration={"interception": "tproxy"}, capabilities="+net_raw")
    mesh.start_sidecar("seen", rules=["--mode", "tproxy"])
    for name in ("hidden", "seen"):
        story.own(StreamServer(story, mesh.net.hosts[name], PORT, "echo"))


def _conditions(story, name):
    return {row["name"]: row for row in story.mesh.sidecar(name).admin("/check")["conditions"]}


def _check(story, name):
    """(exit code, text) of `handfast check` there."""
    done = story.mesh.net.hosts[name].run([story.binary("handfast"), "check"], check=False)
    return done.returncode, done.stdout


def _echo(story, name):
    return stream.is_answered(story.mesh.client, story.mesh.net.hosts[name].ipv4, PORT)


def shows_that_a_sidecar_of_tproxy_is_not_ready_with_rules_of_redirect(story):
    sidecar = story.mesh.sidecar("hidden")
    wait_until("its identity", lambda: _is_only_condition(story, "hidden"), 15)
    expect_eq(_conditions(story, "hidden")[CONDITION]["level"], "failed", "the level")
    code, text = _check(story, "hidden")
    expect_eq(code, 1, "the exit code of handfast check")
    expect_in("failed    " + CONDITION, text, "handfast check")
    expect_in("run `handfast-init up --mode tproxy`, or set interception to redirect", text, "handfast check")
    expect_eq(sidecar.metric(MISMATCH), 1, MISMATCH)
    expect(not sidecar.is_ready(), "it is ready")


def _is_only_condition(story, name):
    try:
        return set(_conditions(story, name)) == {CONDITION}
    except OSError:
        return False


@needs_earlier
def shows_that_what_it_names_mends_it(story):
    host, sidecar = story.mesh.hidden, story.mesh.sidecar("hidden")
    expect(not _echo(story, "hidden"), "a call was answered in spite of the condition")
    host.run([story.binary("handfast-init"), "up", "--mode", "tproxy"])
    wait_until("readiness", sidecar.is_ready, 15)
    expect_eq(_check(story, "hidden")[0], 0, "the exit code of handfast check")
    expect_eq(sidecar.metric(MISMATCH), 0, MISMATCH)
    wait_until("a call", lambda: _echo(story, "hidden"), 10)


def shows_that_a_sidecar_of_redirect_with_rules_of_tproxy_is_degraded(story):
    host, sidecar = story.mesh.seen, story.mesh.sidecar("seen")
    expect(_echo(story, "seen"), "a call was not answered")
    wait_until("the condition", lambda: CONDITION in _conditions(story, "seen"), 10)
    expect_eq(_conditions(story, "seen")[CONDITION]["level"], "degraded", "the level")
    code, text = _check(story, "seen")
    expect_eq(code, 1, "the exit code of handfast check")
    expect_in("run `handfast-init up --mode redirect`", text, "handfast check")
    expect_eq(sidecar.metric(MISMATCH), 1, MISMATCH)
    host.run([story.binary("handfast-init"), "up"])
    wait_until("no condition", lambda: CONDITION not in _conditions(story, "seen"), 15)
    expect_eq((_check(story, "seen")[0], sidecar.metric(MISMATCH)), (0, 0), "exit code and metric")
    expect(json.loads(host.run([story.binary("handfast"), "check", "--output", "json"]).stdout)["ready"], "ready in JSON")
