"""Partners and strangers that misbehave: each partner concerns itself alone, and a stranger costs the bundle endpoint little.

    control ---fetches--- partner: bundle endpoints, each with another fault, and a good one
       |                     stranger: slow and many connections to the control plane's own endpoint
    client [sidecar]

go-spiffe is the other side, too, at both ends; where it cannot be had it is left out, which is printed."""

import json
import os
import time

from handfast_harness import Mesh, TestAuthority, expect, expect_eq, expect_in, needs, wait_until
from handfast_harness.control_plane import CONTROL_UID
from handfast_harness.web_pki import WebPki
from peers import others
from peers.bundle_endpoint import BundleEndpoint, jwks

DEADLINE_S = 900  # go-spiffe is built at the first run
PORT, FIRST, GO = 15013, 9100, 9300


def _endless(conn):
    conn.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        conn.sendall(b" " * 16384)


def _slow(conn):
    conn.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    for _ in range(30):
        conn.sendall(b" ")
        time.sleep(0.5)  # duration: a server that sends slowly


def _faults(own_root):
    """{trust domain: (what its endpoint is, what the operator reads)}; the endpoint is otherwise right."""
    strange = TestAuthority("c.test").root
    return {
        "a.test": (dict(body=jwks([own_root], 9)), "root"),
        "b.test": (dict(body=b"no json"), "not JSON"),
        "c.test": (dict(body=jwks([strange], 9, more=[{"kty": "EC", "use": "x509-svid", "x5c": []}])), "x5c"),
        "d.test": (dict(body=jwks([], 3)), "sequence 3 after 5"),
        "e.test": (dict(answer=_endless), "longer"),
        "f.test": (dict(answer=_slow), "too slowly"),
        "g.test": (dict(answer=b"HTTP/1.1 302 Found\r\nLocation: https://127.0.0.1/\r\nContent-Length: 0\r\n\r\n"), "status 302"),
        "h.test": (dict(answer=b"SSH-2.0-x\r\n\r\n"), "does not speak HTTP"),
        "i.test": (dict(path="workload"), "the peer is"),
        "j.test": (dict(web="bundle.example"), "is not for"),
    }


class _WebIdentity:
    """A certificate for that name."""

    def __init__(self, pki, name):
        pki.issue("bundle", [name])
        self._paths = pki.path("bundle.crt"), pki.path("bundle.key")

    def write(self, _):
        return self._paths


def _own(story, name, content):
    """A file that the control plane reads: in a folder that it has at its start."""
    path = os.path.join(os.path.dirname(story.control.socket), name)
    with open(path, "wb") as file:
        file.write(content)
    os.chown(path, CONTROL_UID, CONTROL_UID)
    return path


def _partner(story, domain, port):
    """https_spiffe with a first bundle of sequence 5: the endpoint is genuine but for what it does."""
    path = _own(story, domain + ".json", jwks([story.authorities[domain].root], 5))
    return {"trust_domain": domain, "url": "https://%s:%d/" % (story.mesh.partner.ipv4, port), "profile": "https_spiffe",
            "endpoint_spiffe_id": "spiffe://%s/endpoint" % domain, "bundle_file": path}


def arrange(story):
    mesh = story.mesh = Mesh(story, hosts=("client",), outsiders=("partner", "stranger"), leaf_ttl="10m",
                             control={"federation": {"port": PORT, "refresh_hint": "5s", "refresh_min": "1s"}})
    story.control = mesh.control
    story.faults = _faults(TestAuthority.of(story.control).root)
    domains = [*story.faults, "good.test"]
    story.authorities = {domain: TestAuthority(domain) for domain in domains}
    story.endpoints, partners = {}, []
    pki = WebPki(story.folder("pki"), "web-ca")
    ca = _own(story, "ca.crt", open(pki.path("ca.crt"), "rb").read())
    for number, domain in enumerate(domains):
        what = dict(story.faults.get(domain, ({},))[0])
        web, path = what.pop("web", None), what.pop("path", "endpoint")
        identity = _WebIdentity(pki, web) if web else story.authorities[domain].leaf("spiffe://%s/%s" % (domain, path))
        story.endpoints[domain] = story.own(BundleEndpoint(mesh.partner, FIRST + number, identity, **what))
        partners.append(_partner(story, domain, FIRST + number))
        if web:
            partners[-1].update(profile="https_web", endpoint_spiffe_id=None, ca=ca)
    story.endpoints["good.test"].body = jwks([story.authorities["good.test"].root], 6)
    story.control.reload({"federation": {"partners": partners}})


def _list(story):
    rows = json.loads(story.control.run("federation", "list", "--output", "json").stdout)["partners"]
    return {row["trust_domain"]: row for row in rows}


def _sidecar_bundles(story):
    return {bundle["trust_domain"]: len(bundle["roots"]) for bundle in story.mesh.sidecar("client").admin("/certs")["bundles"]}


def shows_that_each_faulty_partner_keeps_its_bundle_and_its_operator_reads_why(story):
    def reports(domain, text):
        row = _list(story).get(domain, {})
        return text in row.get("trouble", {}).get("got", "")
    for domain, (_, text) in story.faults.items():
        wait_until("the trouble of %s: %s" % (domain, text), lambda: reports(domain, text), 60, 0.2)
    rows = _list(story)
    for domain in story.faults:
        expect_eq((rows[domain]["sequence"], len(rows[domain]["roots"])), (5, 1), "the bundle of %s in use" % domain)
    expect_eq(story.control.metrics()["handfast_control_condition{name=\"federation\"}"], len(story.faults), "the condition")
    expect(story.control.metrics()["handfast_control_federation_failures_total"] >= len(story.faults), "the failures")
    for domain in story.faults:
        of = "handfast_control_federation_partner_%%s{trust_domain=\"%s\"}" % domain
        expect(story.control.metrics()[of % "failures_total"] > 0, "the failures of %s" % domain)
        expect_eq(story.control.metrics()[of % "sequence"], 5, "the sequence of %s" % domain)


def shows_that_the_good_partner_notices_nothing(story):
    wait_until("the newer bundle of good.test", lambda: _list(story)["good.test"].get("sequence") == 6, 30, 0.2)
    expect("trouble" not in _list(story)["good.test"], "the good partner is in trouble")
    wait_until("all bundles at the sidecar", lambda: len(_sidecar_bundles(story)) == len(story.faults) + 2, 30, 0.2)
    expect_eq(_sidecar_bundles(story)["cluster.local"], 1, "the roots of the own trust domain")


@needs(shows_that_each_faulty_partner_keeps_its_bundle_and_its_operator_reads_why)
def shows_that_an_operator_takes_an_older_sequence_and_an_empty_bundle_withdraws_all(story):
    """What d.test publishes is trust in nothing."""
    story.control.run("federation", "refresh", "d.test", "--any-sequence")
    row = json.loads(story.control.run("federation", "show", "d.test", "--output", "json").stdout)
    expect_eq((row["sequence"], [root["retired"] for root in row["roots"]]), (3, [True]), "the bundle of d.test")
    wait_until("the sidecar to trust nothing of it", lambda: _sidecar_bundles(story)["d.test"] == 0, 20, 0.2)
    refused = story.control.run("federation", "refresh", "x.test", check=False)
    expect_in("no partner has this trust domain", refused.stderr, "the command line")


def shows_that_a_bundle_is_imported_by_hand(story):
    path = os.path.join(story.control.folder, "import.json")
    with open(path, "wb") as file:
        file.write(jwks([story.authorities["b.test"].root, TestAuthority("b.test").root], 50))
    story.control.run("federation", "import", "b.test", "--file", path)
    expect_eq(len(_list(story)["b.test"]["roots"]), 2, "the roots of b.test")
    with open(path, "wb") as file:
        file.write(jwks([TestAuthority.of(story.control).root], 51))
    refused = story.control.run("federation", "import", "b.test", "--file", path, check=False)
    expect(refused.returncode != 0, "a bundle with the own root is taken")
    expect_eq(len(_list(story)["b.test"]["roots"]), 2, "the roots of b.test afterward")


def shows_that_go_spiffe_fetches_our_bundle_and_we_fetch_one_of_it(story):
    go, mesh, authority = others.go_spiffe(), story.mesh, TestAuthority("go.test")
    if not go:
        return
    folder = story.folder("go")
    ours, theirs = os.path.join(folder, "ours.json"), jwks([authority.root], 7)
    with open(ours, "w") as file:
        file.write(story.control.run("federation", "bundle").stdout)
    done = mesh.stranger.run([go, "bundle", "cluster.local", "https://%s:%d/" % (story.control.host.ipv4, PORT),
                              "spiffe://cluster.local/handfast/federation", ours])
    fetched = json.loads(done.stdout)
    expect_eq((fetched["roots"], fetched["hint"]), (1, 5), "what go-spiffe fetches")
    expect_eq(fetched["sequence"], json.loads(open(ours).read())["spiffe_sequence"], "the sequence")
    chain, key = authority.leaf("spiffe://go.test/endpoint").write(folder)
    first = _own(story, "go.json", theirs)
    server = story.spawn(mesh.partner, "go_bundle", [go, "bundle-serve", "go.test", "0.0.0.0:%d" % GO, chain, key, first])
    server.wait_until("it to listen", lambda: "listening" in server.log(), 20)
    partners = story.control.settings["federation"]["partners"]
    story.control.reload({"federation": {"partners": partners + [{
        "trust_domain": "go.test", "url": "https://%s:%d/" % (mesh.partner.ipv4, GO), "profile": "https_spiffe",
        "endpoint_spiffe_id": "spiffe://go.test/endpoint", "bundle_file": first}]}})
    wait_until("a good fetch of go.test", lambda: (row := _list(story).get("go.test", {})).get("fetches", 0) > row.get("failures", 0), 15, 0.2)
    expect("trouble" not in _list(story)["go.test"], "go.test is in trouble")


def _page(story, *words):
    return story.mesh.stranger.run(["curl", "-sSk", "-m", "8", *words, "https://%s:%d/" % (story.control.host.ipv4, PORT)],
                                   check=False)


def shows_that_strangers_do_not_keep_others_from_the_bundle(story):
    """100 connections that send nothing, then 100 in the middle of a handshake or of a request."""
    first = bytes.fromhex("160301")
    socks = []
    try:
        for number in range(100):
            socks.append(story.mesh.partner.connect(story.control.host.ipv4, PORT))
            if number % 2:
                socks[-1].sendall(first)
        began = time.monotonic()
        bundle = json.loads(_page(story).stdout)
        expect_eq(len(bundle["keys"]), 1, "the bundle")
        expect(time.monotonic() - began < 3, "it took %.1f s" % (time.monotonic() - began))
    finally:
        for sock in socks:
            sock.close()
    for words, part in ((("-X", "POST"), "only GET"), (("-H", "X: " + "a" * 9000,), "too large"), (("--http2",), "keys"),
                        (("-i", "-X", "POST"), "405 Method Not Allowed")):
        expect_in(part, _page(story, *words).stdout, "the answer to %s" % (words[0],))
    other = story.mesh.stranger.run(["curl", "-sSk", "https://%s:%d/other" % (story.control.host.ipv4, PORT)]).stdout
    expect_in("the bundle is at /", other, "another path")


def shows_that_openssl_gets_the_svid_of_the_endpoint_and_no_older_tls(story):
    command = "echo | openssl s_client -connect %s:%d -showcerts %s 2>&1"
    at = (story.control.host.ipv4, PORT)
    text = story.mesh.stranger.run(["bash", "-c", command % (*at, "| openssl x509 -noout -ext subjectAltName")]).stdout
    expect_in("URI:spiffe://cluster.local/handfast/federation", text, "the certificate")
    expect_in("alert protocol version", story.mesh.stranger.run(["bash", "-c", command % (*at, "-tls1_2")], check=False).stdout,
              "the answer to TLS 1.2")
    expect_eq(json.loads(story.control.run("federation", "bundle").stdout), json.loads(_page(story).stdout), "the exported bundle")
