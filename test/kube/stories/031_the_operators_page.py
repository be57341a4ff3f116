"""The operators' page of a control plane in the cluster, as docs/kubernetes.md has it: a Secret with the token, a value, and a
port that kubectl forwards. Without the token it shows nothing, and nothing of it listens for pods.

    http --> kubectl port-forward -> API server -> kubelet -> containerd -> 127.0.0.1:15018 of a replica
    shop --> Service store -> store, 2 pods"""

import contextlib
import json

from handfast_harness import expect, expect_eq, expect_in, needs_earlier, wait_until
from kube_cluster import install, programs, shop
from kube_cluster.command_line import with_rules
from kube_cluster.machine import Program

DEADLINE_S = 600
SPACE, PORT, SECRET = "paged", 15018, "handfast-page"
TOKEN_FILE = "/etc/handfast-page/token"
TOKEN = "2f0c" * 16


def arrange(story):
    shop.arrange(story, SPACE, stores=2)
    story.own(contextlib.closing(_AsBefore(story)))


class _AsBefore:
    """The install without the page, for the next story."""

    def __init__(self, story):
        self._cluster = story.cluster

    def close(self):
        self._cluster.kubectl("-n", install.NAMESPACE, "delete", "secret", SECRET, "--ignore-not-found")
        _roll_out(self._cluster)


def _roll_out(cluster, **values):
    """As the document has it."""
    cluster.kubectl.apply(install.manifest(**values))
    cluster.kubectl("-n", install.NAMESPACE, "rollout", "restart", "deployment/handfast-control")
    cluster.kubectl.wait_for_rollout("handfast-control", install.NAMESPACE)
    return install.wait_for_control(cluster)


@contextlib.contextmanager
def _forwarded(story, to="deployment/handfast-control", port=PORT):
    """A function that fetches a path of the page behind the port of this machine: status and body."""
    machine = story.cluster.machine
    argv = [programs.path("kubectl"), "--kubeconfig", story.cluster.pki.kubeconfig("admin"), "-n", install.NAMESPACE,
            "port-forward", to, "%d:%d" % (port, PORT)]
    process = Program(machine, "kubectl port-forward", argv, story.log_path("port-forward-%d" % port))
    try:
        process.wait_for_log("Forwarding from 127.0.0.1:%d" % port, 60)
        yield lambda path, token=None: machine.http("http://127.0.0.1:%d%s" % (port, path),
                                                    headers={"Authorization": "Bearer " + token} if token else None)
    finally:
        process.stop()


def _replicas(story):
    return [pod for pod in install.wait_for_control(story.cluster)]


def shows_that_without_the_value_there_is_no_page(story):
    with _forwarded(story) as fetch:
        try:
            found = fetch("/")
        except OSError:
            found = None
    expect(found is None, "something answers: %s" % (found,))


def shows_that_a_value_without_the_secret_ends_no_replica_that_runs(story):
    kubectl, before = story.kubectl, {pod["metadata"]["name"] for pod in _replicas(story)}
    kubectl.apply(install.manifest(page__tokenFile=TOKEN_FILE))
    kubectl("-n", install.NAMESPACE, "rollout", "restart", "deployment/handfast-control")

    def reason():
        for pod in kubectl.pods(install.CONTROL, install.NAMESPACE):
            if pod["metadata"]["name"] not in before:
                log = kubectl.run("-n", install.NAMESPACE, "logs", pod["metadata"]["name"], "-c", "control", check=False).stdout
                if TOKEN_FILE in log:
                    return log
        return None
    log = wait_until("the reason in the log of a new replica", reason, 180, 0.5)
    expect_in("cannot open " + TOKEN_FILE, log, "its log")
    ready = {pod["metadata"]["name"] for pod in kubectl.pods(install.CONTROL, install.NAMESPACE)
             if all(one["ready"] for one in pod["status"].get("containerStatuses", [{"ready": False}]))}
    expect_eq(ready & before, before, "replicas of before that are ready")


@needs_earlier
def shows_the_mesh_behind_a_forwarded_port_to_who_has_the_token(story):
    kubectl = story.kubectl
    kubectl("-n", install.NAMESPACE, "create", "secret", "generic", SECRET, "--from-literal=token=" + TOKEN)
    _roll_out(story.cluster, page__tokenFile=TOKEN_FILE)
    token = kubectl("-n", install.NAMESPACE, "get", "secret", SECRET, "--output",
                    r'go-template={{.data.token | base64decode}}{{"\n"}}').strip()
    expect_eq(token, TOKEN, "the token as the document reads it")
    for _ in range(3):
        kubectl.exec(story.shop["metadata"]["name"], "app", "curl", "-sS", "--max-time", "5", "-o", "/dev/null",
                     "http://%s/" % story.address, namespace=SPACE)
    with _forwarded(story) as fetch:
        status, body = fetch("/")
        expect_eq((status, b"<html" in body), (200, True), "the page")
        expect(token.encode() not in body, "the page has the token")
        for path in ("/state", "/events"):
            expect_eq(fetch(path)[0], 401, path + " without a token")
            expect_eq(fetch(path, "0" * 64)[0], 401, path + " with another one")
        status, body = fetch("/state", token)
        expect_eq((status, json.loads(body)["trust_domain"]), (200, "cluster.local"), "the state")


@needs_earlier
def shows_every_pod_at_the_replica_that_it_is_connected_to(story):
    """And the calls that they have made, as encrypted."""
    wanted = {"spiffe://cluster.local/ns/%s/sa/%s" % (SPACE, name) for name in ("shop", "store")}
    with contextlib.ExitStack() as stack:
        fetches = [stack.enter_context(_forwarded(story, "pod/" + pod["metadata"]["name"], PORT + 1 + i))
                   for i, pod in enumerate(_replicas(story))]

        def states():
            return [json.loads(fetch("/state", TOKEN)[1]) for fetch in fetches]

        def all_pods():
            found = [row for state in states() for row in state["sidecars"] if row["id"] in wanted and row["connected"]]
            return len(found) == 3 and {row["id"] for row in found} == wanted
        wait_until("the three pods", all_pods, 60, 0.5)

        def call():
            story.kubectl.exec(story.shop["metadata"]["name"], "app", "curl", "-sS", "--max-time", "5", "-o", "/dev/null",
                               "http://%s/" % story.address, namespace=SPACE)
            rows = [row for state in states() for row in state["seen"] if row["reporter"].endswith("/ns/%s/sa/shop" % SPACE)]
            return [row for row in rows if row["peer"].endswith("/ns/%s/sa/store" % SPACE) and row["encrypted"]]
        wait_until("the shop's report of its calls", call, 90, 1)


@needs_earlier
def shows_that_neither_pods_nor_other_accounts_reach_it(story):
    for pod in _replicas(story):
        try:
            story.network.connect(pod["status"]["podIP"], PORT, uid=1337, gid=1337, timeout_s=3).close()
            reached = True
        except OSError:
            reached = False
        expect(not reached, "a pod reaches the page of %s" % pod["metadata"]["name"])
    reader = with_rules(story, install.NAMESPACE, "reads-pods", {"apiGroups": ["", "apps"], "resources": ["pods", "deployments"],
                                                              "verbs": ["get", "list"]})
    done = story.kubectl.run("--kubeconfig", reader, "-n", install.NAMESPACE, "port-forward", "deployment/handfast-control",
                             "%d:%d" % (PORT + 9, PORT), check=False)
    expect(done.returncode != 0 and "forbidden" in done.stderr, "port-forward of an account without the permission: %s" % done.stderr)
