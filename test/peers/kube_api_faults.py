"""A stand-in for Kubernetes' API server, with faults on demand: pods that have names and versions alone, over HTTP/2.

    with ApiServer(listening_socket, identity) as server:
        server.put("cart-1")
        server.oldest = server.version      # what is older is answered by 410"""

import contextlib
import json
import ssl
import tempfile
import threading
import urllib.parse

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions

PATH = "/api/v1/pods"
_PAGE = 2       # objects of a page, whatever is asked for
_POLL_S = 0.02  # between two looks at what is to be sent


def _line(kind, body):
    return json.dumps({"type": kind, "object": body}).encode() + b"\n"


def pod(name, version, **annotations):
    return {"metadata": {"name": name, "resourceVersion": str(version), "annotations": annotations}}


def status(code):
    return {"kind": "Status", "status": "Failure", "message": "the stand-in's reason", "code": code}


class _Stream:
    def __init__(self, number, path, query):
        self.number, self.path, self.query = number, path, query
        self.out, self.ends, self.is_watch = b"", False, False


class _Connection:
    def __init__(self, server, raw):
        self.server, self.streams, self.is_over = server, {}, False
        self.sock = server.context.wrap_socket(raw, server_side=True)
        self.sock.settimeout(_POLL_S)
        self.engine = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding="utf-8"))
        self.engine.initiate_connection()

    def run(self):
        with contextlib.suppress(OSError, ssl.SSLError, h2.exceptions.ProtocolError):
            while not self.is_over:
                data = self._receive()
                if data == b"":
                    break
                with self.server.lock:
                    if data and not self.server.is_stalled:
                        for event in self.engine.receive_data(data):
                            self._handle(event)
                    if not self.server.is_stalled:
                        self._send()
        self.is_over = True
        self.sock.close()

    def _receive(self):
        try:
            return self.sock.recv(65536)
        except TimeoutError:
            return None

    def _handle(self, event):
        if isinstance(event, h2.events.RequestReceived):
            path, _, query = dict(event.headers)[":path"].partition("?")
            stream = self.streams[event.stream_id] = _Stream(event.stream_id, path, dict(urllib.parse.parse_qsl(query)))
            self.server.answer(self, stream)
        elif isinstance(event, h2.events.StreamReset):
            self.streams.pop(event.stream_id, None)

    def begin(self, stream, code):
        self.engine.send_headers(stream.number, [(":status", str(code)), ("content-type", "application/json")])

    def _send(self):
        for stream in list(self.streams.values()):
            while stream.out:
                room = min(self.engine.local_flow_control_window(stream.number), self.engine.max_outbound_frame_size)
                if room <= 0:
                    break
                self.engine.send_data(stream.number, stream.out[:room])
                stream.out = stream.out[room:]
            if stream.ends and not stream.out:
                self.engine.end_stream(stream.number)
                del self.streams[stream.number]
        self.sock.sendall(self.engine.data_to_send())


class ApiServer:
    """`is_forbidden`, `has_watch_list`, `has_new_store`, `oldest`, `is_stalled`: set between requests."""

    def __init__(self, listening, identity):
        self.lock = threading.RLock()
        self.objects, self.history, self.version, self.oldest = {}, [], 1, 0
        self.is_forbidden = self.is_stalled = False
        self.has_watch_list = self.has_new_store = True
        self.queries = []  # of each request
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_3
        self.context.set_alpn_protocols(["h2"])
        with tempfile.TemporaryDirectory() as folder:
            self.context.load_cert_chain(*identity.write(folder))
        self._listening, self._connections, self._is_over = listening, [], False
        listening.settimeout(_POLL_S)
        self._thread = threading.Thread(target=self._accept, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._is_over = True
        self._thread.join()
        self.cut()
        self._listening.close()

    def _accept(self):
        while not self._is_over:
            with contextlib.suppress(TimeoutError, OSError, ssl.SSLError):
                raw, _ = self._listening.accept()
                raw.settimeout(5)
                connection = _Connection(self, raw)
                self._connections.append(connection)
                threading.Thread(target=connection.run, daemon=True).start()

    # --- its state ---

    def put(self, name, **annotations):
        self._change("MODIFIED" if name in self.objects else "ADDED", name, annotations)

    def delete(self, name):
        self._change("DELETED", name, {})

    def _change(self, kind, name, annotations):
        with self.lock:
            self.version += 1
            body = pod(name, self.version, **annotations)
            self.objects[name] = body
            if kind == "DELETED":
                del self.objects[name]
            self.history.append((self.version, _line(kind, body)))
            self.send_all(self.history[-1][1])

    def restore(self, version):
        """As it was long ago: with no object and an old version. Its connections end."""
        with self.lock:
            self.objects, self.history, self.version, self.oldest = {}, [], version, 0
        self.cut()

    # --- faults ---

    def watches(self):
        return [(connection, stream) for connection in self._connections if not connection.is_over
                for stream in connection.streams.values() if stream.is_watch and not stream.ends]

    def send_all(self, data, ends=False):
        """To each watch that is open."""
        with self.lock:
            for _, stream in self.watches():
                stream.out += data
                stream.ends = ends

    def goaway(self):
        with self.lock:
            for connection in self._connections:
                if not connection.is_over:
                    connection.engine.close_connection(last_stream_id=connection.engine.highest_inbound_stream_id)
                    connection.sock.sendall(connection.engine.data_to_send())
                    connection.is_over = True

    def cut(self):
        with self.lock:
            for connection in self._connections:
                connection.is_over = True

    # --- answers ---

    def _refuse(self, connection, stream, code):
        connection.begin(stream, code)
        stream.out, stream.ends = json.dumps(status(code)).encode(), True

    def answer(self, connection, stream):
        query = stream.query
        self.queries.append(query)
        if self.is_forbidden:
            self._refuse(connection, stream, 403)
        elif stream.path != PATH:
            self._refuse(connection, stream, 404)
        elif "watch" not in query:
            self._list(connection, stream)
        elif "sendInitialEvents" in query and not self.has_watch_list:
            self._refuse(connection, stream, 422)
        else:
            connection.begin(stream, 200)
            self._watch(stream)

    def _list(self, connection, stream):
        start = int(stream.query.get("continue", "0").partition("=")[0])
        if start and self.oldest:
            self._refuse(connection, stream, 410)
            return
        items = [self.objects[name] for name in sorted(self.objects)]
        metadata = {"resourceVersion": str(self.version)}
        if start + _PAGE < len(items):
            metadata["continue"] = "%d=" % (start + _PAGE)
        connection.begin(stream, 200)
        stream.out = json.dumps({"kind": "PodList", "metadata": metadata, "items": items[start:start + _PAGE]}).encode()
        stream.ends = True

    def _watch(self, stream):
        since = int(stream.query.get("resourceVersion", "0"))
        if "sendInitialEvents" in stream.query:
            if not self.has_new_store:
                stream.out, stream.ends = _line("ERROR", status(500)), True
                return
            stream.out = b"".join(_line("ADDED", body) for body in self.objects.values())
            stream.out += _line("BOOKMARK", pod("", self.version, **{"k8s.io/initial-events-end": "true"}))
        elif since < self.oldest:
            stream.out, stream.ends = _line("ERROR", status(410)), True
            return
        elif since > self.version:
            return  # silent, as the real one is
        else:
            stream.out = b"".join(line for version, line in self.history if version > since)
        stream.is_watch = True
