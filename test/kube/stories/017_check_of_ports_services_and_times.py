"""`handfast check` shows which ports are ready for strict, Services without a sidecar at an endpoint, when roots end, and
clocks that disagree.

    handfast check -> API server -> kubelet -> sidecars (ports) ; -> control plane (roots, clock)"""

from handfast_harness import expect, expect_eq, expect_in
from kube_cluster import install, shop, workloads
from kube_cluster.command_line import bound, check, of_account, wait_until_allowed

DEADLINE_S = 480
SPACE, BARE = "seen", "seen-bare"


def arrange(story):
    shop.arrange(story, SPACE, stores=2)


def _check(story, kubeconfig=None):
    return check(story, kubeconfig=kubeconfig)[1]


def _details(rows, check):
    return [row.get("detail", row.get("got")) for row in rows.get(check, ())]


def shows_a_port_that_is_ready_for_strict(story):
    for _ in range(8):
        story.kubectl.exec(story.shop["metadata"]["name"], "app", "curl", "-sS", "--max-time", "5", "-o", "/dev/null",
                           "http://%s/" % story.address, namespace=SPACE)
    texts = _details(_check(story), "strict")
    expect("namespace %s: connections from the mesh alone, ready for strict: 8080" % SPACE in texts, "found: %s" % texts)
    expect(any("sidecars were asked" in text for text in texts), "how many were asked: %s" % texts)


def shows_a_port_that_has_seen_plaintext(story):
    """A pod without a sidecar calls one of the two stores."""
    story.kubectl.apply(workloads.namespace(BARE))
    story.kubectl.apply(workloads.pod("outside", workloads.sleeper()), namespace=BARE)
    story.kubectl.wait_for_ready("app=outside", 1, BARE)
    story.kubectl.exec("outside", "app", "curl", "-sS", "--max-time", "5", "-o", "/dev/null",
                       "http://%s:8080/" % story.stores[0]["status"]["podIP"], namespace=BARE)
    texts = [text for text in _details(_check(story), "strict") if text.startswith("namespace %s:" % SPACE)]
    expect_eq(len(texts), 1, "rows: %s" % texts)
    expect_in("plaintext was seen, strict would refuse it: 8080 (at 1 of 2)", texts[0], "the row")


def shows_services_without_a_sidecar_at_an_endpoint(story):
    """Pods from before the label; a Service whose pods stay outside by their own annotation is no fault."""
    rows = _check(story)
    expect_eq([row["well"] for row in rows["services"]], [True], "before: %s" % rows["services"])
    story.kubectl.apply(workloads.service("early"), workloads.pod("early"), workloads.service("out"),
                        workloads.pod("out", annotations={"handfast.dev/inject": "disabled"}), namespace=BARE)
    story.kubectl.wait_for_ready("app=early", 1, BARE)
    story.kubectl.wait_for_ready("app=out", 1, BARE)
    story.kubectl("label", "namespace", BARE, "handfast.dev/inject=enabled")

    def wrong():
        return next((row["got"] for row in _check(story)["services"] if not row["well"]), None)
    got = story.kubectl.wait("the finding", wrong)
    expect_eq(got, "1 Service of namespace %s has no endpoint with a sidecar: early" % BARE, "found")
    story.kubectl("label", "namespace", BARE, "handfast.dev/inject-")


def shows_when_roots_and_the_webhooks_authorities_end(story):
    rows = _check(story)
    expect_eq([row["well"] for row in rows["root-expiry"]], [True, True], "roots: %s" % rows["root-expiry"])
    expect_in("the mesh's root is valid until 20", _details(rows, "root-expiry")[0], "the root")
    expect_eq([row["well"] for row in rows["webhook-certificate"]], [True], "webhook: %s" % rows["webhook-certificate"])


def shows_that_the_clocks_agree(story):
    texts = _details(_check(story), "clock")
    expect_in("the API server agrees with this machine", texts, "clocks")
    expect_eq(len([text for text in texts if text.startswith("replica handfast-control-")]), install.REPLICAS, "replicas")


def shows_what_an_account_without_the_ports_gets(story):
    """Who may read and no more: rows that were not asked are no faults."""
    rules = ({"apiGroups": ["", "apps", "discovery.k8s.io", "admissionregistration.k8s.io", "apiextensions.k8s.io"],
              "resources": ["*"], "verbs": ["list", "watch"]},
             {"apiGroups": ["", "apps", "admissionregistration.k8s.io", "apiextensions.k8s.io"],
              "resources": ["deployments", "mutatingwebhookconfigurations", "customresourcedefinitions"], "verbs": ["get"]})
    story.kubectl.apply(workloads.account("reader"),
                        *bound("reader", SPACE, "ClusterRole", "seen-reader", rules), namespace=SPACE)
    for rule in rules:
        wait_until_allowed(story, SPACE, "reader", rule)
    rows = _check(story, kubeconfig=of_account(story, SPACE, "reader"))
    expect_in("not asked: this account may not get and create pods/portforward", _details(rows, "strict"), "ports")
    expect_in("not asked", _details(rows, "root-expiry")[0], "roots")
    story.kubectl("delete", "clusterrole,clusterrolebinding", "seen-reader")
    for name in (SPACE, BARE):
        story.kubectl.delete_namespace(name)
