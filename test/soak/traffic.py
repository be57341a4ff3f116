"""The traffic of a soak: what must be served, and what must never be served. Each failure is recorded with when its
connection last moved, so that a fault can explain it.

    client: keep_alive, dial, download, upload, web ==tunnel==> server
    bystander: bystander ==tunnel==> server              (until a rule denies it, or it is banned)
    stranger: plain ------> server, a permissive port    (until the port is strict)
    stranger: strict -x-> server, a strict port          denied: denied ==x==> server, which has no rule for it"""

import collections
import contextlib
import errno
import threading
import time

from handfast_harness import stream

ECHO, SOURCE, HASH, WEB, PERMISSIVE = 9000, 9001, 9002, 9003, 9081
MESHED = ("keep_alive", "dial", "download", "upload", "web")  # through the client's sidecar, and the server's
SERVED = (*MESHED, "bystander", "plain")
REFUSED = ("denied", "strict")
OPENING, STANDING = "opening", "standing"  # before the first byte came back, and after it
LIMIT_S = 20  # of a connection that does not move

_REQUESTS = 80  # of a keep-alive connection: some 8 s
STREAM_BYTES, SEED = 2_000_000, 9
_WEB_BYTES, _CHUNK = 300_000, 1 << 15
_PACE_S = 0.1  # between two chunks: a stream takes some 6 s, so it ends before a drain does

# `since`: when it last moved; `how`: refused, reset, timeout, unreachable, or end (of an application that ended), and wrong, which nothing explains
Failure = collections.namedtuple("Failure", "kind phase how since at text")
Served = collections.namedtuple("Served", "kind since at text", defaults=("",))


def markers(seed):
    """What must not be on the wire: of requests, and the first bytes of each stream. Last: what the stranger sends in
    plaintext by intent, which must be there, or the capture shows nothing."""
    return [b"<<soak %016x>>" % seed, stream.pattern(STREAM_BYTES, SEED)[:32], b"<<plaintext by intent %016x>>" % seed]


def web_file():
    """What nginx serves."""
    return stream.pattern(_WEB_BYTES, SEED)


def _how(error):
    if getattr(error, "errno", None) == errno.ENOTCONN:  # of shutdown(), when the reset came just before it
        return "reset"
    names = [(ConnectionRefusedError, "refused"), ((ConnectionResetError, BrokenPipeError), "reset"), (TimeoutError, "timeout"),
             (EOFError, "end"), (ValueError, "wrong"), (OSError, "unreachable")]
    return next(name for kinds, name in names if isinstance(error, kinds))


def _expect_whole(data, num_bytes, sha256):
    if len(data) < num_bytes:
        raise EOFError("a clean end after %d of %d bytes" % (len(data), num_bytes))
    if stream.sha256(data) != sha256:
        raise ValueError("%d other bytes" % len(data))


class _Attempt:
    def __init__(self):
        self.since, self.phase = time.monotonic(), OPENING

    def moves(self):
        self.since, self.phase = time.monotonic(), STANDING


class Traffic:
    """with Traffic(mesh, seed) as traffic: ... traffic.failures, .served, .answers_to_refused, .counts"""

    def __init__(self, mesh, seed):
        self._mesh, self._ending, self._lock = mesh, threading.Event(), threading.Lock()
        self._marker, _, self._visible = markers(seed)
        self._bytes = stream.pattern(STREAM_BYTES, SEED)
        self._sha256, self._web_sha256 = stream.sha256(self._bytes), stream.sha256(web_file())
        self.counts, self.failures, self.served, self.answers_to_refused = collections.Counter(), [], [], []
        rows = [("keep_alive", 5, 0.1), ("dial", 2, 0.2), ("download", 2, 0.1), ("upload", 1, 0.1), ("web", 1, 0.3), ("bystander", 1, 0.5),
                ("plain", 1, 0.5), ("denied", 1, 0.5), ("strict", 1, 0.5)]
        self._threads = [threading.Thread(target=self._repeat, args=(kind, pause_s), daemon=True)
                         for kind, number, pause_s in rows for _ in range(number)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.end()

    def end(self):
        """Nothing new; what is under way ends by itself."""
        self._ending.set()
        for thread in self._threads:
            thread.join(3 * LIMIT_S)

    def _repeat(self, kind, pause_s):
        while not self._ending.wait(pause_s):
            attempt, began = _Attempt(), time.monotonic()
            try:
                getattr(self, "_" + kind)(attempt)
                self._note(self.served if kind in ("bystander", "plain") else None, kind, Served(kind, began, time.monotonic()))
            except (OSError, EOFError, ValueError) as error:
                self._note(self.failures, kind + " failed", Failure(kind, attempt.phase, _how(error), attempt.since, time.monotonic(),
                                                                    "%s %s" % (type(error).__name__, error)))

    def _note(self, where, what, row):
        with self._lock:
            self.counts[what] += 1
            if where is not None:
                where.append(row)

    def _ask(self, host, port, attempt, marker, num_requests=1):
        with host.connect(self._mesh.server.ipv4, port, uid=1000, timeout_s=LIMIT_S) as sock:
            for number in range(num_requests):
                request = marker + b" %07d " % number * 20
                sock.sendall(request)
                if stream.receive_exactly(sock, len(request)) != request:
                    raise ValueError("another answer")
                attempt.moves()
                if number + 1 < num_requests and self._ending.wait(_PACE_S):
                    return

    def _keep_alive(self, attempt):
        self._ask(self._mesh.client, ECHO, attempt, self._marker, _REQUESTS)

    def _dial(self, attempt):
        self._ask(self._mesh.client, ECHO, attempt, self._marker)

    def _bystander(self, attempt):
        self._ask(self._mesh.bystander, ECHO, attempt, self._marker)

    def _plain(self, attempt):
        self._ask(self._mesh.stranger, PERMISSIVE, attempt, self._visible)

    def _connect(self, port):
        return self._mesh.client.connect(self._mesh.server.ipv4, port, uid=1000, timeout_s=LIMIT_S)

    def _pace(self):
        self._ending.wait(0 if self._ending.is_set() else _PACE_S)

    def _receive(self, sock, attempt):
        """To its clean end."""
        parts = []
        while data := sock.recv(_CHUNK):
            attempt.moves()
            parts.append(data)
            self._pace()
        return b"".join(parts)

    def _download(self, attempt):
        with self._connect(SOURCE) as sock:
            _expect_whole(self._receive(sock, attempt), STREAM_BYTES, self._sha256)

    def _web(self, attempt):
        with self._connect(WEB) as sock:
            sock.sendall(b"GET /file HTTP/1.1\r\nHost: server\r\nConnection: close\r\nX-Marker: %s\r\n\r\n" % self._marker)
            head, _, body = self._receive(sock, attempt).partition(b"\r\n\r\n")
        if head and b" 200 OK\r\n" not in head:
            raise ValueError("another answer: %r" % head[:80])
        _expect_whole(body, _WEB_BYTES, self._web_sha256)

    def _upload(self, attempt):
        with self._connect(HASH) as sock:
            for at in range(0, STREAM_BYTES, _CHUNK):
                sock.sendall(self._bytes[at:at + _CHUNK])
                attempt.since = time.monotonic()
                if at > STREAM_BYTES // 2:  # more than all buffers on the way hold: it is open
                    attempt.moves()
                self._pace()
            sock.shutdown(1)
            got, ended = stream.receive_all(sock)
        if ended in ("reset", "timeout"):
            raise {"reset": ConnectionResetError, "timeout": TimeoutError}[ended]("after all was sent")
        if not got:
            raise EOFError("a clean end without an answer")
        if got.decode().strip() != self._sha256:
            raise ValueError("a clean end with the answer %r" % got)

    def _expect_refusal(self, kind, host):
        began = time.monotonic()
        with contextlib.suppress(OSError):
            got, _ = stream.attempt(host, self._mesh.server.ipv4, ECHO, self._marker if kind == "denied" else b"<<strict>>")
            if got:
                self._note(self.answers_to_refused, kind + " served", Served(kind, began, time.monotonic(), got[:40]))

    def _denied(self, _):
        self._expect_refusal("denied", self._mesh.denied)

    def _strict(self, _):
        self._expect_refusal("strict", self._mesh.stranger)
