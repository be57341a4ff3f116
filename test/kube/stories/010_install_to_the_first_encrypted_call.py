"""One file, one label, a restart: every call between pods is mutual TLS with the service account as identity.

    shop (Deployment, account shop) -> Service store -> store (Deployment, account store, 2 pods)
    captured: the bridge that joins all pods"""

import json
import time

from handfast_harness import Capture, expect, expect_eq, expect_in
from kube_cluster import images, install, shared, workloads

DEADLINE_S = 480
SPACE = "shop"
EVERY_LINE = {"handfast.dev/access-log": "all"}
IDENTITY = "spiffe://cluster.local/ns/%s/sa/%s"


def arrange(story):
    story.cluster = shared.cluster()
    story.kubectl = story.cluster.kubectl
    images.import_handfast_once(story.cluster)  # as a registry would have them
    story.kubectl.apply(workloads.namespace(SPACE))
    story.kubectl.apply(workloads.account("shop"), workloads.account("store"),
                        workloads.deployment("store", replicas=2, annotations=EVERY_LINE), workloads.service("store"),
                        workloads.deployment("shop", workloads.sleeper(), annotations=EVERY_LINE), namespace=SPACE)
    story.kubectl.wait_for_ready("app=store", 2, SPACE)
    story.kubectl.wait_for_ready("app=shop", 1, SPACE)


def shows_that_a_file_a_label_and_a_restart_suffice(story):
    started = time.monotonic()
    install.install(story.cluster)
    installed = time.monotonic()
    story.kubectl("label", "namespace", SPACE, "handfast.dev/inject=enabled")
    story.kubectl("-n", SPACE, "rollout", "restart", "deployment")
    story.kubectl.wait_for_rollout("store", SPACE)
    story.kubectl.wait_for_rollout("shop", SPACE)
    story.shop, = story.kubectl.wait_for_ready("app=shop", 1, SPACE)
    story.stores = story.kubectl.wait_for_ready("app=store", 2, SPACE)
    address = story.kubectl.get("service", "store", SPACE)["spec"]["clusterIP"]
    with Capture(story, story.cluster.machine.network(), "cni0") as story.wire:
        answered = _curl(story, "http://%s/" % address)
    ended = time.monotonic()
    expect_in("hello-in-plaintext from store-", answered, "the answer")
    print("      from kubectl apply to the first encrypted call %.1f s, of which the control plane took %.1f s" %
          (ended - started, installed - started))


def _curl(story, url):
    return story.kubectl.exec(story.shop["metadata"]["name"], "app", "curl", "-sS", "--max-time", "10", url,
                              namespace=SPACE)


def shows_that_nothing_of_it_crossed_the_bridge_in_plaintext(story):
    addresses = {pod["status"]["podIP"] for pod in [story.shop] + story.stores}
    between = [packet for packet in story.wire.packets()
               if packet.source in addresses and packet.destination in addresses and packet.payload]
    expect(between, "the call crossed the bridge")
    ports = {min(packet.source_port, packet.destination_port) for packet in between}
    expect_eq(ports, {15008}, "ports of what pods sent each other")
    expect(not story.wire.contains(b"hello-in-plaintext"), "the answer crossed the bridge in plaintext")
    expect(not story.wire.contains(b"GET / HTTP"), "the request crossed the bridge in plaintext")


def shows_that_both_access_logs_name_both_service_accounts(story):
    ends = {"outbound": [story.shop], "inbound": story.stores}
    for direction, pods in ends.items():
        line = story.kubectl.wait("a line of the %s end" % direction, lambda: _line(story, pods, direction), 10)
        expect_eq(line["encrypted"], True, "encrypted, %s" % direction)
        expect_eq(line["source_id"], IDENTITY % (SPACE, "shop"), "source, %s" % direction)
        expect_eq(line["destination_id"], IDENTITY % (SPACE, "store"), "destination, %s" % direction)


def _line(story, pods, direction):
    """The access-log line of the one call to the store, at either end."""
    for pod in pods:
        for line in story.kubectl.logs(pod["metadata"]["name"], "handfast", SPACE).splitlines():
            if line.startswith("{") and json.loads(line).get("direction") == direction:
                found = json.loads(line)
                if found["destination"].rpartition(":")[2] in ("80", "8080"):
                    return found
    return None


def shows_that_pods_of_other_namespaces_stay_as_they_are(story):
    story.kubectl.apply(workloads.namespace("outside"))
    story.kubectl.apply(workloads.pod("alone"), namespace="outside")
    pod, = story.kubectl.wait_for_ready("app=alone", 1, "outside")
    expect_eq([one["name"] for one in pod["spec"]["containers"]], ["app"], "its containers")
    expect("initContainers" not in pod["spec"], "it got an init container")
    story.kubectl.delete_namespace("outside")


def shows_that_a_rollback_of_the_label_ends_the_mesh_for_new_pods(story):
    story.kubectl("label", "namespace", SPACE, "handfast.dev/inject-")
    story.kubectl.delete_namespace(SPACE)
