"""Two replicas of the control plane, each killed, stopped and cut off in turn, under load: no call fails, and what the one
does not renew any more the other does within 2 s.

    shop: 20 calls per second -> Service store -> store, 3 pods; certificates that live for 8 s"""

import os
import time

from handfast_harness import expect, expect_eq
from kube_cluster import install, shared, shop
from kube_cluster.http_load import HttpLoad
from kube_cluster.renewals import Renewals
from kube_cluster.replica import Replica

DEADLINE_S = 900
SPACE = "turns"
LEAF_TTL_S = 8
RENEWED_AFTER_S = LEAF_TTL_S * 0.66  # at the latest
GO_ON_WITHIN_S = 2.0
MEASURING_S = 0.5  # two samples, and a busy machine
OUTAGE_S = float(os.environ.get("HANDFAST_OUTAGE_S", "7"))


def arrange(story):
    story.cluster = shared.cluster()
    story.kubectl = story.cluster.kubectl
    install.installed(story.cluster)
    install.set_leaf_ttl(story.cluster, "%ds" % LEAF_TTL_S)
    shop.arrange(story, SPACE, stores=3)
    story.renewals = story.own(Renewals(story.cluster, [story.shop, *story.stores]))
    story.kubectl.wait("a renewal of each", lambda: all(story.renewals.num(0).values()), 90)


def _replicas(story):
    return [Replica(story.cluster, pod) for pod in install.wait_for_control(story.cluster)]


def _lasting(story):
    """What a replica that comes back must leave as it is."""
    records = story.kubectl.get("records.handfast.dev", namespace=install.NAMESPACE)
    kept = {one["spec"]["key"]: one["spec"]["value"] for one in records if one["spec"]["key"] in
            ("authority/known", "store/incarnation")}
    num = len([one for one in records if not one["spec"]["key"].startswith(("replicas/", "presence/"))])
    return kept, num, story.kubectl.get("mutatingwebhookconfiguration", "handfast")["webhooks"]


def _lose_each(story, what, outage):
    """outage(replica): returns when it is over. The replica is lost while it has streams, or may have."""
    before = _lasting(story)
    for replica in _replicas(story):
        streams = replica.num_streams()
        with HttpLoad(story.network, story.address, 80) as load:
            load.wait_for_requests(20)
            started = time.monotonic()
            outage(replica)
            longest, pod = story.renewals.longest_gap(started)
            _replicas(story)
            time.sleep(RENEWED_AFTER_S)  # duration: one more renewal of each, with the replica that is back
            later, _ = story.renewals.longest_gap(started)
        print("      %-24s with %d streams: renewals late by %4.1f s (%4.1f s with its return), %d calls, %d failed" % (
            what, streams, longest - RENEWED_AFTER_S, later - RENEWED_AFTER_S, load.num_requests, len(load.failures)))
        expect_eq(load.failures, [], "failed calls of %d" % load.num_requests)
        late = max(longest, later) - RENEWED_AFTER_S
        expect(late <= GO_ON_WITHIN_S + MEASURING_S, "%s: %s renewed %.1f s late" % (what, pod, late))
    after = _lasting(story)
    expect_eq(after[:2], before[:2], "records")
    expect(what == "killed" or after == before, "the webhook's CAs changed, although both replicas have kept theirs")


def shows_that_the_other_goes_on_when_one_is_killed(story):
    def outage(replica):
        replica.kill()
        time.sleep(RENEWED_AFTER_S)  # duration: a renewal of each
    _lose_each(story, "killed", outage)


def shows_that_the_other_goes_on_when_one_is_stopped(story):
    def outage(replica):
        with replica.stopped():
            time.sleep(OUTAGE_S)  # duration: of the outage
    _lose_each(story, "stopped", outage)


def shows_that_the_other_goes_on_when_one_is_cut_off(story):
    def outage(replica):
        with replica.cut_off():
            time.sleep(OUTAGE_S)  # duration: of the outage
    _lose_each(story, "cut off", outage)


def shows_that_renewals_go_on_when_one_is_cut_off_from_the_api_server(story):
    def outage(replica):
        with replica.cut_off("tcp dport 443"):
            time.sleep(OUTAGE_S)  # duration: of the outage
    _lose_each(story, "without the API server", outage)


def shows_that_the_default_lifetime_comes_back(story):
    story.kubectl.delete_namespace(SPACE)
    install.set_leaf_ttl(story.cluster, "1h")
