"""A new process that dies, hangs or goes silent after it has asked for the sockets leaves the old one serving

    stranger (no sidecar) --plaintext--> server: [sidecar, beside others that want to take over] -> echo"""

import array
import contextlib
import os
import signal
import socket
import time

from handfast_harness import Mesh, StreamServer, expect, expect_eq, expect_in, stream, wait_until
from handfast_harness.control_plane import SIDECAR_UID

DEADLINE_S = 240
SILENT_S = 5  # for which the running sidecar waits (sidecar/sidecar_hand_over.c)


def arrange(story):
    story.mesh = Mesh(story, outsiders=("stranger",), leaf_ttl="1h",
                      control={"mesh": {"plaintext_networks": ["192.0.2.16/28"]}})
    story.own(StreamServer(story, story.mesh.server, 9000, "echo"))
    story.server = story.mesh.sidecar("server")


def _passes(sock, data=b"hello"):
    sock.sendall(data)
    expect_eq(stream.receive_exactly(sock, len(data)), data, "echo")


def _call(story, timeout_s=10):
    """In plaintext: a stream in a tunnel that is open would be no connection that has to be accepted."""
    return story.mesh.stranger.connect(story.mesh.server.ipv4, 9000, uid=1000, timeout_s=timeout_s)


def _serves(story, pid, timeout_s=10):
    """New connections, the pages and the admin socket are answered, by the process that is there."""
    with _call(story, timeout_s) as sock:
        _passes(sock)
    expect_eq((story.server.process.pid, story.server.process.exit_code), (pid, None), "the process and its exit code")
    wait_until("it to be ready", story.server.is_ready, timeout_s)
    expect_in("unknown command", _command(story, b"end\n"), "the answer of the admin socket")


def _connect(story):
    sock = story.mesh.server.connect_unix(story.server.settings["admin_socket"], uid=SIDECAR_UID, gid=SIDECAR_UID)
    sock.settimeout(10)
    return sock


def _command(story, line):
    with _connect(story) as sock:
        sock.sendall(line)
        return sock.recv(4096).decode()


def _receive(sock, until):
    """All bytes up to these. Descriptors that come with them are closed."""
    got = b""
    while not got.endswith(until):
        byte, ancillary, _, _ = sock.recvmsg(1, socket.CMSG_SPACE(64 * 4))
        for _, _, fds in ancillary:
            for fd in array.array("i", fds[:len(fds) // 4 * 4]):
                os.close(fd)
        expect(byte, "the channel ends after %r" % got)
        got += byte
    return got


def _take(story):
    """A client in the place of a new process that has asked for the sockets and may serve."""
    sock = _connect(story)
    sock.sendall(b"hand-over\n")
    _receive(sock, b"E")
    sock.sendall(b"take\n")
    return sock


def _asked(story):
    """Whether a new process has sent `take` to the running one, which is stopped."""
    path = story.server.settings["admin_socket"]
    rows = [line.split() for line in story.mesh.server.run(["ss", "-Hx"]).stdout.splitlines() if path in line]
    return any(int(row[2]) == len(b"take\n") for row in rows)


@contextlib.contextmanager
def _stopped(process):
    os.kill(process.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(process.pid, signal.SIGCONT)


@contextlib.contextmanager
def _asking(story, *words):
    """A new process, which asks for the sockets while the old one is stopped. It has no identity before: the control plane
    is stopped until the old one is."""
    with contextlib.ExitStack() as stack:
        with _stopped(story.mesh.control.process):
            new = story.server.prepare(*words)
            new.wait_for_log("preparing to take over")
            stack.enter_context(_stopped(story.server.process))
        yield new


def shows_that_a_new_process_that_is_killed_changes_nothing(story):
    old = story.server.process
    with _asking(story) as new:
        wait_until("the new process to ask for the sockets", lambda: _asked(story), 10)
        new.kill()
    old.wait_for_log("does not take over; this process continues to serve")
    _serves(story, old.pid)
    expect_eq(story.server.listening_pid(), old.pid, "the process that listens")


def shows_that_the_timeout_counts_until_the_old_one_answers(story):
    old, began = story.server.process, time.monotonic()
    with _asking(story, "--timeout", "3s") as new:
        expect(new.wait_for_exit(8) not in (0, None), "it claims to have taken over")
        expect(2.5 <= time.monotonic() - began < 7, "it ends after %.1f s" % (time.monotonic() - began))
        expect_in("process %d does not answer; expected: " % old.pid, new.log(), "its log")
    _serves(story, old.pid)


def shows_that_one_that_hangs_gets_nothing_later(story):
    """Its channel closes before it runs again: then it ends, and does not serve beside the old one."""
    old = story.server.process
    with _asking(story, "--timeout", "30s") as new:
        wait_until("the new process to ask for the sockets", lambda: _asked(story), 10)
        os.kill(new.pid, signal.SIGSTOP)
    with _stopped(new):
        _serves(story, old.pid, timeout_s=SILENT_S + 10)
        old.wait_for_log("process %d has taken over and does not serve; this process continues to serve" % new.pid)
    expect(new.wait_for_exit(10) not in (0, None), "it claims to have taken over")
    expect_in("has kept its sockets", new.log(), "its log")
    expect(": serving" not in new.log(), "it serves: %s" % new.log()[-500:])
    _serves(story, old.pid)


def shows_that_the_channel_has_to_stay_open_until_it_serves(story):
    """Closed before and after the answer, and when the old process hears of both at once."""
    old = story.server.process
    for end in (lambda sock: None, lambda sock: _receive(sock, b"taken\n")):
        seen = old.log().count("this process continues to serve")
        with _take(story) as sock:
            end(sock)
        wait_until("the old process to go on", lambda: old.log().count("this process continues to serve") == seen + 1, 10)
        _serves(story, old.pid)


def shows_that_clients_wait_while_one_is_silent(story):
    """And SIGTERM or a command in that time finds the old process serving."""
    old = story.server.process
    with _take(story) as sock:
        _receive(sock, b"taken\n")
        with _call(story, SILENT_S + 10) as waiting:
            _passes(waiting)
        expect_eq(_receive(sock, b"\n"), b"kept\n", "what a silent one reads")
    _serves(story, old.pid)
    with _take(story) as sock:
        _receive(sock, b"taken\n")
        expect_eq(story.server.stop(), 0, "exit code after SIGTERM beside one that does not serve")
        expect_eq(_receive(sock, b"\n"), b"kept\n", "what that one reads")
    story.server.start()


def shows_that_processes_before_are_the_old_ones_again(story):
    """Their channels have gone with the answer: a reload of the process that serves still reaches them."""
    with _call(story) as plain:
        _passes(plain)
        former = story.server.upgrade()
        with _take(story) as sock:
            _receive(sock, b"taken\n")
        story.server.process.wait_for_log("does not serve; this process continues to serve")
        _passes(plain)
        wait_until("/check to name it", lambda: [one["pid"] for one in story.server.admin("/check").get(
            "former_processes", [])] == [former.pid], 10)
        story.server.reload({"inbound": {"mode": "strict"}})
        with contextlib.suppress(ConnectionResetError):
            expect_eq(plain.recv(1), b"", "the end of the plaintext connection")
    expect_eq(former.wait_for_exit(10), 0, "exit code of the former process")


def shows_that_the_next_upgrade_works(story):
    story.server.configure({"inbound": {"mode": "permissive"}})
    old = story.server.upgrade()
    expect_in("serves from now on", old.log(), "the log of the old process")
    expect_eq(old.wait_for_exit(10), 0, "its exit code")
    _serves(story, story.server.process.pid)
