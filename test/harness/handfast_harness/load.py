"""Load: keep-alive clients, new connections at a rate, long hashed streams. Counts requests and records each failure.

with Load(mesh.client, mesh.server.ipv4, echo_port, source_port, ...) as load: ...
expect_eq(load.failures, [], "failures")"""

import hashlib
import threading
import time

from . import stream
from .expect import wait_until

_PAUSE_S = 0.05  # between two requests of a keep-alive client


class Load:
    """`pattern_sha256`, `pattern_bytes`: of the bytes that a source at source_port sends on each connection."""

    def __init__(self, host, address, echo_port, source_port=None, num_clients=10, new_per_second=20, num_streams=0,
                 pattern_sha256=None, pattern_bytes=0, uid=1000):
        self._host, self._address, self._uid = host, address, uid
        self._echo, self._source = echo_port, source_port
        self._expected = (pattern_bytes, pattern_sha256, "fin")
        self._ending = threading.Event()
        self.failures, self.num_requests, self.num_connections, self.num_streams = [], 0, 0, 0
        self._count = threading.Lock()
        self._threads = [threading.Thread(target=self._keep_alive, daemon=True) for _ in range(num_clients)]
        self._threads += [threading.Thread(target=self._stream, daemon=True) for _ in range(num_streams)]
        dialers = max(1, new_per_second // 10) if new_per_second else 0
        self._threads += [threading.Thread(target=self._dial, args=(dialers / new_per_second,), daemon=True)
                          for _ in range(dialers)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.end()

    def end(self):
        """No new requests; those under way are finished."""
        self._ending.set()
        for thread in self._threads:
            thread.join(60)

    def wait_for_requests(self, more=50, deadline_s=20.0):
        """Waits until so many more were answered."""
        goal = self.num_requests + more
        wait_until("%d more answers" % more, lambda: self.num_requests >= goal or self.failures, deadline_s)

    def _connect(self, port):
        return self._host.connect(self._address, port, uid=self._uid, timeout_s=20)

    def _failed(self, what, error):
        self.failures.append("%s: %s %s" % (what, type(error).__name__, error))

    def _add(self, name):
        with self._count:
            setattr(self, name, getattr(self, name) + 1)

    def _ask(self, sock, number):
        request = b"%07d " % number * 25
        sock.sendall(request)
        if stream.receive_exactly(sock, len(request)) != request:
            raise ValueError("another answer")
        self._add("num_requests")

    def _keep_alive(self):
        number = 0
        try:
            with self._connect(self._echo) as sock:
                while not self._ending.wait(_PAUSE_S):
                    self._ask(sock, number)
                    number += 1
        except (OSError, EOFError, ValueError) as error:
            self._failed("keep-alive, request %d" % number, error)

    def _dial(self, pause_s):
        while not self._ending.wait(pause_s):
            try:
                with self._connect(self._echo) as sock:
                    self._ask(sock, 0)
                self._add("num_connections")
            except (OSError, EOFError, ValueError) as error:
                self._failed("new connection", error)

    def _stream(self):
        while not self._ending.is_set():
            try:
                with self._connect(self._source) as sock:
                    got = self._receive_slowly(sock)
                if got != self._expected:
                    raise ValueError("%s instead of %s" % (got, self._expected))
                self._add("num_streams")
            except (OSError, ValueError) as error:
                self._failed("stream", error)
                return

    def _receive_slowly(self, sock):
        """(bytes, SHA-256, end), at a pace that makes a stream outlive certificates."""
        received, digest = 0, hashlib.sha256()
        try:
            while data := sock.recv(1 << 16):
                received += len(data)
                digest.update(data)
                time.sleep(0 if self._ending.is_set() else 0.02)  # duration: the pace of the load
            return received, digest.hexdigest(), "fin"
        except ConnectionResetError:
            return received, digest.hexdigest(), "reset"
