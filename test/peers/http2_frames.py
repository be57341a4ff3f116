"""An HTTP/2 client of single frames, over any socket or TLS session: in any order, of any kind, and with a table of header
fields that ignores the server's SETTINGS.

    client = Frames(send, receive)
    client.request(1, [(":method", "GET"), ...])
    client.until(lambda: 1 in client.ended)"""

import hpack

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, GOAWAY, WINDOW_UPDATE = 0, 1, 2, 3, 4, 7, 8
END_STREAM, END_HEADERS, ACK = 1, 4, 1
PROTOCOL_ERROR, STREAM_CLOSED = 1, 5
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


class Frames:
    """`send(bytes)`, `receive()` -> bytes, b"" at the end. `headers`: {stream: [list of fields, ...]}; `ended`: streams that
    the server ended; `resets`: {stream: code}; `goaway`: its code, None: none came."""

    def __init__(self, send, receive):
        self._send, self._receive, self._rest = send, receive, b""
        self._encoder, self._decoder = hpack.Encoder(), hpack.Decoder()
        self.headers, self.ended, self.resets, self.goaway, self.is_closed = {}, set(), {}, None, False
        self.has_settings = False
        send(PREFACE)
        self.send(SETTINGS)
        self.until(lambda: self.has_settings)

    def send(self, kind, flags=0, stream=0, payload=b""):
        self._send(len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload)

    def request(self, stream, fields, end=True):
        self.send(HEADERS, END_HEADERS | (END_STREAM if end else 0), stream, self._encoder.encode(fields))

    def _take(self, kind, flags, stream, payload):
        if kind == SETTINGS and not flags & ACK:
            self.has_settings = True
            self.send(SETTINGS, ACK)
        elif kind == HEADERS:
            self.headers.setdefault(stream, []).append(dict(self._decoder.decode(payload)))
        elif kind == RST_STREAM:
            self.resets[stream] = int.from_bytes(payload, "big")
        elif kind == GOAWAY:
            self.goaway = int.from_bytes(payload[4:8], "big")
        if kind in (DATA, HEADERS) and flags & END_STREAM:
            self.ended.add(stream)

    def until(self, condition):
        """Reads until the condition holds or the connection ends."""
        while not condition() and not self.is_closed:
            try:
                more = self._receive()
            except ConnectionError:
                more = b""
            self.is_closed, self._rest = not more, self._rest + more
            while len(self._rest) >= 9 and len(self._rest) >= (length := 9 + int.from_bytes(self._rest[:3], "big")):
                frame, self._rest = self._rest[:length], self._rest[length:]
                self._take(frame[3], frame[4], int.from_bytes(frame[5:9], "big"), frame[9:])
        return self
