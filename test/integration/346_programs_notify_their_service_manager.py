"""Control plane and sidecar report to a service manager when they serve, read their settings again, and end (sd_notify).

    control --- router --- client: [sidecar] ==tunnel==> server: [sidecar -> sidecar] -> echo"""

import os
import re
import signal
import socket

from handfast_harness import Mesh, StreamServer, expect, expect_eq, needs, stream
from handfast_harness.control_plane import STREAMS

DEADLINE_S = 120


class Manager:
    """The socket that NOTIFY_SOCKET names."""

    def __init__(self, story, name):
        self.path = os.path.join(story.folder(name), "notify")
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(self.path)
        os.chmod(self.path, 0o777)
        os.chmod(os.path.dirname(self.path), 0o755)
        story.own(self)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._socket.close()

    @property
    def environment(self):
        return {"NOTIFY_SOCKET": self.path}

    def next(self, deadline_s=15.0):
        """The lines of the next message; None: none came."""
        self._socket.settimeout(deadline_s)
        try:
            return self._socket.recv(4096).decode().splitlines()
        except TimeoutError:
            return None

    def expect_ready(self, pid):
        expect_eq(self.next(), ["MAINPID=%d" % pid, "READY=1"], "the message")

    def expect_reload(self, pid):
        lines = self.next() or [""]
        expect(lines[0] == "RELOADING=1" and re.fullmatch(r"MONOTONIC_USEC=\d+", lines[1]), "the message is %s" % lines)
        self.expect_ready(pid)


def arrange(story):
    story.mesh = Mesh(story, leaf_ttl="1h", start=False)
    story.manager = Manager(story, "of-control")
    story.mesh.control.environment = story.manager.environment


def shows_that_a_control_plane_that_cannot_serve_is_never_ready(story):
    control = story.mesh.control
    with control.host.socket() as taken:
        taken.bind(("0.0.0.0", STREAMS))
        taken.listen()
        expect(control.launch().wait_for_exit(15) != 0, "it starts although its port is in use")
    expect("cannot start" in control.process.log(), "its log: %s" % control.process.log()[-500:])
    expect_eq(story.manager.next(0.1), None, "the message of a control plane that does not start")


def shows_that_the_control_plane_serves_when_it_reports_it(story):
    control = story.mesh.control
    control.launch()
    story.manager.expect_ready(control.process.pid)
    expect("attested sidecars" in control.run("status").stdout, "status right after READY=1")


@needs(shows_that_the_control_plane_serves_when_it_reports_it)
def shows_that_a_reload_is_reported_also_with_errors(story):
    control = story.mesh.control
    control.reload({"log": {"level": "notice"}})
    story.manager.expect_reload(control.process.pid)
    control.reload({"nonsense": 1})
    story.manager.expect_reload(control.process.pid)
    expect("nonsense" in control.process.log(), "the log lacks the error")
    control.reload({"nonsense": None})
    story.manager.expect_reload(control.process.pid)


@needs(shows_that_the_control_plane_serves_when_it_reports_it)
def shows_that_only_the_sidecar_that_serves_reports(story):
    """The one that it upgraded drains beside it: what that gets is not the unit's."""
    mesh, manager = story.mesh, Manager(story, "of-server")
    story.own(StreamServer(story, mesh.server, 9000, "echo"))
    mesh.start_sidecar("client")
    server = mesh.start_sidecar("server", environment=manager.environment)
    manager.expect_ready(server.process.pid)
    server.reload({"drain_deadline": "24s"})
    manager.expect_reload(server.process.pid)
    with mesh.client.connect(mesh.server.ipv4, 9000, uid=1000) as sock:
        sock.sendall(b"open")
        expect_eq(stream.receive_exactly(sock, 4), b"open", "the echo")
        old = server.upgrade()
        manager.expect_ready(server.process.pid)
        old.signal(signal.SIGHUP)
        old.signal(signal.SIGTERM)
        server.process.signal(signal.SIGHUP)
        manager.expect_reload(server.process.pid)
    server.process.signal(signal.SIGTERM)
    expect_eq(manager.next(), ["STOPPING=1"], "the message")
    expect_eq(server.process.wait_for_exit(30), 0, "exit code")


@needs(shows_that_a_reload_is_reported_also_with_errors)
def shows_that_an_end_by_a_signal_is_reported(story):
    control = story.mesh.control
    control.process.signal(signal.SIGTERM)
    expect_eq(story.manager.next(), ["STOPPING=1"], "the message")
    expect_eq(control.process.wait_for_exit(15), 0, "exit code")
