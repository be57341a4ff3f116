"""The control plane survives a shortage of descriptors, and every limit that is reached is logged.

    stranger: connections to control:15012 that are idle, or begin a handshake and do not go on
    control [descriptors taken away while it runs] --- late [sidecar], which enrolls afterwards

Rows: I1, I16."""

import contextlib
import re
import socket

from handfast_harness import Mesh, expect, expect_eq, expect_in, identity_of, needs, settings, wait_until
from peers import tls
from peers.enrollment import Enrollment
from handfast_harness.control_plane import CONTROL_UID, METRICS, STREAMS

DEADLINE_S = 180


def arrange(story):
    story.mesh = Mesh(story, hosts=(), outsiders=("stranger", "late", "other"), leaf_ttl="1h",
                      control={"limits": {"max_connections": 32, "max_handshakes": 16}})
    story.control = story.mesh.control
    story.token = story.control.token(identity_of("late"))


def _limit(pid):
    with open("/proc/%d/limits" % pid) as file:
        line = next(line for line in file if line.startswith("Max open files"))
    return [int(number) for number in line.split()[3:5]]


def _set_limit(story, soft, hard):
    """As its own user, which needs no capability for that."""
    story.control.host.run(["prlimit", "--pid", story.control.process.pid, "--nofile=%d:%d" % (soft, hard)], uid=CONTROL_UID)


def _unread(story, port):
    """Bytes that connections to the port have received and the program has not read; connections that wait to be
    accepted count."""
    listed = story.control.host.run(["ss", "-tnaH", "sport = :%d" % port]).stdout
    return sum(int(line.split()[1]) for line in listed.splitlines())


def _idle(story, num):
    """Connections that send nothing."""
    return [story.mesh.stranger.connect(story.control.host.ipv4, STREAMS) for _ in range(num)]


def _begun(story, host, num):
    """Connections that send the first bytes of a ClientHello, and no more."""
    begun = [host.connect(story.control.host.ipv4, STREAMS) for _ in range(num)]
    for sock in begun:
        sock.sendall(b"\x16\x03\x01")
    return begun


def _is_reset(sock):
    sock.setblocking(False)
    try:
        sock.recv(1)
        return False
    except BlockingIOError:
        return False
    except ConnectionResetError:
        return True


def _metric(story, name):
    return sum(value for key, value in story.control.metrics().items() if key.startswith(name))


def finding_i1_the_soft_limit_is_raised_to_the_hard_one(story):
    soft, hard = _limit(story.control.process.pid)
    expect_eq(soft, hard, "soft limit of open files")
    small = settings.write(story.folder("small") + "/control.yaml", {
        **story.control.settings, "state_dir": story.folder("small-state"), "limits": {"max_connections": 5000}})
    for files, word in ((100, "at least 240 open files"), (300, "allow 76")):
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
        waiting = [open_ones.enter_context(sock) for sock in _idle(story, 12)]
        process.wait_for_log("accepting is paused; new connections wait and are then refused")
        probe.sendall(b"Host: 127.0.0.1\r\n\r\n")
        answer = b"".join(iter(lambda: probe.recv(4096), b"")).decode()
        expect_in(" 503 ", answer, "readiness while accepting is paused")
        expect_in("out of file descriptors", answer, "the reason")
        wait_until("connections that waited too long to be refused", lambda: any(map(_is_reset, waiting)))
    _set_limit(story, soft, hard)
    process.wait_for_log("accepting again at")
    process.wait_for_http("http://%s:%d/healthz/ready" % (story.control.host.ipv4, METRICS))
    expect(_metric(story, "handfast_control_accept_pauses_total") >= 1, "no pause was counted")
    wait_until("the refused connections to be counted", lambda: _refused(story, "descriptors") >= 1)
    story.mesh.start_sidecar("late", token=story.token)


def _refused(story, limit):
    return story.control.metrics()['handfast_control_connections_refused_total{limit="%s"}' % limit]


def _begins(story):
    return story.control.process.log().count("a limit is reached; further refusals are only counted")


def finding_i16_handshakes_at_their_limit_are_logged_once_and_counted(story):
    """All 16 are one stranger's and do not go on: once they are stuck, another source's turns end as many of them."""
    before = _begins(story)
    kept = _begun(story, story.mesh.stranger, 40)

    def are_ended():
        kept.extend(_begun(story, story.mesh.other, 1))
        return _refused(story, "handshakes") >= 2

    wait_until("refusals to be counted", are_ended, 20, 0.2)
    expect_eq(_begins(story) - before, 1, "lines when the limit is reached")
    for sock in kept:
        sock.close()


def finding_i16_connections_at_their_limit_are_logged_once_and_counted(story):
    before = _begins(story)
    with contextlib.ExitStack() as kept:
        for _ in range(40):
            with contextlib.suppress(tls.Refused, OSError):
                kept.enter_context(Enrollment(story.mesh.stranger, story.control.host.ipv4))
        wait_until("refusals to be counted", lambda: _refused(story, "connections") >= 4)
    expect_eq(_begins(story) - before, 1, "lines when the limit is reached")
    expect_eq(story.control.metrics()["handfast_control_connections_max"], 32, "the limit in the metrics")


def finding_i16_operators_at_their_limit_are_logged_once_and_counted(story):
    before = _begins(story)
    with contextlib.ExitStack() as kept:
        for _ in range(20):
            kept.enter_context(socket.socket(socket.AF_UNIX)).connect(story.control.socket)
        wait_until("refusals to be counted", lambda: _refused(story, "operators") >= 4)
    expect_eq(_begins(story) - before, 1, "lines when the limit is reached")


def finding_i16_probes_at_their_limit_are_logged_once_and_counted(story):
    before = _refused(story, "probes")
    kept = [story.mesh.stranger.connect(story.control.host.ipv4, METRICS) for _ in range(80)]
    wait_until("the displaced probes to be counted", lambda: _refused(story, "probes") >= before + 10)
    expect_eq(story.control.process.log().count("evicts the oldest of the source with most connections"), 1, "lines")
    for sock in kept:
        sock.close()


@needs(finding_i16_handshakes_at_their_limit_are_logged_once_and_counted,
       finding_i16_connections_at_their_limit_are_logged_once_and_counted,
       finding_i16_operators_at_their_limit_are_logged_once_and_counted)
def finding_i16_the_end_of_each_episode_is_logged_with_its_counts(story):
    for what in ("handshakes under way", "connections at the streams port", "connections of operators"):
        wait_until("the end of the limit of " + what,
                   lambda what=what: re.search("the limit of [0-9]+ %s is no longer reached" % what,
                                               story.control.process.log()), 40)
