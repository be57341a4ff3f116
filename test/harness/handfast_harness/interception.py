"""Listeners in place of the sidecar, for stories about interception alone: they report the original destination."""

import contextlib
import ipaddress
import socket
import struct

from .expect import StoryFailure

OUTBOUND, INBOUND, TUNNEL, METRICS = 15001, 15006, 15008, 15020
SIDECAR = 1337
DIALS_FROM = {4: "169.254.15.6", 6: "100::6"}

_SO_ORIGINAL_DST = 80  # at both levels


def original_destination(sock):
    """(address, port) that the peer dialed; at SOL_IP for IPv4, whatever family the listener has."""
    peer = ipaddress.ip_address(sock.getpeername()[0].partition("%")[0])
    if peer.version == 4 or peer.ipv4_mapped:
        raw = sock.getsockopt(socket.SOL_IP, _SO_ORIGINAL_DST, 16)
        port, address = struct.unpack_from("!2xH4s", raw)
        return socket.inet_ntop(socket.AF_INET, address), port
    raw = sock.getsockopt(socket.IPPROTO_IPV6, _SO_ORIGINAL_DST, 28)
    port, address = struct.unpack_from("!2xH4x16s", raw)
    return socket.inet_ntop(socket.AF_INET6, address), port


class Interceptor:
    """Listens on a port to which the rules redirect (dual-stack); with Interceptor(net.a, OUTBOUND) as caught: ..."""

    def __init__(self, host, port):
        self._listener = host.listen("::", port, uid=SIDECAR, gid=SIDECAR)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._listener.close()

    def next(self, timeout_s=10.0):
        """The original destination of the next connection that arrives, which is then closed."""
        self._listener.settimeout(timeout_s)
        try:
            sock, _ = self._listener.accept()
        except socket.timeout:
            raise StoryFailure("waited %.1f s for a redirected connection" % timeout_s) from None
        with sock:
            return original_destination(sock)

    def is_quiet(self):
        """Whether no connection is pending."""
        self._listener.settimeout(0.05)
        with contextlib.suppress(socket.timeout):
            self._listener.accept()[0].close()
            return False
        return True
