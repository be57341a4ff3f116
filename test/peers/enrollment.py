"""Enrollment with the control plane by hand: any token, any key, any message."""

import base64
import hashlib
import struct

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from .hbone import Client
from .tls import Refused

STREAMS = 15012


def field(number, value):
    """One protobuf field: bytes, or a number."""
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    return _varint(number << 3 | 2) + _varint(len(value)) + value


def _varint(value):
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes(out + bytes([value]))


def fields(message):
    """[(number, value)] of a message; a double is its 8 bytes."""
    found, at = [], 0

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = message[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while at < len(message):
        tag = varint()
        if tag & 7 == 1:  # a double
            value, at = message[at:at + 8], at + 8
        else:
            value = varint()
        if tag & 7 == 2:
            value, at = message[at:at + value], at + value
        found.append((tag >> 3, value))
    return found


def read_token(path):
    """(id, secret) of a token file's line hf1.<id>.<secret>.<hash>."""
    with open(path) as file:
        parts = file.read().strip().split(".")
    return tuple(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)) for part in parts[1:3])


def new_key():
    return ec.generate_private_key(ec.SECP256R1())


def make_csr(key, uris=()):
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    if uris:
        names = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(uri) for uri in uris])
        builder = builder.add_extension(names, critical=True)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


def _framed(message):
    return struct.pack(">BI", 0, len(message)) + message


def _messages(data):
    """The complete messages of a stream so far."""
    while len(data) >= 5 and len(data) >= 5 + struct.unpack_from(">I", data, 1)[0]:
        end = 5 + struct.unpack_from(">I", data, 1)[0]
        yield data[5:end]
        data = data[end:]


class Result:
    """status: gRPC's number or the end of the session; message: grpc-message; chain: certificates, leaf first; trust: the
    TrustState, as it came."""

    def __init__(self, stream):
        self.status = stream.headers.get("grpc-status", stream.ended)
        self.message = stream.headers.get("grpc-message", "")
        self.chain = []
        if self.status == "0":
            answer = dict(fields(stream.data[5:]))
            svid, self.trust = answer[1], answer[2]
            self.chain = [x509.load_der_x509_certificate(der) for _, der in fields(svid)]

    def ids(self):
        names = self.chain[0].extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        return list(names)


class Enrollment:
    """with Enrollment(host, address) as control: control.attest(token=read_token(path), key=new_key())"""

    def __init__(self, host, address, identity=None, timeout_s=5.0, sock=None):
        self.client = Client(host, address, identity, port=STREAMS, timeout_s=timeout_s, sock=sock)

    def __enter__(self):
        self.client.__enter__()
        return self

    def __exit__(self, *_):
        self.client.__exit__()

    def _send(self, path, body, end, more=()):
        number = self.client.request([
            (":method", "POST"), (":scheme", "https"), (":path", path), (":authority", "control"),
            ("content-type", "application/grpc"), ("te", "trailers"), *more])
        self.client.engine.send_data(number, body, end_stream=end)
        self.client.flush()
        return number

    def request(self, path, body, end=True, more=()):
        """Any body, with further headers: the stream after its end."""
        return self.client.wait(self._send(path, body, end, more), lambda stream: stream.ended is not None)

    def call(self, path, message):
        return self.request(path, _framed(message))

    def talk(self, path, messages, wanted):
        """Sends these on a stream that stays open: the fields of the first answer that matches."""
        return fields(self.answer(self.open(path, messages), wanted))

    def open(self, path, messages):
        """The number of a stream that stays open."""
        return self._send(path, b"".join(map(_framed, messages)), False)

    def send(self, number, message):
        self.client.engine.send_data(number, _framed(message))
        self.client.flush()

    def answer(self, number, wanted):
        """The first one on this stream that matches."""
        find = lambda stream: [message for message in _messages(stream.data) if wanted(message)]
        stream = self.client.wait(number, find)
        if not find(stream):
            raise Refused("%s %s" % (stream.ended, stream.headers))
        return find(stream)[0]

    def attest(self, token=None, key=None, uris=(), signer=None, leaf_key=None, kubernetes=None, attestation=None,
               features=()):
        """Attests with a join token, with a projected Kubernetes token (bytes), or with the attestation key alone.
        signer: the key of the proof, if it is another one. leaf_key: of the certificate. attestation: makes other attestation
        data of what the connection exports and the attestation key. features: of the hello."""
        key = key or new_key()
        csr = make_csr(leaf_key or new_key(), uris)
        exported = self.client.tls.export(b"EXPORTER-handfast-attest", hashlib.sha256(csr).digest())
        proof = (signer or key).sign(exported, ec.ECDSA(hashes.SHA256()))
        data = field(1, field(1, token[0]) + field(2, token[1])) if token else field(2, b"")
        if kubernetes is not None:
            data = field(3, field(1, kubernetes))
        spki = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        if attestation is not None:
            data = attestation(exported, spki)
        hello = field(1, 1) + b"".join(field(2, feature) for feature in features) + field(3, b"peer")
        message = field(1, hello) + field(2, data) + field(3, spki) + field(4, csr) + field(5, proof)
        return Result(self.call("/handfast.v1.Enrollment/Attest", message))


__all__ = ["Enrollment", "Refused", "field", "fields", "make_csr", "new_key", "read_token"]
