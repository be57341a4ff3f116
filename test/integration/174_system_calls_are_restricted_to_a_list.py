"""Every thread of the long-lived processes runs under the allow list of system calls, without new privileges.

Rows: L13.

    control [network process, signer] --- client: [sidecar, two workers] ==tunnel==> server: [sidecar] -> echo"""

import os
import shutil
import signal
import tempfile

from handfast_harness import Mesh, StreamServer, expect, expect_eq, expect_in
from handfast_harness import stream


def arrange(story):
    story.mesh = Mesh(story, leaf_ttl="1h", workers=2)
    story.own(StreamServer(story, story.mesh.server, 9000, "echo"))


def _fields(pid, thread):
    with open("/proc/%d/task/%s/status" % (pid, thread)) as file:
        return dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)


def _all_confined(pid, least_threads):
    threads = os.listdir("/proc/%d/task" % pid)
    expect(len(threads) >= least_threads, "%d has %d threads" % (pid, len(threads)))
    for thread in threads:
        fields = _fields(pid, thread)
        expect_eq((fields["Seccomp"], fields["NoNewPrivs"], fields["CapEff"].strip("0")), ("2", "1", ""),
                  "seccomp, no_new_privs and capabilities of %s %s" % (pid, fields["Name"]))


def _children(pid):
    with open("/proc/%d/task/%d/children" % (pid, pid)) as file:
        return [int(word) for word in file.read().split()]


def finding_l13_the_sidecars_are_confined(story):
    for sidecar in story.mesh.sidecars.values():
        _all_confined(sidecar.process.pid, 3)


def finding_l13_the_control_plane_and_its_signer_are_confined(story):
    pid = story.mesh.control.process.pid
    _all_confined(pid, 2)
    signers = _children(pid)
    expect_eq(len(signers), 1, "children of the control plane")
    _all_confined(signers[0], 1)


def _no_core(pid):
    """Not dumpable: its files in /proc are root's, so no process of its user reads its memory."""
    expect_eq(os.stat("/proc/%d/environ" % pid).st_uid, 0, "owner of the files of %d in /proc" % pid)
    with open("/proc/%d/limits" % pid) as file:
        core = next(line for line in file if line.startswith("Max core file size")).split()[4:6]
    expect_eq(core, ["0", "0"], "limits of core files of %d" % pid)


def shows_that_no_core_has_a_key(story):
    control = story.mesh.control.process.pid
    for pid in [control, *_children(control), *(sidecar.process.pid for sidecar in story.mesh.sidecars.values())]:
        _no_core(pid)


def shows_that_a_sidecar_opens_only_the_files_of_its_settings(story):
    """A reload of settings that lie elsewhere is refused by the kernel; replaced in their own folder they are read."""
    sidecar = story.mesh.sidecar("client")
    elsewhere = os.path.join(story.own(tempfile.TemporaryDirectory(prefix="hf-elsewhere-", dir="/var/tmp")), "sidecar.yaml")
    os.chmod(os.path.dirname(elsewhere), 0o755)
    shutil.copy(sidecar.path, elsewhere)
    os.chmod(elsewhere, 0o644)
    os.rename(sidecar.path, sidecar.path + ".before")
    os.symlink(elsewhere, sidecar.path)
    sidecar.process.signal(signal.SIGHUP)
    sidecar.process.wait_for_log("Permission denied")
    os.unlink(sidecar.path)
    os.rename(sidecar.path + ".before", sidecar.path)
    sidecar.reload({"drain_minimum": "1s"})
    sidecar.process.wait_for_log("drain_minimum")


def shows_that_a_folder_of_settings_may_be_exchanged(story):
    """By renaming, or by a link, as tools for configuration do."""
    sidecar = story.mesh.sidecar("server")
    conf = os.path.join(story.folder("conf"), "now")
    for name in ("v1", "v2"):
        os.makedirs(os.path.join(os.path.dirname(conf), name), 0o755)
        shutil.copy(sidecar.path, os.path.join(os.path.dirname(conf), name, "sidecar.yaml"))
        os.chmod(os.path.join(os.path.dirname(conf), name, "sidecar.yaml"), 0o644)
    os.chmod(os.path.dirname(conf), 0o755)
    os.symlink("v1", conf)
    sidecar.stop()
    sidecar.path = os.path.join(conf, "sidecar.yaml")
    sidecar.start()
    os.symlink("v2", conf + ".next")
    os.rename(conf + ".next", conf)
    with open(os.path.join(os.path.dirname(conf), "v2", "sidecar.yaml"), "a") as file:
        file.write("\nupgrade_deadline: 7m\n")
    sidecar.process.signal(signal.SIGHUP)
    sidecar.process.wait_for_log("upgrade_deadline")


def shows_that_traffic_and_renewals_work(story):
    with story.mesh.client.connect(story.mesh.server.ipv4, 9000, uid=1000) as sock:
        sock.sendall(b"hello")
        expect_eq(stream.receive_exactly(sock, 5), b"hello", "echo")
    expect_eq(story.mesh.sidecar("client").probe()[0], 200, "readiness")


def finding_l13_a_signer_that_is_killed_for_a_system_call_is_reported(story):
    process = story.mesh.control.process
    os.kill(_children(process.pid)[0], signal.SIGSYS)  # as the kernel does
    process.wait_for_exit()
    expect_in("the signer was ended by signal 31 (Bad system call): a system call outside of its list; `dmesg` names it", process.log(),
              "the control plane's log")
