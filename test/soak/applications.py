"""The applications of a soak's server, each of which can be ended and started again.

applications = start(story, mesh.server)         {"echo": Application, ...}
applications["nginx"].kill(); ...start()"""

import os
import signal

from handfast_harness import StreamServer
from handfast_harness.apps import Nginx

from soak import traffic


class Application:
    """`make()` starts it and returns its process."""

    def __init__(self, make):
        self._make, self._process = make, None

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.kill()

    def start(self):
        self._process = self._make()
        return self

    def kill(self):
        """SIGKILL, with its workers, which are of its process group."""
        if self._process.exit_code is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait_for_exit()

    def stop(self):
        self._process.stop()

    def reload(self):
        self._process.signal(signal.SIGHUP)


def start(story, host):
    def stream_server(port, mode):
        return lambda: StreamServer(story, host, port, mode, num_bytes=traffic.STREAM_BYTES, seed=traffic.SEED)
    makers = {"echo": stream_server(traffic.ECHO, "echo"), "source": stream_server(traffic.SOURCE, "source"),
              "hash": stream_server(traffic.HASH, "hash"),
              "nginx": lambda: Nginx(story, host, traffic.WEB, files={"file": traffic.web_file()})}
    story.own(stream_server(traffic.PERMISSIVE, "echo")())
    return {name: story.own(Application(make)) for name, make in makers.items()}
