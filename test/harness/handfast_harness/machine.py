"""A machine for commands as a document has them: /etc, /run, /var/lib and /usr/local/bin are its own, and so are its
process ids. What is changed there is gone when it stops, and nothing of the real machine changes."""

import contextlib
import os
import signal
import subprocess

from .expect import wait_until
from .namespace import environment

# The first process of the machine collects what its children leave behind.
_START = """
set -e
mount --make-rprivate /
etc=$(mktemp -d)
mount -t tmpfs tmpfs "$etc"
cp -a /etc/. "$etc"
mount --bind "$etc" /etc
umount "$etc"
rmdir "$etc"
for folder in /run /var/lib /usr/local/bin; do mount -t tmpfs -o mode=755 tmpfs $folder; done
echo started
sleep infinity &
wait
"""


class Machine:
    """with Machine(story, "control", namespace=net.control, cwd=folder) as machine: machine.run("handfast status").
    Without a namespace it has a new one."""

    def __init__(self, story, name, cwd, namespace=None):
        self._story, self.name, self._cwd = story, name, cwd
        argv = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"] + ([] if namespace else ["--net"])
        argv += ["bash", "-c", _START]
        self._log = story.log_path("machine-" + name)
        self._log_start = os.path.getsize(self._log) if os.path.exists(self._log) else 0  # of an earlier machine of that name
        with open(self._log, "ab") as log:
            self._unshare = subprocess.Popen(namespace.argv(argv) if namespace else argv, stdin=subprocess.DEVNULL, stdout=log,
                                             stderr=log, env=environment(), start_new_session=True)
        self._started = []
        self._first = wait_until("machine %s" % name, self._child, 30)
        self._pid_namespace = os.readlink("/proc/%d/ns/pid" % self._first)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.kill(self._first, signal.SIGKILL)  # the kernel ends all others of its process ids
        for process in [self._unshare] + self._started:
            process.wait()

    def _child(self):
        with open(self._log) as log:
            log.seek(self._log_start)
            if "started" not in log.read():
                return None
        with open("/proc/%d/task/%d/children" % (self._unshare.pid, self._unshare.pid)) as file:
            return int(file.read().split()[0])

    def _argv(self, script):
        return ["nsenter", "--target", str(self._first), "--mount", "--pid", "--net", "--wd=" + self._cwd, "bash", "-c", script]

    def run(self, script, timeout_s=30.0):
        """(exit code, output) of the script there."""
        done = subprocess.run(self._argv(script), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, env=environment(), timeout=timeout_s)
        return done.returncode, done.stdout

    def background(self, script):
        """Starts what stays in the foreground of a terminal of its own, until the machine stops."""
        with open(self._log, "ab") as log:
            self._started.append(subprocess.Popen(self._argv(script), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                                  env=environment()))

    def pids(self, program):
        """The process ids, as the harness sees them, of the programs of that name on the machine."""
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError):
                with open("/proc/%s/comm" % pid) as file:
                    if file.read().strip() == program[:15] and os.readlink("/proc/%s/ns/pid" % pid) == self._pid_namespace:
                        found.append(int(pid))
        return found
