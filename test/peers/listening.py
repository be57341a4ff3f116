"""A peer that listens in a namespace: what its thread has accepted ends with it."""

import contextlib
import socket
import threading


class Listening:
    """`with peer:`; _listen() once; `_run` in a thread, until the listener is shut down. _sockets: what it accepted."""

    def _listen(self, host, port, **user):
        self._sockets, self.listener = [], host.listen("::", port, **user)
        self.listener.settimeout(None)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self._thread.join(5)
        for sock in self._sockets:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
