"""A herd of simulated sidecars (test/herd) that stays, takes commands and reports when all had an event.

herd = Herd(argv, num)            argv: the program with its arguments; it makes its sidecars and waits
herd.await_row("made", True, 60)
herd.start("svid")                they enroll; `since svid` counts from this moment
herd.await_event("svid", 30)      [milliseconds at which a hundredth part of them had it], or None"""

import collections
import json
import queue
import subprocess
import threading
import time


def now_ms():
    return int(time.monotonic() * 1000)


class Herd:
    def __init__(self, argv, num):
        self.num, self._lines = num, queue.Queue()
        self.last = collections.Counter()  # the last row of numbers; before the first, all are 0
        self.issued = []  # (milliseconds, certificates so far)
        self.process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def _read(self):
        for line in self.process.stdout:
            row = json.loads(line)
            if "num" in row:
                self.last = row
                self.issued.append((row["ms"], row["issued"]))
            if "running" not in row:
                self._lines.put(row)

    def command(self, text):
        self.process.stdin.write(text + "\n")
        self.process.stdin.flush()

    def start(self, *kinds, since_ms=None):
        since_ms = now_ms() if since_ms is None else since_ms
        self.command("\n".join(["", *("since %s %d" % (kind, since_ms) for kind in kinds)]))

    def since(self, kind, since_ms=None):
        """The event counts from now on; to be called before what causes it."""
        self.command("since %s %d" % (kind, now_ms() if since_ms is None else since_ms))

    def await_row(self, key, value, deadline_s):
        """The next row with it; rows before it are dropped. None: not in time."""
        until = time.monotonic() + deadline_s
        while True:
            try:
                row = self._lines.get(timeout=max(0.0, until - time.monotonic()))
            except queue.Empty:
                return None
            if row.get(key) == value:
                return row

    def await_event(self, kind, deadline_s):
        row = self.await_row("event", kind, deadline_s)
        return None if row is None else row["hundredths_ms"]

    def num_claims(self):
        """Addresses that are held."""
        self.command("show")
        while True:
            row = self._lines.get(timeout=30)
            if "claims" in row:
                return row["claims"]

    def stop(self):
        self.process.kill()
        self.process.wait()
        self._reader.join(5)
        self.process.stdin.close()
        self.process.stdout.close()
