"""Thousands of live connections (many_program.py), as processes on hosts.

with ManyServer(story, net.b, 9000, 9001), Many(story, net.a, net.b.ipv4, {9000: 6000, 9001: 3000}) as many:
    many.await_row("open", 60)"""

import json
import os
import queue
import shutil
import subprocess
import sys
import threading

from .expect import StoryFailure
from .process import Process

_PROGRAM = os.path.join(os.path.dirname(os.path.abspath(__file__)), "many_program.py")


def _program(story):
    """A copy where every user may run it."""
    path = os.path.join(story.folder("many"), "many_program.py")
    shutil.copy(_PROGRAM, path)
    os.chmod(os.path.dirname(path), 0o755)
    os.chmod(path, 0o755)
    return [sys.executable, path]


def ManyServer(story, host, *ports, uid=1000):
    process = Process(host, "many-server", [*_program(story), "serve", *ports], story.log_path("many-server"), uid=uid)
    process.wait_for_port(ports[-1])
    return process


class Many:
    def __init__(self, story, host, address, counts, uid=1000):
        argv = [*_program(story), "dial", address, *("%d=%d" % pair for pair in counts.items())]
        self._process = subprocess.Popen(host.argv(argv, uid), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
        self._rows = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.kill()
        self._process.wait()
        self._reader.join(5)
        self._process.stdin.close()
        self._process.stdout.close()

    def _read(self):
        for line in self._process.stdout:
            self._rows.put(json.loads(line))

    def ask(self):
        """A byte on each open connection; the row `answered` follows."""
        self._process.stdin.write("ask\n")
        self._process.stdin.flush()

    def await_row(self, key, deadline_s):
        try:
            row = self._rows.get(timeout=deadline_s)
        except queue.Empty:
            raise StoryFailure("waited %.1f s for the row %r of the connections" % (deadline_s, key)) from None
        if key not in row:
            raise StoryFailure("the connections report %r, and %r was expected" % (row, key))
        return row
