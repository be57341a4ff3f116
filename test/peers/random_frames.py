"""A tunnel peer that sends random frames, each of which is legal by itself: streams, data, windows, settings, resets,
GOAWAY, at any time. Frames are made by hand, because an engine would refuse to send most of them. The same seed gives
the same choices; the other side's answers in between do not depend on it."""

import random
import socket
import threading
import time

from . import hbone
from .tls import Refused, Tls

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
PRIORITY, CONTINUATION, UNKNOWN = 2, 9, 0xb7
END_STREAM, ACK, END_HEADERS, PADDED = 1, 1, 4, 8
HEADER_TABLE_SIZE, MAX_STREAMS, INITIAL_WINDOW, MAX_FRAME = 1, 3, 4, 5
_WINDOW_MAX, _ALLOWED = 2 ** 31 - 1, 32 * 1024  # bytes of data per stream: the first window of every stream


def frame(kind, flags, stream, payload=b""):
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def _literal(name_index, value):
    return bytes([name_index, len(value)]) + value


class _Talk:
    """One connection, from the handshake on."""

    def __init__(self, tls, seed, is_client, authority=b""):
        self.tls, self.random, self.is_client, self.authority = tls, random.Random(seed), is_client, authority
        self.next_stream, self.open, self.granted, self.sent_goaway = 1, {}, 0, False
        self._rest, self._started = b"", not is_client

    def run(self, until):
        """Random frames until the time is over, the other side ends the connection, or at a random end."""
        try:
            self.tls.handshake()
            self.tls.send((PREFACE if self.is_client else b"") + self._settings())
            self._skip_preface = not self.is_client
            while time.monotonic() < until:
                for _ in range(self.random.randrange(1, 20)):
                    self._act_at_random()
                if self.random.random() < 0.9:
                    self._take_what_came()
                if self.random.random() < 0.01:
                    break
            self._end()
        except (Refused, OSError):
            pass  # the peer may do that
        finally:
            self.tls.close()

    def _end(self):
        if self.random.random() < 0.5:
            self.tls.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    # --- incoming ---

    def _take_what_came(self):
        self.tls.sock.settimeout(None)
        try:
            data = self.tls.receive()
        except Refused as refused:
            if str(refused) == "timeout":
                return
            raise
        if not data:
            raise Refused("closed")
        self._rest += data
        if self._skip_preface and len(self._rest) >= len(PREFACE):
            self._rest, self._skip_preface = self._rest[len(PREFACE):], False
        while len(self._rest) >= 9 and len(self._rest) >= (length := 9 + int.from_bytes(self._rest[:3], "big")):
            one, self._rest = self._rest[:length], self._rest[length:]
            self._on_frame(one[3], one[4], int.from_bytes(one[5:9], "big"), one[9:])

    def _on_frame(self, kind, flags, stream, payload):
        if kind == hbone.SETTINGS and not flags & ACK:
            self.tls.send(frame(hbone.SETTINGS, ACK, 0))
        elif kind == hbone.PING and not flags & ACK and self.random.random() < 0.8:
            self.tls.send(frame(hbone.PING, ACK, 0, payload))
        elif kind == hbone.HEADERS and not self.is_client and stream not in self.open:
            self.open[stream] = 0
            self._answer(stream)
        elif kind == hbone.RST_STREAM or (kind == hbone.GOAWAY and self.is_client and self.random.random() < 0.2):
            self.open.pop(stream, None)
        elif kind == hbone.DATA and payload and self.random.random() < 0.9:
            self._grant(0, len(payload))
            if stream in self.open:
                self._grant(stream, len(payload))

    def _answer(self, stream):
        status = self.random.choice([b"200"] * 6 + [b"503", b"401", b"400", None])
        if status is None:
            self._reset(stream)
        elif status == b"200":
            self.tls.send(frame(hbone.HEADERS, END_HEADERS, stream, b"\x88"))
        else:
            self.tls.send(frame(hbone.HEADERS, END_HEADERS | END_STREAM, stream, _literal(8, status)))

    # --- outgoing ---

    def _act_at_random(self):
        what = self.random.choice([self._connect] * 4 + [self._data] * 6 + [self._window] * 2 + [self._some_reset] * 2 + [
            self._change_settings, self._ping, self._priority, self._unknown, self._empty] + [self._goaway] * (
                self.random.random() < 0.05))
        what()

    def _some_stream(self):
        return self.random.choice(list(self.open)) if self.open else None

    def _connect(self):
        if not self.is_client or self.next_stream > 20_000:
            return
        authority = self.authority if self.random.random() < 0.9 else b"192.0.2.77:1"
        flags = END_HEADERS | (END_STREAM if self.random.random() < 0.1 else 0)
        block = _literal(2, b"CONNECT") + _literal(1, authority)
        if self.random.random() < 0.1:
            self.tls.send(frame(hbone.HEADERS, flags & ~END_HEADERS, self.next_stream, block[:5]) +
                          frame(CONTINUATION, END_HEADERS, self.next_stream, block[5:]))
        else:
            self.tls.send(frame(hbone.HEADERS, flags, self.next_stream, block))
        if not flags & END_STREAM:
            self.open[self.next_stream] = 0
        self.next_stream += 2

    def _data(self):
        stream = self._some_stream()
        if stream is None or self.open[stream] >= _ALLOWED:
            return
        size = self.random.choice([1, 100, self.random.randrange(1, 8000)])
        size = min(size, _ALLOWED - self.open[stream] - 300)
        if size <= 0:
            return
        payload, flags = bytes(size), END_STREAM if self.random.random() < 0.2 else 0
        if self.random.random() < 0.2:
            padding = self.random.randrange(0, 255)
            payload, flags = bytes([padding]) + payload + bytes(padding), flags | PADDED
        self.open[stream] += len(payload)
        self.tls.send(frame(hbone.DATA, flags, stream, payload))
        if flags & END_STREAM:
            self.open.pop(stream)
            if self.random.random() < 0.5:
                self.tls.send(frame(hbone.RST_STREAM, 0, stream, (0).to_bytes(4, "big")))

    def _empty(self):
        stream = self._some_stream()
        if stream is not None:
            self.tls.send(frame(hbone.DATA, 0, stream))

    def _grant(self, stream, size):
        if stream == 0:
            self.granted += size
        self.tls.send(frame(hbone.WINDOW_UPDATE, 0, stream, size.to_bytes(4, "big")))

    def _window(self):
        stream = self.random.choice([0, self._some_stream() or 0])
        size = self.random.choice([1, 1000, 100_000])
        if stream != 0 or self.granted + size < _WINDOW_MAX // 2:
            self._grant(stream, size)

    def _reset(self, stream):
        code = self.random.choice([0, 2, 5, 7, 8, 10, 11, 0xdead])
        self.open.pop(stream, None)
        self.tls.send(frame(hbone.RST_STREAM, 0, stream, code.to_bytes(4, "big")))

    def _some_reset(self):
        stream = self._some_stream()
        if stream is not None:
            self._reset(stream)

    def _settings(self):
        choice = {INITIAL_WINDOW: self.random.choice([0, 1, 1000, 65535, 4 * 1024 * 1024]),
                  MAX_FRAME: self.random.choice([16384, 1 << 20]),
                  HEADER_TABLE_SIZE: self.random.choice([0, 4096, 65536])}
        if not self.is_client:
            choice[MAX_STREAMS] = self.random.choice([0, 1, 3, 100, 2 ** 32 - 1])
        payload = b"".join(number.to_bytes(2, "big") + value.to_bytes(4, "big") for number, value in choice.items())
        return frame(hbone.SETTINGS, 0, 0, payload)

    def _change_settings(self):
        self.tls.send(self._settings())

    def _ping(self):
        self.tls.send(frame(hbone.PING, self.random.choice([0, ACK]), 0, self.random.randbytes(8)))

    def _priority(self):
        self.tls.send(frame(PRIORITY, 0, self.random.randrange(1, 1000) * 2 - 1, b"\0\0\0\0\x10"))

    def _unknown(self):
        self.tls.send(frame(UNKNOWN, self.random.randrange(256), self.random.randrange(1000), bytes(50)))

    def _goaway(self):
        last = self.random.choice([0, max([1, *self.open]), _WINDOW_MAX])
        self.tls.send(frame(hbone.GOAWAY, 0, 0, last.to_bytes(4, "big") + (0).to_bytes(4, "big")))


class Callers:
    """Repeatedly opens `at_once` connections to a sidecar's tunnel port, for `seconds`. `num`: connections so far."""

    def __init__(self, host, address, identity, authority, seed, seconds, at_once=3):
        self.num, self._until = 0, time.monotonic() + seconds
        self._words = host, address, identity, authority.encode()
        self._threads = [threading.Thread(target=self._call, args=(seed * 100 + i,), daemon=True) for i in range(at_once)]
        for thread in self._threads:
            thread.start()

    def _call(self, seed):
        host, address, identity, authority = self._words
        while time.monotonic() < self._until:
            self.num += 1
            seed += 10
            try:
                sock = host.connect(address, hbone.TUNNEL)
            except OSError:
                continue
            _Talk(Tls(sock, identity, timeout_s=0.01), seed, True, authority).run(self._until)

    def wait(self):
        for thread in self._threads:
            thread.join(30)


class Called(hbone.Server):
    """A tunnel port with random behavior."""

    def __init__(self, host, identity, seed, seconds):
        self.seed, self.until = seed, time.monotonic() + seconds
        super().__init__(host, identity)

    def _one(self, sock):
        self.seed += 1
        self.handshakes += 1
        _Talk(Tls(sock, self.identity, is_server=True, timeout_s=0.01), self.seed, False).run(self.until)
