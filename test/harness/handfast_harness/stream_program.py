#!/usr/bin/python3
"""A TCP server with a fixed behavior per mode. A program of its own, which runs in any namespace as any user.

    stream_program.py --port 7 --mode echo

Each connection that ends is one line of JSON on stdout: peer, local, received, received_sha256, sent, sent_sha256,
ended ("fin", "reset" or the error's name). Modes:

    echo      sends back what it receives; after the peer's FIN, its own FIN
    hash      reads to the peer's FIN, answers the SHA-256 in hex and a newline, then FIN
    source    sends --bytes of pattern(--seed), then FIN; meanwhile reads
    greet     sends "220 ready\\r\\n" first, then echoes
    fin       sends FIN at once, then reads to the peer's FIN
    reset     reads --bytes, then resets
    hold      never reads, never sends

With --wind-down SECONDS it shuts down gracefully: after SIGTERM it accepts for so long, then closes its listener and
ends with its last connection.
"""

import argparse
import functools
import hashlib
import json
import random
import select
import signal
import socket
import struct
import threading
import time

_CHUNK = 1 << 16
_report_lock = threading.Lock()


@functools.lru_cache(maxsize=2)
def pattern(num_bytes, seed=1):
    """The same bytes for the same seed; they do not compress and have no period."""
    return random.Random(seed).randbytes(num_bytes)


def reset(sock):
    """Closes with RST instead of FIN."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


class _Tally:
    """One direction: how many bytes, and their hash."""

    def __init__(self):
        self.count, self._hash = 0, hashlib.sha256()

    def add(self, data):
        self.count += len(data)
        self._hash.update(data)

    def hex(self):
        return self._hash.hexdigest()


class _Connection:
    def __init__(self, sock, peer, options):
        self.sock, self.options = sock, options
        self.received, self.sent = _Tally(), _Tally()
        self.names = peer[:2], sock.getsockname()[:2]

    def send(self, data):
        self.sock.sendall(data)
        self.sent.add(data)

    def read_to_end(self, on_data=lambda data: None):
        while data := self.sock.recv(_CHUNK):
            self.received.add(data)
            on_data(data)

    def echo(self):
        self.read_to_end(self.send)

    def hash(self):
        self.read_to_end()
        self.send(self.received.hex().encode() + b"\n")

    def source(self):
        reader = threading.Thread(target=self._read_ignoring_errors)
        reader.start()
        self.send(pattern(self.options.bytes, self.options.seed))
        self.sock.shutdown(socket.SHUT_WR)
        reader.join()

    def _read_ignoring_errors(self):
        try:
            self.read_to_end()
        except OSError:
            pass  # the sending half gets the same error and reports it

    def greet(self):
        self.send(b"220 ready\r\n")
        self.echo()

    def fin(self):
        self.sock.shutdown(socket.SHUT_WR)
        self.read_to_end()

    def reset(self):
        while self.received.count < self.options.bytes:
            data = self.sock.recv(self.options.bytes - self.received.count)
            if not data:
                break
            self.received.add(data)
        reset(self.sock)

    def hold(self):
        threading.Event().wait()

    def serve(self):
        try:
            getattr(self, self.options.mode)()
            ended = "reset" if self.options.mode == "reset" else "fin"
        except ConnectionResetError:
            ended = "reset"
        except OSError as error:
            ended = type(error).__name__
        self.sock.close()
        self._print_report({"peer": self.names[0], "local": self.names[1], "received": self.received.count,
                    "received_sha256": self.received.hex(), "sent": self.sent.count,
                    "sent_sha256": self.sent.hex(), "ended": ended})

    def _print_report(self, report):
        with _report_lock:  # print() writes a line and its newline separately
            print(json.dumps(report), flush=True)


def main():
    parser = argparse.ArgumentParser(description="a TCP server with a fixed behavior per mode")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--address", default="::")
    parser.add_argument("--mode", default="echo",
                        choices=["echo", "hash", "source", "greet", "fin", "reset", "hold"])
    parser.add_argument("--bytes", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--wind-down", type=float, help="seconds of accepting after SIGTERM (default: ends at once)")
    options = parser.parse_args()
    if options.mode == "source":
        pattern(options.bytes, options.seed)  # made before the first connection
    listener = socket.socket(socket.AF_INET6 if ":" in options.address else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((options.address, options.port))
    listener.listen(1024)
    print("listening", flush=True)
    ends = []  # after SIGTERM: when accepting ends
    if options.wind_down is not None:
        signal.signal(signal.SIGTERM, lambda *_: ends.append(time.monotonic() + options.wind_down))
    poll_s, threads = None if options.wind_down is None else 0.05, []
    while not ends or time.monotonic() < ends[0]:
        if not select.select([listener], [], [], poll_s)[0]:
            continue
        sock, peer = listener.accept()
        threads = [thread for thread in threads if thread.is_alive()]
        threads.append(threading.Thread(target=_Connection(sock, peer, options).serve, daemon=True))
        threads[-1].start()
    listener.close()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main()
