"""At the control plane it is shown which sidecars are not ready or degraded: in the status, by check, as metrics.

    control --- router --- client: [sidecar, rules are flushed], server: [sidecar]

Rows: I12."""

import json

from handfast_harness import Mesh, expect, expect_eq, expect_in, identity_of, needs, wait_until

DEADLINE_S = 240
CLIENT, SERVER = identity_of("client"), identity_of("server")


def arrange(story):
    story.mesh = Mesh(story, leaf_ttl="1h")
    story.control = story.mesh.control
    story.client = story.mesh.sidecar("client")


def _rows(story):
    return {row["id"]: row for row in json.loads(story.control.run("status", "--output", "json").stdout)["svid_holders"]}


def _health(story, id_):
    row = _rows(story)[id_]
    return row["ready"], row["conditions"]


def _line(story, id_):
    return next(line for line in story.control.run("status").stdout.splitlines() if line.startswith("  %s  " % id_))


def _check(story, *words):
    return story.control.run("check", *words, check=False)


def _metric(story, name):
    return story.control.metrics()['handfast_control_sidecars_with_condition{name="%s"}' % name]


def shows_that_sidecars_that_are_well_report_it(story):
    for id_ in (CLIENT, SERVER):
        wait_until("the report of " + id_, lambda id_=id_: _health(story, id_) == (True, []), 30)
        expect_in("  connected  SVID until ", _line(story, id_), "the row")
    done = _check(story)
    expect_eq(done.returncode, 0, "exit code of check: " + done.stdout)
    expect("sidecars" not in done.stdout.replace("the control plane", ""), "check reports sidecars: " + done.stdout)


@needs(shows_that_sidecars_that_are_well_report_it)
def shows_a_sidecar_whose_rules_are_flushed(story):
    story.mesh.client.run(["nft", "flush", "ruleset"])
    wait_until("the sidecar to be not ready", lambda: not story.client.is_ready(), 15)
    wait_until("the report", lambda: _health(story, CLIENT) == (False, ["no_rules"]), 30)
    expect_in("  connected, not ready: no_rules  SVID until ", _line(story, CLIENT), "the row")
    expect_eq(_health(story, SERVER), (True, []), "the other one")
    done = _check(story)
    expect_eq(done.returncode, 1, "exit code of check: " + done.stdout)
    expect_in("sidecars: of 2 connected sidecars that report it 1 are not ready and 0 degraded; ", done.stdout, "check")
    found = json.loads(_check(story, "--output", "json").stdout)["conditions"]
    expect_eq([(row["name"], row["level"]) for row in found], [("sidecars", "degraded")], "conditions of check")
    wait_until("the metrics", lambda: _metric(story, "no_rules") == 1, 20)
    expect_eq(story.control.metrics()["handfast_control_sidecars_not_ready"], 1, "the metric of those that are not ready")
    expect_eq(_metric(story, "no_policy"), 0, "the metric of another condition")


@needs(shows_a_sidecar_whose_rules_are_flushed)
def shows_that_a_control_plane_that_starts_again_gets_the_report_again(story):
    story.control.restart()
    wait_until("the report", lambda: CLIENT in _rows(story) and _health(story, CLIENT) == (False, ["no_rules"]), 30)


@needs(shows_a_sidecar_whose_rules_are_flushed)
def shows_that_several_conditions_are_named(story):
    story.client.command("release")
    wait_until("the report", lambda: _health(story, CLIENT) == (False, ["claim_released", "no_rules"]), 30)
    expect_in("  connected, not ready: claim_released + no_rules  SVID until ", _line(story, CLIENT), "the row")


@needs(shows_a_sidecar_whose_rules_are_flushed)
def shows_that_a_sidecar_that_is_well_again_reports_it(story):
    story.client.intercept()
    story.client.restart()
    wait_until("the report", lambda: _health(story, CLIENT) == (True, []), 40)
    expect_eq(_check(story).returncode, 0, "exit code of check")
    wait_until("the metrics", lambda: _metric(story, "no_rules") == 0, 20)


@needs(shows_that_a_sidecar_that_is_well_again_reports_it)
def shows_that_one_that_is_gone_does_not_count(story):
    story.mesh.client.run(["nft", "flush", "ruleset"])
    wait_until("the report", lambda: _health(story, CLIENT)[0] is False, 25)
    story.client.stop()
    wait_until("it to be away", lambda: not _rows(story)[CLIENT]["connected"], 10)
    expect_eq(_health(story, CLIENT), (None, []), "what is shown of one that is away")
    expect_eq(_check(story).returncode, 0, "exit code of check")
