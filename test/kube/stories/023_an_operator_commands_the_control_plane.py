"""An operator with a kubeconfig commands the control plane: status, bans, the root's rotation on two replicas under load, and
a root whose key was stolen. Nothing of it is on the operator's machine, and nothing new listens for other pods.

    handfast ca rotate -> API server -> kubelet -> containerd -> 127.0.0.1:15016 of a ready replica
    shop: 20 calls per second -> Service store -> store, 3 pods; certificates that live for a minute"""

import calendar
import json
import os
import re
import time

from handfast_harness import expect, expect_eq, expect_in, needs, wait_until
from kube_cluster import install, shared, shop, workloads
from kube_cluster.command_line import answer, prints, refusal, run, with_rules
from kube_cluster.http_load import HttpLoad
from kube_cluster.pod_network import PodNetwork
from kube_cluster.replica import Replica

DEADLINE_S = 900
SPACE, FOREIGN = "operated", "operated-foreign"
LEAF_TTL_S = int(os.environ.get("HANDFAST_LEAF_TTL_S", "60"))
SHOP = "spiffe://cluster.local/ns/%s/sa/shop" % SPACE
REQUEST = b"GET / HTTP/1.1\r\nHost: store\r\nConnection: close\r\n\r\n"
OPERATOR_PORT = 15016


def arrange(story):
    story.cluster = shared.cluster()
    story.kubectl = story.cluster.kubectl
    install.installed(story.cluster)
    install.set_leaf_ttl(story.cluster, "%ds" % LEAF_TTL_S)
    shop.arrange(story, SPACE, stores=3)


def _calls(story):
    """Whether a call of the shop is answered."""
    try:
        with story.network.connect(story.address, 80, uid=1000, timeout_s=1) as sock:
            sock.sendall(REQUEST)
            return sock.recv(4096).startswith(b"HTTP/1.1 200 ")
    except OSError:
        return False


def shows_the_status_and_which_replica_answered(story):
    names = [pod["metadata"]["name"] for pod in install.wait_for_control(story.cluster)]
    status = answer(story, "status")
    expect_in(status["replica"], names, "the replica that answered")
    expect_eq(status["trust_domain"], "cluster.local", "its trust domain")
    text = prints(story, "status", "--cluster")
    expect_in("replica handfast-control-", text, "as text")
    expect("key 000000" not in text, "a pod has no attestation key: %s" % text)


def shows_that_it_needs_no_flags_where_a_kubeconfig_is(story):
    home = os.path.join(story.root, "home")
    os.makedirs(os.path.join(home, ".kube"))
    os.symlink(story.cluster.pki.kubeconfig("admin"), os.path.join(home, ".kube", "config"))
    done = run(story, "ban", "list", home=home)
    expect_eq((done.returncode, done.stdout, done.stderr), (0, "no bans\n", ""), "ban list")


def shows_settings_and_tokens(story):
    settings = {one["key"]: one["value"] for one in answer(story, "settings")["settings"]}
    expect_eq(settings["kubernetes.enabled"], "true", "a setting in force")
    token = answer(story, "token", "create", "--id", "spiffe://cluster.local/ns/outside/sa/vm")
    expect_eq([one["token_id"] for one in answer(story, "token", "list")["tokens"]], [token["token_id"]], "the tokens")
    prints(story, "token", "revoke", token["token_id"])
    expect_eq(answer(story, "token", "list")["tokens"], [], "the tokens after it is revoked")


def shows_that_a_ban_cuts_a_pods_calls_and_unban_brings_them_back(story):
    wait_until("a call", lambda: _calls(story), 30, 0.1)
    began = time.monotonic()
    expect_in("banned", prints(story, "ban", SHOP), "ban")
    wait_until("calls to fail", lambda: not _calls(story), 2 - (time.monotonic() - began), 0.02)
    cut = time.monotonic() - began
    expect_eq([one["id"] for one in answer(story, "ban", "list")["bans"]], [SHOP], "the bans")
    expect(not _calls(story), "a call of a banned pod is answered")
    began = time.monotonic()
    prints(story, "unban", SHOP)
    wait_until("calls to be answered", lambda: _calls(story), 30, 0.1)
    print("      cut %.2f s after the ban, calls again %.2f s after it was lifted" % (cut, time.monotonic() - began))
    expect_eq(run(story, "unban", SHOP).returncode, 1, "the exit code where nothing was banned")


def shows_what_is_wrong(story):
    failure = refusal(story, 69, "status", "--control-namespace", "default")
    expect_in("namespace default has no pod of the control plane", failure["got"], "no control plane")
    expect_in("--control-namespace", failure["fix"], "no control plane")
    expect_in("--control-namespace is", refusal(story, 64, "status", "--control-namespace", "a/b")["got"], "no name")
    expect_in("no program listens at /none", refusal(story, 69, "status", "--socket", "/none")["got"], "--socket goes first")


def shows_a_control_plane_that_is_not_ready_does_not_listen_or_is_none(story):
    """Pods with its label: one without a port for operators, one that speaks HTTP/1.1 there, one that waits."""
    label = {"app.kubernetes.io/name": "handfast-control"}
    story.kubectl.apply(workloads.namespace(FOREIGN))
    words = "status", "--control-namespace", FOREIGN
    waiting = dict(workloads.app_container(), image="localhost/none:1")
    for name, container, text in (
            ("waits", waiting, "none of the 1 pods of the control plane in namespace %s is ready" % FOREIGN),
            ("silent", workloads.app_container(), "port 15016 of pod silent: "),
            ("other", workloads.app_container(ports=[{"name": "operator", "containerPort": workloads.PORT}]), "pod other")):
        story.kubectl.apply(workloads.pod(name, container, labels=label), namespace=FOREIGN)
        if name != "waits":
            story.kubectl.wait_for_ready("app=" + name, 1, FOREIGN)
        expect_in(text, refusal(story, 69, *words)["got"], name)
        story.kubectl("-n", FOREIGN, "delete", "pod", name, "--grace-period=1", "--wait=true")
    story.kubectl.delete_namespace(FOREIGN)


def shows_which_permissions_make_an_operator(story):
    pods = {"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]}
    forward = {"apiGroups": [""], "resources": ["pods/portforward"], "verbs": ["get", "create"]}
    failure = refusal(story, 77, "status", kubeconfig=with_rules(story, install.NAMESPACE, "operator-nothing"))
    expect_in("may not list pods of namespace handfast-system", failure["got"], "without list")
    failure = refusal(story, 77, "status", kubeconfig=with_rules(story, install.NAMESPACE, "operator-reader", pods))
    expect_in("may not forward a port to pods of namespace handfast-system", failure["got"], "without pods/portforward")
    expect_in("pods/portforward", failure["expected"], "the permission")
    done = run(story, "status", kubeconfig=with_rules(story, install.NAMESPACE, "operator-asker", pods, forward))
    expect_eq((done.returncode, done.stderr), (0, ""), "with both")
    for name in ("operator-nothing", "operator-reader", "operator-asker"):
        for kind in ("rolebinding", "role", "serviceaccount"):
            story.kubectl("-n", install.NAMESPACE, "delete", kind, name)


def shows_that_nothing_but_the_nodes_runtime_reaches_the_port(story):
    """From the shop, at a replica's address; and from within the pod as the user that the control plane has."""
    pod = install.wait_for_control(story.cluster)[0]
    address = pod["status"]["podIP"]
    done = story.kubectl.run("-n", SPACE, "exec", story.shop["metadata"]["name"], "-c", "app", "--", "curl", "-sS",
                             "--max-time", "5", "http://%s:%d/" % (address, OPERATOR_PORT), check=False)
    expect(done.returncode != 0, "the port from another pod: %s" % done.stdout)
    with PodNetwork(story.cluster, pod, "control") as network, \
            network.connect("127.0.0.1", OPERATOR_PORT, uid=1336, timeout_s=5) as sock:
        expect_eq(sock.recv(1), b"", "what a process of the pod gets that is not root")
    story.kubectl.wait("the refusal in the log", lambda: "operator refused" in story.kubectl.logs(
        pod["metadata"]["name"], "control", install.NAMESPACE), 60)


def _seconds(text):
    return calendar.timegm(time.strptime(text[:19], "%Y-%m-%dT%H:%M:%S"))


def _roots(status, role):
    return [row for row in status["roots"] if row["role"] == role]


def _expiry_by_replica(story):
    """{replica: when the root ends that its signer has}"""
    found = {}
    for pod in install.wait_for_control(story.cluster):
        with PodNetwork(story.cluster, pod, "control") as network:
            page = network.http("http://127.0.0.1:15014/metrics")[1].decode()
        found[pod["metadata"]["name"]] = int(re.search(
            r"^handfast_control_root_expiry_timestamp_seconds (\d+)", page, re.MULTILINE)[1])
    return found


def _pods(story):
    return [story.shop, *story.stores]


def _roots_of_sidecars(story):
    """{pod: the roots of its trust state}, by the command line as well."""
    found = {}
    for pod in _pods(story):
        name = pod["metadata"]["name"]
        bundles = json.loads(prints(story, "certs", "pod/" + name, "-n", SPACE, "--output", "json"))["bundles"]
        found[name] = [root["sha256"] for bundle in bundles for root in bundle["roots"]]
    return found


def _has_other_roots(network, former):
    """By the page that the command line shows, without the time that it takes."""
    bundles = json.loads(network.http("http://127.0.0.1:15000/certs")[1])["bundles"]
    roots = {root["sha256"] for bundle in bundles for root in bundle["roots"]}
    return roots and not roots & set(former)


def shows_a_rotation_on_two_replicas_under_load(story):
    """One of them is cut off from the API server at first: the rotation waits for it, and names it."""
    before = answer(story, "ca", "status")
    active = _roots(before, "active")[0]["sha256"]
    expect_eq(set(_expiry_by_replica(story).values()), {_seconds(_roots(before, "active")[0]["not_after"])}, "the signers' root")
    replicas = [Replica(story.cluster, pod) for pod in install.wait_for_control(story.cluster)]
    streams = [replica.num_streams() for replica in replicas]
    with HttpLoad(story.network, story.address, 80) as load:
        load.wait_for_requests(20)
        began = time.monotonic()
        with replicas[-1].cut_off("tcp dport 443"):  # the command line asks the first one that is ready
            status = answer(story, "ca", "rotate")
            expect_eq((status["phase"], status["number"]), ("publishing", before["number"] + 1), "the phase")
            number = status["number"]
            time.sleep(LEAF_TTL_S + 5)  # duration: longer than the phase would take without that replica
            status = answer(story, "ca", "status")
            expect_eq((status["phase"], status["replicas"]), ("publishing", [replicas[-1].name]), "who is waited for")
            expect_in("replica %s has not taken it over" % replicas[-1].name, prints(story, "ca", "status"), "as text")
        wait_until("the next root to sign", lambda: answer(story, "ca", "status")["phase"] == "reissuing", 60, 1)
        signs = time.monotonic() - began
        wait_until("the end of the rotation", lambda: answer(story, "ca", "status")["phase"] == "none", LEAF_TTL_S + 25, 1)
        took = time.monotonic() - began
        load.wait_for_requests(40)
    expect_eq(load.failures, [], "failed calls of %d" % load.num_requests)
    after = answer(story, "ca", "status")
    expect_eq(after["number"], number, "rotations that have begun")
    expect(_roots(after, "active")[0]["sha256"] != active, "the same root signs")
    expect_in(active, [one["sha256"] for one in _roots(after, "retired")], "the retired roots")
    wait_until("both signers to have the next root", lambda: set(_expiry_by_replica(story).values()) == {
        _seconds(_roots(after, "active")[0]["not_after"])}, 30, 0.5)
    wait_until("every sidecar to have one root, the same", lambda: [
        len(roots) for roots in {tuple(one) for one in _roots_of_sidecars(story).values()}] == [1], 30, 0.5)
    print("      replicas with %s streams; the next root signed after %.1f s, %d s of them without one replica; the former "
          "was retired after %.1f s; %d calls, 0 failed" % (streams, signs, LEAF_TTL_S + 5, took, load.num_requests))


@needs(shows_a_rotation_on_two_replicas_under_load)
def shows_that_a_stolen_root_is_replaced_and_calls_work_again_within_5_s(story):
    former = _roots_of_sidecars(story)
    networks = {pod["metadata"]["name"]: story.own(PodNetwork(story.cluster, pod)) for pod in _pods(story)}
    expect_eq(run(story, "ca", "replace").returncode, 64, "without --compromised")
    began = time.monotonic()
    status = answer(story, "ca", "replace", "--compromised")
    expect_eq((status["phase"], len(_roots(status, "active"))), ("none", 1), "the state")
    wait_until("other roots in every sidecar", lambda: all(
        _has_other_roots(network, former[name]) for name, network in networks.items()), 5, 0.1)
    replaced = time.monotonic() - began
    wait_until("a call", lambda: _calls(story), 5, 0.1)
    took = time.monotonic() - began
    expect(took <= 5, "calls work again after %.1f s" % took)
    with HttpLoad(story.network, story.address, 80) as load:
        load.wait_for_requests(60)
    expect_eq(load.failures, [], "failed calls of %d after it" % load.num_requests)
    print("      every sidecar had the next root after %.1f s, calls worked after %.1f s" % (replaced, took))


@needs(shows_that_a_stolen_root_is_replaced_and_calls_work_again_within_5_s)
def shows_that_new_replicas_go_on_with_the_next_root(story):
    """Their Secret has the key of the first root; the store has that of the one in use, sealed."""
    active = _roots(answer(story, "ca", "status"), "active")
    with HttpLoad(story.network, story.address, 80) as load:
        load.wait_for_requests(10)
        install.set_leaf_ttl(story.cluster, "1h")
        load.wait_for_requests(40)
    expect_eq(load.failures, [], "failed calls of %d" % load.num_requests)
    expect_eq(_roots(answer(story, "ca", "status"), "active"), active, "the root in use")
    expect_eq(set(_expiry_by_replica(story).values()), {_seconds(active[0]["not_after"])}, "the signers' root")
    story.kubectl.apply(workloads.deployment("later", workloads.sleeper(), account="shop"), namespace=SPACE)
    story.kubectl.wait_for_ready("app=later", 1, SPACE)
    story.kubectl.delete_namespace(SPACE)
