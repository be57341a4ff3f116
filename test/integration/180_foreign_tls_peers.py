"""Peers with a single key exchange group are served, and a failed handshake is reported on the side where it failed.

Rows: T2, T3.

    peer: openssl s_client -groups ... --> control plane 15012
                                       --> server: [sidecar] 15008"""

import os

from cryptography.hazmat.primitives import serialization
from handfast_harness import Mesh, TestAuthority, expect, expect_eq, identity_of, wait_until
from peers import hbone

GROUPS = ["X25519", "P-256", "P-384"]


def arrange(story):
    story.mesh = Mesh(story, hosts=("server",), outsiders=("peer",), leaf_ttl="1h")
    ca = TestAuthority.of(story.mesh.control)
    story.identity = ca.leaf(identity_of("peer"))
    folder = story.folder("peer")
    story.leaf, story.key = story.identity.write(folder)
    story.issuer = os.path.join(folder, "issuer.pem")
    with open(story.issuer, "wb") as file:
        file.write(ca.intermediate.public_bytes(serialization.Encoding.PEM))
    story.ports = {"control plane": (story.mesh.net.control.ipv4, 15012), "sidecar": (story.mesh.server.ipv4, 15008)}


def _handshake(story, who, group):
    """openssl's output for a handshake with this group alone; exit code 0: it succeeded."""
    address, port = story.ports[who]
    command = ("openssl s_client -connect %s:%d -alpn h2 -tls1_3 -groups %s -cert %s -cert_chain %s -key %s 2>&1 | "
               "tr -cd '[:print:]\\n'" % (address, port, group, story.leaf, story.issuer, story.key))
    return story.mesh.peer.run(["bash", "-o", "pipefail", "-c", command], check=False)


def finding_t2_each_group_alone_is_enough(story):
    for who in story.ports:
        for group in GROUPS:
            done = _handshake(story, who, group)
            expect_eq(done.returncode, 0, "openssl with %s at the %s (%s)" % (group, who, done.stdout[-300:]))
            expect("ALPN protocol: h2" in done.stdout, "HTTP/2 was not negotiated with %s at the %s" % (group, who))


def finding_t2_the_control_plane_reports_a_failed_handshake(story):
    name = "handfast_control_handshakes_failed_total"
    before = story.mesh.control.metrics()[name]
    done = _handshake(story, "control plane", "P-521")
    expect(done.returncode != 0, "a group that is not supported did not fail the handshake")
    wait_until("the counter", lambda: story.mesh.control.metrics()[name] == before + 1)
    wait_until("a line with the peer's address", lambda: "a TLS handshake with %s" % story.mesh.peer.ipv4 in
               story.mesh.control.log())


def finding_t2_the_sidecar_reports_a_failed_handshake(story):
    sidecar = story.mesh.sidecar("server")
    before = sidecar.metric("handfast_tunnels_failed_total")
    done = _handshake(story, "sidecar", "P-521")
    expect(done.returncode != 0, "a group that is not supported did not fail the handshake")
    wait_until("the counter", lambda: sidecar.metric("handfast_tunnels_failed_total") > before)
    wait_until("/why to name the peer", lambda: story.mesh.peer.ipv4 in str(sidecar.admin("/why")))


def finding_t3_the_operator_sees_which_key_exchange_protects_a_tunnel(story):
    """No group is post-quantum yet (docs/decisions/038): the page shows the group in use."""
    with hbone.Client(story.mesh.peer, story.mesh.server.ipv4, story.identity):
        wait_until("this tunnel alone on the page, with its group", lambda: [  # openssl's may still end
            tunnel["key_exchange"] for tunnel in story.mesh.sidecar("server").admin("/tunnels")["tunnels"]] == ["X25519"])
