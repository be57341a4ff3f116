"""SPIRE's own server and agents: their SVIDs are the identities of two sidecars (identity.source: workload_api), and their
trust domain federates with a mesh whose control plane issues. All go on calling each other while SPIRE rotates.

    client: agent -> [sidecar] ==tunnels==> server: [sidecar] <- agent           cluster.local: SPIRE issues
    client, server <==tunnels==> partner: [sidecar] <- control2                   mesh.test: the control plane issues
    spire (bundle endpoint) <--https_spiffe, then https_web--> control2 (bundle endpoint)

Where SPIRE cannot be had it is left out, which is printed."""

import base64
import contextlib
import json
import os

from handfast_harness import Mesh, StreamServer, expect, expect_eq, identity_of, needs, stream, wait_until
from handfast_harness.control_plane import CONTROL_UID, SIDECAR_UID, ControlPlane
from handfast_harness.load import Load
from handfast_harness.sidecar import Sidecar
from handfast_harness.web_pki import WebPki
from peers import others, spire

DEADLINE_S = 1200  # SPIRE is built at the first run
HOSTS, ECHO, PORT = ("client", "server"), 9000, 15013
MESH, SPIRE = "mesh.test", "cluster.local"
PARTNER = "spiffe://%s/ns/default/sa/partner" % MESH
SOURCES = [{"trust_domain": SPIRE}, {"id": PARTNER}]


def _write(path, text, uid=0):
    with open(path + ".new", "w") as file:
        file.write(text)
    os.chmod(path + ".new", 0o600 if uid else 0o644)
    os.chown(path + ".new", uid, uid)
    os.rename(path + ".new", path)
    return path


def _own(control, name, text):
    """A file that this control plane reads: in a folder that it has at its start."""
    return _write(os.path.join(os.path.dirname(control.socket), name), text, CONTROL_UID)


def _write_roots(story):
    _write(story.roots, story.spire.run("bundle", "show").stdout)


def _start_control2(story, hosts):
    story.other = ControlPlane(story, hosts["control2"], story.mesh.control.settings, name="control2")
    story.other.configure({"identity": {"other_roots_file": None}, "state_dir": story.other.state,
                           "operator_socket": story.other.socket, "trust_domain": MESH,
                           "federation": {"port": PORT, "refresh_hint": "60s", "refresh_min": "1s"}},
                          entries=[{"address": hosts[name].ipv4, "identity": identity_of(name)} for name in HOSTS],
                          policy={"workloads": [{"identity": PARTNER, "rules": [{"name": "spire", "sources": SOURCES}]}]})
    story.other.start()
    bundle = lambda: story.other.run("federation", "bundle").stdout
    wait_until("the bundle of control2", lambda: "keys" in bundle(), 10)
    return bundle()


def _profile(story, profile):
    """How each side asks the other's bundle endpoint."""
    web = profile == "https_web"
    partner = {"trust_domain": SPIRE, "url": "https://spire:%d/" % spire.BUNDLE, "profile": profile}
    partner.update({"ca": story.ca} if web else {
        "endpoint_spiffe_id": "spiffe://%s/spire/server" % SPIRE, "bundle_file": story.spire_bundle})
    more = [] if web else ["-endpointSpiffeID", "spiffe://%s/handfast/federation" % MESH, "-trustDomainBundleFormat", "spiffe",
                           "-trustDomainBundlePath", story.mesh_bundle]
    story.spire.run("federation", "update" if web else "create", "-trustDomain", MESH, "-bundleEndpointURL",
                    "https://control2:%d/" % PORT, "-bundleEndpointProfile", profile, *more)
    return {"federation": {"partners": [partner]}}


def _start_sidecars(story, hosts):
    with open(story.mesh.control.token(identity_of("another"))) as file:
        pin = base64.urlsafe_b64decode(file.read().strip().split(".")[3] + "=").hex()
    for name in HOSTS:
        story.mesh.start_sidecar(name, wait=False, token="-", configuration={
            "control": {"bootstrap_root_sha256": pin},
            "identity": {"token_file": None, "source": "workload_api",
                         "workload_api_address": "unix://" + story.agents[name].socket}})
    story.partner = Sidecar(story, hosts["partner"], PARTNER, story.other.addresses, story.other.token(PARTNER)).intercept()
    story.partner.launch()
    for sidecar in (*story.mesh.sidecars.values(), story.partner):
        sidecar.wait_until_ready(30)


def arrange(story):
    story.programs = others.spire()
    if not story.programs:
        return
    mesh = story.mesh = Mesh(story, hosts=HOSTS, outsiders=("spire", "control2", "partner"), leaf_ttl="1m", start=False)
    hosts = mesh.net.hosts
    pki = WebPki(story.folder("pki"), "web-ca")
    for name in ("spire", "control2"):
        pki.issue(name, [name])
    mesh_bundle = _start_control2(story, hosts)
    story.spire = spire.Server(story, mesh.spire, SPIRE, story.programs)
    story.spire.environment = {"SSL_CERT_FILE": pki.path("ca.crt")}
    story.spire.start()
    story.web = '"https_web" { serving_cert_file { cert_file_path = "%s" key_file_path = "%s" file_sync_interval = "1h" } }' % (
        pki.path("spire.crt"), pki.path("spire.key"))
    story.certificate, story.key, story.ca = (_own(story.other, name, open(pki.path(name)).read())
                                              for name in ("control2.crt", "control2.key", "ca.crt"))
    story.mesh_bundle = _write(os.path.join(story.spire.folder, "mesh.json"), mesh_bundle)
    story.spire_bundle = _own(story.other, "spire.json", story.spire.run("bundle", "show", "-format", "spiffe").stdout)
    story.other.reload(_profile(story, "https_spiffe"))
    story.agents = {name: spire.Agent(story.spire, name, SIDECAR_UID).start() for name in HOSTS}
    story.entries = {name: _entry(story, name) for name in HOSTS}
    story.roots = os.path.join(story.folder("roots"), "roots.pem")
    _write_roots(story)
    mesh.control.configure({"identity": {"other_roots_file": story.roots}}, entries=[
        *({"address": hosts[name].ipv4, "identity": identity_of(name)} for name in HOSTS),
        {"address": hosts["partner"].ipv4, "identity": PARTNER}],
        policy={"workloads": [{"identity": identity_of("server"), "rules": [{"name": "both", "sources": SOURCES}]}]})
    mesh.start_control()
    _start_sidecars(story, hosts)
    for host in (mesh.server, mesh.partner):
        story.own(StreamServer(story, host, ECHO, "echo"))


def _entry(story, name):
    return story.spire.entry(identity_of(name), story.agents[name], "spiffe://" + MESH)


@contextlib.contextmanager
def _load(story):
    """Within the trust domain, out of it and into it; no call of it fails."""
    mesh = story.mesh
    with contextlib.ExitStack() as stack:
        loads = [stack.enter_context(Load(source, target.ipv4, ECHO, num_clients=2, new_per_second=10)) for source, target in (
            (mesh.client, mesh.server), (mesh.client, mesh.partner), (mesh.partner, mesh.server))]
        yield
        for load in loads:
            load.wait_for_requests(10)
    expect_eq([load.failures for load in loads], [[], [], []], "failures")


def _serials(story):
    return {name: story.mesh.sidecar(name).serial() for name in HOSTS}


def _wait_for_new_svids(story):
    before = _serials(story)
    wait_until("new SVIDs of both", lambda: all(now != before[name] for name, now in _serials(story).items()), 25, 0.1)


def _calls(source, target):
    with contextlib.suppress(OSError, EOFError), source.connect(target.ipv4, ECHO, uid=1000) as sock:
        sock.sendall(b"hello")
        return stream.receive_exactly(sock, 5) == b"hello"
    return False


def _refresh(story):
    """Each fetches the other's bundle now."""
    story.other.run("federation", "refresh", SPIRE)
    story.spire.run("federation", "refresh", "-id", "spiffe://" + MESH)


def shows_that_spires_identities_and_the_meshs_call_each_other(story):
    if not story.programs:
        return
    mesh = story.mesh
    for source, target in ((mesh.client, mesh.server), (mesh.client, mesh.partner), (mesh.partner, mesh.server)):
        wait_until("%s to call %s" % (source.name, target.name), lambda: _calls(source, target), 15, 0.2)
    log = mesh.sidecar("server").wait_for_access
    log(direction="inbound", source_id=identity_of("client"), encrypted=True)
    log(direction="inbound", source_id=PARTNER, encrypted=True)
    story.partner.wait_for_access(direction="inbound", source_id=identity_of("client"), encrypted=True)
    _refresh(story)
    expect_eq(mesh.control.metrics()["handfast_control_streams"], 0, "identity streams")


@needs(shows_that_spires_identities_and_the_meshs_call_each_other)
def shows_that_no_call_fails_while_spire_rotates_its_svids_and_its_ca(story):
    if not story.programs:
        return
    server = story.spire
    with _load(story):
        _wait_for_new_svids(story)
        for agent in story.agents.values():
            agent.kill()
            agent.start()
        _wait_for_new_svids(story)
        server.authority("prepare")
        _write_roots(story)
        of = lambda: json.loads(story.other.run("federation", "show", SPIRE, "--output", "json").stdout)
        wait_until("the next root at control2", lambda: len(of()["roots"]) == 2, 10, 0.2)
        wait_until("the next root at all sidecars", lambda: all(_num_roots(one) == 2 for one in _sidecars(story)), 10, 0.2)
        ids = server.authorities()
        server.authority("activate", ids["prepared"])
        server.authority("taint", ids["active"])  # the agents ask for new SVIDs at once
        _wait_for_new_svids(story)
    story.former = ids["active"]


def _sidecars(story):
    return [*story.mesh.sidecars.values(), story.partner]


def _num_roots(sidecar, domain=SPIRE):
    return sum(len(bundle["roots"]) for bundle in sidecar.admin("/certs")["bundles"] if bundle["trust_domain"] == domain)


@needs(shows_that_spires_identities_and_the_meshs_call_each_other)
def shows_that_both_use_https_web_after_a_restart_under_load(story):
    if not story.programs:
        return
    with _load(story):
        story.spire.kill()
        story.spire.start(story.web)
        story.other.configure({"federation": {"certificate": story.certificate, "key": story.key}})
        story.other.configure(_profile(story, "https_web"))
        story.other.restart()
        _refresh(story)
        _wait_for_new_svids(story)


@needs(shows_that_no_call_fails_while_spire_rotates_its_svids_and_its_ca)
def shows_that_calls_go_on_below_the_new_root_when_the_former_one_is_gone(story):
    """Once the agents themselves have certificates of the new root, as SPIRE asks for."""
    if not story.programs:
        return
    for agent in story.agents.values():
        wait_until("the agent's own SVID", lambda: "Successfully rotated agent SVID" in agent.process.log(), 10, 0.2)
    story.spire.authority("revoke", story.former)
    _write_roots(story)
    wait_until("the former root to be gone", lambda: all(_num_roots(one) == 1 for one in story.mesh.sidecars.values()), 10, 0.2)
    with _load(story):
        pass


@needs(shows_that_spires_identities_and_the_meshs_call_each_other)
def shows_that_a_deleted_entry_is_named_and_the_identity_comes_back(story):
    if not story.programs:
        return
    client = story.mesh.sidecar("client")
    conditions = lambda: {one["name"]: one.get("detail") or "" for one in client.admin("/check")["conditions"]}
    story.spire.run("entry", "delete", "-entryID", story.entries["client"])
    wait_until("the deleted entry to be named", lambda: "has no identity" in conditions().get(
        "no answer from the Workload API", ""), 15, 0.2)
    _entry(story, "client")
    wait_until("the condition to end", lambda: "no answer from the Workload API" not in conditions(), 15, 0.2)
    expect(client.is_ready(), "the sidecar is not ready")


@needs(shows_that_a_deleted_entry_is_named_and_the_identity_comes_back)
def shows_that_a_relationship_that_spire_ends_ends_its_connections(story):
    if not story.programs:
        return
    mesh = story.mesh
    with mesh.client.connect(mesh.partner.ipv4, ECHO, uid=1000) as standing:
        standing.sendall(b"hello")
        expect_eq(stream.receive_exactly(standing, 5), b"hello", "the answer before")
        standing.settimeout(0.05)
        story.spire.run("federation", "delete", "-id", "spiffe://" + MESH)
        story.spire.run("bundle", "delete", "-id", "spiffe://" + MESH, "-mode", "dissociate")
        wait_until("the end of the connection", lambda: stream.is_cut(standing), 10, 0.05)
    expect(not _calls(mesh.client, mesh.partner), "a call to the partner afterward")
    wait_until("the other agent to take the bundle back", lambda: not _calls(mesh.partner, mesh.server), 10, 0.2)
    expect(_calls(mesh.client, mesh.server), "a call within the trust domain")
    mesh.sidecar("client").wait_for_access(direction="outbound", destination_id=PARTNER, reason="withdrawn")
