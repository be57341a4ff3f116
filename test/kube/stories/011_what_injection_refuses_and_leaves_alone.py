"""A pod is never half in the mesh: it has the whole sidecar, or is left alone with a reason, or is refused with a fix.

    kubectl -> API server -> webhook of handfast-control ; kubectl prints warnings and refusals"""

import json

from handfast_harness import expect, expect_eq, expect_in
from kube_cluster import install, shared, workloads

DEADLINE_S = 420
SPACE, RESTRICTED = "injection", "injection-restricted"


def arrange(story):
    story.cluster = shared.cluster()
    story.kubectl = story.cluster.kubectl
    install.installed(story.cluster)
    story.kubectl.apply(workloads.namespace(SPACE, **install.LABEL), workloads.namespace(
        RESTRICTED, **install.LABEL, **{"pod-security.kubernetes.io/enforce": "restricted"}))


def _inits(story, name):
    spec = story.kubectl.get("pod", name, SPACE)["spec"]
    return [one["name"] for one in spec.get("initContainers", [])]


def shows_that_both_containers_come_before_the_users(story):
    own = workloads.app_container("own-init", ("true",))
    story.kubectl.apply(workloads.pod("plain", initContainers=[own]), namespace=SPACE)
    expect_eq(_inits(story, "plain"), ["handfast-init", "handfast", "own-init"], "init containers")


def shows_that_a_pod_that_was_injected_is_not_injected_twice(story):
    """As with a pod that was copied out of a cluster, or at reinvocation."""
    copy = story.kubectl.get("pod", "plain", SPACE)
    copy["metadata"] = {"name": "copy", "annotations": copy["metadata"]["annotations"]}
    for member in ("status", "nodeName"):
        copy.pop(member, None)
        copy["spec"].pop(member, None)
    story.kubectl.apply(copy, namespace=SPACE)
    expect_eq(_inits(story, "copy"), _inits(story, "plain"), "init containers of the copy")


def shows_that_a_pod_can_stay_outside(story):
    off = {"handfast.dev/inject": "disabled"}
    story.kubectl.apply(workloads.pod("by-annotation", annotations=off), workloads.pod("by-label", labels=off),
                        namespace=SPACE)
    expect_eq(_inits(story, "by-annotation") + _inits(story, "by-label"), [], "init containers")


def shows_that_a_pod_of_the_nodes_network_is_left_alone_with_a_warning(story):
    printed = story.kubectl.apply(workloads.pod("host", hostNetwork=True), namespace=SPACE)
    expect_in("Warning: handfast: no sidecar: the pod has hostNetwork", printed, "what kubectl prints")
    expect_eq(_inits(story, "host"), [], "init containers")


def shows_that_the_identity_comes_from_an_agent_by_the_csi_driver_alone(story):
    """K38: the annotation names a file of the driver's folder, and no other."""
    story.kubectl.apply(workloads.pod("agent", annotations={"handfast.dev/agent-socket": "spire-agent.sock"}), namespace=SPACE)
    spec = story.kubectl.get("pod", "agent", SPACE)["spec"]
    expect_eq([one["csi"] for one in spec["volumes"] if "csi" in one], [{"driver": "csi.spiffe.io", "readOnly": True}], "volumes")
    sidecar, = (one for one in spec["initContainers"] if one["name"] == "handfast")
    expect_in({"name": "HANDFAST_SIDECAR_IDENTITY_SOURCE", "value": "workload_api"}, sidecar["env"], "the sidecar's variables")
    refused = story.kubectl.run("create", "-n", SPACE, "-f", "-", check=False, text=json.dumps(
        workloads.pod("path", annotations={"handfast.dev/agent-socket": "../app/x.sock"})))
    expect_in("the name of a file, without a folder", refused.stderr, "what kubectl prints")


def shows_that_a_misspelled_annotation_is_warned_of(story):
    printed = story.kubectl.apply(workloads.pod("typo", annotations={"handfast.dev/inbound-mod": "strict"}), namespace=SPACE)
    expect_in("the nearest is handfast.dev/inbound-mode", printed, "what kubectl prints")


def _refusal(story, pod, namespace=SPACE):
    done = story.kubectl.run("-n", namespace, "apply", "-f", "-", text=json.dumps(pod), check=False)
    expect(done.returncode != 0, "the pod was created")
    return done.stderr


def shows_that_a_wrong_value_is_refused_with_a_fix(story):
    text = _refusal(story, workloads.pod("wrong", annotations={"handfast.dev/inbound-mode": "STRICT"}))
    expect_in("off, permissive or strict", text, "the refusal")


def shows_that_the_sidecars_own_user_is_refused(story):
    container = workloads.app_container()
    container["securityContext"]["runAsUser"] = 1337
    text = _refusal(story, workloads.pod("bypass", container))
    expect_in("1337", text, "the refusal")


def shows_that_a_namespace_without_net_admin_is_refused_with_the_way_out(story):
    text = _refusal(story, workloads.pod("restricted"), RESTRICTED)
    expect_in("handfast-cni", text, "the refusal")
    expect_in("pod-security.kubernetes.io/enforce", text, "the refusal")
    for name in (SPACE, RESTRICTED):
        story.kubectl.delete_namespace(name)
