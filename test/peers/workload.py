"""The SPIFFE Workload API and Envoy's secret discovery by hand, over a Unix socket: any user, any metadata, any message.

    with Client(host, path, uid=1000) as client:
        stream = client.call("FetchX509SVID")
        svid = x509_svid(stream.message())"""

import contextlib
import struct
import time

import h2.config
import h2.connection
import h2.events

from .enrollment import field, fields

SPIFFE, SDS = "/SpiffeWorkloadAPI/", "/envoy.service.secret.v3.SecretDiscoveryService/"
SECRET_TYPE = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret"
HEADER = (("workload.spiffe.io", "true"),)
OK, INVALID_ARGUMENT, NOT_FOUND, PERMISSION_DENIED, EXHAUSTED, UNIMPLEMENTED = 0, 3, 5, 7, 8, 12


class Client:
    def __init__(self, host, path, uid=0):
        self.sock = host.connect_unix(path, uid=uid)
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True, header_encoding="utf-8"))
        self.h2.initiate_connection()
        self.streams = {}
        self.is_open = True
        self._flush()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def call(self, method, message=b"", metadata=HEADER, path=SPIFFE, ends=True):
        stream = Call(self, self.h2.get_next_available_stream_id())
        self.streams[stream.id] = stream
        self.h2.send_headers(stream.id, [(":method", "POST"), (":scheme", "http"), (":path", path + method),
                                         (":authority", "localhost"), ("content-type", "application/grpc"),
                                         ("te", "trailers"), *metadata])
        if message is not None:
            stream.send(message, ends)
        self._flush()
        return stream

    def _flush(self):
        data = self.h2.data_to_send()
        try:
            self.sock.sendall(data)
        except BrokenPipeError:  # refused before it could be written
            self.is_open = False

    def read(self, timeout_s):
        """Takes over what comes within that time; False: nothing did, or the connection has ended."""
        self.sock.settimeout(max(timeout_s, 0.001))
        try:
            data = self.sock.recv(65536)
        except (TimeoutError, ConnectionError):
            return False
        if not data:
            self.is_open = False
            return False
        for event in self.h2.receive_data(data):
            stream = self.streams.get(getattr(event, "stream_id", None))
            if stream is not None:
                stream.take(event)
        self._flush()
        return True


class Call:
    def __init__(self, client, number):
        self.client, self.id = client, number
        self.data, self.messages, self.status, self.text = b"", [], None, ""

    def send(self, message, ends=False):
        self.client.h2.send_data(self.id, b"\0" + struct.pack(">I", len(message)) + message, end_stream=ends)
        self.client._flush()

    def take(self, event):
        if isinstance(event, h2.events.DataReceived):
            self.client.h2.acknowledge_received_data(event.flow_controlled_length, self.id)
            self.data += event.data
            while len(self.data) >= 5 and len(self.data) >= 5 + struct.unpack(">I", self.data[1:5])[0]:
                end = 5 + struct.unpack(">I", self.data[1:5])[0]
                self.messages.append(self.data[5:end])
                self.data = self.data[end:]
        headers = dict(getattr(event, "headers", None) or ())
        if "grpc-status" in headers:
            self.status, self.text = int(headers["grpc-status"]), headers.get("grpc-message", "")

    def message(self, timeout_s=10.0):
        """The next message; AssertionError with the status if there is none."""
        self._read_until(lambda: self.messages, timeout_s)
        assert self.messages, "no message within %.1f s; status %s %s" % (timeout_s, self.status, self.text)
        return self.messages.pop(0)

    def end(self, timeout_s=10.0):
        """(status, text); None: it has not ended."""
        self._read_until(lambda: self.status is not None, timeout_s)
        return self.status, self.text

    def has_message(self, within_s):
        self._read_until(lambda: self.messages, within_s)
        return bool(self.messages)

    def _read_until(self, is_there, timeout_s):
        end_s = time.monotonic() + timeout_s
        while not is_there() and self.client.is_open and time.monotonic() < end_s:
            self.client.read(end_s - time.monotonic())


def certificates(der):
    """Concatenated DER as a list."""
    found = []
    while der:
        size = 2 + der[1] if der[1] < 128 else 2 + der[1] % 128 + int.from_bytes(der[2:2 + der[1] % 128], "big")
        found.append(der[:size])
        der = der[size:]
    return found


def x509_svid(message):
    """{id, chain, key, bundle, lists, federated} of an X509SVIDResponse with one SVID."""
    parts = fields(message)
    svid = dict(fields(dict(parts)[1]))
    assert [number for number, _ in parts].count(1) == 1, "several SVIDs"
    return {"id": svid[1].decode(), "chain": certificates(svid[2]), "key": svid[3], "bundle": certificates(svid[4]),
            "lists": [value for number, value in parts if number == 2], "federated": bundles(message, 3)}


def bundles(message, number=2):
    """{trust domain's ID: bytes} of the entries in that field."""
    entries = [dict(fields(value)) for at, value in fields(message) if at == number]
    return {entry[1].decode(): entry.get(2, b"") for entry in entries}


def discovery_request(*names, version="", nonce="", error=None, type_url=SECRET_TYPE):
    message = b"".join(field(3, name.encode()) for name in names) + field(4, type_url.encode())
    for number, text in ((1, version), (5, nonce)):
        message += field(number, text.encode()) if text else b""
    return message + (field(6, field(1, 13) + field(2, error.encode())) if error is not None else b"")


def discovery_response(message):
    """(version, nonce, {name: {number of the secret's kind: bytes}})."""
    parts = fields(message)
    secrets = [dict(fields(dict(fields(value))[2])) for number, value in parts if number == 2]
    found = {secret.pop(1).decode(): secret for secret in secrets}
    with contextlib.suppress(KeyError):
        assert dict(parts)[4] == SECRET_TYPE.encode()
    return dict(parts)[1].decode(), dict(parts)[5].decode(), found
