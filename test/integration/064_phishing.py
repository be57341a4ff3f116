"""phishing: a certificate without its key and a consumed token give no access.

    thief: the client's chain (public) with a key of the thief's own; a copy of the client's token
       -x-> server: [sidecar]        -x-> control"""

import concurrent.futures

from handfast_harness import Mesh, StreamServer, TestAuthority, expect, expect_eq, expect_in, identity_of, needs
from peers import hbone, tls
from peers.enrollment import Enrollment, new_key, read_token


def arrange(story):
    story.mesh = Mesh(story, outsiders=("thief",), leaf_ttl="1h")
    story.app = story.own(StreamServer(story, story.mesh.server, 80, "echo"))
    story.stolen = tls.stolen(TestAuthority.of(story.mesh.control).leaf(identity_of("client")))


def _attest(story, **words):
    with Enrollment(story.mesh.thief, story.mesh.control.host.ipv4) as control:
        return control.attest(**words)


def shows_that_a_certificate_without_its_key_opens_no_tunnel_and_no_stream(story):
    for address, port in ((story.mesh.server.ipv4, 15008), (story.mesh.control.host.ipv4, 15012)):
        try:
            with hbone.Client(story.mesh.thief, address, story.stolen, port=port):
                expect(False, "port %d accepted a certificate without its key" % port)
        except tls.Refused as refused:
            expect_eq(str(refused), "decrypt error", "alert of port %d" % port)
    expect_eq(story.app.reports(), [], "connections that the application saw")


def shows_that_a_consumed_token_does_not_enroll_another_key(story):
    result = _attest(story, token=read_token(story.mesh.sidecar("client").token), key=new_key())
    expect_eq((result.status, result.chain), ("7", []), "answer to a consumed token")


def shows_that_a_signature_by_another_key_is_no_proof(story):
    """A valid token with one key and the signature of another: the thief has only the public key."""
    token = read_token(story.mesh.control.token(identity_of("fresh")))
    result = _attest(story, token=token, key=new_key(), signer=new_key())
    expect(result.status != "0" and not result.chain, "a proof by another key was accepted")
    expect_eq(_attest(story, token=token, key=new_key()).status, "0", "the token afterwards, with its own sidecar")


def shows_that_one_of_many_concurrent_keys_wins(story):
    token = read_token(story.mesh.control.token(identity_of("raced")))
    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        results = list(pool.map(lambda _: _attest(story, token=token, key=new_key()), range(20)))
    expect_eq(sorted(result.status for result in results), ["0"] + ["7"] * 19, "answers")


@needs(shows_that_a_consumed_token_does_not_enroll_another_key)
def shows_that_the_log_has_the_refusals_and_no_secret(story):
    expect_in("token", story.mesh.control.log(), "the control plane's log")
    with open(story.mesh.sidecar("client").token) as file:
        secret = file.read().strip().split(".")[2]
    expect(secret not in story.mesh.control.log(), "the token's secret is in the log")
