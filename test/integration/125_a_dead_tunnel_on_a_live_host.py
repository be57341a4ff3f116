"""A firewall drops the packets of one tunnel while the host is reachable: new connections get another tunnel soon.

    client: app -> [sidecar] ==tunnel=x=router==> server: [sidecar] -> echo

Rows: P8, P12."""

import subprocess
import time

from handfast_harness import Mesh, StreamServer, expect, expect_eq, wait_until
from handfast_harness import stream


def arrange(story):
    story.mesh = Mesh(story, leaf_ttl="1h", sidecars={"client": {"timeouts": {"connect": "8s"}}})
    story.own(StreamServer(story, story.mesh.server, 9000, "echo"))
    story.client = story.mesh.sidecar("client")


def _ask(story, timeout_s=10):
    started = time.monotonic()
    with story.mesh.client.connect(story.mesh.server.ipv4, 9000, uid=1000, timeout_s=timeout_s) as sock:
        try:
            got = stream.exchange(sock, b"question")
        except OSError as error:
            got = error
    return got == (b"question", "fin"), time.monotonic() - started


def _forget(story, local):
    """The router drops the packets of the tunnel from this address, in both directions."""
    port = local.rpartition(":")[2]
    rules = ["add table inet forget", "add chain inet forget f { type filter hook forward priority 0; }",
             "add rule inet forget f tcp sport %s tcp dport 15008 drop" % port,
             "add rule inet forget f tcp dport %s tcp sport 15008 drop" % port]
    with story.mesh.net.router.entered():
        subprocess.run(["nft", "-f", "-"], input="\n".join(rules), text=True, check=True)


def finding_p8_a_dead_tunnel_is_replaced_after_two_silent_seconds(story):
    expect(_ask(story)[0], "before")
    tunnels = story.client.admin("/tunnels")["tunnels"]
    expect_eq(len(tunnels), 1, "tunnels")
    _forget(story, tunnels[0]["local"])
    begun = time.monotonic()
    with story.mesh.client.connect(story.mesh.server.ipv4, 9000, uid=1000, timeout_s=30) as lost:
        lost.sendall(b"for the dead tunnel")
        wait_until("a new connection to be served", lambda: _ask(story, 1)[0], 6, 0.1)
        expect(1.5 < time.monotonic() - begun, "the tunnel was not dead")
        for _ in range(10):
            right, took_s = _ask(story)
            expect(right and took_s < 2, "a call took %.1f s: %s" % (took_s, right))
