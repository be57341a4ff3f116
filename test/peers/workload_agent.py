"""A SPIFFE agent of another authority, with its answers and their times under control: FetchX509SVID over a Unix socket.

    agent = story.own(Agent(path))
    agent.give(x509_svid_response([leaf], [root]))       pushed to every stream
    agent.refuse(PERMISSION_DENIED)                      ends every stream, and each new one
    agent.close(); agent.open()                          the process is away, and is back"""

import contextlib
import os
import socket
import struct
import threading

import h2.config
import h2.connection
import h2.events
import h2.exceptions
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import ExtensionOID

from .enrollment import field

_DER, _SAN = serialization.Encoding.DER, ExtensionOID.SUBJECT_ALTERNATIVE_NAME


def x509_svid_response(identities, roots, federated=(), key=None, crls=()):
    """identities: those of TestAuthority.leaf(); roots: certificates; federated: {trust domain's ID: DER};
    key: another private key than that of the leaf."""
    message = b""
    for identity in identities:
        der = (key or identity.key).private_bytes(_DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        names = identity.chain[0].extensions.get_extension_for_oid(_SAN).value
        message += field(1, field(1, names[0].value.encode()) +
                         field(2, b"".join(one.public_bytes(_DER) for one in identity.chain)) + field(3, der) +
                         field(4, b"".join(root.public_bytes(_DER) for root in roots)))
    for crl in crls:
        message += field(2, crl)
    for name, value in dict(federated).items():
        message += field(3, field(1, name.encode()) + field(2, value))
    return message


class Agent:
    def __init__(self, path):
        self.path, self.num_streams, self.num_without_header = path, 0, 0
        self._message, self._status, self._version = None, None, 0
        self._listener, self._is_open = None, threading.Event()
        self.open()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def give(self, message):
        self._message, self._status = message, None
        self._version += 1

    def refuse(self, status):
        self._message, self._status = None, status
        self._version += 1

    def open(self):
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        self._listener.bind(self.path)
        os.chmod(self.path, 0o777)
        self._listener.listen(16)
        self._is_open = threading.Event()
        self._is_open.set()
        threading.Thread(target=self._accept, args=(self._listener, self._is_open), daemon=True).start()

    def close(self):
        if self._listener is None:
            return
        self._is_open.clear()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._listener = None
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path)

    def _accept(self, listener, is_open):
        with contextlib.suppress(OSError):
            while True:
                sock, _ = listener.accept()
                threading.Thread(target=self._serve, args=(sock, is_open), daemon=True).start()

    def _serve(self, sock, is_open):
        conn = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding="utf-8"))
        conn.initiate_connection()
        streams = {}  # id: the version that it has, or None before the request
        with sock, contextlib.suppress(OSError, h2.exceptions.ProtocolError):
            sock.settimeout(0.05)
            while is_open.is_set():
                self._answer(conn, streams)
                sock.sendall(conn.data_to_send())
                with contextlib.suppress(TimeoutError):
                    data = sock.recv(65536)
                    if not data:
                        return
                    for event in conn.receive_data(data):
                        self._take(conn, streams, event)

    def _take(self, conn, streams, event):
        if isinstance(event, h2.events.RequestReceived):
            headers = dict(event.headers)
            if headers.get("workload.spiffe.io") != "true":
                self.num_without_header += 1
                self._end(conn, event.stream_id, 3)
            elif headers[":path"] == "/SpiffeWorkloadAPI/FetchX509SVID":
                self.num_streams += 1
                streams[event.stream_id] = 0
        elif isinstance(event, h2.events.DataReceived):
            conn.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, h2.events.StreamReset):
            streams.pop(event.stream_id, None)

    def _answer(self, conn, streams):
        for number, version in list(streams.items()):
            if version == self._version:
                continue
            if self._status is not None:
                self._end(conn, number, self._status, has_headers=version > 0)
                del streams[number]
            elif self._message is not None:
                if version == 0:
                    conn.send_headers(number, [(":status", "200"), ("content-type", "application/grpc")])
                conn.send_data(number, b"\0" + struct.pack(">I", len(self._message)) + self._message)
                streams[number] = self._version

    def _end(self, conn, number, status, has_headers=False):
        trailers = [("grpc-status", str(status)), ("grpc-message", "no identity issued")]
        head = [] if has_headers else [(":status", "200"), ("content-type", "application/grpc")]
        conn.send_headers(number, head + trailers, end_stream=True)
