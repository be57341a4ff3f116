"""Two meshes with a trust domain each exchange their bundles by SPIFFE bundle endpoints, and their workloads call each other.
The partner rotates its root under load, and is removed at the end. Each finds the other by a name of the DNS.

    control (cluster.local) --https_web--> control2 (partner.test)
       |                    <-https_spiffe--    |
    client [sidecar] <=======tunnels======> [sidecar] server"""

import json
import os
import shutil
import time

from handfast_harness import Mesh, StreamServer, TestAuthority, expect, expect_eq, expect_in, identity_of, needs, stream, wait_until
from handfast_harness.control_plane import ControlPlane, private_file
from handfast_harness.load import Load
from handfast_harness.name_server import NameServer
from handfast_harness.sidecar import Sidecar
from handfast_harness.web_pki import WebPki
from peers import hbone, tls, workload
from peers.enrollment import field, fields

DEADLINE_S = 240
PORT = 15013
PARTNER = "partner.test"
FOREIGN = "spiffe://%s/ns/default/sa/server" % PARTNER
FEDERATION = {"port": PORT, "refresh_hint": "3s", "refresh_min": "1s"}


def _own(control, name, content):
    """A file that this control plane reads: in a folder that it has at its start."""
    return private_file(os.path.join(os.path.dirname(control.socket), name), content)


NAMES = {"control": "bundle.mesh.test", "control2": "bundle.partner.test"}


class _OwnEtc:
    """The same host, with an /etc of its own in which a file can be replaced by another, as DHCP clients do."""

    def __init__(self, story, host):
        self._host, self.folder = host, story.folder("etc")
        shutil.copytree("/etc", self.folder, symlinks=True, dirs_exist_ok=True)
        for name in os.listdir("/etc/netns/" + host.netns):
            self.replace(name, open("/etc/netns/%s/%s" % (host.netns, name)).read())

    def __getattr__(self, name):
        return getattr(self._host, name)

    def replace(self, name, content):
        path = os.path.join(self.folder, name)
        with open(path + ".new", "w") as file:
            file.write(content)
        os.rename(path + ".new", path)

    def argv(self, argv, *user):
        words = self._host.argv(argv, *user)
        return words[:4] + ["bash", "-c", 'mount --bind "$0" /etc && exec "$@"', self.folder] + words[4:]


APP, AUDIENCE = 1000, "https://shop.test/carts"


def _allow(own, foreign):
    return {"workloads": [{"identity": own, "rules": [{"name": "partner", "sources": [{"id": foreign}]}]}]}


def arrange(story):
    folder = story.folder("sockets")
    os.chmod(folder, 0o777)
    story.sockets = {name: os.path.join(folder, name) for name in ("client", "server")}
    api = {name: {"workload_api": {"socket": path, "uids": [APP]}} for name, path in story.sockets.items()}
    mesh = story.mesh = Mesh(story, hosts=("client",), outsiders=("control2", "server", "raw", "dns"), leaf_ttl="10m", start=False,
                             sidecars=api)
    hosts = mesh.net.hosts
    NameServer(story, mesh.net, mesh.dns, {NAMES[name]: hosts[name].ipv4 for name in NAMES})
    mesh.control.host = story.etc = _OwnEtc(story, mesh.control.host)
    story.control, story.other = mesh.control, ControlPlane(story, hosts["control2"], mesh.control.settings, name="control2")
    story.control.configure({"federation": FEDERATION, "entries": [{"address": hosts["server"].ipv4, "identity": FOREIGN}],
                             "policy": _allow(identity_of("client"), FOREIGN)})
    story.pki = WebPki(story.folder("pki"), "web-ca")
    story.pki.issue("bundle", [NAMES["control2"]])
    certificate, key = (_own(story.other, name, open(story.pki.path(name)).read()) for name in ("bundle.crt", "bundle.key"))
    story.other.configure({"state_dir": story.other.state, "operator_socket": story.other.socket, "trust_domain": PARTNER,
                           "federation": {**FEDERATION, "certificate": certificate, "key": key}, "policy": _allow(FOREIGN, identity_of("client")),
                           "entries": [{"address": hosts["client"].ipv4, "identity": identity_of("client")}]})
    for control in (story.control, story.other):
        control.start()
    mesh.start_sidecar("client", wait=False)
    story.server = Sidecar(story, hosts["server"], FOREIGN, story.other.addresses, story.other.token(FOREIGN),
                           api["server"]).intercept()
    story.server.launch()
    for sidecar in (mesh.sidecar("client"), story.server):
        sidecar.wait_until_ready()
    for host in (hosts["client"], hosts["server"]):
        story.own(StreamServer(story, host, 9000, "echo"))


def _call(source, target):
    try:
        with source.connect(target.ipv4, 9000, uid=1000) as sock:
            sock.sendall(b"hello")
            return stream.receive_exactly(sock, 5) == b"hello"
    except (OSError, EOFError):
        return False


def _page(control, *words):
    return control.host.run(["curl", "-sSk", *words, "https://%s:%d/" % (control.host.ipv4, PORT)]).stdout


def _federate(control, other, **more):
    control.reload({"federation": {"partners": [{
        "trust_domain": other.settings["trust_domain"], "url": "https://%s:%d/" % (NAMES[other.name], PORT), **more}]}})


def shows_that_a_foreign_trust_domain_is_refused_at_first(story):
    expect(not _call(story.mesh.client, story.mesh.server), "a call without federation")


def shows_that_workloads_of_both_call_each_other(story):
    for control in (story.control, story.other):
        wait_until("the bundle of %s" % control.name, lambda: "keys" in _page(control), 10)
    bundle = json.loads(_page(story.control))
    expect_eq((len(bundle["keys"]), bundle["keys"][0]["use"], bundle["spiffe_refresh_hint"]), (1, "x509-svid", 3), "the bundle")
    _federate(story.control, story.other, profile="https_web", ca=_own(story.control, "ca.crt", open(story.pki.path("ca.crt")).read()))
    _federate(story.other, story.control, profile="https_spiffe", bundle_file=_own(story.other, "partner.json", _page(story.control)))
    wait_until("a call to the partner", lambda: _call(story.mesh.client, story.mesh.server), 30, 0.2)
    wait_until("a call of the partner", lambda: _call(story.mesh.server, story.mesh.client), 30, 0.2)


@needs(shows_that_workloads_of_both_call_each_other)
def shows_that_rules_judge_foreign_identities_and_by_default_none_may(story):
    """The rule names one identity of the partner; another one of it is refused."""
    for name, status in (("client", 200), ("other", 401)):
        leaf = TestAuthority.of(story.control).leaf(identity_of(name))
        with hbone.Client(story.mesh.raw, story.mesh.server.ipv4, leaf) as peer:
            expect_eq(peer.connect("%s:9000" % story.mesh.server.ipv4).status, status, "the answer to %s" % name)


@needs(shows_that_workloads_of_both_call_each_other)
def shows_that_a_foreign_identity_is_refused_at_the_control_plane(story):
    leaf = TestAuthority.of(story.control).leaf(identity_of("client"))
    try:
        with hbone.Client(story.mesh.raw, story.other.host.ipv4, leaf, port=15012):
            expect(False, "the partner's control plane accepts it")
    except tls.Refused:
        pass
    story.other.process.wait_for_log("of a partner")


@needs(shows_that_workloads_of_both_call_each_other)
def shows_that_the_application_gets_the_partners_bundle_and_validates_its_tokens(story):
    server, client = (story.own(workload.Client(getattr(story.mesh, name), story.sockets[name], uid=APP)) for name in ("server", "client"))
    bundles = workload.bundles(client.call("FetchX509SVID").message(), 3)
    expect_eq(list(bundles), ["spiffe://" + PARTNER], "the federated bundles")
    call = server.call("FetchJWTSVID", field(1, AUDIENCE.encode()))
    token = dict(fields(dict(fields(call.message()))[1]))[2]
    validate = lambda: client.call("ValidateJWTSVID", field(1, AUDIENCE.encode()) + field(2, token))
    wait_until("the partner's key at the client", lambda: validate().end()[0] == workload.OK, 10, 0.2)
    expect_eq(dict(fields(validate().message()))[1].decode(), FOREIGN, "whose token it is")


@needs(shows_that_workloads_of_both_call_each_other)
def shows_that_a_rotation_of_the_partners_root_fails_no_call(story):
    with story.mesh.client.connect(story.mesh.server.ipv4, 9000, uid=1000) as standing:
        with Load(story.mesh.client, story.mesh.server.ipv4, 9000, num_clients=5, new_per_second=10) as load:
            story.other.run("ca", "rotate")
            # its sidecar confirms at once; partners are no sidecars
            wait_until("partners alone to be waited for", lambda: (now := json.loads(story.other.run(
                "ca", "status", "--output", "json").stdout))["num_waited"] == 0 and now["partners_until"] != "-" and
                       now["phase"] == "publishing", 5, 0.1)
            expect_in("waiting for 0 sidecars, and until", story.other.run("ca", "status").stdout, "the status")
            wait_until("the end of the rotation", lambda: json.loads(
                story.other.run("ca", "status", "--output", "json").stdout)["phase"] == "none", 40, 0.5)
            load.wait_for_requests(100)
        standing.sendall(b"hello")
        expect_eq(stream.receive_exactly(standing, 5), b"hello", "on a connection below the former root")
    expect_eq(load.failures, [], "failures")


@needs(shows_that_workloads_of_both_call_each_other)
def shows_its_metrics(story):
    metrics, now = story.control.metrics(), time.time()
    expect_eq(metrics["handfast_control_federation_partners"], 1, "partners")
    expect(metrics["handfast_control_federation_fetches_total"] > 0, "fetches")
    expect(now - 60 < metrics["handfast_control_federation_oldest_success_timestamp_seconds"] < now + 1, "the last good fetch")
    expect(metrics["handfast_control_federation_roots_expiry_timestamp_seconds"] > now, "the end of the partner's roots")
    expect(metrics["handfast_control_federation_sequence"] > 0, "the sequence of its own bundle")
    expect(metrics["handfast_control_federation_bundles_served_total"] > 0, "bundles served")
    of = lambda name: metrics["handfast_control_federation_partner_%s{trust_domain=\"%s\"}" % (name, PARTNER)]
    expect(now - 60 < of("success_timestamp_seconds") < now + 1, "the last good fetch of this partner")
    expect(of("roots_expiry_timestamp_seconds") > now, "the end of its roots")
    expect(of("sequence") > 0, "the sequence of its bundle")
    in_server = story.other.metrics()
    expect("handfast_control_federation_partner_sequence{trust_domain=\"cluster.local\"}" in in_server, "a row of the partner's")


@needs(shows_that_workloads_of_both_call_each_other)
def shows_that_names_are_resolved_after_resolv_conf_was_replaced(story):
    """The process may open the file of its start alone (Landlock); the servers that this one named stay in use."""
    story.etc.replace("resolv.conf", "nameserver %s\n" % story.mesh.raw.ipv4)
    refreshed = json.loads(story.control.run("federation", "refresh", PARTNER, "--output", "json").stdout)
    expect(refreshed["acknowledged"] == refreshed["connected_sidecars"] > 0, "sidecars with the refreshed bundle: %s" % refreshed)
    row = json.loads(story.control.run("federation", "list", "--output", "json").stdout)["partners"][0]
    expect("trouble" not in row, "the partner is in trouble: %s" % row)


@needs(shows_that_workloads_of_both_call_each_other)
def shows_that_a_removed_partners_connections_end_within_2_s(story):
    with story.mesh.client.connect(story.mesh.server.ipv4, 9000, uid=1000) as standing:
        standing.sendall(b"hello")
        expect_eq(stream.receive_exactly(standing, 5), b"hello", "the answer before")
        standing.settimeout(0.05)
        began = time.monotonic()
        story.control.reload({"federation": {"partners": None}})
        wait_until("the end of the connection", lambda: stream.is_cut(standing), 2, 0.02)
        print("ended after %.2f s" % (time.monotonic() - began))
    expect(not _call(story.mesh.client, story.mesh.server), "a call afterward")
