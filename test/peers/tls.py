"""TLS 1.3 by OpenSSL without verification, with any certificate."""

import re
import socket
import struct

from OpenSSL import SSL, crypto
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

_POINT = (serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)


class Refused(Exception):
    """The other side ended the session; the text has its alert or the end."""


def stolen(identity):
    """The same chain with another private key that has the public key of the chain's leaf: OpenSSL compares public keys
    alone, so it signs with it, and a verifier must detect that."""
    other = ec.generate_private_key(ec.SECP256R1())
    der = other.private_bytes(serialization.Encoding.DER, serialization.PrivateFormat.TraditionalOpenSSL,
                              serialization.NoEncryption())
    mine = other.public_key().public_bytes(*_POINT)
    theirs = identity.chain[0].public_key().public_bytes(*_POINT)
    assert mine in der
    return _Presented(crypto.load_privatekey(crypto.FILETYPE_ASN1, der.replace(mine, theirs)), identity.chain)


class _Presented:
    def __init__(self, key, chain):
        self.openssl_key, self.chain = key, chain


def _key(identity):
    if hasattr(identity, "openssl_key"):
        return identity.openssl_key
    return crypto.PKey.from_cryptography_key(identity.key)


def _selects(alpn, on_offer):
    def select(connection, offered):
        if on_offer:
            on_offer(offered, connection.get_servername())
        return next((one for one in alpn if one in offered), SSL.NO_OVERLAPPING_PROTOCOLS)
    return select


def context(identity=None, is_server=False, alpn=(b"h2",), version=SSL.TLS1_3_VERSION, on_offer=None):
    """on_offer(protocols, server name): what a client offers."""
    made = SSL.Context(SSL.TLS_METHOD)
    made.set_min_proto_version(min(version, SSL.TLS1_3_VERSION))
    made.set_max_proto_version(version)
    made.set_cipher_list(b"DEFAULT:@SECLEVEL=0")  # else OpenSSL would refuse to present faulty certificates
    made.set_verify(SSL.VERIFY_PEER, lambda *_: True)
    if identity is not None:
        made.use_certificate(crypto.X509.from_cryptography(identity.chain[0]))
        for certificate in identity.chain[1:]:
            made.add_extra_chain_cert(crypto.X509.from_cryptography(certificate))
        made.use_privatekey(_key(identity))
    if alpn and is_server:
        made.set_alpn_select_callback(_selects(alpn, on_offer))
    elif alpn:
        made.set_alpn_protos(list(alpn))
    return made


class Tls:
    """A session over a connected socket. Reads end with b"" at close_notify, Refused at anything else."""

    def __init__(self, sock, identity=None, is_server=False, alpn=(b"h2",), timeout_s=5.0, **more):
        self.sock = sock
        sock.settimeout(None)
        limit = struct.pack("ll", int(timeout_s), int(timeout_s % 1 * 1e6))
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)
        self._tls = SSL.Connection(context(identity, is_server, alpn, **more), sock)
        (self._tls.set_accept_state if is_server else self._tls.set_connect_state)()

    def _do(self, action, *words):
        try:
            return action(*words)
        except SSL.ZeroReturnError:
            return b""
        except (SSL.WantReadError, SSL.WantWriteError):
            raise Refused("timeout") from None
        except SSL.SysCallError as error:
            raise Refused("cut: %s" % (error.args[-1],)) from None
        except SSL.Error as error:
            raise Refused(_alert(error)) from None

    def handshake(self):
        self._do(self._tls.do_handshake)
        return self

    def send(self, data):
        view = memoryview(data)
        while view:
            view = view[self._do(self._tls.send, bytes(view[:16384])):]

    def receive(self, num_bytes=65536):
        return self._do(self._tls.recv, num_bytes)

    def end(self):
        """close_notify; what the other side sends can still be received."""
        self._do(self._tls.shutdown)

    def export(self, label, context_bytes, num_bytes=32):
        return self._tls.export_keying_material(label, num_bytes, context_bytes)

    def peer_serial(self):
        """In the format of /certs."""
        text = "%x" % self._tls.get_peer_certificate().get_serial_number()
        return text if len(text) % 2 == 0 else "0" + text

    def peer_id(self):
        """The first URI of the peer's certificate."""
        certificate = self._tls.get_peer_certificate().to_cryptography()
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        return names.get_values_for_type(x509.UniformResourceIdentifier)[0]

    def close(self):
        self.sock.close()


def _alert(error):
    """"certificate expired" from OpenSSL's "sslv3 alert certificate expired"."""
    text = " ".join(str(part) for entry in error.args[0] for part in entry) if error.args and error.args[0] else "error"
    match = re.search(r"alert ([a-z_ ]+)", text)
    return match[1].strip() if match else text
