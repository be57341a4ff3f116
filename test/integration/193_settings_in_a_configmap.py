"""The control plane reloads settings from a ConfigMap: a link to a link, with a new folder at each change.

    control [settings in the layout of kubelet]

Rows: O3."""

import os
import shutil
import signal

from handfast_harness import Mesh, expect, expect_in, settings, wait_until

DEADLINE_S = 60


def arrange(story):
    story.mesh = Mesh(story, hosts=(), start=False)
    control = story.control = story.mesh.control
    story.mount = os.path.join(control.folder, "mount")
    os.mkdir(story.mount)
    _lay_out(story, "..first", {})
    os.symlink("..data/control.yaml", os.path.join(story.mount, "control.yaml"))
    control.path = os.path.join(story.mount, "control.yaml")
    story.mesh.start()


def _lay_out(story, name, changes):
    """As kubelet's atomic writer does: a new folder, then a link that is renamed over the old one."""
    os.mkdir(os.path.join(story.mount, name))
    settings.write(os.path.join(story.mount, name, "control.yaml"), settings.merge(story.control.settings, changes))
    link = os.path.join(story.mount, "..data")
    before = os.readlink(link) if os.path.islink(link) else None
    os.symlink(name, link + "_tmp")
    os.rename(link + "_tmp", link)
    if before:
        shutil.rmtree(os.path.join(story.mount, before))


def finding_o3_a_reload_reads_the_new_folder_of_a_configmap(story):
    for number, name in enumerate(("..second", "..third")):
        _lay_out(story, name, {"mesh": {"claim_grace": "%dh" % (number + 5)}})
        story.control.process.signal(signal.SIGHUP)
        story.control.process.wait_until("the reload", lambda number=number: "Permission denied" in story.control.log() or
                                         _num_reloads(story) > number)
        expect("Permission denied" not in story.control.log(), "the settings could not be read")
    expect_in("mesh.claim_grace", story.control.log(), "the applied keys")


def finding_o3_a_sighup_during_the_start_is_not_lost(story):
    story.control.stop()
    process = story.control.launch()
    wait_until("SIGHUP to be blocked or caught", lambda: _handles_sighup(process.pid), interval_s=0.001)
    process.signal(signal.SIGHUP)
    process.wait_for_log("the settings were read again")


def _handles_sighup(pid):
    """Whether SIGHUP is blocked or caught."""
    with open("/proc/%d/status" % pid) as file:
        rows = dict(line.split(":", 1) for line in file)
    return "handfast-contro" in rows["Name"] and (int(rows["SigBlk"], 16) | int(rows["SigCgt"], 16)) & 1


def _num_reloads(story):
    return story.control.log().count("mesh.claim_grace")
