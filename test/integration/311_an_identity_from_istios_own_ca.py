"""The same as story 310 with Istio's own CA and its own check of tokens, from Istio's Go module, in place of the stand-in.

    client: token, root -> [sidecar] ==tunnels==> server: [sidecar] <- token, root
    istiod: Istio's CA (RSA 2048), its gRPC service, its TokenReview against an API server that is made up

Its build takes minutes and a gigabyte of modules, so it is left out, which is printed, without HANDFAST_ISTIO=1."""

import os

from handfast_harness import expect_in, wait_until
from peers import istio_ca, istio_mesh, others

DEADLINE_S = 1200


class OwnCa:
    """What the functions of story 310 need of istio_ca.IstioCa."""

    def __init__(self, story, host):
        self.host, self._roots = host, os.path.join(story.folder("istio"), "root-cert.pem")
        self.process = story.spawn(host, "istiod", [story.program, "--listen", "%s:%d" % (host.ipv4, istio_ca.PORT),
                                                    "--name", istio_ca.NAME, "--roots", self._roots])
        self.process.wait_for_log("serving", 30)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stop()

    def root(self):
        with open(self._roots) as file:
            return file.read()


def arrange(story):
    story.program = others.istio_ca() if os.environ.get("HANDFAST_ISTIO") == "1" else None
    if story.program is None:
        print("    left out: with HANDFAST_ISTIO=1 Istio's own CA is built from its Go module")
        return
    story.mesh, story.ca, story.tokens, story.roots = istio_mesh.arrange(story, OwnCa)


def shows_mutual_tls_with_identities_of_istios_ca(story):
    if story.program:
        istio_mesh.expect_calls_with_identities(story)


def shows_that_no_call_fails_across_renewals(story):
    if story.program:
        istio_mesh.expect_that_no_call_fails_across_renewals(story)


def shows_that_a_token_for_another_audience_is_refused(story):
    if not story.program:
        return
    client = story.mesh.sidecar("client")
    istio_mesh.give_token(story, "client", audience="https://kubernetes.default.svc")
    wait_until("the refusal to be named", lambda: istio_mesh.source_failure(client) != "", istio_mesh.LIFE_S)
    expect_in("audience istio-ca", istio_mesh.source_failure(client), "the condition")
    istio_mesh.give_token(story, "client")
    wait_until("the condition to end", lambda: istio_mesh.source_failure(client) == "" and client.is_ready(),
               2 * istio_mesh.LIFE_S)
