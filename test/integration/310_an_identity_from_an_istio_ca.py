"""Sidecars take their identity from the CA of an Istio mesh (identity.source: istio_ca), with projected tokens, and
discovery and policy from the control plane, which issues nothing to them.

    client: token, root -> [sidecar] ==tunnels==> server: [sidecar] <- token, root
    istiod: CreateCertificate (a stand-in in Python: Debian has no Istio; story 311 has Istio's own)
    control: identity.other_roots_file has the CA's root"""

from handfast_harness import expect, expect_eq, expect_in, identity_of, needs, wait_until
from handfast_harness.load import Load
from peers import istio_ca, istio_mesh
from peers.istio_mesh import ECHO, HOSTS, LIFE_S, give_token, source_failure

DEADLINE_S = 300


def _asked_by(story, name):
    return [one for one in story.ca.requests() if one["uri"] == identity_of(name)]


def arrange(story):
    story.mesh, story.ca, story.tokens, story.roots = istio_mesh.arrange(story, istio_ca.IstioCa)


def shows_mutual_tls_with_identities_of_the_istio_ca(story):
    istio_mesh.expect_calls_with_identities(story)
    expect_eq(story.mesh.control.metrics()["handfast_control_streams"], 0, "identity streams")


def shows_what_the_ca_is_asked(story):
    """The identity as a URI SAN, the lifetime, the token and the cluster; a new key each time."""
    wait_until("a renewal", lambda: len(_asked_by(story, "client")) > 1, LIFE_S)
    first, second = _asked_by(story, "client")[:2]
    with open(story.tokens["client"]) as file:
        bearer = "Bearer " + file.read()
    expect_eq((first["authorization"], first["cluster"], first["seconds"]), (bearer, "Kubernetes", LIFE_S), "the request")
    expect(first["key"] != second["key"], "the key of the first certificate was used again")


def shows_that_calls_go_on_across_renewals_and_outages(story):
    """The outage ends when the first renewal has failed, which leaves a third of the certificate's life for another."""
    istio_mesh.expect_that_no_call_fails_across_renewals(story)
    sidecars = [story.mesh.sidecar(name) for name in HOSTS]
    story.ca.behave(life_s=14)
    for sidecar in sidecars:
        sidecar.wait_for_rotation(deadline_s=LIFE_S)
    with Load(story.mesh.client, story.mesh.server.ipv4, ECHO, num_clients=3, new_per_second=10) as load:
        story.ca.behave(status="UNAVAILABLE", message="istiod restarts")
        wait_until("the outage to be named", lambda: any("istiod restarts" in source_failure(one) for one in sidecars), 14)
        story.ca.behave()
        for sidecar in sidecars:
            sidecar.wait_for_rotation(deadline_s=14)
        load.wait_for_requests(20)
    expect_eq(load.failures, [], "failures")
    wait_until("the conditions to end", lambda: [source_failure(one) for one in sidecars] == ["", ""], 5)
    expect(sum(one.metric("handfast_identity_source_failures_total") for one in sidecars) > 0, "the failures of the source")


def shows_that_a_replaced_token_is_used_at_the_next_call(story):
    text = give_token(story, "client", uid="2")
    wait_until("the new token", lambda: _asked_by(story, "client")[-1]["authorization"] == "Bearer " + text, LIFE_S)
    story.mesh.sidecar("client").wait_for_rotation(deadline_s=LIFE_S)


def shows_that_a_token_for_another_audience_is_named(story):
    client = story.mesh.sidecar("client")
    give_token(story, "client", audience="https://kubernetes.default.svc")
    wait_until("the refusal to be named", lambda: source_failure(client) != "", LIFE_S)
    for words in ("request authenticate failure", "audience istio-ca", "identity.istio_cluster"):
        expect_in(words, source_failure(client), "the condition")
    give_token(story, "client")
    wait_until("the condition to end", lambda: source_failure(client) == "" and client.is_ready(), 2 * LIFE_S)


def shows_that_wrong_answers_are_refused_with_their_reason(story):
    """What was in use stays, and the next answer is taken."""
    client, outcome = story.mesh.sidecar("client"), "handfast_identity_renewals_total{outcome=\"failed\"}"
    for fault in istio_ca.FAULTS:
        story.ca.behave(fault=fault, only="client")  # first: a renewal in between would be a good one
        serial, failed = client.serial(), client.metric(outcome)
        wait_until("%s to be refused" % fault, lambda: client.metric(outcome) > failed, LIFE_S)
        expect_eq(client.serial(), serial, "the serial after %s" % fault)
        expect_in("Istio CA at", source_failure(client), "the condition after %s" % fault)
        story.ca.behave()
        client.wait_for_rotation(serial, deadline_s=2 * LIFE_S)


def _rotate(story, **behavior):
    """Both have a certificate of such an answer."""
    story.ca.behave(**behavior)
    for name in HOSTS:
        story.mesh.sidecar(name).wait_for_rotation(deadline_s=2 * LIFE_S)


def shows_that_a_chain_with_its_root_is_taken(story):
    """As of a plugged-in CA, whose cert-chain.pem ends with the root."""
    _rotate(story, chain=True)
    istio_mesh.expect_calls_with_identities(story)
    story.ca.behave()


def shows_that_a_new_root_is_taken_over_from_the_answers(story):
    """As istiod rotates: first both roots are in the answers, then the new one signs, then the old one is gone."""
    istio_mesh.write(story.roots, story.ca.root(0) + story.ca.root(1))
    with Load(story.mesh.client, story.mesh.server.ipv4, ECHO, num_clients=2, new_per_second=5) as load:
        for behavior in ({"roots": [0, 1]}, {"roots": [0, 1], "signer": 1}):
            _rotate(story, **behavior)
        load.wait_for_requests(20)
    expect_eq(load.failures, [], "failures")
    _rotate(story, roots=[1], signer=1)  # this withdraws the old one, and what it carries
    istio_mesh.expect_calls_with_identities(story)


@needs(shows_that_a_new_root_is_taken_over_from_the_answers)
def shows_that_a_server_of_another_authority_gets_no_token(story):
    """The token goes to a server whose certificate the roots of the file verify, and to no other."""
    client = story.mesh.sidecar("client")
    istio_mesh.write(story.roots, story.ca.root(1))  # the server's certificate is below the first
    num = len(_asked_by(story, "client"))
    wait_until("the refusal to be named", lambda: "identity.istio_root_file" in source_failure(client), 2 * LIFE_S)
    expect_eq(len(_asked_by(story, "client")), num, "calls")
    wait_until("the identity to expire", lambda: not client.is_ready(), 2 * LIFE_S)
    expect_in("the identity has expired", client.probe()[1], "the reason")
    istio_mesh.write(story.roots, story.ca.root(0) + story.ca.root(1))
    wait_until("the sidecar to be ready", client.is_ready, 65)
