"""Sidecars take their identity from a SPIFFE agent of another authority (identity.source: workload_api), and discovery
and policy from the control plane, which issues nothing to them.

    client: agent.sock -> [sidecar] ==tunnels==> server: [sidecar] <- agent.sock
    control: identity.other_roots_file has the root of the agents' authority

Abuse cases W34 and W35."""

import base64
import datetime
import os

from cryptography.hazmat.primitives.asymmetric import ec
from handfast_harness import Mesh, StreamServer, expect, expect_eq, expect_in, identity_of, needs, wait_until
from handfast_harness.certificates import TestAuthority
from handfast_harness.load import Load
from peers import workload
from peers.enrollment import Enrollment
from peers.workload_agent import Agent, x509_svid_response

DEADLINE_S = 240
HOSTS = ("client", "server")
LIFE_S, ECHO, APP, SIDECAR = 8, 9000, 1000, 1337


def _write_roots(story, *authorities):
    temporary = story.roots + ".new"
    with open(temporary, "wb") as file:
        file.write(b"".join(one.root_pem for one in authorities))
    os.chmod(temporary, 0o644)
    os.rename(temporary, story.roots)


def _give(story, name, authority=None, roots=None, **more):
    """A new SVID from the agent; returns it."""
    authority = authority or story.authority
    leaf = authority.leaf(identity_of(name), start=-datetime.timedelta(seconds=1),
                          life=datetime.timedelta(seconds=more.pop("life_s", LIFE_S) + 1))
    story.agents[name].give(x509_svid_response([leaf], roots or [authority.root], **more))
    return leaf


def _serial(leaf):
    return "%x" % leaf.chain[0].serial_number


def _has(story, name, leaf):
    identity = story.mesh.sidecar(name).identity()
    return identity and identity["serial"].lstrip("0") == _serial(leaf)


def _rotate(story, **more):
    """Both get a new SVID, and use it."""
    leaves = {name: _give(story, name, **more) for name in HOSTS}
    for name, leaf in leaves.items():
        wait_until("%s to use its new SVID" % name, lambda: _has(story, name, leaf), 10)
    return leaves


def _conditions(sidecar):
    return {one["name"]: one.get("detail") or "" for one in sidecar.admin("/check")["conditions"]}


def arrange(story):
    folder = story.folder("agents")
    os.chmod(folder, 0o755)
    story.authority = TestAuthority("cluster.local")
    story.roots = os.path.join(story.folder("roots"), "roots.pem")
    _write_roots(story, story.authority)
    sockets = {name: os.path.join(folder, name + ".sock") for name in HOSTS}
    story.agents = {name: story.own(Agent(path)) for name, path in sockets.items()}
    mesh = story.mesh = Mesh(story, hosts=HOSTS, start=False, control={"identity": {"other_roots_file": story.roots}})
    mesh.control.configure(entries=[{"address": address, "identity": identity_of(name)} for name in HOSTS
                                    for address in (mesh.net.hosts[name].ipv4, mesh.net.hosts[name].ipv6)])
    mesh.start_control()
    with open(mesh.control.token(identity_of("another"))) as file:
        pin = base64.urlsafe_b64decode(file.read().strip().split(".")[3] + "=").hex()
    for name in HOSTS:
        _give(story, name, life_s=60)
        mesh.start_sidecar(name, wait=False, token="-", configuration={
            "control": {"bootstrap_root_sha256": pin},
            "identity": {"token_file": None, "source": "workload_api",
                         "workload_api_address": "unix://" + sockets[name]}})
    for name in HOSTS:
        mesh.sidecar(name).wait_until_ready()
    story.own(StreamServer(story, mesh.server, ECHO, "echo"))


def shows_mutual_tls_with_the_agents_identities(story):
    _rotate(story)
    with Load(story.mesh.client, story.mesh.server.ipv4, ECHO, num_clients=1, new_per_second=0) as load:
        load.wait_for_requests(5)
    story.mesh.sidecar("server").wait_for_access(direction="inbound", source_id=identity_of("client"), encrypted=True)
    story.mesh.sidecar("client").wait_for_access(direction="outbound", destination_id=identity_of("server"))
    expect_eq([agent.num_without_header for agent in story.agents.values()], [0, 0], "calls without the header")
    expect_eq(story.mesh.control.metrics()["handfast_control_streams"], 0, "identity streams")


@needs(shows_mutual_tls_with_the_agents_identities)
def shows_that_W34_no_call_fails_across_rotations_restarts_and_bad_answers(story):
    """Each step lasts less than the certificate of that time, so what stays is in use."""
    agents, client = story.agents, story.mesh.sidecar("client")
    with Load(story.mesh.client, story.mesh.server.ipv4, ECHO, num_clients=5, new_per_second=20) as load:
        for _ in range(2):
            _rotate(story)
        _rotate(story, life_s=60)  # agents are waited for
        for agent in agents.values():  # restarted; at first it has no entries, as an agent has that is new
            agent.close()
            agent.refuse(workload.PERMISSION_DENIED)
            agent.open()
        wait_until("the refusal to be named", lambda: "has no identity" in _conditions(client).get(
            "no answer from the Workload API", ""), 10)
        _rotate(story, life_s=3600)  # also the server's, for which the answers that follow take too long
        _bad_answers(story, client)
        leaves = _rotate(story, life_s=60)
        load.wait_for_requests(20)
    expect_eq(load.failures, [], "failures")
    expect_eq([_has(story, name, leaf) for name, leaf in leaves.items()], [True, True], "the last SVIDs are in use")
    expect("no answer from the Workload API" not in _conditions(client), "the condition stayed")
    expect(client.metric("handfast_identity_source_failures_total") > 0, "the failures of the source")


def _bad_answers(story, client):
    """Each is refused with its reason; the identity in use stays."""
    serial, stranger = client.serial(), TestAuthority("cluster.local")
    leaf = story.authority.leaf(identity_of("client"))
    other_domain = TestAuthority("other.test").leaf("spiffe://other.test/x")
    for what, message in (
            ("the key of another certificate", x509_svid_response([leaf], [story.authority.root],
                                                                      key=ec.generate_private_key(ec.SECP256R1()))),
            ("a chain of another authority", x509_svid_response([leaf], [stranger.root])),
            ("another trust domain", x509_svid_response([other_domain], [story.authority.root])),
            ("no message", b"\xff\xff\xff"),
            ("no SVID", b"")):
        before = client.metric("handfast_identity_renewals_total{outcome=\"failed\"}")
        story.agents["client"].give(message)
        wait_until("%s to be refused" % what, lambda: client.metric(
            "handfast_identity_renewals_total{outcome=\"failed\"}") > before, 10)
        expect_eq(client.serial(), serial, "the serial after %s" % what)
        _give(story, "client", life_s=3600)
        wait_until("the next SVID", lambda: client.serial() != serial, 15)
        serial = client.serial()


@needs(shows_mutual_tls_with_the_agents_identities)
def shows_that_a_new_root_is_taken_over_from_the_bundle(story):
    old, new = story.authority, TestAuthority("cluster.local")
    with Load(story.mesh.client, story.mesh.server.ipv4, ECHO, num_clients=2, new_per_second=10) as load:
        _write_roots(story, old, new)
        story.mesh.control.process.wait_for_log("took over the roots of the other authority")
        _rotate(story, roots=[old.root, new.root])
        story.authority = new
        _rotate(story, roots=[old.root, new.root])
        load.wait_for_requests(20)
    expect_eq(load.failures, [], "failures")
    _rotate(story)
    _write_roots(story, new)


@needs(shows_that_a_new_root_is_taken_over_from_the_bundle)
def shows_that_W35_such_an_identity_opens_discovery_alone(story):
    """What gives an identity, a trust state or an address is refused, also to one that is genuine."""
    control, leaf = story.mesh.control, story.authority.leaf(identity_of("client"))
    for path in ("/handfast.v1.Identity/Stream", "/handfast.v1.Identity/FetchJwt"):
        with Enrollment(control.host, control.host.ipv4, leaf) as guest:
            answer = guest.call(path, b"")
            expect_eq((answer.headers.get("grpc-status"), answer.headers.get("grpc-message")),
                      ("7", "the SVID is another authority's, which may use Discovery alone"), "the answer of %s" % path)


def shows_that_an_expired_identity_comes_back_with_the_agent(story):
    """Without a new SVID the last one is used until its end; then the sidecar is not ready, and names the reason."""
    client = story.mesh.sidecar("client")
    leaf = _give(story, "client", life_s=10)
    wait_until("the SVID", lambda: _has(story, "client", leaf), 10)
    story.agents["client"].close()
    wait_until("the missing agent to be named", lambda: "no answer from the Workload API" in _conditions(client), 5)
    expect(client.is_ready(), "not ready although the identity is valid")
    wait_until("the identity to expire", lambda: not client.is_ready(), 20)
    expect_in("the identity has expired", client.probe()[1], "the reason")
    _give(story, "client")
    story.agents["client"].open()
    wait_until("the sidecar to be ready", client.is_ready, 40)
