"""The control plane survives a shortage of descriptors, and its limits are never silent.

    stranger: idle connections to control:15012
    control [descriptors taken away while it runs] --- late [sidecar], which enrolls afterwards

Rows: I1, I16."""

import contextlib

from handfast_harness import Mesh, expect, expect_eq, expect_in, identity_of, settings, wait_until
from handfast_harness.control_plane import CONTROL_UID, METRICS, STREAMS

DEADLINE_S = 60


def arrange(story):
    story.mesh = Mesh(story, hosts=(), outsiders=("stranger", "late"), leaf_ttl="1h",
                      control={"limits": {"max_connections": 32, "max_handshakes": 16}})
    story.control = story.mesh.control
    story.token = story.control.token(identity_of("late"))


def _limit(pid):
    with open("/proc/%d/limits" % pid) as file:
        line = next(line for line in file if line.startswith("Max open files"))
    return [int(number) for number in line.split()[3:5]]


def _set_limit(story, soft, hard):
    """By its own user, who needs no capability for that."""
    story.control.host.run(["prlimit", "--pid", story.control.process.pid, "--nofile=%d:%d" % (soft, hard)], uid=CONTROL_UID)


def _unread(story, port):
    """Bytes that connections to the port have received and the program has not read; connections that wait to be accepted count."""
    listed = story.control.host.run(["ss", "-tnaH", "sport = :%d" % port]).stdout
    return sum(int(line.split()[1]) for line in listed.splitlines())


def _idle(story, num):
    """Connections that say nothing."""
    return [story.mesh.stranger.connect(story.control.host.ipv4, STREAMS) for _ in range(num)]


def _metric(story, name):
    return sum(value for key, value in story.control.metrics().items() if key.startswith(name))


def finding_i1_the_soft_limit_is_raised_to_the_hard_one(story):
    soft, hard = _limit(story.control.process.pid)
    expect_eq(soft, hard, "soft limit of open files")
    small = settings.write(story.folder("small") + "/control.yaml", {
        **story.control.settings, "state_dir": story.folder("small-state"), "limits": {"max_connections": 5000}})
    for files, word in ((100, "at least 176 open files"), (300, "carry 140")):
        done = story.mesh.stranger.run(["prlimit", "--nofile=%d" % files, story.binary("handfast-control"), "--config",
                                        small], check=False)
        expect(done.returncode == 64, "exit code with %d open files is %d" % (files, done.returncode))
        expect_in(word, done.stderr, "the refusal")


def finding_i1_one_shortage_of_descriptors_ends_by_itself(story):
    process = story.control.process
    soft, hard = _limit(process.pid)
    with contextlib.ExitStack() as open_ones:
        probe = open_ones.enter_context(story.mesh.stranger.connect(story.control.host.ipv4, METRICS))
        probe.sendall(b"GET /healthz/ready HTTP/1.1\r\n")
        wait_until("the probe to be accepted and read", lambda: _unread(story, METRICS) == 0)
        _set_limit(story, process.num_fds() + 2, hard)
        for sock in _idle(story, 12):
            open_ones.enter_context(sock)
        process.wait_for_log("accepting pauses; new connections wait, then are refused")
        probe.sendall(b"Host: 127.0.0.1\r\n\r\n")
        answer = b"".join(iter(lambda: probe.recv(4096), b"")).decode()
        expect_in(" 503 ", answer, "readiness while accepting is paused")
        expect_in("out of descriptors", answer, "the reason")
    _set_limit(story, soft, hard)
    process.wait_for_log("accepting again at")
    process.wait_for_http("http://%s:%d/healthz/ready" % (story.control.host.ipv4, METRICS))
    expect(_metric(story, "handfast_control_accept_pauses_total") >= 1, "no pause was counted")
    story.mesh.start_sidecar("late", token=story.token)


def finding_i16_a_full_table_is_logged_once_and_counted(story):
    before = _metric(story, "handfast_control_connections_refused_total")
    kept = [story.mesh.late.connect(story.control.host.ipv4, STREAMS) for _ in range(2)]
    kept += _idle(story, 60)
    wait_until("refusals to be counted",
               lambda: _metric(story, "handfast_control_connections_refused_total") >= before + 20)
    for sock in kept:
        sock.close()
    story.control.process.wait_for_log("is no longer reached", deadline_s=20)
    begins = story.control.process.log().count("a limit is reached; more of this is only counted")
    expect(1 <= begins <= 3, "%d lines for one episode" % begins)
    expect_eq(story.control.metrics()["handfast_control_connections_max"], 32, "the limit in the metrics")
