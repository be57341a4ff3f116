"""A company's own CA for machines, made with the openssl command: a root, an issuing CA, certificates, revocation lists."""

import hashlib
import os
import subprocess

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from .enrollment import field

CONTEXT = b"handfast.v1.X509Data"
CONFIG = """
[ca]
default_ca = own
[own]
database = %(folder)s/index.txt
new_certs_dir = %(folder)s
serial = %(folder)s/serial
crlnumber = %(folder)s/crlnumber
certificate = %(folder)s/%(issuer)s.pem
private_key = %(folder)s/%(issuer)s.key
default_md = sha256
default_days = 7
default_crl_hours = 24
policy = any
unique_subject = no
copy_extensions = none
crl_extensions = list
[list]
authorityKeyIdentifier = keyid:always
[any]
commonName = supplied
"""


def _openssl(*words, text=None):
    subprocess.run(["openssl", *words], check=True, capture_output=True, input=text, text=True)


class Machine:
    """One certificate: files `chain` and `key`."""

    def __init__(self, chain, key):
        self.chain, self.key = chain, key

    def proof(self, exported, attestation_key, signs=None):
        """AttestationData (x509) with a signature over this connection's bytes, or over `signs`."""
        end = b"-----END CERTIFICATE-----\n"
        with open(self.chain, "rb") as file:
            blocks = [block + end for block in file.read().split(end) if block.strip()]
        certificates = [x509.load_pem_x509_certificate(block) for block in blocks]
        with open(self.key, "rb") as file:
            key = serialization.load_pem_private_key(file.read(), None)
        message = signs if signs is not None else CONTEXT + exported + hashlib.sha256(attestation_key).digest()
        if isinstance(key, rsa.RSAPrivateKey):
            signature = key.sign(message, padding.PKCS1v15(), hashes.SHA256())
        else:
            signature = key.sign(message, ec.ECDSA(hashes.SHA256()))
        return x509_data([one.public_bytes(serialization.Encoding.DER) for one in certificates], signature)


def x509_data(chain, signature):
    return field(5, b"".join(field(1, der) for der in chain) + field(2, signature))


class MachineCa:
    """ca.root, ca.crl (files), ca.issue("db1", "DNS:db1.example"), ca.revoke(machine)."""

    def __init__(self, folder):
        self.folder = folder
        os.makedirs(folder)
        os.chmod(folder, 0o755)
        for issuer in ("root", "issuer"):
            with open(self._path(issuer + ".cnf"), "w") as file:
                file.write(CONFIG % {"folder": folder, "issuer": issuer})
        for name, text in (("index.txt", ""), ("serial", "1000\n"), ("crlnumber", "01\n")):
            with open(self._path(name), "w") as file:
                file.write(text)
        self.root, self.crl = self._path("root.pem"), self._path("crl.pem")
        _openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=Machines", "-days", "30", "-keyout",
                 self._path("root.key"), "-out", self.root, "-addext", "keyUsage=critical,keyCertSign,cRLSign")
        self._sign("issuer", "root", "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign", "/CN=Issuer")
        self.publish()

    def _path(self, name):
        return os.path.join(self.folder, name)

    def _sign(self, name, by, extensions, subject, key="rsa:2048", days=("-days", "7")):
        request, extra = self._path(name + ".csr"), self._path(name + ".ext")
        kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:" + key] if key.startswith("P-") else ["-newkey", key]
        _openssl("req", *kind, "-nodes", "-subj", subject, "-keyout", self._path(name + ".key"), "-out", request)
        with open(extra, "w") as file:
            file.write(extensions + "\n")
        _openssl("ca", "-batch", "-config", self._path(by + ".cnf"), "-in", request, "-out", self._path(name + ".pem"),
                 "-extfile", extra, "-notext", *days)

    def issue(self, name, san, usage="clientAuth", key="P-256", days=("-days", "7")):
        """A machine's certificate with its issuer in one file, readable by all; its key with mode 0600."""
        self._sign(name, "issuer", "subjectAltName=%s\nextendedKeyUsage=%s\nkeyUsage=critical,digitalSignature\n"
                   "basicConstraints=CA:FALSE" % (san, usage), "/CN=" + name, key, days)
        chain = self._path(name + "-chain.pem")
        with open(chain, "w") as file:
            for part in (name, "issuer"):
                with open(self._path(part + ".pem")) as one:
                    file.write(one.read())
        return Machine(chain, self._path(name + ".key"))

    def revoke(self, machine):
        _openssl("ca", "-config", self._path("issuer.cnf"), "-revoke", machine.chain.replace("-chain", ""))
        self.publish()

    def publish(self):
        """The present lists of both CAs, put in place by renaming."""
        with open(self.crl + ".new", "w") as file:
            for issuer in ("root", "issuer"):
                _openssl("ca", "-config", self._path(issuer + ".cnf"), "-gencrl", "-out", self._path(issuer + ".crl"))
                with open(self._path(issuer + ".crl")) as one:
                    file.write(one.read())
        os.rename(self.crl + ".new", self.crl)
