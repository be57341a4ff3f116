"""A projected token is good for its own pod, from that pod's address, for Handfast's audience, while the pod is there.

    pod a (account a), pod b (account b): no sidecar; the harness attests from inside their networks -> handfast-control

Threats: W12, W13, W26."""

from handfast_harness import expect, expect_eq, expect_in
from kube_cluster import install, shared, workloads
from kube_cluster.pod_network import PodNetwork
from peers.enrollment import Enrollment

DEADLINE_S = 420
SPACE = "tokens"


def arrange(story):
    story.cluster = shared.cluster()
    story.kubectl = story.cluster.kubectl
    install.installed(story.cluster)
    story.kubectl.apply(workloads.namespace(SPACE))
    story.kubectl.apply(workloads.account("a"), workloads.account("b"),
                        *(workloads.pod(name, workloads.sleeper(), account=name[0]) for name in ("a", "b", "a-gone")),
                        namespace=SPACE)
    story.pods = {name: story.kubectl.wait_for_ready("app=" + name, 1, SPACE)[0] for name in ("a", "b", "a-gone")}
    service = story.kubectl.get("service", "handfast-control", install.NAMESPACE)
    story.address = service["spec"]["clusterIP"]


def _token(story, pod, account, audience="handfast"):
    printed = story.kubectl("-n", SPACE, "create", "token", account, "--audience", audience, "--bound-object-kind", "Pod",
                            "--bound-object-name", pod, "--bound-object-uid", story.pods[pod]["metadata"]["uid"])
    return printed.strip().encode()


def _attest(story, source, token):
    with PodNetwork(story.cluster, story.pods[source]) as network, Enrollment(network, story.address) as control:
        return control.attest(kubernetes=token)


def shows_that_a_pods_own_token_gives_its_account(story):
    result = _attest(story, "a", _token(story, "a", "a"))
    expect_eq(result.status, "0", "gRPC status (%s)" % result.message)
    expect_eq([name.value for name in result.ids()], ["spiffe://cluster.local/ns/%s/sa/a" % SPACE], "the certificate's names")


def _refused(story, source, token, what):
    result = _attest(story, source, token)
    expect(result.status != "0", "%s gave a certificate for %s" % (what, result.chain and result.ids()))
    expect(result.message, "%s was refused without a reason" % what)
    return result.message


def shows_that_another_audience_is_refused(story):
    message = _refused(story, "a", _token(story, "a", "a", "https://vault.example"), "a token of another audience")
    expect_in("audience", message, "the reason")


def shows_that_another_pods_token_is_refused(story):
    _refused(story, "b", _token(story, "a", "a"), "a's token from b's address")


def shows_that_a_changed_token_is_refused(story):
    header, claims, signature = _token(story, "a", "a").split(b".")
    _refused(story, "a", header + b"." + claims + b"." + signature[:-8] + b"AAAAAAAA", "a changed token")
    _refused(story, "a", b"not a token", "a text")


def shows_that_its_keys_decide_while_the_api_server_is_away(story):
    own, other = _token(story, "a", "a"), _token(story, "b", "b")
    header, claims, signature = own.split(b".")
    story.cluster.stop("kube-apiserver")
    try:
        result = _attest(story, "a", own)
        expect_eq(result.status, "0", "gRPC status without the API server (%s)" % result.message)
        _refused(story, "a", other, "b's token from a's address without the API server")
        forged = header + b"." + claims + b"." + signature[::-1]
        _refused(story, "a", forged, "a forged token without the API server")
    finally:
        story.cluster.start_apiserver()


def shows_that_a_deleted_pods_token_is_refused(story):
    token, pod = _token(story, "a-gone", "a"), story.pods["a-gone"]
    with PodNetwork(story.cluster, pod) as network, Enrollment(network, story.address) as control:
        expect_eq(control.attest(kubernetes=token).status, "0", "status while the pod is there")
    story.kubectl("-n", SPACE, "delete", "pod", "a-gone", "--wait=true", timeout_s=90)
    _refused(story, "a", token, "the token of a pod that is gone")
    story.kubectl.delete_namespace(SPACE)
