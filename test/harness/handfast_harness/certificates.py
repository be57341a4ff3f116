"""A certificate authority for tests: root, intermediate, X509-SVID leaves, and leaves with one fault each.

ca = TestAuthority("cluster.local")
leaf = ca.leaf("spiffe://cluster.local/ns/default/sa/web")        leaf.chain_pem, leaf.key_pem, leaf.write(folder)
bad = ca.bad_leaf("expired", "spiffe://...")                      one of BAD_LEAVES"""

import datetime
import os

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_HOUR = datetime.timedelta(hours=1)
_BOTH = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]

# The difference from a good leaf; the keys are parameters of TestAuthority.leaf().
BAD_LEAVES = {
    "expired": {"start": -3 * _HOUR, "life": 2 * _HOUR},
    "not_yet_valid": {"start": _HOUR},
    "no_uri": {"uris": []},
    "two_uris": {"extra_uris": ["spiffe://cluster.local/another"]},
    "not_spiffe": {"uris": ["https://cluster.local/x"]},
    "root_path": {"uris": ["spiffe://cluster.local"]},
    "spiffe_id_as_dns_name": {"uris": [], "dns_names": ["spiffe://cluster.local/ns/default/sa/web"]},
    "ca_leaf": {"is_ca": True},
    "cert_sign": {"usages": ["digital_signature", "key_cert_sign"]},
    "crl_sign": {"usages": ["digital_signature", "crl_sign"]},
    "no_digital_signature": {"usages": ["key_encipherment"]},
    "no_key_usage": {"usages": None},
    "non_critical_key_usage": {"usage_is_critical": False},
    "only_server_auth": {"extended": [ExtendedKeyUsageOID.SERVER_AUTH]},
    "only_client_auth": {"extended": [ExtendedKeyUsageOID.CLIENT_AUTH]},
    "weak_hash": {"hash_algorithm": hashes.SHA1()},
    "wrong_key": {"signed_by_stranger": True},
}

_USAGES = ["digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
           "key_cert_sign", "crl_sign", "encipher_only", "decipher_only"]


def _key_usage(usages):
    return x509.KeyUsage(**{usage: usage in usages for usage in _USAGES})


def _read_pair(path):
    with open(path, "rb") as file:
        content = file.read()
    return serialization.load_pem_private_key(content, None), x509.load_pem_x509_certificate(content)


def _pem(certificate):
    return certificate.public_bytes(serialization.Encoding.PEM)


class Identity:
    """A key and its certificate chain, leaf first, without the root."""

    def __init__(self, key, chain):
        self.key, self.chain = key, chain
        self.chain_pem = b"".join(map(_pem, chain))
        self.key_pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                         serialization.NoEncryption())

    def write(self, folder, name="svid"):
        """NAME.pem and NAME-key.pem (0600); returns both paths."""
        paths = os.path.join(folder, name + ".pem"), os.path.join(folder, name + "-key.pem")
        with open(paths[0], "wb") as file:
            file.write(self.chain_pem)
        with open(os.open(paths[1], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(self.key_pem)
        return paths


class TestAuthority:
    """A root and one intermediate of one trust domain."""

    def __init__(self, trust_domain="cluster.local", life=24 * _HOUR):
        self.trust_domain = trust_domain
        self._root_key, self._key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
        self.root = self._signer("root", self._root_key, None, life, path_length=1)
        self.intermediate = self._signer("intermediate", self._key, self.root, life, path_length=0)
        self.root_pem = _pem(self.root)

    @classmethod
    def of(cls, control):
        """The authority of a running control plane, from its signer's own folder: for peers that are genuine but for
        one property."""
        self = cls.__new__(cls)
        self.trust_domain = control.settings["trust_domain"]
        self._root_key, self.root = _read_pair(control.key_file("root"))
        self._key, self.intermediate = _read_pair(control.key_file("intermediate"))
        self.root_pem = _pem(self.root)
        return self

    def _signer(self, name, key, issuer, life, path_length):
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "%s %s" % (self.trust_domain, name))])
        now = datetime.datetime.utcnow()
        builder = x509.CertificateBuilder().subject_name(subject).public_key(key.public_key())
        builder = builder.issuer_name(issuer.subject if issuer else subject)
        builder = builder.serial_number(x509.random_serial_number())
        builder = builder.not_valid_before(now - _HOUR).not_valid_after(now + life)
        builder = builder.add_extension(x509.BasicConstraints(True, path_length), critical=True)
        builder = builder.add_extension(_key_usage(["key_cert_sign", "crl_sign"]), critical=True)
        uri = x509.UniformResourceIdentifier("spiffe://" + self.trust_domain)
        builder = builder.add_extension(x509.SubjectAlternativeName([uri]), critical=False)
        return builder.sign(self._root_key, hashes.SHA256())

    def leaf(self, spiffe_id, start=-datetime.timedelta(minutes=5), life=_HOUR, uris=None, extra_uris=(), dns_names=(),
             is_ca=False, usages=("digital_signature",), usage_is_critical=True, extended=_BOTH,
             hash_algorithm=None, signed_by_stranger=False, key=None):
        """An X509-SVID with a new key; with other parameters, a faulty one."""
        key = key or ec.generate_private_key(ec.SECP256R1())
        begin = datetime.datetime.utcnow() + start
        builder = x509.CertificateBuilder().subject_name(x509.Name([])).issuer_name(self.intermediate.subject)
        builder = builder.public_key(key.public_key()).serial_number(x509.random_serial_number())
        builder = builder.not_valid_before(begin).not_valid_after(begin + life)
        builder = builder.add_extension(x509.BasicConstraints(is_ca, None), critical=True)
        if usages is not None:
            builder = builder.add_extension(_key_usage(usages), critical=usage_is_critical)
        if extended:
            builder = builder.add_extension(x509.ExtendedKeyUsage(extended), critical=False)
        names = [x509.UniformResourceIdentifier(uri)
                 for uri in ([spiffe_id] if uris is None else list(uris)) + list(extra_uris)]
        names += [x509.DNSName(name) for name in dns_names]
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=True)
        signer = ec.generate_private_key(ec.SECP256R1()) if signed_by_stranger else self._key
        return Identity(key, [builder.sign(signer, hash_algorithm or hashes.SHA256()), self.intermediate])

    def bad_leaf(self, kind, spiffe_id):
        """A leaf with the one fault of BAD_LEAVES[kind]."""
        return self.leaf(spiffe_id, **BAD_LEAVES[kind])

    def write_bundle(self, folder, name="bundle.pem"):
        path = os.path.join(folder, name)
        with open(path, "wb") as file:
            file.write(self.root_pem)
        return path
