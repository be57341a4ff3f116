"""The client's half of exact streams, and the server's (stream_program.py) as a process on a host.

with StreamServer(story, net.b, 9000, "hash") as server, net.a.connect(net.b.ipv4, 9000) as sock:
    received, ended = stream.exchange(sock, stream.pattern(1_000_000))
    report = server.wait_for_report()"""

import hashlib
import json
import os
import shutil
import socket
import sys
import threading

from .expect import expect_eq
from .process import Process
from .stream_program import pattern, reset

__all__ = ["Server", "ask", "attempt", "exchange", "is_answered", "is_cut", "open_asked", "pattern", "receive_all", "receive_exactly", "reset", "sha256"]

_CHUNK = 1 << 16
_PROGRAM = os.path.join(os.path.dirname(os.path.abspath(__file__)), "stream_program.py")


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def receive_all(sock):
    """(bytes, end): reads to FIN, reset or timeout; end is "fin", "reset" or "timeout"."""
    parts = []
    while True:
        try:
            part = sock.recv(_CHUNK)
        except ConnectionResetError:
            return b"".join(parts), "reset"
        except socket.timeout:
            return b"".join(parts), "timeout"
        if not part:
            return b"".join(parts), "fin"
        parts.append(part)


def receive_exactly(sock, num_bytes):
    got = b""
    while len(got) < num_bytes:
        part = sock.recv(num_bytes - len(got))
        if not part:
            raise EOFError("FIN after %d of %d bytes" % (len(got), num_bytes))
        got += part
    return got


def ask(sock):
    """A few bytes to an echo server, and back."""
    sock.settimeout(5)
    sock.sendall(b"hello")
    expect_eq(receive_exactly(sock, 5), b"hello", "the answer")


def open_asked(host, address, port):
    """A connection of an application on which ask() has gone well, for is_cut()."""
    sock = host.connect(address, port, uid=1000)
    ask(sock)
    sock.settimeout(0.05)
    return sock


def is_answered(host, address, port):
    try:
        open_asked(host, address, port).close()
        return True
    except (OSError, EOFError):
        return False


def is_cut(sock):
    """Whether the peer has ended it, asked by one more byte; the socket has a short timeout."""
    try:
        sock.sendall(b"x")
        return sock.recv(1) == b""
    except TimeoutError:
        return False
    except OSError:
        return True


def exchange(sock, data):
    """Sends all of data while reading, half-closes, reads to the end: (bytes received, end)."""
    failure = []

    def send():
        try:
            sock.sendall(data)
            sock.shutdown(socket.SHUT_WR)
        except OSError as error:
            failure.append(error)

    sender = threading.Thread(target=send)
    sender.start()
    received, ended = receive_all(sock)
    sender.join()
    if failure and ended == "fin":  # the kernel reports a reset once: here to the thread that sends
        ended = "reset" if isinstance(failure[0], (ConnectionResetError, BrokenPipeError)) else type(failure[0]).__name__
    return received, ended


def attempt(host, address, port, data=b"", uid=1000, timeout_s=10.0):
    """(bytes received, end) of a connection; end is "refused" if it does not open."""
    try:
        with host.connect(address, port, uid=uid, timeout_s=timeout_s) as sock:
            sock.sendall(data)
            return receive_all(sock)
    except (ConnectionResetError, BrokenPipeError):
        return b"", "reset"
    except ConnectionRefusedError:
        return b"", "refused"


class Server(Process):
    """The program above, running on a host: with StreamServer(story, net.b, 9000, mode="echo") as server: ..."""

    def __init__(self, story, namespace, port, mode="echo", num_bytes=0, seed=1, address="::", uid=65534,
                 wind_down=None):
        program = os.path.join(story.folder("program"), "stream.py")  # readable by every user
        shutil.copy(_PROGRAM, program)
        argv = [sys.executable, program, "--port", port, "--mode", mode, "--bytes", num_bytes, "--seed", seed,
                "--address", address] + ([] if wind_down is None else ["--wind-down", wind_down])
        log = story.log_path("stream-%s-%d" % (namespace.name, port))
        super().__init__(namespace, "stream server on %d" % port, argv, log, uid=uid)
        self.wait_for_log("listening")

    def reports(self):
        """The connections that have ended so far, oldest first."""
        return [json.loads(line) for line in self.log().splitlines() if line.startswith("{")]

    def wait_for_report(self, number=0, deadline_s=10.0):
        """The report of the number-th connection to end."""
        self.wait_until("report %d" % number, lambda: len(self.reports()) > number, deadline_s)
        return self.reports()[number]
