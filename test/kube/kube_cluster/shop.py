"""The workloads of several stories: a shop that calls the Service of its stores, each an account of its own, injected."""

from . import install, shared, workloads
from .pod_network import PodNetwork


def arrange(story, space, stores=2):
    """Sets `cluster`, `kubectl`, `shop`, `stores` (pods), `address` (of the Service) and `network` (the shop's)."""
    story.cluster = shared.cluster()
    story.kubectl = story.cluster.kubectl
    install.installed(story.cluster)
    story.kubectl.apply(workloads.namespace(space, **install.LABEL))
    story.kubectl.apply(workloads.account("store"), workloads.account("shop"), workloads.service("store"),
                        workloads.deployment("store", replicas=stores), workloads.deployment("shop", workloads.sleeper()),
                        namespace=space)
    story.stores = story.kubectl.wait_for_ready("app=store", stores, space)
    story.shop, = story.kubectl.wait_for_ready("app=shop", 1, space)
    story.address = story.kubectl.get("service", "store", space)["spec"]["clusterIP"]
    story.network = story.own(PodNetwork(story.cluster, story.shop))
