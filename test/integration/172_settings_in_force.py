"""/config shows the values in force with their origins; SIGHUP reports the applied keys and those that need a restart.

Rows: O3.

    control --- client: [sidecar]"""

import os
import re
import signal
import tempfile

from handfast_harness import Mesh, expect, expect_eq, expect_in, needs, settings, wait_until

DEADLINE_S = 120


def arrange(story):
    story.mesh = Mesh(story, hosts=("client",), leaf_ttl="1h", sidecar={"timeouts": {"connect": "3s"}, "log": {"level": "notice"}},
                      control={"log": {"level": "notice"}})
    story.client = story.mesh.sidecar("client")
    story.client.stop()
    story.client.environment = {"HANDFAST_SIDECAR_TIMEOUTS_RESOLVE": "1500ms"}
    story.client.start()


def _settings(story):
    return {row["key"]: row for row in story.client.admin("/config")["settings"]}


def _row(story, key):
    row = _settings(story)[key]
    return row["value"], row["from"]


def finding_o3_each_value_has_its_origin(story):
    expect_eq(_row(story, "timeouts.resolve"), ("1500ms", "environment"), "timeouts.resolve")
    expect_eq(_row(story, "timeouts.connect"), ("3s", "file"), "timeouts.connect")
    expect_eq(_row(story, "timeouts.handshake"), ("5s", "default"), "timeouts.handshake")
    expect_eq(_row(story, "limits.flow_control_memory"), ("64MiB", "default"), "limits.flow_control_memory")
    expect_eq(_settings(story)["timeouts.resolve"]["origin"], "HANDFAST_SIDECAR_TIMEOUTS_RESOLVE", "origin")
    expect_in("sidecar.yaml:", _settings(story)["timeouts.connect"]["origin"], "origin")
    most, source = _row(story, "limits.max_connections")
    expect(int(most) > 0 and source == "default", "limits.max_connections is %s from %s" % (most, source))


def finding_o3_every_key_of_the_program_is_there(story):
    text = story.mesh.client.run([story.binary("handfast-sidecar"), "--help"]).stdout.partition("settings of the file")[2]
    keys = re.findall(r"^  ([a-z_]+(?:\.[a-z_]+)*)$", text, re.M)
    expect(len(keys) > 20, "keys of --help: %s" % keys)
    expect_eq([key for key in keys if key not in _settings(story)], [], "keys that /config lacks")


def finding_o3_a_stricter_mode_has_the_control_plane_as_its_origin(story):
    expect_eq(_row(story, "inbound.mode"), ("permissive", "control plane"), "inbound.mode")
    story.mesh.control.reload({"policy": {"default_mode": "strict"}})
    wait_until("the mode to be strict", lambda: _row(story, "inbound.mode") == ("strict", "control plane"), 15)
    story.mesh.control.process.wait_for_log("in force now: policy.default_mode")


def finding_o3_a_reload_of_the_sidecar_reports_the_applied_keys(story):
    process = story.client.process
    story.client.reload({"drain_deadline": "7s", "inbound": {"ports": [{"port": 80, "mode": "strict"}]},
                         "workers": 2, "limits": {"flow_control_memory": "8MiB"}})
    process.wait_for_log("in force now: inbound.ports, drain_deadline\n")
    process.wait_for_log("only after a restart: limits.flow_control_memory, workers\n")
    expect_eq(_row(story, "drain_deadline"), ("7s", "file"), "drain_deadline")
    expect_eq(_row(story, "workers"), ("1", "file"), "workers")
    expect_eq(_settings(story)["workers"]["after_restart"], "2", "after a restart")
    expect_eq(_row(story, "limits.flow_control_memory"), ("64MiB", "default"), "limits.flow_control_memory")


@needs(finding_o3_a_reload_of_the_sidecar_reports_the_applied_keys)
def finding_o3_a_reverted_setting_does_not_wait_for_a_restart(story):
    process = story.client.process
    story.client.reload({"workers": 1, "limits": {"flow_control_memory": "64MiB"}})
    process.wait_for_log("nothing changed")
    expect("after_restart" not in _settings(story)["workers"], "workers still wait")


def finding_o3_sighup_changes_the_log_of_both_programs(story):
    for process, reload in ((story.client.process, story.client.reload),
                            (story.mesh.control.process, story.mesh.control.reload)):
        reload({"log": {"level": "debug", "format": "json"}})
        process.wait_for_log("in force now: log.level, log.format")
        process.wait_for_log('"text":"the settings were read again: in force now: log.level')


@needs(finding_o3_sighup_changes_the_log_of_both_programs)
def finding_o3_the_control_plane_names_the_keys_that_wait(story):
    control = story.mesh.control
    control.reload({"log": {"level": "notice", "format": "text"}, "identity": {"leaf_ttl": "30m", "root_ttl": "200d"},
                    "listen": {"metrics_port": 15099}})
    control.process.wait_for_log("only after a restart: listen.metrics_port, identity.root_ttl")
    control.process.wait_for_log("in force now: log.level, log.format, identity.leaf_ttl")
    expect(control.metrics(), "the metrics on the old port")


def _switch(link, target):
    os.symlink(target, link + ".new")
    os.rename(link + ".new", link)


def _release(story, folder, deadline):
    os.makedirs(folder)
    settings.write(os.path.join(folder, "sidecar.yaml"), settings.merge(story.client.settings, {"drain_deadline": deadline}))


def shows_that_a_release_that_a_link_was_switched_to_needs_a_restart(story):
    """etc/handfast/sidecar.yaml -> opt/current/sidecar.yaml, and opt/current -> v1, then v2."""
    client = story.client
    root = story.own(tempfile.TemporaryDirectory(prefix="hf", dir="/srv"))  # nothing else of it is there
    os.chmod(root, 0o755)
    etc, opt = os.path.join(root, "etc", "handfast"), os.path.join(root, "opt")
    os.makedirs(etc)
    for name, deadline in (("v1", "11s"), ("v2", "12s")):
        _release(story, os.path.join(opt, name), deadline)
    _switch(os.path.join(opt, "current"), "v1")
    _switch(os.path.join(etc, "sidecar.yaml"), os.path.join(opt, "current", "sidecar.yaml"))
    client.stop()
    client.path = os.path.join(etc, "sidecar.yaml")
    client.start()
    expect_eq(_row(story, "drain_deadline")[0], "11s", "drain_deadline")
    _switch(os.path.join(opt, "current"), "v2")
    client.process.signal(signal.SIGHUP)
    client.process.wait_for_log("the sandbox (Landlock) allows only files that were there when it started")
    expect_eq(_row(story, "drain_deadline")[0], "11s", "drain_deadline")
    client.stop()
    client.start()
    expect_eq(_row(story, "drain_deadline")[0], "12s", "drain_deadline after the restart")
