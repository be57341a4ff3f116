"""Rules that vanish on a host are a condition with a fix, and the sidecar is not ready, until they are there again.

    client: [sidecar] ==tunnel==> server: [sidecar], whose rules another program flushes"""

from handfast_harness import Mesh, expect, expect_eq, expect_in, needs_earlier, wait_until

CONDITION, METRIC = "no interception rules", 'handfast_condition{name="no_rules"}'
FIX = "run `systemctl reload-or-restart handfast-init`, or `handfast-init up`"
DEADLINE_S = 240


def arrange(story):
    mesh = story.mesh = Mesh(story, hosts=("client", "server", "bare", "other"), leaf_ttl="1h", start=False)
    mesh.start_control()
    mesh.start_sidecar("server")


def _row(sidecar, condition=CONDITION):
    return {row["name"]: row for row in sidecar.admin("/check")["conditions"]}.get(condition)


def _init(story, host, *words):
    host.run([story.binary("handfast-init"), *words])


def _check(story, host):
    done = host.run([story.binary("handfast"), "check"], check=False)
    return done.returncode, done.stdout


def shows_that_flushed_rules_are_a_failure_that_names_what_to_run(story):
    host, sidecar = story.mesh.net.hosts["server"], story.mesh.sidecar("server")
    expect_eq((_row(sidecar), sidecar.metric(METRIC)), (None, 0), "the condition with rules")
    host.run(["nft", "flush", "ruleset"])
    wait_until("the condition", lambda: _row(sidecar), 15)
    expect_eq(_row(sidecar)["level"], "failed", "the level")
    expect_in("the rules were removed", _row(sidecar)["detail"], "the detail")
    code, text = _check(story, host)
    expect_eq((code, sidecar.metric(METRIC), sidecar.is_ready()), (1, 1, False), "exit code, metric, readiness")
    expect_in(FIX, text, "handfast check")


@needs_earlier
def shows_that_its_fix_mends_it(story):
    host, sidecar = story.mesh.net.hosts["server"], story.mesh.sidecar("server")
    _init(story, host, "up")
    wait_until("readiness", sidecar.is_ready, 15)
    expect_eq((_check(story, host)[0], sidecar.metric(METRIC)), (0, 0), "exit code and metric")


@needs_earlier
def shows_that_rules_which_were_taken_down_are_the_same(story):
    host, sidecar = story.mesh.net.hosts["server"], story.mesh.sidecar("server")
    _init(story, host, "down")
    wait_until("the condition", lambda: not sidecar.is_ready(), 15)
    _init(story, host, "up")
    wait_until("readiness", sidecar.is_ready, 15)


def shows_that_a_sidecar_which_starts_after_a_flush_is_degraded(story):
    """It cannot distinguish flushed rules from those of an older release, with which it serves."""
    host = story.mesh.net.hosts["client"]
    sidecar = story.mesh.make_sidecar("client")
    sidecar.intercept()
    host.run(["nft", "flush", "ruleset"])
    sidecar.start()
    expect_eq((_row(sidecar)["level"], sidecar.metric(METRIC)), ("degraded", 1), "level and metric")
    expect_in("the rules do not prove themselves", _row(sidecar)["detail"], "the detail")
    _init(story, host, "up")
    wait_until("no condition", lambda: _row(sidecar) is None, 15)


def shows_that_a_host_without_rules_is_not_ready(story):
    sidecar = story.mesh.make_sidecar("bare", rules=None)
    sidecar.launch()
    wait_until("the condition", lambda: _row_of_launched(sidecar), 15)
    expect_eq((_row(sidecar)["level"], sidecar.is_ready()), ("failed", False), "level and readiness")
    expect_in("169.254.15.6 is not on lo", _row(sidecar)["detail"], "the detail")
    expect_in(FIX + ", then restart the sidecar", _row(sidecar)["fix"], "the fix")
    _init(story, story.mesh.net.hosts["bare"], "up")
    sidecar.restart()
    expect_eq(_row(sidecar), None, "the condition with rules")


def shows_that_a_sidecar_which_the_rules_do_not_exempt_names_its_user(story):
    """The rules of 0.1.0 exempted its uid alone."""
    sidecar = story.mesh.make_sidecar("other")
    sidecar.intercept()
    sidecar.gid = 1000
    sidecar.launch()
    row = wait_until("the condition", lambda: _row_of_launched(sidecar, "the interception rules do not exempt the sidecar"), 15)
    expect_in("uid 1337 with gid 1337", row["detail"], "the detail")
    expect_eq(row["fix"], "run it as uid 1337 with gid 1337, as the package's unit does", "the fix")
    expect_in("as the package's unit does", _check(story, sidecar.host)[1], "handfast check")


def _row_of_launched(sidecar, condition=CONDITION):
    try:
        return _row(sidecar, condition)
    except OSError:
        return None


def shows_that_a_control_plane_behind_redirected_ports_is_noted(story):
    control = story.mesh.net.hosts["control"]
    up = [story.binary("handfast-init"), "up"]
    expect_in("--exclude-inbound-ports 15012,15014", control.run(up).stdout, "the report of up")
    expect("control_plane" not in control.run([*up, "--exclude-inbound-ports", "15012,15014"]).stdout, "noted though excluded")
    _init(story, control, "down")
