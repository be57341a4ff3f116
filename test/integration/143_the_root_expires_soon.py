"""A root that expires within 30 days is reported by every program, and no text names a command that does not exist.

    control (its root lives 10 days) --- router --- client [sidecar]

Rows: I4."""

import json
import re

from handfast_harness import Mesh, expect, expect_eq, expect_in, needs_earlier, wait_until

TEN_DAYS = 10 * 86400


def arrange(story):
    story.mesh = Mesh(story, hosts=("client",), leaf_ttl="1h",
                      control={"identity": {"intermediate_ttl": "2d", "root_ttl": "10d"}})
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
    expect_in("join tokens for all sidecars", log, "what to do")
    rows = story.control.metrics()
    expect_eq(rows['handfast_control_condition{name="root_ends"}'], 1, "the gauge")
    expect_eq(rows['handfast_control_condition{name="bootstrap_root_ends"}'], 0, "the gauge of the other root")
    end = rows["handfast_control_root_expiry_timestamp_seconds"]
    authorities = json.loads(story.control.run("status", "--output", "json").stdout)["authorities"]
    expect(any(row["kind"] == "root" for row in authorities), "the root in status")
    left = rows["handfast_control_bootstrap_root_expiry_timestamp_seconds"] - end
    expect(abs(left - (3650 * 86400 - TEN_DAYS)) < 60, "the two roots expire %d s apart" % left)


def finding_i4_each_sidecar_reports_it_too(story):
    wait_until("the sidecar's condition", lambda: "root expires soon" in json.dumps(story.client.admin("/check")), 5)
    expect_eq(story.client.probe()[0], 200, "readiness")
    expect_eq(story.client.metric("handfast_root_expiry_timestamp_seconds"),
              story.control.metrics()["handfast_control_root_expiry_timestamp_seconds"], "the two metrics")
    story.client.process.wait_for_log("root expires soon, and with it")


@needs_earlier
def finding_i4_no_text_names_a_command_that_does_not_exist(story):
    help_text = story.control.host.run([story.binary("handfast"), "--help"]).stdout
    for text in _texts(story):
        for command in re.findall(r"\bhandfast (\w+)", text):
            expect(re.search(r"^\s+%s\b" % command, help_text, re.M) or command in ("root", "intermediate", "bootstrap"),
                   "handfast %s is no command" % command)
        expect("rotate the mesh" not in text, "a rotation is advised")
