"""A mesh whose sidecars take their identity from an Istio CA, for the stories that show it: two hosts with projected
tokens and roots, and an echo server on one of them. The CA is the caller's: istio_ca.IstioCa, or Istio's own."""

import base64
import os

from handfast_harness import Mesh, StreamServer, expect_eq, identity_of
from handfast_harness.load import Load
from . import istio_ca

HOSTS, ECHO, LIFE_S = ("client", "server"), 9000, 10


def write(path, text):
    """As the kubelet replaces what it projects: another file under the name."""
    with open(path + ".new", "w") as file:
        file.write(text)
    os.chmod(path + ".new", 0o644)
    os.rename(path + ".new", path)


def give_token(story, name, **more):
    text = istio_ca.token(name, **more)
    write(story.tokens[name], text)
    return text


def conditions(sidecar):
    return {one["name"]: one.get("detail") or "" for one in sidecar.admin("/check")["conditions"]}


def source_failure(sidecar):
    """The detail of the condition; "": there is none."""
    return conditions(sidecar).get("no answer from the Istio CA", "")


def settings_of(story, name, ca, pin):
    """Of a sidecar whose identity comes from this CA."""
    return {"control": {"bootstrap_root_sha256": pin}, "identity": {
        "token_file": None, "source": "istio_ca", "istio_address": "%s:%d" % (ca.host.ipv4, istio_ca.PORT),
        "istio_server_name": istio_ca.NAME, "istio_root_file": story.roots, "istio_token_file": story.tokens[name],
        "istio_ttl": "%ds" % LIFE_S}}


def arrange(story, make_ca):
    """Both sidecars, and the CA that make_ca(story, host) starts. Returns what it sets: mesh, ca, tokens, roots."""
    mesh = story.mesh = Mesh(story, hosts=HOSTS, outsiders=("istiod",), start=False)
    story.ca = story.own(make_ca(story, mesh.net.hosts["istiod"]))
    folder = story.folder("projected")
    os.chmod(folder, 0o755)
    story.roots = os.path.join(folder, "root-cert.pem")
    story.tokens = {name: os.path.join(folder, name) for name in HOSTS}
    write(story.roots, story.ca.root())
    mesh.control.configure({"identity": {"other_roots_file": story.roots}},
                           entries=[{"address": address, "identity": identity_of(name)} for name in HOSTS
                                    for address in (mesh.net.hosts[name].ipv4, mesh.net.hosts[name].ipv6)])
    mesh.start_control()
    with open(mesh.control.token(identity_of("another"))) as file:
        pin = base64.urlsafe_b64decode(file.read().strip().split(".")[3] + "=").hex()
    for name in HOSTS:
        give_token(story, name)
        mesh.start_sidecar(name, wait=False, token="-", configuration=settings_of(story, name, story.ca, pin))
    for name in HOSTS:
        mesh.sidecar(name).wait_until_ready()
    story.own(StreamServer(story, mesh.server, ECHO, "echo"))
    return mesh, story.ca, story.tokens, story.roots


def expect_calls_with_identities(story):
    with Load(story.mesh.client, story.mesh.server.ipv4, ECHO, num_clients=1, new_per_second=0) as load:
        load.wait_for_requests(5)
    story.mesh.sidecar("server").wait_for_access(direction="inbound", source_id=identity_of("client"), encrypted=True)
    story.mesh.sidecar("client").wait_for_access(direction="outbound", destination_id=identity_of("server"))


def expect_that_no_call_fails_across_renewals(story, num=2):
    client = story.mesh.sidecar("client")
    with Load(story.mesh.client, story.mesh.server.ipv4, ECHO, num_clients=3, new_per_second=10) as load:
        for _ in range(num):
            client.wait_for_rotation(deadline_s=LIFE_S)
        load.wait_for_requests(20)
    expect_eq(load.failures, [], "failures")
