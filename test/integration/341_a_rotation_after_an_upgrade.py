"""A rotation of the root does not wait for a sidecar that was upgraded, and whose former process renewed after it: the next
process confirms the root, although another certificate than its own is in the control plane's record.

    control (killed, started again) --- router --- client: [sidecar -> sidecar], a connection in the former one
                                           |
                                        server: [sidecar] -> echo

Certificates live 20 s, so renewals are due 10 to 13 s after the last."""

import json

from handfast_harness import Mesh, StreamServer, expect_eq, stream, wait_until

DEADLINE_S = 180


def arrange(story):
    story.mesh = Mesh(story, leaf_ttl="20s")
    story.control, story.client = story.mesh.control, story.mesh.sidecar("client")
    story.own(StreamServer(story, story.mesh.server, 9000, "echo"))


def _time_to_expiry(story):
    return story.client.identity()["time_to_expiry_seconds"]


def _status(story):
    return json.loads(story.control.run("ca", "status", "--output", "json").stdout)


def shows_that_the_next_process_confirms_the_root(story):
    wait_until("a moment shortly before a renewal", lambda: _time_to_expiry(story) <= 11, 20, 0.1)
    with story.mesh.client.connect(story.mesh.server.ipv4, 9000, uid=1000) as live:
        stream.ask(live)  # the former process stays while it is open
        former = story.client.upgrade()
        since = len(former.log())
        former.wait_until("its renewal", lambda: "received an SVID" in former.log()[since:] and
                          former.exit_code is None, 20)  # if the upgrade took long it has renewed before, and does so again
        story.control.kill()
        story.control.start()
        wait_until("the sidecars to be connected", lambda: all(
            sidecar.metric("handfast_control_plane_connected") == 1 for sidecar in story.mesh.sidecars.values()), 20)
        story.control.run("ca", "rotate")
    wait_until("the end of the rotation", lambda: (status := _status(story))["phase"] == "none" and status["number"] == 1, 60, 0.2)
    expect_eq(_status(story)["num_waited"], 0, "sidecars that are waited for")
