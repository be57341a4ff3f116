"""Machines of a minimal Debian with systemd as their first process, each in a network namespace of its own, at one switch.
All share one read-only tree and write into a layer of their own."""

import os
import pathlib
import shutil
import subprocess
import time

HERE = pathlib.Path(__file__).resolve().parent
BOOT_S = 180
# What has no place in a machine without devices, or is of no use here.
MASKED = ["console-getty.service", "getty.target", "systemd-timesyncd.service", "apt-daily.timer", "apt-daily-upgrade.timer",
          "dpkg-db-backup.timer", "systemd-udevd.service", "systemd-networkd.service", "systemd-resolved.service"]


class Failure(Exception):
    pass


def run(*argv, check=True, timeout=900, **options):
    done = subprocess.run([str(word) for word in argv], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=timeout, **options)
    if check and done.returncode != 0:
        raise Failure("%s: exit code %d: %s" % (" ".join(map(str, argv)), done.returncode, done.stdout[-2000:]))
    return done


def wait_until(what, holds, deadline_s, instead=None):
    """instead: a function whose text the failure names."""
    end = time.monotonic() + deadline_s
    while not holds():
        if time.monotonic() > end:
            raise Failure("%s: not within %d s%s" % (what, deadline_s, "; instead: %s" % instead() if instead else ""))
        time.sleep(0.05)  # duration: the pause between two polls


def cgroup_mount():
    """Where cgroup v2 is mounted, beside cgroup v1 or alone."""
    for line in open("/proc/self/mounts"):
        _, where, kind = line.split()[:3]
        if kind == "cgroup2":
            return pathlib.Path(where)
    raise Failure("cgroup v2 is not mounted; expected for systemd in a machine of its own")


class Machine:
    def __init__(self, name, base, folder, address):
        self.name, self.address = "hfdeb%d%s" % (os.getpid(), name), address
        self.folder = pathlib.Path(folder) / name
        self.root, self.base = self.folder / "root", base
        self.cgroup = cgroup_mount() / self.name
        self.process = self.leader = None

    def make(self, switch=None):
        """Its namespace; without a switch it is the one that has it."""
        run("ip", "netns", "add", self.name)
        if switch is None:
            run("ip", "-n", self.name, "link", "add", "switch", "type", "bridge")
            device = "switch"
        else:
            run("ip", "-n", switch.name, "link", "add", self.name[-12:], "type", "veth", "peer", "name", "eth0", "netns", self.name)
            run("ip", "-n", switch.name, "link", "set", self.name[-12:], "master", "switch", "up")
            device = "eth0"
        run("ip", "-n", self.name, "link", "set", "lo", "up")
        run("ip", "-n", self.name, "link", "set", device, "up")
        run("ip", "-n", self.name, "addr", "add", self.address + "/24", "dev", device)
        if switch is not None:
            run("ip", "-n", self.name, "route", "add", "default", "via", switch.address)

    def boot(self):
        for layer in ("changes", "work", "root"):
            (self.folder / layer).mkdir(parents=True, exist_ok=True)
        run("mount", "-t", "overlay", "-o", "lowerdir=%s,upperdir=%s,workdir=%s" % (
            self.base, self.folder / "changes", self.folder / "work"), "overlay", self.root)
        (self.root / "etc/hostname").write_text(self.name + "\n")
        for unit in MASKED:
            link = self.root / "etc/systemd/system" / unit
            link.parent.mkdir(parents=True, exist_ok=True)
            link.unlink(missing_ok=True)
            link.symlink_to("/dev/null")
        self.cgroup.mkdir()
        log = open(self.folder / "console.log", "w")
        self.process = subprocess.Popen([HERE / "boot.sh", self.name, self.cgroup, self.root],
                                        stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        wait_until("a first process of %s" % self.name, self._find_leader, BOOT_S)
        wait_until("a booted %s" % self.name, self._is_up, BOOT_S)

    def _find_leader(self):
        if self.process.poll() is not None:
            raise Failure("%s ended: %s" % (self.name, (self.folder / "console.log").read_text()[-2000:]))
        children = pathlib.Path("/proc/%d/task/%d/children" % (self.process.pid, self.process.pid)).read_text().split()
        if children and os.readlink("/proc/%s/exe" % children[0]).endswith("/systemd"):
            self.leader = int(children[0])
        return self.leader is not None

    def _is_up(self):
        return self.run("systemctl", "is-system-running", check=False).stdout.strip() in ("running", "degraded")

    def run(self, *argv, **options):
        return run("nsenter", "--target", self.leader, "--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup",
                   "env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C.UTF-8",
                   *argv, **options)

    def shell(self, script, **options):
        return self.run("sh", "-ec", script, **options)

    def start(self, *argv, **options):
        """A program of the host in this machine's network."""
        quiet = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL)
        return subprocess.Popen(["ip", "netns", "exec", self.name, *map(str, argv)], **{**quiet, **options})

    def log_of(self, unit):
        return self.run("journalctl", "--no-pager", "-o", "cat", "-u", unit).stdout

    def remove(self):
        if self.process is not None:
            if self.leader is not None and self.process.poll() is None:
                os.kill(self.leader, 9)
            self.process.terminate()
            self.process.wait()
        run("umount", "--lazy", self.root, check=False)
        run("ip", "netns", "del", self.name, check=False)
        self._remove_cgroup()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _remove_cgroup(self):
        def is_gone():
            for folder, _, _ in os.walk(self.cgroup, topdown=False):
                try:
                    os.rmdir(folder)
                except OSError:
                    pass  # its last process ends at this moment
            return not self.cgroup.exists()
        wait_until("an empty cgroup of %s" % self.name, is_gone, 60)
