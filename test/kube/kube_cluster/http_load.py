"""HTTP calls at a rate, each on a connection of its own, from inside a pod; and single calls."""

from handfast_harness.load import Load

_REQUEST = b"GET / HTTP/1.1\r\nHost: store\r\nConnection: close\r\n\r\n"
GREETING = b"hello-in-plaintext from "


class HttpLoad(Load):
    """with HttpLoad(network, address, 80) as load: ...; load.failures, load.num_requests, load.answered_by"""

    def __init__(self, network, address, port, per_second=20):
        self.answered_by = set()
        super().__init__(network, address, port, num_clients=0, new_per_second=per_second)

    def _ask(self, sock, number):
        sock.sendall(_REQUEST)
        received = b""
        while data := sock.recv(4096):
            received += data
        if not received.startswith(b"HTTP/1.1 200 ") or GREETING not in received:
            raise ValueError("answered %r" % received[:200])
        self.answered_by.add(received.partition(GREETING)[2].split()[0].decode())
        self._add("num_requests")
