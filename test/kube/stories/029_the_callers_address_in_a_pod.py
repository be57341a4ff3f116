"""A pod of the mode tproxy sees its callers' addresses; its sidecar is not root and has CAP_NET_RAW alone.

    caller -> seen (annotation of the pod), followed (annotation of its namespace), plain (neither)"""

import json
import os

from handfast_harness import expect, expect_eq, expect_in
from kube_cluster import install, shared, workloads
from kube_cluster.pod_network import PodNetwork

DEADLINE_S = 420
SPACE, FOLLOWS, HARD = "callers", "callers-follow", "callers-baseline"
ANNOTATION = "handfast.dev/interception"
NET_RAW, NONE = "0000000000002000", "0000000000000000"  # CAP_NET_RAW is bit 13
SIDECARS = "169.254.15.6"


def arrange(story):
    story.cluster = shared.cluster()
    story.kubectl = story.cluster.kubectl
    install.installed(story.cluster)
    for name in (SPACE, FOLLOWS):
        story.kubectl.apply(workloads.namespace(name, **install.LABEL))
    story.kubectl("annotate", "namespace", FOLLOWS, ANNOTATION + "=tproxy")
    story.kubectl.apply(workloads.namespace(HARD, **install.LABEL, **{"pod-security.kubernetes.io/enforce": "baseline"}))
    story.kubectl.apply(*(workloads.account(name) for name in ("seen", "plain", "caller")), namespace=SPACE)
    story.kubectl.apply(workloads.account("followed"), namespace=FOLLOWS)
    story.kubectl.apply(workloads.deployment("seen", annotations={ANNOTATION: "tproxy"}), workloads.deployment("plain"),
                        workloads.deployment("caller", workloads.sleeper()), namespace=SPACE)
    story.kubectl.apply(workloads.deployment("followed"), namespace=FOLLOWS)
    story.pods = {name: story.kubectl.wait_for_ready("app=" + name, 1, space)[0]
                  for name, space in (("seen", SPACE), ("plain", SPACE), ("caller", SPACE), ("followed", FOLLOWS))}


def _call(story, name):
    """What nginx of that pod answers to the caller: it names the address that it sees."""
    return story.kubectl.exec(story.pods["caller"]["metadata"]["name"], "app", "curl", "-sS", "--max-time", "10", "http://%s:%d/" %
                              (story.pods[name]["status"]["podIP"], workloads.PORT), namespace=SPACE).strip()


def shows_that_these_pods_see_the_callers_address_and_another_does_not(story):
    own = story.pods["caller"]["status"]["podIP"]
    for name, expected in (("seen", own), ("followed", own), ("plain", SIDECARS)):
        expect_eq(_call(story, name).rpartition(" ")[2], expected, "the address that %s sees" % name)


def shows_that_the_calls_came_by_tunnels(story):
    with PodNetwork(story.cluster, story.pods["seen"]) as network:
        rows = network.http("http://127.0.0.1:15020/metrics")[1].decode().splitlines()
    carried = [float(row.split()[-1]) for row in rows if row.startswith("handfast_tunnel_key_exchanges_total{")]
    expect(sum(carried) > 0, "the sidecar of seen has no tunnel")


def _statuses(story, name):
    """{field: value} of each thread of the pod's sidecar."""
    pid = story.cluster.node.pid_of(story.pods[name], "handfast")
    for thread in os.listdir("/proc/%d/task" % pid):
        with open("/proc/%d/task/%s/status" % (pid, thread)) as file:
            yield dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)


def shows_that_the_sidecar_has_this_capability_alone_and_others_none(story):
    for name, wanted in (("seen", NET_RAW), ("followed", NET_RAW), ("plain", NONE)):
        for one in _statuses(story, name):
            expect_eq(one["Uid"].split(), ["1337"] * 4, "the user")
            expect_eq([one[key] for key in ("CapPrm", "CapEff", "CapInh", "CapAmb", "CapBnd", "NoNewPrivs", "Seccomp")],
                      [wanted, wanted, NONE, NONE, wanted, "1", "2"], "capabilities and restrictions of the sidecar of " + name)


def _refusal(story, namespace, annotations):
    pod = workloads.pod("refused", annotations=annotations)
    done = story.kubectl.run("-n", namespace, "apply", "-f", "-", text=json.dumps(pod), check=False)
    expect(done.returncode != 0, "the pod was created")
    return done.stderr


def shows_that_wrong_modes_of_pods_and_namespaces_are_refused(story):
    expect_in("redirect or tproxy", _refusal(story, SPACE, {ANNOTATION: "none"}), "the refusal")
    story.kubectl("annotate", "--overwrite", "namespace", FOLLOWS, ANNOTATION + "=tproxi")
    story.kubectl.wait("the control plane to know of it", lambda: "interception of the namespace %s is 'tproxi'" % FOLLOWS in
                       story.kubectl.run("-n", FOLLOWS, "apply", "--dry-run=server", "-f", "-", check=False,
                                         text=json.dumps(workloads.pod("tried"))).stderr, 60)


def shows_that_K42_a_namespace_that_refuses_the_capability_is_named(story):
    text = _refusal(story, HARD, {ANNOTATION: "tproxy"})
    expect_in("refuses the sidecar of the mode tproxy", text, "the refusal")
    expect_in(ANNOTATION + ": redirect", text, "the refusal")


def shows_that_a_pod_that_ends_drains_by_its_hook(story):
    story.kubectl("-n", SPACE, "delete", "pod", story.pods["seen"]["metadata"]["name"], "--wait=true", timeout_s=120)
    failed = [one["message"] for one in story.kubectl.get("events", namespace=SPACE) if one["reason"].endswith("HookError")]
    expect_eq([one for one in failed if "seen-" in one], [], "hooks that failed")
    for name in (SPACE, FOLLOWS, HARD):
        story.kubectl.delete_namespace(name)
