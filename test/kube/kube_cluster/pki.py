"""The certificates and kubeconfig files of a cluster: one authority, every certificate below it."""

import json
import os

from cryptography.hazmat.primitives.asymmetric import rsa

from handfast_harness.web_pki import WebPki, key_pem

USERS = {  # name: (organization, common name)
    "admin": ("system:masters", "admin"),
    "controllers": (None, "system:kube-controller-manager"),
    "scheduler": (None, "system:kube-scheduler"),
    "proxy": (None, "system:kube-proxy"),
    "node": ("system:nodes", "system:node:node-1"),
}


class Pki(WebPki):
    def __init__(self, folder, addresses, server_url):
        """addresses: those that the API server and the node are reached at, as text."""
        os.makedirs(folder)
        super().__init__(folder, "kube-ca")
        self._server_url = server_url
        self.write("service-accounts.key", key_pem(rsa.generate_private_key(65537, 2048)))
        self.issue("server", ["localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc",
                              "kubernetes.default.svc.cluster.local", *addresses], "kube-apiserver")
        for name, (organization, common_name) in USERS.items():
            self.issue(name, ["node-1", *(addresses if name == "node" else [])], common_name, organization)
            self._write_kubeconfig(name)

    def _write_kubeconfig(self, name):
        """JSON, which is YAML."""
        user = {"client-certificate": self.path(name + ".crt"), "client-key": self.path(name + ".key")}
        cluster = {"server": self._server_url, "certificate-authority": self.path("ca.crt")}
        config = {"apiVersion": "v1", "kind": "Config", "current-context": "test",
                  "clusters": [{"name": "test", "cluster": cluster}], "users": [{"name": name, "user": user}],
                  "contexts": [{"name": "test", "context": {"cluster": "test", "user": name}}]}
        self.write(name + ".kubeconfig", json.dumps(config, indent=1).encode())

    def kubeconfig(self, name="admin"):
        return self.path(name + ".kubeconfig")
