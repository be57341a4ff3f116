"""A node of the cluster: containerd with runc, kubelet and kube-proxy; the pods' network is a bridge."""

import contextlib
import json
import os
import shutil

from handfast_harness.expect import StoryFailure

from . import programs

_CONTAINERD = """version = 2
root = "%(folder)s/containerd"
state = "/run/containerd"
disabled_plugins = ["io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs",
  "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.aufs", "io.containerd.internal.v1.opt"]
[grpc]
  address = "/run/containerd/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "docker.io/local/pause:1"
  disable_apparmor = true
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "%(folder)s/cni-bin"
    conf_dir = "%(folder)s/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    default_runtime_name = "runc"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
"""


class Node:
    NAME = "node-1"

    def __init__(self, cluster):
        self._cluster = cluster

    def start(self):
        for program in ("containerd", "runc"):
            if not shutil.which(program, path="/usr/sbin:/usr/bin"):
                raise programs.Missing("%s is not installed; expected the packages of test/kube/apt-packages.txt" % program)
        cluster = self._cluster
        self._write_settings()
        self.start_containerd()
        from .images import import_app
        import_app(cluster)
        self.start_kubelet()
        cluster.spawn("kube-proxy", [programs.path("kube-proxy"), "--config", cluster.path("proxy.json")])
        cluster.kubectl.wait("the node to be ready", lambda: self._is_ready())

    def start_containerd(self):
        cluster = self._cluster
        program = cluster.spawn("containerd", ["/usr/bin/containerd", "--config", cluster.path("containerd.toml")])
        program.wait_until("its socket", lambda: self.ctr("version", check=False).returncode == 0, 120)

    def start_kubelet(self):
        from .cluster import NODE_IPV4, NODE_IPV6
        cluster = self._cluster
        cluster.spawn("kubelet", [
            programs.path("kubelet"), "--config", cluster.path("kubelet.json"),
            "--kubeconfig", cluster.pki.kubeconfig("node"), "--hostname-override", self.NAME,
            "--node-ip", NODE_IPV4 + "," + NODE_IPV6, "--v=2"],
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"})

    def _is_ready(self):
        node = self._cluster.kubectl.get("node", self.NAME)
        conditions = node["status"].get("conditions", []) if node else []
        return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)

    def _write_settings(self):
        from .cluster import NODE_IPV4, PODS
        cluster, pki = self._cluster, self._cluster.pki
        os.makedirs(cluster.path("cni"))
        os.makedirs(cluster.path("cni-bin"))  # its own: a story adds a plugin
        for name in os.listdir("/usr/lib/cni"):
            os.symlink(os.path.join("/usr/lib/cni", name), cluster.path("cni-bin/" + name))
        ranges = [[{"subnet": subnet}] for subnet in PODS]
        network = {"cniVersion": "1.0.0", "name": "kube", "plugins": [
            {"type": "bridge", "bridge": "cni0", "isGateway": True, "ipMasq": False, "hairpinMode": True,
             "ipam": {"type": "host-local", "ranges": ranges,
                      "routes": [{"dst": "0.0.0.0/0"}, {"dst": "::/0"}]}}]}
        kubelet = {
            "apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration", "address": NODE_IPV4,
            "port": 10250, "readOnlyPort": 0, "healthzBindAddress": "127.0.0.1",
            "authentication": {"anonymous": {"enabled": False}, "webhook": {"enabled": True},
                               "x509": {"clientCAFile": pki.path("ca.crt")}},
            "authorization": {"mode": "Webhook"},
            "tlsCertFile": pki.path("node.crt"), "tlsPrivateKeyFile": pki.path("node.key"),
            "cgroupDriver": "cgroupfs", "cgroupRoot": cluster.machine.cgroup, "failCgroupV1": False,
            "enforceNodeAllocatable": [], "failSwapOn": False, "localStorageCapacityIsolation": False,
            "imageGCHighThresholdPercent": 100,
            "evictionHard": {"nodefs.available": "1%", "imagefs.available": "1%", "memory.available": "50Mi"},
            "containerRuntimeEndpoint": "unix:///run/containerd/containerd.sock", "resolvConf": "",
            "syncFrequency": "10s", "staticPodPath": ""}
        proxy = {
            "apiVersion": "kubeproxy.config.k8s.io/v1alpha1", "kind": "KubeProxyConfiguration", "mode": "nftables",
            "clusterCIDR": ",".join(PODS), "clientConnection": {"kubeconfig": pki.kubeconfig("proxy")},
            "healthzBindAddress": "127.0.0.1:10256", "metricsBindAddress": "127.0.0.1:10249",
            "conntrack": {"maxPerCore": 0}, "hostnameOverride": self.NAME}
        for name, content in (("cni/10-kube.conflist", network), ("kubelet.json", kubelet), ("proxy.json", proxy)):
            with open(cluster.path(name), "w") as file:
                json.dump(content, file)
        with open(cluster.path("containerd.toml"), "w") as file:
            file.write(_CONTAINERD % {"folder": cluster.folder})

    # --- containers ---

    def ctr(self, *words, check=True):
        return self._cluster.machine.run(["ctr", "-n", "k8s.io", *words], check=check, timeout_s=60)

    def import_image(self, path):
        """path: a tar file with an OCI layout. Kubelet finds it under the name in it; nothing is pulled."""
        return self.ctr("images", "import", path).stdout

    def pid_of(self, pod, container):
        """The process of a running container, as this machine's kernel numbers it; pod: the object."""
        for one in pod["status"].get("initContainerStatuses", []) + pod["status"]["containerStatuses"]:
            if one["name"] == container:
                return self._outer_pid(one["containerID"].rpartition("/")[2])
        raise StoryFailure("%s has no container %s" % (pod["metadata"]["name"], container))

    def _outer_pid(self, container_id):
        """containerd sees process ids of the machine; /proc shows the harness both."""
        for line in self.ctr("tasks", "ls").stdout.splitlines()[1:]:
            fields = line.split()
            if fields[0] == container_id:
                return self._by_inner_pid(int(fields[1]))
        raise StoryFailure("container %s does not run" % container_id)

    def _by_inner_pid(self, inner):
        ours = os.readlink("/proc/%d/ns/pid" % self._cluster.machine.first_pid)
        for name in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError), open("/proc/%s/status" % name) as file:
                numbers = next(line for line in file if line.startswith("NSpid:")).split()[1:]
                if len(numbers) >= 2 and int(numbers[1]) == inner and self._is_below(name, ours):
                    return int(name)
        raise StoryFailure("no process %d on the machine" % inner)

    def _is_below(self, pid, pid_namespace):
        """Whether pid is in the machine: in its process namespace or, as the first process of a container, below."""
        while int(pid) > 1:
            if os.readlink("/proc/%s/ns/pid" % pid) == pid_namespace:
                return True
            with open("/proc/%s/status" % pid) as file:
                pid = next(line for line in file if line.startswith("PPid:")).split()[1]
        return False
