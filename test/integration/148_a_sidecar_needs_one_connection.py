"""A sidecar opens its streams on the connection on which it was attested; one that has an SVID presents it.

    client: [sidecar] --one connection--> control, which is killed and started again"""

from handfast_harness import Mesh, expect_eq, identity_of, wait_until

STREAMS = 15012


def arrange(story):
    story.mesh = Mesh(story, hosts=("client",), leaf_ttl="1h", start=False)
    story.mesh.start_control()
    # counts the connections of the first family; the second family has one of its own, for its address
    story.mesh.control.host.run(["nft", "add table ip count; add chain ip count in { type filter hook input priority 0; }; "
                                  "add rule ip count in tcp dport %d tcp flags & (syn | ack) == syn counter" % STREAMS])
    story.sidecar = story.mesh.start_sidecar("client")


def _num_connections(story):
    words = story.mesh.control.host.run(["nft", "list", "chain", "ip", "count", "in"]).stdout.split()
    return int(words[words.index("packets") + 1])


def _is_connected(story):
    return any(row["connected"] for row in story.mesh.control.svid_holders(identity_of("client")))


def shows_that_an_enrollment_is_one_connection(story):
    wait_until("its stream", lambda: _is_connected(story))
    expect_eq(_num_connections(story), 1, "connections until its streams are open")


def shows_that_it_presents_its_svid_to_a_control_plane_that_was_restarted(story):
    attested = 'handfast_control_attestations_total{result="attested"}'
    story.mesh.control.kill()
    story.mesh.control.start()
    wait_until("its stream", lambda: _is_connected(story))
    expect_eq(story.mesh.control.metrics()[attested], 0, "attestations since the restart")


def shows_that_a_ban_ends_that_connection(story):
    """The sidecar attests no more: its identity is refused."""
    story.mesh.control.run("ban", identity_of("client"))
    wait_until("the end of its stream", lambda: not _is_connected(story), 5)
