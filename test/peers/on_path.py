"""An attacker on the path: the router redirects every connection to one port to a relay that can read and change it."""

import contextlib
import socket
import threading

from handfast_harness.interception import original_destination

_PORT, _TABLE = 7000, "on_path"


class OnPath:
    """with OnPath(net.router, "to-client", 15008) as relay: relay.change = lambda way, data: data

    `recorded`: per connection {"up": bytes, "down": bytes}; `change`: returns the bytes to forward instead of data
    (None: closes the connection); `destination`: (address, port) to which connections go instead."""

    def __init__(self, router, interface, port):
        self._router = router
        self.recorded, self.change, self.destination = [], lambda way, data: data, None
        self._sockets = []
        router.run(["nft", "add table inet %s; add chain inet %s pre { type nat hook prerouting priority -100; }; "
                    "add rule inet %s pre iifname %s tcp dport %d redirect to :%d" %
                    (_TABLE, _TABLE, _TABLE, interface, port, _PORT)])
        self._listener = router.listen("::", _PORT)
        self._listener.settimeout(None)
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._router.run(["nft", "delete table inet " + _TABLE])
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()

    def cut(self):
        """Closes every connection, so that the next ones are new."""
        for sock in self._sockets:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        self._sockets.clear()

    def _accept(self):
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            try:
                far = self._router.connect(*(self.destination or original_destination(near)))
            except OSError:
                near.close()
                continue
            far.settimeout(None)
            self._sockets += [near, far]
            record = {"up": b"", "down": b""}
            self.recorded.append(record)
            for way, source, target in (("up", near, far), ("down", far, near)):
                threading.Thread(target=self._pass, args=(record, way, source, target), daemon=True).start()

    def _pass(self, record, way, source, target):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                record[way] += data
                changed = self.change(way, data)
                if changed is None:
                    break
                target.sendall(changed)
        for sock in (source, target):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)


def take_over(net, thief, victim):
    """From now on the router routes the victim's addresses to the thief, which has them on lo."""
    thief.ip("addr add %s/32 dev lo" % victim.ipv4)
    net.router.ip("route replace %s/32 via %s" % (victim.ipv4, thief.ipv4))


def give_back(net, thief, victim):
    thief.ip("addr del %s/32 dev lo" % victim.ipv4)
    net.router.ip("route del %s/32" % victim.ipv4)
