#!/usr/bin/python3
"""Writes the first corpora of the targets that read messages, settings, tokens and state: one well-formed input of each
kind. Inputs that fuzzing finds are added by hand. usage: test/fuzz/seed_messages.py"""

import base64
import hashlib
import pathlib
import struct
import subprocess
import sys

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "test/harness"))
from handfast_harness import TestAuthority  # noqa: E402 (the path must be set first)

DER = serialization.Encoding.DER
ID = "spiffe://td.test/ns/shop/sa/cart"


def literal(data):
    """Bytes in protobuf's text format."""
    return '"%s"' % "".join("\\x%02x" % byte for byte in data)


def message(file, name, text):
    argv = ["protoc", "--encode=handfast.v1." + name, "proto/handfast/v1/%s.proto" % file]
    return subprocess.run(argv, cwd=ROOT, input=text.encode(), capture_output=True, check=True).stdout


def write(corpus, name, data):
    folder = ROOT / "test/fuzz/corpus" / corpus
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(data)


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=")


class Things:
    def __init__(self):
        authority = TestAuthority("td.test")
        identity = authority.leaf(ID)
        key = ec.generate_private_key(ec.SECP256R1())
        builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
        self.chain = [certificate.public_bytes(DER) for certificate in identity.chain]
        self.root = authority.root.public_bytes(DER)
        self.csr = builder.sign(key, hashes.SHA256()).public_bytes(DER)
        self.spki = key.public_key().public_bytes(DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        self.proof = key.sign(bytes(32), ec.ECDSA(hashes.SHA256()))


def to_the_control_plane(things):
    proof = "attestation_key: %s csr: %s proof: %s" % tuple(map(literal, (things.spki, things.csr, things.proof)))
    hello = 'hello { protocol_version: 1 features: "x" release: "0.1.0" }'
    join = "attestation_data { join_token { token_id: %s secret: %s } }" % (literal(bytes(16)), literal(bytes(32)))
    destinations = 'destinations { ip: "\\xc0\\x00\\x02\\x01" port: 80 } destinations { ip: %s port: 443 }' % literal(bytes(15) + b"\1")
    inputs = {
        "attest": (0, "enrollment", "AttestRequest", "%s %s %s" % (hello, join, proof)),
        "attest-kubernetes": (0, "enrollment", "AttestRequest", '%s attestation_data { kubernetes { token: "a.b.c" } } %s' % (hello, proof)),
        "hello": (1, "identity", "IdentityUp", hello + " draining: true"),
        "renew": (1, "identity", "IdentityUp", "renew { request_id: 7 attestation_data { attestation_key {} } %s }" % proof),
        "ack": (1, "identity", "IdentityUp", 'ack { epoch { incarnation: 5 counter: 9 } refused_reason: "no" }'),
        "claim": (1, "identity", "IdentityUp", "claim {}"),
        "release": (1, "identity", "IdentityUp", "release {}"),
        "report": (1, "identity", "IdentityUp", 'report { peers { peer: "%s" address { ip: "\\xc0\\x00\\x02\\x01" port: 80 } '
                   'reason: "denied" num: 3 } strict_ready_ports: [80, 70000] plaintext_ports: 443 num_left_out: 1 }' % ID),
        "discovery-hello": (2, "discovery", "DiscoveryUp", hello),
        "subscribe": (2, "discovery", "DiscoveryUp", "subscribe { %s }" % destinations),
        "unsubscribe": (2, "discovery", "DiscoveryUp", "unsubscribe { %s }" % destinations),
        "discovery-ack": (2, "discovery", "DiscoveryUp", 'ack { version: 3 refused_reason: "because" }'),
        "token": (3, "operator", "TokenCreateRequest", 'id: "%s" ttl_seconds: 60 networks: "192.0.2.0/24"' % ID),
        "ban": (4, "operator", "BanRequest", 'id: "%s"' % ID),
        "address": (5, "operator", "ReleaseRequest", 'ip: "\\xc0\\x00\\x02\\x01"'),
    }
    for name, (kind, file, which, text) in inputs.items():
        write("control_messages", name, bytes([kind]) + message(file, which, text))


def to_a_sidecar(things):
    svid = "svid { %s }" % " ".join("chain: " + literal(one) for one in things.chain)
    trust = 'epoch { incarnation: 5 counter: 9 } bundles { trust_domain: "td.test" roots: %s } banned_ids: "%s/x" ' \
            "bootstrap_root_sha256: %s" % (literal(things.root), ID, literal(bytes(32)))
    networks = 'networks { address: "\\xc0\\x00\\x02\\x00" prefix_len: 24 } plaintext_networks { address: "\\xc0\\x00\\x02\\x10" prefix_len: 28 } ' \
               'require_mtls_networks { address: %s prefix_len: 64 }' % literal(bytes.fromhex("20010db8") + bytes(12))
    rules = 'rules { name: "r" action: RULE_ACTION_ALLOW sources { id: "%s" } sources { id_prefix: "spiffe://td.test/ns" } ' \
            'sources { id_suffix: "td.test/sa/cart" } sources { trust_domain: "td.test" } sources { namespace: "td.test/shop" } ' \
            'ports: 80 } rules { name: "d" action: RULE_ACTION_DENY dry_run: true unauthenticated: true }' % ID
    mesh = "mesh { version: 2 %s policy { default_mode: INBOUND_MODE_PERMISSIVE ports { port: 80 mode: INBOUND_MODE_STRICT } %s } }" \
           % (networks, rules)
    endpoint = 'address { ip: "\\xc0\\x00\\x02\\x02" port: 80 } id: "%s"' % ID
    destination = 'destination { ip: "\\xc0\\x00\\x02\\x09" port: 80 }'
    inputs = {
        "attest": (0, "enrollment", "AttestResponse", "%s trust { %s } server_time_ms: 1700000000000" % (svid, trust)),
        "trust": (1, "identity", "IdentityDown", "trust { %s } server_time_ms: 1700000000000" % trust),
        "renewed": (1, "identity", "IdentityDown", "renewed { request_id: 7 %s }" % svid),
        "not-renewed": (1, "identity", "IdentityDown", 'renewed { request_id: 7 refused_reason: "no" retry_after_ms: 100 }'),
        "slot": (1, "identity", "IdentityDown", "slot { within_ms: 1000 }"),
        "claim": (1, "identity", "IdentityDown", 'claim_result { address { ip: "\\xc0\\x00\\x02\\x01" } refused_reason: "taken" }'),
        "mesh": (2, "discovery", "DiscoveryDown", mesh),
        "answers": (2, "discovery", "DiscoveryDown", "answers { answers { version: 1 %s meshed { endpoints { %s } "
                    'draining_endpoints { %s } service: "s" } } answers { version: 2 %s plain { reason: "p" } } '
                    'answers { version: 3 %s unknown { reason: "u" } } }' %
                    (destination, endpoint, endpoint, destination, destination)),
    }
    for name, (kind, file, which, text) in inputs.items():
        write("sidecar_messages", name, bytes([kind]) + message(file, which, text))


def between_issuer_and_signer(things):
    def spans(*items):
        return b"".join(struct.pack("<I", len(item)) + item for item in items)
    write("signer_wire", "leaf", struct.pack("<IQQq", 2, 7, 9, 3600) + spans(ID.encode(), things.spki))
    write("signer_wire", "answer", struct.pack("<QI", 7, 0) + spans(b"") + struct.pack("<I", 2) + spans(*things.chain))
    write("signer_wire", "refusal", struct.pack("<QI", 7, 3) + spans(b"why") + struct.pack("<I", 0))


def on_disk():
    pin = base64url(bytes(range(32)))
    text = b"handfast-state 1\npin %s\nused-token %s\nepoch %016x%016x\n" % (pin, pin, 5, 9)
    write("sidecar_state", "state", text + b"sum %s\n" % base64url(hashlib.sha256(text).digest()))
    write("sidecar_state", "damaged", text.replace(b"pin", b"pim") + b"sum %s\n" % base64url(hashlib.sha256(text).digest()))
    digits = bytes(32).hex()
    write("store_records", "token", ("\0id=%s\nsecret_sha256=%s\nnot_before=1\nnot_after=2\nnetwork=192.0.2.0/24\nkey=%s\n"
                                     % (ID, digits, digits)).encode())
    write("store_records", "claim", ("\1id=%s\naway_ms=5\nended=0\n" % ID).encode())
    write("token", "token", b"hf1." + b".".join(map(base64url, (bytes(16), bytes(32), bytes(32)))) + b"\n")
    for program in ("sidecar", "control"):
        example = (ROOT / "docker" / (program + ".example.yaml")).read_bytes()
        write(program + "_settings", "example", example)
        write(program + "_settings", "comments", b"# nothing but a comment\n")
        write(program + "_settings", "faults", b"\xef\xbb\xbfnonsense: [1, {a: &x b}]\n--- \nlog: {level: loud}\n")


def in_a_tunnel():
    write("connect", "request", b":method CONNECT\n:authority 192.0.2.1:80\nforwarded for=\"192.0.2.9:1234\"\n")
    write("connect", "ipv6", b":method CONNECT\n:authority [2001:db8::1]:443\nforwarded for=\"[2001:db8::9]:99\"\n")
    write("connect", "ztunnel", b":method CONNECT\n:authority 192.0.2.1:80\nbaggage k8s.cluster.name=x\ntraceparent 00-1-2-01\n")
    write("connect", "faults", b":method CONNECT\n:authority localhost:80\n:scheme https\n:path /\n:authority 192.0.2.1:80\n")
    write("connect", "answer", b":status 503\nhandfast-reason connect_refused\n")


def main():
    things = Things()
    to_the_control_plane(things)
    to_a_sidecar(things)
    between_issuer_and_signer(things)
    on_disk()
    in_a_tunnel()


if __name__ == "__main__":
    main()
