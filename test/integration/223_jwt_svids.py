"""JWT-SVIDs: made by the control plane's signer for the identity of the sidecar's connection, validated without it by
every sidecar; with go-spiffe and py-spiffe as they are.

    client: any program -> [sidecar] workload.sock == Identity/FetchJwt ==> control plane, signer
    server: any program -> [sidecar] workload.sock: validation"""

import base64
import json
import os
import time

from handfast_harness import Mesh, expect, expect_eq, expect_in, identity_of, needs, wait_until
from peers import others, workload
from peers.enrollment import field, fields

DEADLINE_S = 1200  # go-spiffe is built at the first run
APP = 1000
AUDIENCE = "https://shop.test/carts"


def arrange(story):
    story.clients = {}
    story.go, story.bin = others.go_spiffe(), others.python_programs()
    folder = story.folder("sockets")
    os.chmod(folder, 0o777)
    story.sockets = {name: os.path.join(folder, name) for name in ("client", "server")}
    story.mesh = Mesh(story, hosts=("client", "server"), leaf_ttl="10m", sidecars={
        name: {"workload_api": {"socket": path, "uids": [APP]}} for name, path in story.sockets.items()})


def _client(story, name="client"):
    """One per host: a user has 32 connections at most."""
    if name not in story.clients:
        story.clients[name] = _new_client(story, name)
    return story.clients[name]


def _new_client(story, name="client"):
    return story.own(workload.Client(getattr(story.mesh, name), story.sockets[name], uid=APP))


def _fetch(story, *audiences, spiffe_id=""):
    request = b"".join(field(1, audience.encode()) for audience in audiences)
    return _client(story).call("FetchJWTSVID", request + (field(2, spiffe_id.encode()) if spiffe_id else b""))


def _token(story, *audiences):
    call = _fetch(story, *audiences)
    svid = dict(fields(dict(fields(call.message()))[1]))
    expect_eq((svid[1].decode(), call.end()[0]), (identity_of("client"), workload.OK), "the identity and the status")
    return svid[2].decode()


def _decoded(part):
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def _encoded(value):
    return base64.urlsafe_b64encode(value).decode().rstrip("=")


def _validate(story, token, audience=AUDIENCE, name="server"):
    call = _client(story, name).call("ValidateJWTSVID", field(1, audience.encode()) + field(2, token.encode()))
    status, text = call.end()
    return status, text, call.messages


def shows_a_token_and_its_claims(story):
    token = _token(story, AUDIENCE, "second")
    header, claims, signature = token.split(".")
    expect_eq({key: _decoded(header)[key] for key in ("alg", "typ")}, {"alg": "ES256", "typ": "JWT"}, "the header")
    claims = _decoded(claims)
    expect_eq((claims["sub"], claims["aud"]), (identity_of("client"), [AUDIENCE, "second"]), "claims")
    expect_eq(claims["exp"] - claims["iat"], 300, "the life of the token")
    expect(abs(claims["iat"] - time.time()) < 10, "the token was not issued now")
    expect_eq(len(base64.urlsafe_b64decode(signature + "==")), 64, "bytes of the signature")
    story.token = token


@needs(shows_a_token_and_its_claims)
def shows_that_another_sidecar_validates_it(story):
    def validated():
        status, _, messages = _validate(story, story.token)
        return messages if status == workload.OK else None
    answer = dict(fields(wait_until("the keys to arrive", validated, 20)[0]))
    expect_eq(answer[1].decode(), identity_of("client"), "the identity")
    claims = {dict(fields(entry))[1]: dict(fields(dict(fields(entry))[2])) for number, entry in fields(answer[2]) if number == 1}
    expect_eq(claims[b"sub"][3].decode(), identity_of("client"), "the subject among the claims")
    expect(2 in claims[b"exp"] and 6 in claims[b"aud"], "exp is a number and aud a list")


@needs(shows_that_another_sidecar_validates_it)
def shows_that_a_token_is_for_its_audience_and_unchanged(story):
    header, claims, signature = story.token.split(".")
    changed = dict(_decoded(claims), sub=identity_of("another"))
    forged = json.dumps(changed).encode()
    for what, token, audience in (
            ("another audience", story.token, "https://shop.test"),
            ("no audience", story.token, ""),
            ("another subject", ".".join((header, _encoded(forged), signature)), AUDIENCE),
            ("no signature", ".".join((header, claims, "")), AUDIENCE),
            ("alg none", ".".join((_encoded(b'{"alg":"none"}'), claims, signature)), AUDIENCE),
            ("HS256 with the public key", ".".join((_encoded(json.dumps(dict(_decoded(header), alg="HS256")).encode()), claims,
                                                    signature)), AUDIENCE),
            ("an unknown key", ".".join((_encoded(json.dumps(dict(_decoded(header), kid="x")).encode()), claims, signature)),
             AUDIENCE),
            ("no token", "x", AUDIENCE)):
        status, _, messages = _validate(story, token, audience)
        expect_eq((status, messages), (workload.INVALID_ARGUMENT, []), "the answer to %s" % what)


def shows_that_the_audience_and_the_identity_are_bounded(story):
    for what, audiences, status in (("none", (), workload.INVALID_ARGUMENT), ("an empty one", ("",), workload.INVALID_ARGUMENT),
                                    ("nine", ["a%d" % i for i in range(9)], workload.INVALID_ARGUMENT),
                                    ("256 bytes", ("a" * 256,), workload.INVALID_ARGUMENT),
                                    ("a quotation mark", ('a"', ), workload.INVALID_ARGUMENT),
                                    ("a line end", ("a\nb",), workload.INVALID_ARGUMENT)):
        call = _fetch(story, *audiences)
        expect_eq((call.end()[0], call.messages), (status, []), "the answer to %s" % what)
    call = _fetch(story, AUDIENCE, spiffe_id=identity_of("server"))
    expect_eq((call.end()[0], call.messages), (workload.PERMISSION_DENIED, []), "the answer for another identity")
    _fetch(story, AUDIENCE, spiffe_id=identity_of("client")).message()


@needs(shows_that_another_sidecar_validates_it)
def shows_the_keys_of_the_trust_domain(story):
    call, keys = _client(story).call("FetchJWTBundles"), []
    while len(keys) < 2:  # the other sidecar has them; this one may get them a moment later
        keys = json.loads(workload.bundles(call.message(), 1).get("spiffe://cluster.local", b'{"keys": []}'))["keys"]
    expect_eq([(key["kty"], key["use"], key["crv"]) for key in keys], [("EC", "jwt-svid", "P-256")] * 2, "the keys")
    expect_in(_decoded(story.token.split(".")[0])["kid"], [key["kid"] for key in keys], "the key of the token")


@needs(shows_that_another_sidecar_validates_it)
def shows_go_spiffe(story):
    if not story.go:
        return
    done = story.mesh.client.run([story.go, "jwt", story.sockets["client"], AUDIENCE], uid=APP, timeout_s=60)
    first, second = [json.loads(line) for line in done.stdout.splitlines()]
    expect_eq((first["id"], first["here"], first["there"]), (identity_of("client"),) * 3, "identities")
    expect(290 <= first["seconds"] <= 300, "the token lives for %d s" % first["seconds"])
    expect_in("InvalidArgument", second["another_audience"], "the error for another audience")


@needs(shows_that_another_sidecar_validates_it)
def shows_py_spiffe(story):
    if not story.bin:
        return
    done = story.mesh.client.run([os.path.join(story.bin, "python"), os.path.join(others.CLIENTS, "py_spiffe.py"), "jwt",
                                  story.sockets["client"], AUDIENCE], uid=APP, timeout_s=60)
    expect_eq(json.loads(done.stdout.splitlines()[0]), {
        "id": identity_of("client"), "there": identity_of("client"), "domains": ["cluster.local"]}, "its output")


@needs(shows_that_another_sidecar_validates_it)
def shows_that_the_keys_outlive_the_control_plane(story):
    """Its restart keeps them; without it tokens are validated and none is made."""
    story.mesh.control.stop()
    expect_eq(_validate(story, story.token)[0], workload.OK, "a validation without the control plane")
    call = _fetch(story, AUDIENCE)
    expect(call.end(20)[0] not in (workload.OK, None), "a token without the control plane")
    story.mesh.control.start()
    wait_until("a token again", lambda: _fetch(story, AUDIENCE).end()[0] == workload.OK, 30)
    kid = lambda token: _decoded(token.split(".")[0])["kid"]
    expect_eq(kid(_token(story, AUDIENCE)), kid(story.token), "the key after a restart")


def shows_that_a_flood_is_limited(story):
    clients = [_new_client(story) for _ in range(4)]
    calls = [client.call("FetchJWTSVID", field(1, AUDIENCE.encode())) for client in clients for _ in range(30)]
    statuses = [call.end(20)[0] for call in calls]
    expect_eq(set(statuses), {workload.OK, workload.EXHAUSTED}, "the statuses")
    expect(statuses.count(workload.OK) >= 40, "only %d were served" % statuses.count(workload.OK))


@needs(shows_that_another_sidecar_validates_it)
def shows_that_a_token_of_a_banned_identity_is_refused(story):
    story.mesh.control.run("ban", identity_of("client"))
    wait_until("the ban to arrive", lambda: _validate(story, story.token)[0] == workload.INVALID_ARGUMENT, 10)
