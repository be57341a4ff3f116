"""Both ends of a tunnel (HBONE) by hand: a client with arbitrary requests, a server with any identity."""

import threading
import time

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions

from .listening import Listening
from .tls import Refused, Tls

TUNNEL = 15008
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
NO_ERROR, REFUSED_STREAM, CANCEL, CONNECT_ERROR, ENHANCE_YOUR_CALM = 0, 7, 8, 10, 11
NOTICE = 2 ** 31 - 1  # the last stream of a GOAWAY that announces another one


def _engine(is_client):
    return h2.connection.H2Connection(h2.config.H2Configuration(
        client_side=is_client, header_encoding="utf-8", validate_outbound_headers=False,
        normalize_outbound_headers=False, validate_inbound_headers=False))


class Frames:
    """One direction, split into frames. `goaways`: (last stream, error, time) of each GOAWAY. Frames of the types in
    hides=() are removed: the engine ends its streams at a GOAWAY, which RFC 9113 does not require, and answers each
    PING."""

    def __init__(self, hides=(), preface=b""):
        self.hides, self.goaways, self._rest, self._preface = hides, [], b"", preface

    def pass_on(self, data):
        self._rest += data
        if self._preface:
            if len(self._rest) < len(self._preface):
                return b""
            start, self._rest, self._preface = self._rest[:len(self._preface)], self._rest[len(self._preface):], b""
            return start + self.pass_on(b"")
        kept = []
        while len(self._rest) >= 9 and len(self._rest) >= (length := 9 + int.from_bytes(self._rest[:3], "big")):
            frame, self._rest = self._rest[:length], self._rest[length:]
            if frame[3] == GOAWAY:
                self.goaways.append((int.from_bytes(frame[9:13], "big"), int.from_bytes(frame[13:17], "big"),
                                     time.monotonic()))
            if frame[3] not in self.hides:
                kept.append(frame)
        return b"".join(kept)


class Stream:
    """One stream: status, headers, data, and its end ("fin", "reset CODE", "goaway CODE", "cut")."""

    def __init__(self):
        self.status, self.headers, self.data, self.ended = None, {}, b"", None

    def reason(self):
        return self.headers.get("handfast-reason")


class Client:
    """with Client(host, address, identity) as tunnel: stream = tunnel.connect("192.0.2.2:80")"""

    def __init__(self, host, address, identity, port=TUNNEL, timeout_s=5.0, uid=0, alpn=(b"h2",), sock=None,
                 ignores=()):
        """`ignores`: types of frames that it ignores, GOAWAY or PING (whose ack it then withholds)."""
        self.tls = Tls(sock or host.connect(address, port, uid=uid), identity, alpn=alpn, timeout_s=timeout_s)
        self.engine, self.streams, self.goaway, self.frames = _engine(True), {}, None, Frames(ignores)
        self.on_ping_ack = lambda _: None

    def open(self):
        """Handshake, preface, and the other side's SETTINGS: only then has it accepted the certificate (TLS 1.3)."""
        self.tls.handshake()
        self.engine.initiate_connection()
        self.flush()
        while self.engine.remote_settings.max_concurrent_streams > 2 ** 31 - 1:
            self.pump()
            if self.goaway is not None:
                raise Refused("goaway %s" % self.goaway)
        return self

    def __enter__(self):
        try:
            return self.open()
        except BaseException:
            self.tls.close()
            raise

    def __exit__(self, *_):
        self.tls.close()

    def flush(self):
        if data := self.engine.data_to_send():
            self.tls.send(data)

    def pump(self):
        """Processes the events of one read. Raises Refused at the end of the session."""
        data = self.tls.receive()
        if not data:
            raise Refused("closed")
        for event in self.engine.receive_data(self.frames.pass_on(data)):
            self._take(event)
        self.flush()

    def wait_for(self, what, condition):
        """Waits until the condition holds; raises Refused at the end of the session, or after a silence as long as the
        timeout."""
        while not condition():
            try:
                self.pump()
            except Refused as refused:
                raise Refused("%s while waiting for %s" % (refused, what)) from None

    @property
    def goaways(self):
        return self.frames.goaways

    def _take(self, event):
        stream = self.streams.get(getattr(event, "stream_id", None))
        if isinstance(event, h2.events.ConnectionTerminated):
            self.goaway = int(event.error_code)
        elif isinstance(event, h2.events.PingAckReceived):
            self.on_ping_ack(event.ping_data)
        elif stream is None:
            return
        elif isinstance(event, h2.events.ResponseReceived):
            stream.headers.update(event.headers)
            stream.status = int(stream.headers[":status"])
        elif isinstance(event, h2.events.TrailersReceived):
            stream.headers.update(event.headers)
        elif isinstance(event, h2.events.DataReceived):
            stream.data += event.data
            self.engine.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, h2.events.StreamEnded):
            stream.ended = stream.ended or "fin"
        elif isinstance(event, h2.events.StreamReset):
            stream.ended = "reset %d" % event.error_code

    def request(self, headers, end=False):
        """Opens a stream with any headers, without waiting for the answer."""
        number = self.engine.get_next_available_stream_id()
        self.streams[number] = Stream()
        self.engine.send_headers(number, headers, end_stream=end)
        self.flush()
        return number

    def wait(self, number, until):
        stream = self.streams[number]
        while not until(stream):
            if self.goaway is not None and stream.ended is None:
                stream.ended = "goaway %d" % self.goaway
            if stream.ended is not None:
                break
            try:
                self.pump()
            except Refused as refused:
                stream.ended = stream.ended or str(refused)
        return stream

    def ask(self, headers, end=False):
        """The stream once it is answered or ended."""
        return self.wait(self.request(headers, end), lambda stream: stream.status is not None)

    def connect(self, authority):
        return self.ask([(":method", "CONNECT"), (":authority", authority)])

    def exchange(self, authority, data):
        """CONNECT, all of data, END_STREAM: the stream after its end."""
        number = self.request([(":method", "CONNECT"), (":authority", authority)])
        self.engine.send_data(number, data, end_stream=True)
        self.flush()
        return self.wait(number, lambda stream: stream.ended is not None)


class Server(Listening):
    """Listens on a host's tunnel port with an identity; records requests and data. `answer`: the status of each
    CONNECT; `cut_after`: bytes after which the TCP connection is closed; `echoes`: what comes goes back, and its end;
    `settings`: more of its SETTINGS; `interim`: a status before the answer; `trailers`: it ends a stream by these."""

    def __init__(self, host, identity, port=TUNNEL, answer=200, cut_after=None, reply=b"", echoes=False, settings=(),
                 interim=None, trailers=()):
        self.identity, self.answer, self.cut_after, self.reply = identity, answer, cut_after, reply
        self.echoes, self.settings, self.interim, self.trailers = echoes and answer == 200, dict(settings), interim, list(trailers)
        self.handshakes, self.refused, self.authorities, self.received = 0, [], [], b""
        self.requests, self.server_names = [], []
        self.goaways = []
        self._listen(host, port, uid=1337, gid=1337)

    def _run(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            self._sockets.append(sock)
            threading.Thread(target=self._one, args=(sock,), daemon=True).start()

    def _one(self, sock):
        tls = Tls(sock, self.identity, is_server=True, timeout_s=10,
                  on_offer=lambda _, name: self.server_names.append(name))
        try:
            tls.handshake()
            self.handshakes += 1
            self._talk(tls)
        except (Refused, h2.exceptions.H2Error) as refused:
            self.refused.append(str(refused))
        finally:
            tls.close()

    def _talk(self, tls):
        engine = _engine(False)
        engine.initiate_connection()
        if self.settings:
            engine.update_settings(self.settings)
        tls.send(engine.data_to_send())
        frames = Frames((GOAWAY,), preface=b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        frames.goaways = self.goaways
        while data := tls.receive():
            for event in engine.receive_data(frames.pass_on(data)):
                self._take(engine, event)
            if out := engine.data_to_send():
                tls.send(out)
            if self.cut_after is not None and len(self.received) >= self.cut_after:
                from handfast_harness import stream
                stream.reset(tls.sock)
                return

    def _take(self, engine, event):
        if isinstance(event, h2.events.RequestReceived):
            self.authorities.append(dict(event.headers).get(":authority"))
            self.requests.append(list(event.headers))
            if self.interim:
                engine.send_headers(event.stream_id, [(":status", str(self.interim))])
            engine.send_headers(event.stream_id, [(":status", str(self.answer))], end_stream=self.answer != 200)
            if self.answer == 200 and self.reply:
                engine.send_data(event.stream_id, self.reply)
        elif isinstance(event, h2.events.DataReceived):
            self.received += event.data
            engine.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            if self.echoes:
                engine.send_data(event.stream_id, event.data)
        elif isinstance(event, h2.events.StreamEnded) and self.echoes:
            if self.trailers:
                engine.send_headers(event.stream_id, self.trailers, end_stream=True)
            else:
                engine.end_stream(event.stream_id)
