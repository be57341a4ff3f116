"""A machine of its own for the programs of a cluster: namespaces of network, mounts and processes.

Its first process is a child of the harness and ends with it. With the first process end all others, containers and
their shims too, and with the last one all mounts. What kubelet and containerd write outside of their folders goes to
file systems in memory that only this machine sees. Left behind are the network namespace and the control groups, which
remove() takes away by name."""

import ctypes
import os
import signal
import subprocess

from handfast_harness.expect import StoryFailure, wait_until
from handfast_harness.namespace import Namespace, as_user, environment
from handfast_harness.process import Process
from handfast_harness import topology

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)
_OWN = ("/run", "/var/lib", "/var/log", "/etc/cni")
# Reaps what loses its parent, and ends at the default action of no signal but SIGKILL.
_FIRST = "import signal; signal.signal(signal.SIGCHLD, signal.SIG_IGN)\nwhile True: signal.pause()"
_CGROUPS = "/sys/fs/cgroup"


class Machine(Namespace):
    """A network namespace with the other namespaces around it. Programs run in all of them (argv())."""

    def __init__(self, log_path, name="kube"):
        stem = "%s%d-%d-" % (topology._PREFIX, os.getpid(), Machine._number())
        super().__init__(stem + name, name)
        self.cgroup, self._log_path = "/" + stem + name, log_path
        self.first_pid = self._outer = None

    _made = 0

    @classmethod
    def _number(cls):
        cls._made += 1
        return 900 + cls._made  # beside those of topologies

    def create(self):
        super().create()
        enter = ["nsenter", "--net=/run/netns/" + self.netns, "unshare", "--mount", "--pid", "--fork",
                 "--kill-child=SIGKILL", "--mount-proc", "/usr/bin/python3", "-c", _FIRST]
        with open(self._log_path, "ab") as log:  # not our own output: who reads that waits for its end
            self._outer = subprocess.Popen(enter, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                                           env=environment(),
                                           preexec_fn=lambda: _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL))
        self.first_pid = wait_until("the machine's first process", lambda: child_of(self._outer.pid), 30)
        wait_until("its mount namespace", lambda: _mounts_of(self.first_pid) != _mounts_of("self"), 30)
        wait_until("its /proc", lambda: self.run(["cat", "/proc/1/comm"], check=False).stdout.strip(), 30)
        for folder in _OWN:
            os.makedirs(folder, exist_ok=True)
            self.run(["mount", "-t", "tmpfs", "tmpfs", folder])
        self.run(["mount", "--make-rshared", "/"])
        for hierarchy in _hierarchies():
            os.makedirs(hierarchy + self.cgroup, exist_ok=True)

    def argv(self, argv, *user):
        return ["nsenter", "--target", str(self.first_pid), "--mount", "--pid", "--net", *as_user(argv, *user)]

    def network(self):
        """The network namespace alone, for programs whose process the harness signals itself, such as tcpdump."""
        network = Namespace(self.netns, self.name)
        network._fd = os.dup(self._fd)
        return network

    def remove(self):
        if self._outer is not None:
            self._outer.kill()
            self._outer.wait()
            wait_until("the machine to end", lambda: not os.path.exists("/proc/%d" % self.first_pid), 60)
            self._outer = None
        super().remove()
        for hierarchy in _hierarchies():
            for folder, _, _ in os.walk(hierarchy + self.cgroup, topdown=False):
                try:
                    os.rmdir(folder)
                except OSError:
                    continue

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.remove()


class Program(Process):
    """A program on the machine. pid is that of nsenter, which waits; inner_pid that of the program itself."""

    def __init__(self, machine, name, argv, log_path, env=None):
        super().__init__(machine, name, argv, log_path, env=env)
        self.inner_pid = self.wait_until("its process", lambda: child_of(self.pid))

    def signal(self, number):
        if self.exit_code is None:
            os.kill(self.inner_pid, number)

    def pause(self):
        """Neither runs nor ends, as a machine that is overloaded or suspended."""
        self.signal(signal.SIGSTOP)

    def resume(self):
        self.signal(signal.SIGCONT)
        os.kill(self.pid, signal.SIGCONT)  # nsenter stops itself with the program, and then would never reap it


def child_of(pid):
    try:
        with open("/proc/%d/task/%d/children" % (pid, pid)) as file:
            children = file.read().split()
    except OSError as error:
        raise StoryFailure("process %d ended early" % pid) from error
    return int(children[0]) if children else None


def _mounts_of(pid):
    return os.readlink("/proc/%s/ns/mnt" % pid)


def _hierarchies():
    """Of version 1 one folder per controller, of version 2 one."""
    if os.path.exists(_CGROUPS + "/cgroup.controllers"):
        return [_CGROUPS]
    return [os.path.join(_CGROUPS, name) for name in sorted(os.listdir(_CGROUPS)) if name != "unified"]
