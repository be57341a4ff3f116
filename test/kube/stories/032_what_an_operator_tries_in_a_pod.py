"""What an operator tries who has read the pages for hosts: an upgrade in a pod is refused and ends nothing, and a rotation
that waits for pods without a record names until when.

    kubectl exec shop -c handfast -- /handfast-sidecar upgrade
    handfast ca rotate, ca status -> a replica"""

import datetime

from handfast_harness import expect, expect_eq, expect_in
from kube_cluster import shop
from kube_cluster.command_line import answer
from kube_cluster.kubectl import statuses

DEADLINE_S = 420
SPACE = "tries"


def arrange(story):
    shop.arrange(story, SPACE, stores=1)


def _restarts(story):
    pod = story.kubectl.get("pod", story.shop["metadata"]["name"], SPACE)
    return statuses(pod)["handfast"]["restartCount"]


def shows_that_an_upgrade_in_a_pod_is_refused_and_ends_nothing(story):
    """The first process of a container takes all others with it: the new one would end with the old."""
    name = story.shop["metadata"]["name"]
    tried = story.kubectl.run("-n", SPACE, "exec", name, "-c", "handfast", "--", "/handfast-sidecar", "upgrade", check=False)
    expect(tried.returncode != 0, "an upgrade in a pod: %s" % tried.stdout)
    expect_in("the sidecar is process 1", tried.stderr, "the reason")
    expect_in("restart the pod", tried.stderr, "the fix")
    answered = story.kubectl.exec(name, "app", "curl", "-sS", "--max-time", "10", "http://%s/" % story.address, namespace=SPACE)
    expect_in("hello-in-plaintext from store-", answered, "a call after it")
    expect_eq(_restarts(story), 0, "restarts of the sidecar's container")


def shows_that_a_rotation_names_until_when_pods_without_a_record_are_waited_for(story):
    status = answer(story, "ca", "rotate")
    try:
        began, until = (datetime.datetime.fromisoformat(status[key].replace("Z", "+00:00"))
                        for key in ("phase_began", "unrecorded_until"))
        expect(until > began, "waits from %s until %s" % (began, until))
        expect_eq(answer(story, "ca", "status")["unrecorded_until"], status["unrecorded_until"], "the other answer")
    finally:
        answer(story, "ca", "abort")
    expect_eq(answer(story, "ca", "status")["unrecorded_until"], "-", "without a rotation")
    story.kubectl.delete_namespace(SPACE)
