#!/usr/bin/python3
"""Starts a cluster and leaves it standing, for work by hand and for other programs. Needs root.

    test/kube/cluster.py up FOLDER            etcd, API server, controller manager, scheduler; ready in about 10 s
    test/kube/cluster.py up --bare FOLDER     etcd and API server alone
    test/kube/cluster.py up --node FOLDER     with containerd, kubelet, kube-proxy and the images; about 10 s more
    test/kube/cluster.py kubectl FOLDER WORDS kubectl as the administrator
    test/kube/cluster.py enter FOLDER [ARGV]  a shell, or a command, in the machine's namespaces
    test/kube/cluster.py images [--image-tag TAG] FOLDER
                                              builds Handfast's images from HANDFAST_BIN (else bazel-bin) and imports them,
                                              with the tag `test`; deploy/kubernetes/handfast.yaml has the release
    test/kube/cluster.py down FOLDER          ends it and removes what it left

FOLDER is made by `up` and has the logs; keep its path short. FOLDER/environment has shell variables: KUBECONFIG,
NETNS (for nsenter --net=$NETNS), FIRST_PID (for nsenter --target), ADDRESS of the API server and KUBE_BIN. The programs are
those of test/kube/run.sh build, or of HANDFAST_KUBE_BIN."""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from kube_cluster import Cluster, Missing  # noqa: E402 (the path must be set first)
from kube_cluster import programs  # noqa: E402
from kube_cluster.cluster import NODE_IPV4, PORT  # noqa: E402

_UP_S = 300


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=["up", "kubectl", "enter", "images", "down"])
    parser.add_argument("--node", action="store_true")
    parser.add_argument("--bare", action="store_true")
    parser.add_argument("--image-tag", default="test")
    parser.add_argument("folder")
    parser.add_argument("words", nargs=argparse.REMAINDER)
    options = parser.parse_args()
    options.folder = os.path.abspath(options.folder)
    return {"up": up, "kubectl": kubectl, "enter": enter, "images": images, "down": down}[options.command](options)


def up(options):
    """The keeper, a process of its own, holds the cluster until `down`."""
    if os.path.exists(options.folder):
        print("%s exists; expected a new folder" % options.folder, file=sys.stderr)
        return 64
    read_end, write_end = os.pipe()
    if os.fork() == 0:
        os.close(read_end)
        os._exit(_keep(options, write_end))
    os.close(write_end)
    with open(read_end) as answer:
        text = answer.read()
    print(text, end="")
    return 0 if text.startswith("ready") else 1


def _keep(options, write_end):
    os.setsid()
    started = time.monotonic()
    for number in (signal.SIGTERM, signal.SIGALRM):
        signal.signal(number, lambda *_: sys.exit(0))
    try:
        signal.alarm(_UP_S)
        with Cluster(options.folder, node=options.node, controllers=not options.bare) as cluster:
            signal.alarm(0)
            _write_state(cluster)
            os.write(write_end, b"ready after %.1f s; %s\n" % (time.monotonic() - started, options.folder.encode()))
            _detach(cluster.path("keeper.log"), write_end)
            while True:
                signal.pause()
    except SystemExit:
        return 0
    except BaseException as error:
        os.write(write_end, ("%s: %s\n" % (type(error).__name__, error)).encode())
        return 1


def _detach(log, write_end):
    with open(os.devnull) as null, open(log, "a") as out:
        for target, source in ((0, null), (1, out), (2, out)):
            os.dup2(source.fileno(), target)
    os.close(write_end)


def _write_state(cluster):
    state = {"keeper": os.getpid(), "first_pid": cluster.machine.first_pid, "netns": cluster.machine.netns}
    with open(cluster.path("state.json"), "w") as file:
        json.dump(state, file)
    with open(cluster.path("environment"), "w") as file:
        file.write("KUBECONFIG=%s\nNETNS=/run/netns/%s\nFIRST_PID=%d\nADDRESS=%s:%d\nKUBE_BIN=%s\n" % (
            cluster.pki.kubeconfig(), cluster.machine.netns, cluster.machine.first_pid, NODE_IPV4, PORT,
            programs.folder()))


def _state(options):
    with open(os.path.join(options.folder, "state.json")) as file:
        return json.load(file)


def _inside(options, argv):
    return ["nsenter", "--target", str(_state(options)["first_pid"]), "--mount", "--pid", "--net", *argv]


def kubectl(options):
    config = os.path.join(options.folder, "pki", "admin.kubeconfig")
    return subprocess.call(_inside(options, [programs.path("kubectl"), "--kubeconfig", config, *options.words]))


def enter(options):
    return subprocess.call(_inside(options, options.words or ["bash"]))


def images(options):
    """Imports Handfast's images into a cluster that another process holds."""
    from kube_cluster.images import import_handfast

    class Standing:
        node = None

        @staticmethod
        def path(name):
            return os.path.join(options.folder, name)

    class Importer:
        @staticmethod
        def import_image(path):
            subprocess.check_call(_inside(options, ["ctr", "-n", "k8s.io", "images", "import", path]))
    Standing.node = Importer
    import_handfast(Standing, options.image_tag)
    return 0


def down(options):
    state = _state(options)
    try:
        os.kill(state["keeper"], signal.SIGTERM)
    except ProcessLookupError:
        print("the keeper, process %d, has ended by itself" % state["keeper"])
    while os.path.exists("/proc/%d" % state["keeper"]):
        time.sleep(0.1)  # duration: the pause between two polls
    shutil.rmtree(options.folder)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Missing as reason:
        print(reason, file=sys.stderr)
        sys.exit(69)
