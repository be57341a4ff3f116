"""A bundle endpoint of a partner that misbehaves on purpose, or not: one listener, whose answer is what the test decides.

endpoint = BundleEndpoint(host, 8443, identity)       identity: of handfast_harness.certificates
endpoint.body = jwks([authority.root], sequence=5)
endpoint.answer = None                                raw bytes instead of an HTTP answer, or a function of the connection"""

import base64
import json
import ssl
import tempfile
import threading

from cryptography.hazmat.primitives import serialization


def _url64(number):
    return base64.urlsafe_b64encode(number.to_bytes(32, "big")).decode().rstrip("=")


def _entry(root):
    numbers = root.public_key().public_numbers()
    return {"kty": "EC", "use": "x509-svid", "crv": "P-256", "x": _url64(numbers.x), "y": _url64(numbers.y),
            "x5c": [base64.b64encode(root.public_bytes(serialization.Encoding.DER)).decode()]}


def jwks(roots, sequence=None, hint=1, more=()):
    """A bundle as JSON; roots: certificates of P-256 keys."""
    entries = [_entry(root) for root in roots]
    bundle = {"keys": entries + list(more), "spiffe_refresh_hint": hint}
    if sequence is not None:
        bundle["spiffe_sequence"] = sequence
    return json.dumps(bundle).encode()


class BundleEndpoint:
    def __init__(self, host, port, identity, body=b"", answer=None):
        self.port, self.body, self.answer, self.num_requests = port, body, answer, 0
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.minimum_version = ssl.TLSVersion.TLSv1_3
        self.present(identity)
        self._listener = host.listen("0.0.0.0", port)
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._listener.close()

    def present(self, identity):
        with tempfile.TemporaryDirectory() as folder:
            self._context.load_cert_chain(*identity.write(folder))

    def _accept(self):
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock):
        try:
            sock.settimeout(20)
            with self._context.wrap_socket(sock, server_side=True) as conn:
                conn.recv(4096)
                self.num_requests += 1
                if callable(self.answer):
                    self.answer(conn)
                else:
                    conn.sendall(self.answer or b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(self.body) + self.body)
        except OSError:
            pass
