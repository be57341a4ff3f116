"""In a namespace that enforces the PodSecurity level restricted, the CNI plugin writes the rules of pods.

    handfast-cni (DaemonSet) on the node; shop -> Service store -> store in a namespace with enforce: restricted"""

import datetime
import json
import os

from handfast_harness import expect, expect_eq, expect_in
from kube_cluster import images, install, shared, workloads
from kube_cluster.pod_network import PodNetwork

DEADLINE_S = 900
WAITED_MAX_S = 8  # an app that waits for an identity waits 10 s: kubelet reports no address meanwhile
SPACE, OPEN = "guarded", "guarded-open"
EVERY_LINE = {"handfast.dev/access-log": "all"}
_ALLOWED = ("list pods -A", "watch pods -A", "get daemonsets/handfast-cni -n handfast-cni")
_REFUSED = ("get pods -A", "patch pods -A", "delete pods -A", "create pods/exec -A", "get secrets -A", "list nodes",
            "list configmaps -A", "list daemonsets -n handfast-cni", "patch daemonsets/handfast-cni -n handfast-cni")
AGENT = "app.kubernetes.io/name=handfast-cni"


def arrange(story):
    story.cluster = shared.cluster()
    story.kubectl = story.cluster.kubectl
    images.import_handfast_once(story.cluster)
    install.install(story.cluster, cni__enabled="true")
    _restart_control(story)
    story.manifest = install.manifest_of_cni(story.cluster)
    story.kubectl.apply(story.manifest)
    story.kubectl.wait_for_ready(AGENT, 1, "handfast-cni")
    story.kubectl.apply(workloads.namespace(
        SPACE, **install.LABEL, **{"pod-security.kubernetes.io/enforce": "restricted"}))
    story.kubectl.apply(workloads.account("store"), workloads.account("shop"), workloads.service("store"), namespace=SPACE)


def _restart_control(story):
    story.kubectl("-n", install.NAMESPACE, "rollout", "restart", "deployment")
    story.kubectl.wait_for_rollout("handfast-control", install.NAMESPACE)


def _chained(story):
    with open(story.cluster.path("cni/10-kube.conflist")) as file:
        return [one["type"] for one in json.load(file)["plugins"]]


def _events(story, name):
    found = story.kubectl.get("events", namespace=SPACE)
    return " ".join(one["message"] for one in found if one["involvedObject"]["name"] == name)


def shows_that_the_agent_chains_the_plugin_on_its_node(story):
    expect_eq(_chained(story), ["bridge", "handfast-cni"], "plugins of the node's network")
    expect("handfast-cni" in os.listdir(story.cluster.path("cni-bin")), "the program is on the node")


def _status_of(pid):
    with open("/proc/%d/status" % pid) as file:
        return dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)


def shows_that_the_agent_starts_nothing_itself(story):
    """Abuse case S7: its starter alone has capabilities; both have a filter beside that of the container, if it has one."""
    pod = story.kubectl.pods(AGENT, "handfast-cni")[0]
    agent = story.cluster.node.pid_of(pod, "agent")
    with open("/proc/%d/task/%d/children" % (agent, agent)) as file:
        starters = [int(word) for word in file.read().split()]
    expect_eq(len(starters), 1, "children of the agent")
    of_agent, of_starter = _status_of(agent), _status_of(starters[0])
    expect_eq((of_agent["CapEff"].strip("0"), of_agent["CapPrm"].strip("0")), ("", ""), "the agent's capabilities")
    expect(of_starter["CapEff"].strip("0") != "", "the starter cannot enter a namespace")
    expect_eq((of_agent["Seccomp"], of_starter["Seccomp"], of_agent["NoNewPrivs"]), ("2", "2", "1"), "filters")
    print("      filters: agent %s, starter %s" % (of_agent["Seccomp_filters"], of_starter["Seccomp_filters"]))


def _waited_s(pod):
    """From the start of the sidecar to that of the app, in whole seconds, as the API has them."""
    def start(container):
        return datetime.datetime.fromisoformat(container["state"]["running"]["startedAt"].replace("Z", "+00:00"))
    status = pod["status"]
    return (start(status["containerStatuses"][0]) - start(status["initContainerStatuses"][0])).total_seconds()


def shows_that_pods_start_with_a_sidecar_and_without_capabilities(story):
    story.kubectl.apply(workloads.deployment("store", annotations=EVERY_LINE),
                        workloads.deployment("shop", workloads.sleeper(), annotations=EVERY_LINE), namespace=SPACE)
    story.shop, = story.kubectl.wait_for_ready("app=shop", 1, SPACE)
    story.store, = story.kubectl.wait_for_ready("app=store", 1, SPACE)
    for pod in (story.shop, story.store):
        expect_eq([one["name"] for one in pod["spec"]["initContainers"]], ["handfast"], "init containers")
        expect(_waited_s(pod) <= WAITED_MAX_S, "the app waited %d s for its sidecar" % _waited_s(pod))


def shows_that_a_call_between_them_is_encrypted(story):
    address = story.kubectl.get("service", "store", SPACE)["spec"]["clusterIP"]
    answered = story.kubectl.exec(story.shop["metadata"]["name"], "app", "curl", "-sS", "--max-time", "10",
                                  "http://%s/" % address, namespace=SPACE)
    expect_in("hello-in-plaintext from store-", answered, "the answer")
    line = story.kubectl.wait("a line of the access log", lambda: _inbound(story), 10)
    expect_eq((line["encrypted"], line["source_id"]), (True, "spiffe://cluster.local/ns/guarded/sa/shop"), "how it arrived")


def _inbound(story):
    lines = story.kubectl.logs(story.store["metadata"]["name"], "handfast", SPACE).splitlines()
    found = [json.loads(line) for line in lines if '"direction":"inbound"' in line.replace(" ", "")]
    return found[-1] if found else None


def shows_that_the_rules_of_a_pod_hold(story):
    with PodNetwork(story.cluster, story.shop) as network:
        rules = network.run(["nft", "list", "table", "inet", "handfast"]).stdout
        expect_in("redirect to :15001", rules, "rules of the pod")


def shows_that_a_pod_of_the_mode_tproxy_gets_rules_of_that_mode(story):
    """In a namespace that allows NET_RAW: the plugin spares the init container its capability, not the sidecar."""
    story.kubectl.apply(workloads.namespace(OPEN, **install.LABEL))
    story.kubectl.apply(workloads.account("seen"), workloads.deployment("seen", annotations={
        "handfast.dev/interception": "tproxy"}), namespace=OPEN)
    seen, = story.kubectl.wait_for_ready("app=seen", 1, OPEN)
    expect_eq([one["name"] for one in seen["spec"]["initContainers"]], ["handfast"], "init containers")
    answered = story.kubectl.exec(story.shop["metadata"]["name"], "app", "curl", "-sS", "--max-time", "10", "http://%s:%d/" %
                                  (seen["status"]["podIP"], workloads.PORT), namespace=SPACE)
    expect_eq(answered.split()[-1], story.shop["status"]["podIP"], "the address that the workload sees")
    story.kubectl.delete_namespace(OPEN)


def shows_that_the_agents_account_may_read_pods_and_its_own_object_alone(story):
    account = "--as=system:serviceaccount:handfast-cni:handfast-cni"
    answers = {question: story.kubectl.run("auth", "can-i", *question.split(), account, check=False).stdout.strip()
               for question in _ALLOWED + _REFUSED}
    expect_eq({question for question, answer in answers.items() if answer == "yes"}, set(_ALLOWED), "what it may do")


def shows_that_without_the_agent_a_pod_waits_and_then_starts(story):
    patch = '{"spec":{"template":{"spec":{"nodeSelector":{"none":"%s"}}}}}'
    story.kubectl("-n", "handfast-cni", "patch", "daemonset", "handfast-cni", "-p", patch % "such")
    story.kubectl.wait("the agent to be gone", lambda: not story.kubectl.get("pods", namespace="handfast-cni", selector=AGENT))
    expect_eq(_chained(story), ["bridge", "handfast-cni"], "the plugin stays: the DaemonSet is there")
    story.kubectl.apply(workloads.pod("late", account="shop"), namespace=SPACE)
    story.kubectl.wait("the reason in an event", lambda: "DaemonSet handfast-cni on this node" in _events(story, "late"))
    story.kubectl.apply(story.manifest)
    story.kubectl("-n", "handfast-cni", "patch", "daemonset", "handfast-cni", "--type=json", "-p",
                  '[{"op":"remove","path":"/spec/template/spec/nodeSelector/none"}]', check=False)
    story.kubectl.wait_for_ready("app=late", 1, SPACE)


def shows_that_deleting_it_leaves_the_node_as_it_was(story):
    story.kubectl.delete_namespace(SPACE)
    story.kubectl("delete", "-f", "-", "--ignore-not-found", text=story.manifest, timeout_s=120)
    story.kubectl.wait("the plugin to be gone", lambda: _chained(story) == ["bridge"])
    story.kubectl.wait("the program to be gone", lambda: "handfast-cni" not in os.listdir(story.cluster.path("cni-bin")), 30)
    install.install(story.cluster)
    _restart_control(story)
