#!/usr/bin/python3
"""Thousands of connections of one process, on one loop. A program of its own, which runs in any namespace as any user.

    many_program.py serve PORT...                sends back what it receives
    many_program.py dial ADDRESS PORT=NUM...     opens so many, each proven by a byte that comes back, and keeps them

The dialing one prints lines of JSON: {"open": 9000} when all are open, {"closed": PORT, "ms": MONOTONIC} when the last
one to that port has ended, and after a line on its standard input, which makes it send a byte on each open connection,
{"answered": NUM} when all of those have come back or ended."""

import collections
import errno
import json
import os
import resource
import select
import socket
import sys
import time

_AT_ONCE = 200


def _raise_limit():
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def serve(ports):
    poll, socks, listeners = select.epoll(), {}, {}
    for port in ports:
        listener = socket.create_server(("", port), backlog=1024)
        listener.setblocking(False)
        listeners[listener.fileno()] = listener
        poll.register(listener, select.EPOLLIN)
    while True:
        for fd, _ in poll.poll():
            if fd in listeners:
                _accept(listeners[fd], poll, socks)
            else:
                _echo(fd, poll, socks)


def _accept(listener, poll, socks):
    while True:
        try:
            sock, _ = listener.accept()
        except BlockingIOError:
            return
        sock.setblocking(False)
        socks[sock.fileno()] = sock
        poll.register(sock, select.EPOLLIN)


def _echo(fd, poll, socks):
    try:
        data = socks[fd].recv(4096)
        if data:
            socks[fd].send(data)
            return
    except OSError:
        pass
    poll.unregister(fd)
    socks.pop(fd).close()


class _Dialer:
    def __init__(self, address, counts):
        self._address, self._left = address, dict(counts)
        self._waiting = collections.deque(port for port, num in counts.items() for _ in range(num))
        self._num, self._open, self._asked, self._answered = len(self._waiting), 0, set(), 0
        self._socks, self._poll = {}, select.epoll()  # fd: [socket, port, is open]

    def run(self):
        for _ in range(_AT_ONCE):
            self._dial()
        self._poll.register(0, select.EPOLLIN)
        while True:
            for fd, events in self._poll.poll():
                if fd == 0:
                    if not os.read(0, 4096):
                        return
                    self._ask()
                else:
                    self._turn(fd, events)

    def _dial(self):
        if not self._waiting:
            return
        port = self._waiting.popleft()
        sock = socket.socket()
        sock.setblocking(False)
        number = sock.connect_ex((self._address, port))
        if number not in (0, errno.EINPROGRESS):
            raise OSError(number, os.strerror(number))
        self._socks[sock.fileno()] = [sock, port, False]
        self._poll.register(sock, select.EPOLLOUT)

    def _turn(self, fd, events):
        sock, port, is_open = self._socks[fd]
        if events & select.EPOLLOUT:
            sock.send(b"x")
            self._poll.modify(fd, select.EPOLLIN)
            return
        try:
            data = sock.recv(4096)
        except OSError:
            data = b""
        if not data:
            self._ended(fd, port)
        elif not is_open:
            self._socks[fd][2] = True
            self._open += 1
            if self._open == self._num:
                self._print(open=self._open)
            self._dial()
        else:
            self._answered += fd in self._asked
            self._heard_of(fd)

    def _ended(self, fd, port):
        self._poll.unregister(fd)
        self._socks.pop(fd)[0].close()
        self._left[port] -= 1
        if self._left[port] == 0:
            self._print(closed=port, ms=int(time.monotonic() * 1000))
        self._heard_of(fd)

    def _heard_of(self, fd):
        if fd in self._asked:
            self._asked.remove(fd)
            if not self._asked:
                self._print(answered=self._answered)

    def _ask(self):
        self._asked, self._answered = set(self._socks), 0
        for fd in list(self._socks):
            try:
                self._socks[fd][0].send(b"y")
            except OSError:
                self._heard_of(fd)  # it has ended; the loop is to see that

    @staticmethod
    def _print(**row):
        print(json.dumps(row), flush=True)


if __name__ == "__main__":
    _raise_limit()
    if sys.argv[1] == "serve":
        serve([int(word) for word in sys.argv[2:]])
    else:
        _Dialer(sys.argv[2], {int(port): int(num) for port, num in (word.split("=") for word in sys.argv[3:])}).run()
