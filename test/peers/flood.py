"""Floods by strangers and peers. Each function returns one for handfast_harness.fairness.Attack; its arguments bound
rates and numbers."""

import contextlib
import errno
import select
import socket
import time

from . import hbone
from .tls import Refused


def _paced(per_second, ending):
    """Yields at that rate, catching up at once, until the end."""
    started, number = time.monotonic(), 0
    while not ending():
        wait = started + number / per_second - time.monotonic()
        if wait > 0.002:
            time.sleep(min(wait, 0.05))  # duration: the pace of the attack
            continue
        number += 1
        yield number


def _begin(host, family, target, source=None):
    sock = host.socket(family)
    sock.setblocking(False)
    if source is not None:
        sock.bind((source, 0))
    code = sock.connect_ex(target)
    if code not in (0, errno.EINPROGRESS):
        sock.close()
        raise OSError(code, "connect")
    return sock


def connections(host, address, port, per_second=500, most=10_000, first=b"", sources=(None,), again=True):
    """Opens connections and keeps them, `most` at once; sends `first` on each, nothing more. A connection that the
    other side closes is opened again (again=True). `sources`: own addresses, used in turn. Counts connections begun."""
    def flood(count, ending):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        poll, held = select.epoll(), {}
        with contextlib.ExitStack() as closing:
            closing.callback(lambda: [sock.close() for sock in held.values()])
            for number in _paced(per_second, ending):
                for fd, event in poll.poll(0, 256):
                    if event & select.EPOLLOUT and not event & (select.EPOLLHUP | select.EPOLLERR):
                        with contextlib.suppress(OSError):
                            held[fd].send(first)
                        poll.modify(fd, select.EPOLLRDHUP)
                    elif again:
                        held.pop(fd).close()
                    else:
                        poll.modify(fd, 0)
                if len(held) >= most:
                    continue
                try:
                    sock = _begin(host, family, (address, port), sources[number % len(sources)])
                except OSError:
                    continue
                held[sock.fileno()] = sock
                poll.register(sock.fileno(), select.EPOLLRDHUP | (select.EPOLLOUT if first else 0))
                count()
    return flood


def brief(host, address, port, payload, per_second=1000, sources=(None,)):
    """Connections that send `payload`, wait for a byte of the answer (at most 0.2 s) and are reset: a ClientHello costs
    the other side its half of a handshake. Counts connections begun."""
    def flood(count, ending):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        poll, held = select.epoll(), {}
        for number in _paced(per_second, ending):
            now = time.monotonic()
            for fd, event in poll.poll(0, 256):
                if event == select.EPOLLOUT:
                    with contextlib.suppress(OSError):
                        held[fd][0].send(payload)
                    poll.modify(fd, select.EPOLLIN)
                else:
                    held.pop(fd)[0].close()
            while held and next(iter(held.values()))[1] < now - 0.2:
                held.pop(next(iter(held)))[0].close()
            with contextlib.suppress(OSError):
                sock = _begin(host, family, (address, port), sources[number % len(sources)])
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                held[sock.fileno()] = sock, now
                poll.register(sock.fileno(), select.EPOLLOUT)
                count()
    return flood


def tunnels(host, address, identity, per_second=200, most=2_000, authority=None, streams=0, sources=(None,)):
    """Opens tunnels with a genuine identity and keeps them, `most` at once; on each opens `streams` streams to
    `authority`, and reads nothing. A tunnel that the other side closes is opened again. `sources`: own
    addresses, used in turn. Counts tunnels (streams == 0) or streams."""
    def flood(count, ending):
        held, poll = {}, select.epoll()
        for number in _paced(per_second, ending):
            for fd, _ in poll.poll(0, 64):
                held.pop(fd).__exit__()
            if len(held) >= most:
                continue
            try:
                sock = host.connect(address, hbone.TUNNEL, timeout_s=2.0, source=sources[number % len(sources)])
                tunnel = hbone.Client(host, address, identity, timeout_s=2.0, sock=sock).open()
            except (Refused, OSError):
                continue
            held[sock.fileno()] = tunnel
            poll.register(sock.fileno(), select.EPOLLRDHUP)
            count(0 if streams else 1)
            for _ in range(streams):
                if ending():
                    return
                with contextlib.suppress(Exception):  # the peer's limit of streams, which is the aim
                    tunnel.request([(":method", "CONNECT"), (":authority", authority)])
                    count()
    return flood
