"""Long-lived traffic: one long download, one open SQL session, and a series of new requests."""

import hashlib
import os
import select
import subprocess
import threading
import time

from handfast_harness import StoryFailure

from . import stage as stages


class Download:
    """curl, downloading one big file slowly on one connection."""

    def __init__(self, stage, expected):
        self.path = os.path.join(stage.downloads, "big")
        os.chown(stage.downloads, stages.APP_UID, stages.APP_UID)
        self._sha256 = hashlib.sha256(expected).hexdigest()
        self.num_expected, self.started = len(expected), time.monotonic()
        argv = ["curl", "-sS", "--no-keepalive", "-o", self.path, "-w", "%{http_code} %{num_connects}", "http://web/big"]
        self._popen = subprocess.Popen(stage.shop.argv(argv, uid=stages.APP_UID), stdin=subprocess.DEVNULL,
                                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd="/")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._popen.kill()
        self._popen.communicate()

    def num_bytes(self):
        return os.path.getsize(self.path) if os.path.exists(self.path) else 0

    def is_running(self):
        return self._popen.poll() is None

    def finish(self, deadline_s):
        """(output of curl, duration in seconds, whether every byte is correct)."""
        printed, _ = self._popen.communicate(timeout=deadline_s)
        took = time.monotonic() - self.started
        with open(self.path, "rb") as file:
            return printed, took, hashlib.sha256(file.read()).hexdigest() == self._sha256


class SqlSession:
    """One psql with repeated queries on its one connection."""

    def __init__(self, stage):
        self.num_answers = 0
        self._popen = subprocess.Popen(stage.shop.argv(stage.psql_argv(), uid=65534), stdin=subprocess.PIPE,
                                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT, bufsize=0, cwd="/")
        self.backend = self.ask("select pg_backend_pid()")
        self.ask("create temporary table rows (n int)", answers=False)  # exists as long as the session

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._popen.kill()
        self._popen.communicate()

    def ask(self, sql, answers=True, deadline_s=10.0):
        self._popen.stdin.write((sql + ";\n").encode())
        self._popen.stdin.flush()
        self.num_answers += 1
        return self._read_line(sql, deadline_s) if answers else None

    def _read_line(self, sql, deadline_s):
        ready, _, _ = select.select([self._popen.stdout], [], [], deadline_s)
        line = self._popen.stdout.readline().decode().strip() if ready else None
        if not line:
            raise StoryFailure("the SQL session did not answer '%s' (%s)" % (sql, "it ended" if ready else "too slow"))
        return line

    def is_the_same(self):
        """Whether the first backend still answers, and has all inserted rows."""
        self.ask("insert into rows values (%d)" % self.num_answers, answers=False)
        return self.ask("select pg_backend_pid() || '/' || (count(*) > 0) from rows") == self.backend + "/true"


class Requests:
    """New connections, one after the other, from a thread: one curl each."""

    def __init__(self, stage, interval_s=0.1):
        self.num_good, self.failures, self.slowest_s = 0, [], 0.0
        self._stage, self._interval_s, self._stop = stage, interval_s, threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def _run(self):
        while not self._stop.wait(self._interval_s):
            done = self._stage.curl(self._stage.shop, "http://web/recipe", "-w", "%{http_code} %{time_total}", check=False)
            page, _, numbers = done.stdout.rpartition("\n")
            code, _, took = numbers.partition(" ")
            if done.returncode == 0 and code == "200" and page.encode() == stages.SECRET:
                self.num_good += 1
                self.slowest_s = max(self.slowest_s, float(took))
            else:
                self.failures.append("%s %s" % (done.stdout.strip(), done.stderr.strip()))

    def stop(self):
        self._stop.set()
        self._thread.join(10)
