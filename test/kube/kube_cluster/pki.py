"""The certificates and kubeconfig files of a cluster: one authority, every certificate below it."""

import datetime
import ipaddress
import json
import os

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_LIFE = datetime.timedelta(days=2)
USERS = {  # name: (organization, common name)
    "admin": ("system:masters", "admin"),
    "controllers": (None, "system:kube-controller-manager"),
    "scheduler": (None, "system:kube-scheduler"),
    "proxy": (None, "system:kube-proxy"),
    "node": ("system:nodes", "system:node:node-1"),
}


class Pki:
    def __init__(self, folder, addresses, server_url):
        """addresses: those that the API server and the node are reached at, as text."""
        self.folder, self._server_url = folder, server_url
        os.makedirs(folder)
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "kube-ca")])
        self._write("ca.key", _key_pem(self._key))
        self._write("ca.crt", self._sign(self._name, self._key.public_key(), is_ca=True))
        self._write("service-accounts.key", _key_pem(rsa.generate_private_key(65537, 2048)))
        self._issue("server", None, "kube-apiserver", addresses,
                    ["localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc",
                     "kubernetes.default.svc.cluster.local"])
        for name, (organization, common_name) in USERS.items():
            self._issue(name, organization, common_name, addresses if name == "node" else [], ["node-1"])
            self._write_kubeconfig(name)

    def path(self, name):
        return os.path.join(self.folder, name)

    def _write(self, name, content):
        with open(os.open(self.path(name), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(content)

    def _issue(self, name, organization, common_name, addresses, dns_names):
        key = ec.generate_private_key(ec.SECP256R1())
        subject = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization)] if organization else []
        subject.append(x509.NameAttribute(NameOID.COMMON_NAME, common_name))
        names = [x509.DNSName(one) for one in dns_names]
        names += [x509.IPAddress(ipaddress.ip_address(one)) for one in addresses]
        self._write(name + ".key", _key_pem(key))
        self._write(name + ".crt", self._sign(x509.Name(subject), key.public_key(), names))

    def _sign(self, subject, public_key, names=(), is_ca=False):
        now = datetime.datetime.now(datetime.timezone.utc)
        builder = (x509.CertificateBuilder().subject_name(subject).issuer_name(self._name).public_key(public_key)
                   .serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(minutes=5))
                   .not_valid_after(now + _LIFE)
                   .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True))
        if not is_ca:
            both = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
            builder = builder.add_extension(x509.ExtendedKeyUsage(both), critical=False)
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    def _write_kubeconfig(self, name):
        """JSON, which is YAML."""
        user = {"client-certificate": self.path(name + ".crt"), "client-key": self.path(name + ".key")}
        cluster = {"server": self._server_url, "certificate-authority": self.path("ca.crt")}
        config = {"apiVersion": "v1", "kind": "Config", "current-context": "test",
                  "clusters": [{"name": "test", "cluster": cluster}], "users": [{"name": name, "user": user}],
                  "contexts": [{"name": "test", "context": {"cluster": "test", "user": name}}]}
        self._write(name + ".kubeconfig", json.dumps(config, indent=1).encode())

    def kubeconfig(self, name="admin"):
        return self.path(name + ".kubeconfig")


def _key_pem(key):
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                             serialization.NoEncryption())
