"""A root that expires within 30 days is reported by every program, and no text names a command that does not exist.

    control (its root lives 9 days) --- router --- client [sidecar]

Rows: I4, O7."""

import json
import re

from handfast_harness import Mesh, expect, expect_eq, expect_in, needs_earlier, wait_until

DEADLINE_S = 120
ROOT_LIFE_S = 9 * 86400  # with its backdating of 30 days: less than a quarter of its life is left


def arrange(story):
    story.mesh = Mesh(story, hosts=("client",), leaf_ttl="1h",
                      control={"identity": {"intermediate_ttl": "2d", "root_ttl": "9d"}})
    story.control, story.client = story.mesh.control, story.mesh.sidecar("client")


def _texts(story):
    """All texts about it."""
    page = story.control.host.http("http://%s:15014/healthz/ready" % story.control.host.ipv4)[1].decode()
    check = json.dumps(story.client.admin("/check"))
    return [page, check, story.control.run("status").stdout, story.control.log(), story.client.process.log()]


def finding_i4_the_control_plane_reports_it_in_log_page_status_and_metrics(story):
    story.control.process.wait_for_log("serve: root_ends: ")
    page, _, status, log, _ = _texts(story)
    expect_in("degraded: root_ends: ", page, "/healthz/ready")
    expect_in("DEGRADED root_ends: the root ends ", status, "status")
    expect_in("handfast ca rotate", log, "what to do")
    rows = story.control.metrics()
    expect_eq(rows['handfast_control_condition{name="root_ends"}'], 1, "the gauge")
    expect_eq(rows['handfast_control_condition{name="bootstrap_root_ends"}'], 0, "the gauge of the other root")
    end = rows["handfast_control_root_expiry_timestamp_seconds"]
    authorities = json.loads(story.control.run("status", "--output", "json").stdout)["authorities"]
    expect(any(row["kind"] == "root" for row in authorities), "the root in status")
    left = rows["handfast_control_bootstrap_root_expiry_timestamp_seconds"] - end
    expect(abs(left - (3650 * 86400 - ROOT_LIFE_S)) < 60, "the two roots expire %d s apart" % left)


def finding_i4_each_sidecar_reports_it_too(story):
    wait_until("the sidecar's condition", lambda: "root expires soon" in json.dumps(story.client.admin("/check")), 15)
    expect_eq(story.client.probe()[0], 200, "readiness")
    expect_eq(story.client.metric("handfast_root_expiry_timestamp_seconds"),
              story.control.metrics()["handfast_control_root_expiry_timestamp_seconds"], "the two metrics")
    story.client.process.wait_for_log("root expires soon, and with it")


def _check(story, where, *words):
    """The exit code of a check, and what it prints."""
    if where == "sidecar":
        ran = story.client.host.run([story.binary("handfast"), "check", *words], check=False)
    else:
        ran = story.control.run("check", *words, check=False)
    return ran.returncode, ran.stdout


def finding_i4_check_fails_where_a_certificate_ends_within_a_time(story):
    """Each is degraded by the root in any case: what ends soon is in the lists."""
    for where in ("sidecar", "control"):
        for within, soon in (("30d", ["root"]), ("5d", [])):
            code, text = _check(story, where, "--fail-if-expires-within", within, "--output", "json")
            rows = json.loads(text)["certificates"]
            expect_eq([row["kind"] for row in rows if row["ends_soon"]], soon, "what ends within %s, by the %s" % (within, where))
            expect_eq(code, 1, "the exit code")
            expect({"svid", "server certificate"} & {row["kind"] for row in rows}, "its own certificate is listed")
    expect_in("ends soon root ", _check(story, "control", "--fail-if-expires-within", "30d")[1], "as text")
    expect_eq(_check(story, "sidecar", "--fail-if-expires-within", "soon")[0], 64, "no duration")


def finding_o7_every_certificate_and_root_has_its_end_in_the_metrics(story):
    end = story.client.metric("handfast_root_expiry_timestamp_seconds")
    for rows, ends_name, starts_name, kinds in (
            (story.client.metrics(), "handfast_certificate_expiry_timestamp_seconds",
             "handfast_certificate_start_timestamp_seconds", {"svid", "intermediate", "root"}),
            (story.control.metrics(), "handfast_control_certificate_expiry_timestamp_seconds",
             "handfast_control_certificate_start_timestamp_seconds", {"server", "intermediate", "root", "bootstrap_root"})):
        ends, starts = ({row.removeprefix(name): value for row, value in rows.items() if row.startswith(name + "{")}
                        for name in (ends_name, starts_name))
        expect_eq({re.search(r'kind="(\w+)"', row)[1] for row in ends}, kinds, "the kinds of %s" % ends_name)
        expect(all(starts[row] < ends[row] for row in ends), "one ends before it begins")
        expect_eq([ends[row] for row in ends if 'kind="root"' in row], [end], "the root's end")


@needs_earlier
def finding_i4_no_text_names_a_command_that_does_not_exist(story):
    help_text = story.control.host.run([story.binary("handfast"), "--help"]).stdout
    for text in _texts(story):
        for command in re.findall(r"\bhandfast (\w+)", text):
            expect(re.search(r"^\s+%s\b" % command, help_text, re.M) or command in ("root", "intermediate", "bootstrap"),
                   "handfast %s is no command" % command)


@needs_earlier
def finding_i4_the_command_that_is_advised_works(story):
    story.control.run("ca", "rotate")
    wait_until("the rotation to end", lambda: json.loads(story.control.run("ca", "status", "--output", "json").stdout)
               ["phase"] == "none", 30)
    expect_eq(story.control.metrics()["handfast_control_rotation_phase"], 0, "the phase")
    expect_eq(story.client.probe()[0], 200, "readiness")
