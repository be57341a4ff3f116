"""Log, /check and /why report that the control plane does not listen, with its address.

Rows: O5.

    control (not started) --- client: [sidecar]; stranger starts a control plane with a socket beside its keys"""

import os
import re

from handfast_harness import Mesh, expect, expect_eq, expect_in, settings, wait_until
from handfast_harness.sidecar import ADMIN

DEADLINE_S = 120


def arrange(story):
    story.mesh = Mesh(story, hosts=("client",), outsiders=("stranger",), leaf_ttl="1h", start=False)
    story.mesh.start_control()
    story.client = story.mesh.make_sidecar("client").intercept()
    story.mesh.control.stop()
    story.client.launch().wait_for_port(ADMIN)


def _failures(story):
    return [entry for entry in story.client.admin("/why")["failures"] if entry["what"] == "control plane"]


def finding_o5_the_log_has_the_address_and_the_fix(story):
    refused = ", ".join("the connection to %s failed: connection refused" % address for address in story.mesh.control.addresses)
    story.client.process.wait_for_log("%s; expected: a control plane that listens; fix: start the control plane, or correct control.address" % refused)


def finding_o5_check_and_why_have_it_too(story):
    address = story.mesh.control.address
    wait_until("an entry of /why", lambda: _failures(story), 15)
    entry = _failures(story)[0]
    expect_eq(entry["error"], "refused", "the entry of /why")
    expect_in(entry["remote"], story.mesh.control.addresses, "the address in the entry")
    expect_in(address + " failed: connection refused", entry["got"], "the detail")
    text = story.mesh.client.run([story.binary("handfast"), "why"]).stdout
    expect(re.search(r"^\S+ control plane at %s \(\d+ times?\)$" % re.escape(entry["remote"]), text, re.M), "handfast why: " + text)
    conditions = {row["name"]: row for row in story.client.admin("/check")["conditions"]}
    expect_in(address + " failed: connection refused", conditions["no identity yet"]["detail"], "/check")
    expect(story.client.metric("handfast_control_plane_failures_total") > 0, "no outage is counted")


def finding_o5_dropped_packets_are_reported_as_a_timeout(story):
    story.client.stop()
    story.mesh.control.host.run(["nft", "add table inet silent; add chain inet silent in { type filter hook input priority 0; };"
                                        " add rule inet silent in tcp dport 15012 drop"])
    story.client.launch().wait_for_log("timed out; expected: a control plane that listens; fix: check that its host is up", 20)
    story.mesh.control.host.run(["nft", "delete table inet silent"])


def finding_o5_the_sidecar_connects_once_it_listens(story):
    story.mesh.control.start()
    story.client.wait_until_ready()
    conditions = [row["name"] for row in story.client.admin("/check")["conditions"]]
    expect("control plane unreachable" not in conditions and "no identity yet" not in conditions, "conditions: %s" % conditions)
    story.mesh.control.stop()
    wait_until("the condition", lambda: "control plane unreachable" in
               [row["name"] for row in story.client.admin("/check")["conditions"]], 10)
    expect_eq(story.client.probe()[0], 200, "readiness")


def finding_o5_a_socket_beside_the_keys_is_refused_by_name(story):
    folder = story.folder("wrong")
    state = os.path.join(folder, "state")
    os.makedirs(state)
    os.chmod(folder, 0o777)
    for path in (state,):
        os.chown(path, 1336, 1336)
        os.chmod(path, 0o700)
    os.symlink(state, os.path.join(folder, "link"))
    for place in (state, folder, os.path.join(folder, "link")):
        path = settings.write(os.path.join(folder, "control.yaml"),
                              {"state_dir": state, "operator_socket": os.path.join(place, "control.sock"),
                               "mesh": {"networks": ["192.0.2.0/24"]}})
        done = story.mesh.stranger.run([story.binary("handfast-control"), "--config", path], uid=1336, check=False)
        expect_eq(done.returncode, 64, "exit code for %s (%s)" % (place, done.stderr[-400:]))
        expect_in("operator_socket", done.stderr, "its message")
        expect("Landlock" not in done.stderr, done.stderr)
