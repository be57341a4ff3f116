"""A stranger that completes its handshakes does not keep sidecars out, and a wrong clock removes no record.

    control (the story sets its clock; 16 connections) --- stranger, outsider without identity
                                                       --- client [sidecar], late [sidecar]

A preloaded library changes the clock of a control plane that is linked dynamically; the signer and the sidecars keep
the true time.

Rows: I1, I9."""

import contextlib
import mmap
import os
import struct

from handfast_harness import Mesh, expect_eq, identity_of, wait_until
from handfast_harness.control_plane import CONTROL_UID
from handfast_harness.process import Process
from peers import tls
from peers.enrollment import Enrollment

DEADLINE_S = 150
DAY_S = 86400


def arrange(story):
    story.mesh = Mesh(story, hosts=("client",), outsiders=("stranger", "late"), leaf_ttl="20s", start=False,
                      control={"limits": {"max_connections": 16}})
    control = story.control = story.mesh.control
    path = os.path.join(story.root, "clock")
    with open(path, "w+b") as file:
        file.write(b"\0" * 16)
        file.flush()
        story.clock = mmap.mmap(file.fileno(), 16)
    os.chmod(path, 0o644)
    words = ["env", "LD_PRELOAD=" + story.binary("set_clock.so"), "SET_CLOCK_FILE=" + path,
             story.binary("handfast-control-dynamic"), "--config", control.path]

    def launch():
        control.process = Process(control.host, "handfast-control", words, story.log_path("handfast-control"),
                                  uid=CONTROL_UID)
        return control.process

    control.launch = launch
    story.mesh.start()


def finding_i1_a_stranger_that_completes_its_handshakes_keeps_no_sidecar_out(story):
    token = story.control.token(identity_of("late"))
    with contextlib.ExitStack() as kept:
        for _ in range(20):
            with contextlib.suppress(tls.Refused, OSError):
                kept.enter_context(Enrollment(story.mesh.stranger, story.control.host.ipv4))
        name = 'handfast_control_connections_refused_total{limit="connections"}'
        wait_until("the limit to be reached", lambda: story.control.metrics()[name] >= 1)
        # One at a time: each stays open for 5 s.
        late = story.mesh.start_sidecar("late", token=token, wait=False)
        with_room = wait_until("the sidecar's connection", lambda: late.process and late.is_ready(), 4, 0.05)
    expect_eq(with_room, True, "readiness beside the stranger")


def finding_i9_a_control_plane_that_starts_with_a_clock_ahead_removes_no_sidecar(story):
    story.control.token(identity_of("unused"))
    story.control.stop()
    story.clock[:] = struct.pack("=qq", 100 * DAY_S * 1000, 0)
    story.control.start()
    # The first sweep, 1 s after the start, removes expired records.
    wait_until("some sweeps", lambda: _uptime_s(story) >= 3, 10, 0.2)
    rows = story.control.metrics()
    expect_eq({row: value for row, value in rows.items() if "forgotten" in row and value}, {}, "removed records")
    story.clock[:] = struct.pack("=qq", 0, 0)
    story.control.restart()
    story.mesh.sidecar("client").restart()
    expect_eq(story.mesh.sidecar("client").probe()[0], 200, "readiness of a sidecar that reconnects")
    expect_eq("unused" in story.control.run("token", "list").stdout, True, "the unused token is still there")


def _uptime_s(story):
    with open("/proc/%d/stat" % story.control.process.pid) as file:
        ticks = int(file.read().rpartition(")")[2].split()[19])
    with open("/proc/uptime") as file:
        return float(file.read().split()[0]) - ticks / os.sysconf("SC_CLK_TCK")
