"""A program running in a namespace, with its output in a log file, until it is stopped by its process id."""

import contextlib
import os
import signal
import subprocess

from .expect import StoryFailure, expect, wait_until
from .namespace import environment

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE_KB = os.sysconf("SC_PAGE_SIZE") // 1024


def expect_ended(process):
    """Before a program is started once more: two of it would use the same ports and folders."""
    expect(process is None or process.exit_code is not None, "%s is running already; a function of a story that starts it "
           "again needs the earlier one that ended it: @needs(...)" % (process and process.name))


def is_running(pid):
    """Whether there is such a process that has not ended."""
    try:
        with open("/proc/%d/stat" % pid) as file:
            return file.read().rpartition(")")[2].split()[0] not in ("Z", "X")
    except (FileNotFoundError, ProcessLookupError):
        return False


class Process:
    def __init__(self, namespace, name, argv, log_path, uid=0, gid=None, env=None, cwd=None,
                 capabilities=None):
        self.namespace, self.name, self.log_path = namespace, name, str(log_path)
        self.log_start = os.path.getsize(self.log_path) if os.path.exists(self.log_path) else 0
        with open(self.log_path, "ab") as log:
            self._popen = subprocess.Popen(namespace.argv(argv, uid, gid, capabilities), stdin=subprocess.DEVNULL, stdout=log,
                                           stderr=log, env=environment(env), cwd=cwd, start_new_session=True)
        self.pid = self._popen.pid

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    @property
    def exit_code(self):
        """None while it runs; negative: the signal that ended it."""
        return self._popen.poll()

    def log(self):
        """The output of this process so far, as text."""
        with open(self.log_path, "rb") as file:
            file.seek(self.log_start)
            return file.read().decode(errors="replace")

    def _while_alive(self, predicate):
        def check():
            result = predicate()
            if not result and self.exit_code is not None:
                raise StoryFailure("%s ended by itself with %d; its log ends: %s" %
                                   (self.name, self.exit_code, self.log()[-600:].strip()))
            return result
        return check

    def wait_until(self, what, predicate, deadline_s=10.0):
        """As expect.wait_until, but fails at once, with the end of the log, if the process ends meanwhile."""
        return wait_until("%s: %s" % (self.name, what), self._while_alive(predicate), deadline_s)

    def wait_for_port(self, port, address="127.0.0.1", deadline_s=10.0):
        self.wait_until("port %d to accept" % port, lambda: self.namespace.accepts(port, address), deadline_s)
        return self

    def wait_for_http(self, url, status=200, deadline_s=10.0):
        def asks():
            with contextlib.suppress(OSError):
                return self.namespace.http(url, timeout_s=1.0)[0] == status
        self.wait_until("%d from %s" % (status, url), asks, deadline_s)
        return self

    def wait_for_log(self, text, deadline_s=10.0):
        self.wait_until("%r in the log" % text, lambda: text in self.log(), deadline_s)
        return self

    def wait_for_file(self, path, deadline_s=10.0):
        self.wait_until("file %s" % path, lambda: os.path.exists(path), deadline_s)
        return self

    def wait_for_exit(self, deadline_s=10.0):
        try:
            return self._popen.wait(deadline_s)
        except subprocess.TimeoutExpired:
            raise StoryFailure("waited %.1f s for %s to end" % (deadline_s, self.name)) from None

    def signal(self, number):
        if self.exit_code is None:
            os.kill(self.pid, number)

    def kill(self):
        """SIGKILL, as in a crash."""
        self.signal(signal.SIGKILL)
        self._popen.wait()

    def stop(self, deadline_s=5.0):
        """SIGTERM, then after the deadline SIGKILL. Returns the exit code."""
        self.signal(signal.SIGTERM)
        try:
            self._popen.wait(deadline_s)
        except subprocess.TimeoutExpired:
            self.kill()
        return self._popen.returncode

    def _stat(self):
        with open("/proc/%d/stat" % self.pid) as file:
            return file.read().rpartition(")")[2].split()

    def children(self):
        """The process ids of its children."""
        with open("/proc/%d/task/%d/children" % (self.pid, self.pid)) as file:
            return [int(word) for word in file.read().split()]

    def cpu_s(self):
        """User and system time so far, all threads."""
        fields = self._stat()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def rss_kb(self):
        return int(self._stat()[21]) * _PAGE_KB

    def num_fds(self):
        return len(os.listdir("/proc/%d/fd" % self.pid))
