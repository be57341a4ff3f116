"""Certificates of programs that are no part of a mesh, such as an API server or etcd: one authority, and every certificate
below it, for both ends of a connection.

pki = WebPki(folder, "etcd-ca")                 ca.crt, ca.key
pki.issue("etcd1", ["etcd1", "192.0.2.1"])      etcd1.crt, etcd1.key"""

import datetime
import ipaddress
import os

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_BEFORE, _LIFE = datetime.timedelta(hours=1), datetime.timedelta(days=2)


def key_pem(key):
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                             serialization.NoEncryption())


def _name(common_name, organization=None):
    parts = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization)] if organization else []
    return x509.Name(parts + [x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _alternative(text):
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)


class WebPki:
    def __init__(self, folder, common_name):
        self.folder, self._name = folder, _name(common_name)
        self._key = ec.generate_private_key(ec.SECP256R1())
        self.write("ca.key", key_pem(self._key))
        self.write("ca.crt", self._sign(self._name, self._key.public_key()))

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, content, uid=0):
        with open(os.open(self.path(name), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(content)
        if uid:
            os.chown(self.path(name), uid, uid)

    def issue(self, name, names, common_name=None, organization=None, uid=0):
        """names: DNS names and addresses, as text. uid: who reads the files."""
        key = ec.generate_private_key(ec.SECP256R1())
        self.write(name + ".key", key_pem(key), uid)
        self.write(name + ".crt", self._sign(_name(common_name or name, organization), key.public_key(), names), uid)

    def _sign(self, subject, public_key, names=None):
        """names None: of the authority itself."""
        now = datetime.datetime.now(datetime.timezone.utc)
        builder = (x509.CertificateBuilder().subject_name(subject).issuer_name(self._name).public_key(public_key)
                   .serial_number(x509.random_serial_number()).not_valid_before(now - _BEFORE).not_valid_after(now + _LIFE)
                   .add_extension(x509.BasicConstraints(ca=names is None, path_length=None), critical=True))
        if names is not None:
            both = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
            builder = builder.add_extension(x509.ExtendedKeyUsage(both), critical=False)
            alternatives = x509.SubjectAlternativeName([_alternative(one) for one in names])
            builder = builder.add_extension(alternatives, critical=False)
        return builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
