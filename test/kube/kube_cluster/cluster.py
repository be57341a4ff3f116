"""A cluster: the control part (etcd, API server, controller manager, scheduler), and if wanted a node.

    with Cluster(folder, node=True) as cluster:
        cluster.kubectl.apply(text)

Addresses, in a network namespace of its own: the node 203.0.113.1, pods 192.0.2.0/24 and 2001:db8:1::/64, Services
198.51.100.0/24 and 2001:db8:2::/112. Nothing outside of the namespace is reached, and nothing outside reaches it but
over nsenter."""

import contextlib
import http.client
import json
import os
import ssl

from handfast_harness.expect import wait_until

from . import programs
from .kubectl import Kubectl
from .machine import Machine, Program
from .node import Node
from .pki import Pki

NODE_IPV4, NODE_IPV6 = "203.0.113.1", "2001:db8:3::1"
PODS = ("192.0.2.0/24", "2001:db8:1::/64")
SERVICES = ("198.51.100.0/24", "2001:db8:2::/112")
KUBERNETES_SERVICE = "198.51.100.1"
ISSUER = "https://kubernetes.default.svc.cluster.local"
PORT = 6443
AUDITED = "system:serviceaccounts:handfast-system"
_ETCD = "http://127.0.0.1:2379"
NODE_GRACE_S = 300  # by default 50: after a longer stall Kubernetes makes all endpoints of the only node not ready
_START_S = 120.0  # on a machine with other work


class Cluster:
    def __init__(self, folder, node=False, apiserver_flags=(), controllers=True):
        """folder: new. Without controllers there are etcd and the API server alone: no account is made by itself."""
        os.makedirs(folder)
        os.chmod(folder, 0o755)
        self.folder, self._flags = folder, list(apiserver_flags)
        self.machine = Machine(self.path("machine.log"))
        self.programs, self._controllers = {}, controllers or node
        self.node = Node(self) if node else None

    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self.remove()
            raise
        return self

    def __exit__(self, *_):
        self.remove()

    # --- parts ---

    def start(self):
        missing = programs.missing()
        if not self._controllers:
            missing = [name for name in missing if name in ("etcd", "kube-apiserver", "kubectl")]
        if missing:
            raise programs.Missing("not built: %s; run test/kube/run.sh build" % ", ".join(missing))
        self.machine.create()
        self._arrange_network()
        self.pki = Pki(self.path("pki"), ["127.0.0.1", NODE_IPV4, NODE_IPV6, KUBERNETES_SERVICE],
                       "https://%s:%d" % (NODE_IPV4, PORT))
        self.kubectl = Kubectl(self)
        self.start_etcd()
        self.start_apiserver()
        if self._controllers:
            self.start_controllers()
            self.start_scheduler()
            self.kubectl.wait("the default service account", lambda: self.kubectl.get("serviceaccount", "default"))
        if self.node:
            self.node.start()

    def remove(self):
        self.machine.remove()

    def path(self, name):
        return os.path.join(self.folder, name)

    def spawn(self, name, argv, env=None):
        self.programs[name] = Program(self.machine, name, argv, self.path(name + ".log"), env)
        return self.programs[name]

    def stop(self, name):
        """Ends one program of the cluster; start it again with start_...(). An API server waits long for its watches."""
        self.programs[name].stop(2)

    def _arrange_network(self):
        self.machine.ip("link add kube0 type bridge", "addr add %s/32 dev kube0" % NODE_IPV4,
                        "addr add %s/128 dev kube0 nodad" % NODE_IPV6, "link set kube0 up",
                        "route add %s dev kube0" % SERVICES[0], "route add %s dev kube0" % SERVICES[1])
        self.machine.sysctl("net/ipv4/ip_forward", "1")
        self.machine.sysctl("net/ipv6/conf/all/forwarding", "1")

    def start_etcd(self):
        program = self.spawn("etcd", [
            programs.path("etcd"), "--data-dir", self.path("etcd"), "--listen-client-urls", _ETCD,
            "--advertise-client-urls", _ETCD, "--listen-peer-urls", "http://127.0.0.1:2380", "--unsafe-no-fsync"])
        program.wait_for_http(_ETCD + "/health", deadline_s=_START_S)

    def start_apiserver(self, *flags):
        pki = self.pki.path
        program = self.spawn("kube-apiserver", [
            programs.path("kube-apiserver"), "--etcd-servers", _ETCD, "--secure-port", PORT,
            "--advertise-address", NODE_IPV4, "--service-cluster-ip-range", ",".join(SERVICES),
            "--tls-cert-file", pki("server.crt"), "--tls-private-key-file", pki("server.key"),
            "--client-ca-file", pki("ca.crt"), "--service-account-issuer", ISSUER, "--api-audiences", ISSUER,
            "--service-account-signing-key-file", pki("service-accounts.key"),
            "--service-account-key-file", pki("service-accounts.key"), "--authorization-mode", "Node,RBAC",
            "--allow-privileged", "--enable-admission-plugins", "NodeRestriction",
            "--admission-control-config-file", self._write_admission(),
            "--audit-policy-file", self._write_audit_policy(), "--audit-log-path", self.path("audit.log"),
            "--kubelet-client-certificate", pki("admin.crt"), "--kubelet-client-key", pki("admin.key"),
            "--kubelet-certificate-authority", pki("ca.crt"), "--kubelet-preferred-address-types", "InternalIP",
            *self._flags, *flags])
        program.wait_until("ready", self.is_ready, _START_S)

    def _write_admission(self):
        """As on GKE: pods with a priority of the system are admitted where a quota covers them, and nowhere else."""
        limited = [{"resource": "pods", "matchScopes": [{"scopeName": "PriorityClass", "operator": "In", "values": [
            "system-cluster-critical", "system-node-critical"]}]}]
        quota = {"apiVersion": "apiserver.config.k8s.io/v1", "kind": "ResourceQuotaConfiguration", "limitedResources": limited}
        with open(self.path("admission.json"), "w") as file:
            json.dump({"apiVersion": "apiserver.config.k8s.io/v1", "kind": "AdmissionConfiguration",
                       "plugins": [{"name": "ResourceQuota", "configuration": quota}]}, file)
        return self.path("admission.json")

    def _write_audit_policy(self):
        """Each request of a service account of Handfast gets a line (audited())."""
        rules = [{"level": "Metadata", "userGroups": [AUDITED], "omitStages": ["RequestReceived"]}, {"level": "None"}]
        with open(self.path("audit-policy.json"), "w") as file:
            json.dump({"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "rules": rules}, file)
        return self.path("audit-policy.json")

    def audited(self):
        """The API server's events about Handfast's requests so far."""
        with open(self.path("audit.log")) as file:
            return [json.loads(line) for line in file if line.endswith("\n")]  # not one that is being written

    def is_ready(self):
        """Whether the API server is."""
        with contextlib.suppress(OSError, ssl.SSLError):
            return self.request("/readyz")[0] == 200

    def start_controllers(self):
        pki, config = self.pki.path, self.pki.kubeconfig("controllers")
        self.spawn("kube-controller-manager", [
            programs.path("kube-controller-manager"), "--kubeconfig", config, "--authentication-kubeconfig", config,
            "--authorization-kubeconfig", config, "--root-ca-file", pki("ca.crt"), "--bind-address", "127.0.0.1",
            "--service-account-private-key-file", pki("service-accounts.key"), "--use-service-account-credentials",
            "--leader-elect=false", "--node-monitor-grace-period=%ds" % NODE_GRACE_S, "--cluster-signing-cert-file", pki("ca.crt"),
            "--cluster-signing-key-file", pki("ca.key")])

    def start_scheduler(self):
        config = self.pki.kubeconfig("scheduler")
        self.spawn("kube-scheduler", [
            programs.path("kube-scheduler"), "--kubeconfig", config, "--authentication-kubeconfig", config,
            "--authorization-kubeconfig", config, "--leader-elect=false", "--bind-address", "127.0.0.1"])

    # --- use ---

    def request(self, path, method="GET", body=None, headers=None, user="admin", timeout_s=10.0):
        """(status, body) of the API server, as one of pki.USERS."""
        context = ssl.create_default_context(cafile=self.pki.path("ca.crt"))
        context.load_cert_chain(self.pki.path(user + ".crt"), self.pki.path(user + ".key"))
        raw = self.machine.connect(NODE_IPV4, PORT, timeout_s=timeout_s)
        connection = http.client.HTTPSConnection(NODE_IPV4, PORT, timeout=timeout_s)
        try:
            connection.sock = context.wrap_socket(raw, server_hostname=NODE_IPV4)
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()
            raw.close()

    def wait_until(self, what, predicate, deadline_s=60.0):
        return wait_until(what, predicate, deadline_s, 0.2)
