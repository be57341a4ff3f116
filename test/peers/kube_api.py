"""A stand-in for Kubernetes' API server, as far as watches of pods need it: HTTP/2 over TLS, a bearer token, WatchList
(the objects as ADDED, a BOOKMARK that ends them, then changes). Behaviors on demand: refuse, or be away.

    with KubeApi(host, folder) as api:        listens at the host's IPv4 address, port 6443
        api.put(pod)                          added, or changed; of another path: api.put(object, path)
        api.kubeconfig                        the path of one that reaches it"""

import datetime
import ipaddress
import json
import os
import ssl
import threading
import time
import urllib.parse

import h2.config
import h2.connection
import h2.events
import h2.exceptions
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

PORT = 6443
PODS = "/api/v1/pods"
_TOKEN = "stand-in"


def pod(namespace, name, uid, node, containers=("app",), init=(), annotations=None, **spec):
    """A pod's object as the API server has it, less what the agent does not read."""
    return {"metadata": {"namespace": namespace, "name": name, "uid": uid, "annotations": annotations or {}},
            "spec": dict({"nodeName": node, "containers": [{"name": one} for one in containers],
                          "initContainers": [{"name": one} for one in init]}, **spec)}


class KubeApi:
    def __init__(self, host, folder):
        self._host, self._folder = host, folder
        self._known, self._watches, self._history = {}, [], []  # known: by (path, namespace, name); history: (version, path, kind, object)
        self._lock = threading.Lock()
        self._listener, self._version = None, 1
        self._conns = []
        self.paths = []  # of every request
        self.objects = {}  # path: an object that a GET returns
        self.refusals = {}  # path: a status such as 403; watches that are open go on
        self.on_upgrade = None  # called with (head, socket) for each connection of HTTP/1.1
        self.kubeconfig = os.path.join(folder, "kubeconfig")

    def __enter__(self):
        self._write_files()
        self.open()
        return self

    def __exit__(self, *_):
        self.close()

    def open(self):
        self._listener = self._host.listen(self._host.ipv4, PORT)
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def close(self):
        """Away: open connections are cut, new ones refused."""
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.shutdown(2)
            listener.close()
        with self._lock:
            conns, self._conns = self._conns, []
        for conn in conns:
            conn.cut()

    def put(self, one, path=PODS):
        key = path, one["metadata"]["namespace"], one["metadata"]["name"]
        self._change("MODIFIED" if key in self._known else "ADDED", key, one)

    def delete(self, namespace, name, path=PODS):
        self._change("DELETED", (path, namespace, name), self._known[path, namespace, name])

    def _change(self, kind, key, one):
        with self._lock:
            self._version += 1
            one["metadata"]["resourceVersion"] = str(self._version)
            if kind == "DELETED":
                del self._known[key]
            else:
                self._known[key] = one
            self._history.append((self._version, key[0], kind, one))
            for watch in self._watches:
                if watch.path == key[0]:
                    watch.send_event(kind, one)

    def _start_watch(self, watch, since):
        """since: None for the whole state first, else the version that the client has."""
        with self._lock:
            if since is None:
                for key, one in self._known.items():
                    if key[0] == watch.path:
                        watch.send_event("ADDED", one)
                watch.send_event("BOOKMARK", {"metadata": {
                    "resourceVersion": str(self._version), "annotations": {"k8s.io/initial-events-end": "true"}}})
            for version, path, kind, one in self._history if since is not None else ():
                if version > since and path == watch.path:
                    watch.send_event(kind, one)
            self._watches.append(watch)

    def _accept(self, listener):
        while True:
            try:
                raw, _ = listener.accept()
                sock = self._tls.wrap_socket(raw, server_side=True)
            except OSError:
                if self._listener is not listener:
                    return
                continue
            if sock.selected_alpn_protocol() == "http/1.1":
                threading.Thread(target=self._upgrade, args=(sock,), daemon=True).start()
                continue
            conn = _Conn(self, sock)
            with self._lock:
                self._conns.append(conn)
            threading.Thread(target=conn.run, daemon=True).start()

    def _upgrade(self, sock):
        head = b""
        try:
            while b"\r\n\r\n" not in head:
                part = sock.recv(4096)
                if not part:
                    return
                head += part
            self.on_upgrade(head.decode(), sock)
            sock.unwrap()  # close_notify, then waits for the client's end
        except OSError:
            pass
        finally:
            sock.close()

    def _write_files(self):
        key = ec.generate_private_key(ec.SECP256R1())
        now, name = datetime.datetime.utcnow(), x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "kube-api")])
        authority_key = ec.generate_private_key(ec.SECP256R1())
        authority_name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "kube-ca")])

        def build(subject, public, extensions):
            builder = x509.CertificateBuilder(
                authority_name, subject, public, x509.random_serial_number(),
                now - datetime.timedelta(hours=1), now + datetime.timedelta(hours=1))
            for extension, is_critical in extensions:
                builder = builder.add_extension(extension, is_critical)
            return builder.sign(authority_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

        usage = dict.fromkeys(("digital_signature", "content_commitment", "key_encipherment", "data_encipherment",
                               "key_agreement", "key_cert_sign", "crl_sign", "encipher_only", "decipher_only"), False)
        files = {
            "ca.crt": build(authority_name, authority_key.public_key(), [
                (x509.BasicConstraints(True, None), True), (x509.KeyUsage(**dict(usage, key_cert_sign=True)), True),
                (x509.SubjectKeyIdentifier.from_public_key(authority_key.public_key()), False)]),
            "api.crt": build(name, key.public_key(), [
                (x509.BasicConstraints(False, None), True), (x509.KeyUsage(**dict(usage, digital_signature=True)), True),
                (x509.ExtendedKeyUsage([x509.ExtendedKeyUsageOID.SERVER_AUTH]), False),
                (x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), False),
                (x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(self._host.ipv4))]), False)]),
            "api.key": key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                         serialization.NoEncryption()),
            "kubeconfig": json.dumps({
                "apiVersion": "v1", "kind": "Config", "current-context": "c",
                "clusters": [{"name": "c", "cluster": {"server": "https://%s:%d" % (self._host.ipv4, PORT),
                                                       "certificate-authority": "ca.crt"}}],
                "users": [{"name": "c", "user": {"token": _TOKEN}}],
                "contexts": [{"name": "c", "context": {"cluster": "c", "user": "c"}}]}).encode()}
        for file, content in files.items():
            with open(os.path.join(self._folder, file), "wb") as out:
                out.write(content)
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._tls.load_cert_chain(os.path.join(self._folder, "api.crt"), os.path.join(self._folder, "api.key"))
        self._tls.set_alpn_protocols(["h2", "http/1.1"])


class _Conn:
    """One connection; its thread reads, and events go out under its lock."""

    def __init__(self, api, sock):
        self._api, self._sock = api, sock
        self._h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
        self._lock = threading.RLock()

    def cut(self):
        try:
            self._sock.shutdown(2)
        except OSError:
            pass

    def run(self):
        try:
            with self._lock:
                self._h2.initiate_connection()
                self._flush()
            while True:
                data = self._sock.recv(65536)
                if not data:
                    return
                with self._lock:
                    for event in self._h2.receive_data(data):
                        self._take(event)
                    self._flush()
        except OSError:
            pass
        finally:
            with self._api._lock:
                self._api._watches = [one for one in self._api._watches if one._conn is not self]
            self._sock.close()

    def _flush(self):
        self._sock.sendall(self._h2.data_to_send())

    def _take(self, event):
        if isinstance(event, h2.events.RequestReceived):
            heads = {key.decode(): value.decode() for key, value in event.headers}
            self._answer(event.stream_id, heads)
        elif isinstance(event, h2.events.DataReceived):
            self._h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)

    def _answer(self, stream, heads):
        path = urllib.parse.urlparse(heads[":path"])
        self._api.paths.append(heads[":path"])
        is_allowed = heads.get("authorization") == "Bearer " + _TOKEN
        query = urllib.parse.parse_qs(path.query)
        is_watch = "watch" in query
        found = None if is_watch else self._api.objects.get(path.path)
        status = "401" if not is_allowed else "200" if is_watch or found is not None else "404"
        status = self._api.refusals.get(path.path, status)
        is_open = status == "200"
        self._h2.send_headers(stream, [(":status", status), ("content-type", "application/json")], end_stream=not is_open)
        if is_open and found is not None:
            self._h2.send_data(stream, json.dumps(found).encode(), end_stream=True)
        elif is_open:
            since = None if "sendInitialEvents" in query else int(query["resourceVersion"][0])
            self._flush()
            threading.Thread(target=self._api._start_watch, args=(_Watch(self, stream, path.path), since), daemon=True).start()


class _Watch:
    def __init__(self, conn, stream, path):
        self._conn, self._stream, self.path = conn, stream, path

    def send_event(self, kind, one):
        line = json.dumps({"type": kind, "object": dict({"kind": "Pod", "apiVersion": "v1"}, **one)}).encode() + b"\n"
        try:
            while not self._send(line):
                time.sleep(0.001)  # duration: the client's window opens; there is nothing else to wait for
        except (OSError, h2.exceptions.ProtocolError):
            pass  # the watch has ended

    def _send(self, line):
        """False: the client's window is too small for it now."""
        with self._conn._lock:
            if self._conn._h2.local_flow_control_window(self._stream) < len(line):
                return False
            self._conn._h2.send_data(self._stream, line)
            self._conn._flush()
            return True
