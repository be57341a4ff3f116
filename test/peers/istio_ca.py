"""A certificate authority as Istio's, with its answers under control, as a program of its own: gRPC by Debian's
python3-grpcio, certificates by python3-cryptography. Its shapes are those of istiod: an RSA root without a SPIFFE ID,
leaves without a subject, the answer's last element the roots.

    ca = story.own(IstioCa(story, host))          ca.root_file, as the ConfigMap istio-ca-root-cert has it
    ca.behave(life_s=8)                           until the next call of behave(); see BEHAVIOR
    ca.requests()                                 what it was asked, oldest first"""

import base64
import concurrent.futures
import datetime
import hashlib
import json
import os
import sys
import time

import grpc
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

PORT, NAME, METHOD = 15012, "istiod.istio-system.svc", "CreateCertificate"
# only: the account that it concerns; None: all. life_s: None: as asked for. signer: the root that signs; roots: those of the answer. chain: with an intermediate, whose
# element also has the root, as the file cert-chain.pem of a plugged-in CA. status: a refusal. fault: a wrong answer.
BEHAVIOR = {"only": None, "life_s": None, "signer": 0, "roots": [0], "chain": False, "status": None, "message": "", "fault": None}
FAULTS = ("another identity", "another key", "a stranger's signature", "no message")
_USAGES = ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
           "key_cert_sign", "crl_sign", "encipher_only", "decipher_only")
_HOUR = datetime.timedelta(hours=1)


def token(account, namespace="default", audience="istio-ca", signature="good", uid="1"):
    """A service account token as Kubernetes makes it, but for the signature, which both authorities take as a word."""
    encode = lambda value: base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()
    return ".".join((encode({"alg": "RS256", "kid": "k"}), encode({
        "iss": "https://kubernetes.default.svc", "sub": "system:serviceaccount:%s:%s" % (namespace, account),
        "aud": [audience], "jti": uid, "exp": int(time.time()) + 3600}), signature))


def account_of(text):
    """The identity's path, or None: the token is not good."""
    parts = text.split(".")
    if len(parts) != 3 or parts[2] != "good":
        return None
    claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    _, kind, namespace, account = claims["sub"].split(":")
    return "ns/%s/sa/%s" % (namespace, account) if kind == "serviceaccount" and "istio-ca" in claims["aud"] else None


class IstioCa:
    def __init__(self, story, host):
        self.folder = story.folder("istiod")
        os.chmod(self.folder, 0o755)
        self.root_file, self._asked = os.path.join(self.folder, "root-0.pem"), os.path.join(self.folder, "requests")
        self.behave()
        self._start = lambda: story.spawn(host, "istiod", [sys.executable, __file__, self.folder])
        self.host = host
        self.process = None
        self.start()

    def start(self):
        self.process = self._start()
        self.process.wait_for_log("serving", 60)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stop()

    def root(self, number=0):
        with open(os.path.join(self.folder, "root-%d.pem" % number)) as file:
            return file.read()

    def behave(self, **changes):
        path = os.path.join(self.folder, "behavior")
        with open(path + ".new", "w") as file:
            json.dump({**BEHAVIOR, **changes}, file)
        os.rename(path + ".new", path)

    def requests(self):
        if not os.path.exists(self._asked):
            return []
        with open(self._asked) as file:
            return [json.loads(line) for line in file]


# --- the program ---


def _pem(certificate):
    return certificate.public_bytes(serialization.Encoding.PEM)


def _usage(*usages):
    return x509.KeyUsage(**{usage: usage in usages for usage in _USAGES})


def _signed(subject, key, issuer, issuer_key, life, extensions):
    now = datetime.datetime.utcnow()
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key)
    builder = builder.serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(seconds=2))
    builder = builder.not_valid_after(now + life)
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    return builder.sign(issuer_key, hashes.SHA256())


class _Signer:
    def __init__(self, name, above=None, is_rsa=False):
        self.key = rsa.generate_private_key(65537, 2048) if is_rsa else ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, name)])
        above = above or self
        self.certificate = _signed(self.name, self.key.public_key(), above.name, above.key, 24 * _HOUR, [
            (x509.BasicConstraints(True, None), True), (_usage("key_cert_sign", "crl_sign"), True)])

    def leaf(self, key, san, life, critical=True):
        return _signed(x509.Name([]), key, self.name, self.key, life, [
            (_usage("digital_signature", "key_encipherment"), True),
            (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]), False),
            (x509.BasicConstraints(False, None), True), (x509.SubjectAlternativeName([san]), critical)])


def _fields(message):
    """Of a protobuf message: its lengths and numbers, by field number."""
    at, found = 0, {}

    def number():
        nonlocal at
        value = shift = 0
        while True:
            byte = message[at]
            at, value, shift = at + 1, value | (byte & 127) << shift, shift + 7
            if byte < 128:
                return value
    while at < len(message):
        tag = number()
        value = number()
        if tag & 7 == 2:
            value, at = message[at:at + value], at + value
        found[tag >> 3] = value
    return found


def _element(content):
    length, head = len(content), b"\x0a"
    while length > 127:
        head, length = head + bytes([length & 127 | 128]), length >> 7
    return head + bytes([length]) + content


class _Service:
    def __init__(self, folder):
        self.folder = folder
        self.roots = [_Signer("cluster.local", is_rsa=number == 0) for number in range(2)]
        self.middle, self.stranger = _Signer("istio plugged in", self.roots[0]), _Signer("cluster.local")
        for number, root in enumerate(self.roots):
            with open(os.path.join(folder, "root-%d.pem" % number), "wb") as file:
                file.write(_pem(root.certificate))

    def server_credentials(self):
        key = ec.generate_private_key(ec.SECP256R1())
        leaf = self.roots[0].leaf(key.public_key(), x509.DNSName(NAME), _HOUR)
        return grpc.ssl_server_credentials([(key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()), _pem(leaf))])

    def _note(self, metadata, csr, seconds, uri):
        spki = csr.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        with open(os.path.join(self.folder, "requests"), "a") as file:
            file.write(json.dumps({"authorization": metadata.get("authorization"), "cluster": metadata.get("clusterid"),
                                   "seconds": seconds, "uri": uri, "key": hashlib.sha256(spki).hexdigest()}) + "\n")

    def create(self, request, context):
        with open(os.path.join(self.folder, "behavior")) as file:
            behavior = json.load(file)
        metadata, fields = dict(context.invocation_metadata()), _fields(request)
        csr = x509.load_pem_x509_csr(fields[1])
        names = csr.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        uri = names.get_values_for_type(x509.UniformResourceIdentifier)[0]
        self._note(metadata, csr, fields.get(3, 0), uri)
        if behavior["only"] and not uri.endswith("/" + behavior["only"]):
            behavior = BEHAVIOR
        if behavior["status"]:
            context.abort(getattr(grpc.StatusCode, behavior["status"]), behavior["message"])
        bearer = metadata.get("authorization", "")
        path = account_of(bearer[len("Bearer "):]) if bearer.startswith("Bearer ") else None
        if path is None or metadata.get("clusterid") not in ("Kubernetes", None) or not csr.is_signature_valid:
            context.abort(grpc.StatusCode.UNAUTHENTICATED, "request authenticate failure")
        return self._answer(behavior, csr.public_key(), path, behavior["life_s"] or fields.get(3, 0))

    def _answer(self, behavior, key, path, life_s):
        fault = behavior["fault"]
        if fault == "no message":
            return b"\xff\xff\xff"
        if fault == "another identity":
            path = "ns/other/sa/other"
        if fault == "another key":
            key = ec.generate_private_key(ec.SECP256R1()).public_key()
        signer = self.middle if behavior["chain"] else self.roots[behavior["signer"]]
        signer = self.stranger if fault == "a stranger's signature" else signer
        leaf = signer.leaf(key, x509.UniformResourceIdentifier("spiffe://cluster.local/" + path),
                           datetime.timedelta(seconds=life_s))
        elements = [_pem(leaf)]
        if behavior["chain"]:
            elements.append(_pem(self.middle.certificate) + _pem(self.roots[0].certificate))
        elements.append(b"".join(_pem(self.roots[number].certificate) for number in behavior["roots"]))
        return b"".join(map(_element, elements))


def main(folder):
    service = _Service(folder)
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(4))
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("istio.v1.auth.IstioCertificateService", {
        METHOD: grpc.unary_unary_rpc_method_handler(service.create)})])
    server.add_secure_port("[::]:%d" % PORT, service.server_credentials())
    server.start()
    print("serving", flush=True)
    server.wait_for_termination()


if __name__ == "__main__":
    main(sys.argv[1])
