"""When the reader of a program's output stops, the program does not block: lines are lost and counted, and their number
is logged when it reads again.

Rows: L7, O3.

    control (its output is a pipe that is not read) --- client: [sidecar] ==tunnel==> server: [sidecar (the same)] -> echo"""

import contextlib
import fcntl
import json
import os
import subprocess

from handfast_harness import Mesh, StreamServer, expect, expect_eq, expect_in, needs, wait_until
from handfast_harness import stream
from handfast_harness.namespace import environment

DEADLINE_S = 120
SMALL = 4096  # bytes of the pipe: the rest is soon lost


class Unread:
    """A program whose output is a pipe of another user, as a container runtime sets it up. Nothing is read before
    read_all()."""

    def __init__(self, story, host, argv, uid):
        self._end, given = os.pipe()
        self._popen = subprocess.Popen(host.argv(argv, uid), stdin=subprocess.DEVNULL, stdout=given, stderr=given,
                                       env=environment(), start_new_session=True)
        self.flags = fcntl.fcntl(given, fcntl.F_GETFL)
        self.given, self.pid = given, self._popen.pid
        story.own(self)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._popen.kill()
        self._popen.wait()
        os.close(self._end)
        os.close(self.given)

    @property
    def exit_code(self):
        return self._popen.poll()

    def signal(self, number):
        self._popen.send_signal(number)

    def read_all(self):
        """The present content of the pipe."""
        os.set_blocking(self._end, False)
        text = b""
        with contextlib.suppress(BlockingIOError):
            while more := os.read(self._end, 65536):
                text += more
        return text.decode()

    def shrink(self):
        self.read_all()
        fcntl.fcntl(self.given, fcntl.F_SETPIPE_SZ, SMALL)


def arrange(story):
    story.mesh = Mesh(story, hosts=("client",), leaf_ttl="1h", outsiders=("server",))
    story.own(StreamServer(story, story.mesh.server, 9000, "echo"))
    server = story.mesh.make_sidecar("server").intercept()
    story.unread = Unread(story, server.host, [story.binary("handfast-sidecar"), "--config", server.path], 1337)
    wait_until("the server's sidecar to be ready", server.is_ready, 15)
    story.unread.shrink()
    story.server = server


def _echo(story):
    with story.mesh.client.connect(story.mesh.server.ipv4, 9000, uid=1000) as sock:
        sock.sendall(b"hello")
        expect_eq(stream.receive_exactly(sock, 5), b"hello", "echo")


def finding_l7_connections_keep_working_and_lost_lines_are_counted(story):
    for _ in range(60):
        _echo(story)
    wait_until("lines of the access log to be lost", lambda: story.server.metric("handfast_access_log_lost_lines") > 0, 15)
    for _ in range(40):  # each logs the changes on standard error
        story.unread.signal(1)
        if wait_until("an answer while nothing is read", story.server.metrics, 15)["handfast_log_lost_lines"] > 0:
            break
    expect(story.server.metric("handfast_log_lost_lines") > 0, "no line of the log is lost")
    expect_eq(story.server.probe()[0], 200, "readiness")
    _echo(story)


@needs(finding_l7_connections_keep_working_and_lost_lines_are_counted)
def finding_l7_the_next_lines_have_the_number_of_lost_lines(story):
    lost = story.server.metric("handfast_access_log_lost_lines")
    text = story.unread.read_all()
    _echo(story)
    story.unread.signal(1)

    def is_logged():
        story.text = getattr(story, "text", "") + story.unread.read_all()
        return "lines_lost" in story.text and "lines of this log were dropped here" in story.text
    wait_until("both logs to have the number of lost lines", is_logged, 15)
    lines = [json.loads(line) for line in (text + story.text).splitlines() if line.startswith("{")]
    logged = sum(line["lost_lines"] for line in lines if line.get("reason") == "lines_lost")
    expect(logged >= lost > 0, "%d lines are lost, and the log has %d" % (lost, logged))


def finding_l7_the_shared_descriptor_is_not_changed(story):
    expect_eq(fcntl.fcntl(story.unread.given, fcntl.F_GETFL) & os.O_NONBLOCK, 0, "O_NONBLOCK of the shared pipe")


def finding_l7_the_control_plane_keeps_working_too(story):
    control = story.mesh.control
    control.stop()
    unread = Unread(story, control.host, [story.binary("handfast-control"), "--config", control.path], 1336)
    wait_until("the control plane to be ready", lambda: control.host.accepts(15012, control.host.ipv4), 15)
    wait_until("the operator's socket", lambda: os.path.exists(control.socket), 15)
    unread.shrink()
    for _ in range(200):
        unread.signal(1)
        if wait_until("an answer while nothing is read", control.metrics, 15)["handfast_control_log_lost_lines"] > 0:
            break
    expect(control.metrics()["handfast_control_log_lost_lines"] > 0, "no line is lost")
    expect_in("trust domain", control.run("status").stdout, "status")
    unread.read_all()
    unread.signal(1)
    wait_until("its log to have the number of lost lines", lambda: "lines of this log were dropped here" in unread.read_all(), 15)
