"""A rotation of the root costs no handshake that began before its end: the former root is trusted for some seconds after
every sidecar has a certificate below the next one, and then no longer.

    old: a peer with a certificate below the former root ==tunnel==> server: [sidecar]
    client: [sidecar]"""

import json
import time

from handfast_harness import Mesh, TestAuthority, expect, expect_eq, identity_of, wait_until
from peers import hbone, tls

DEADLINE_S = 120


def arrange(story):
    story.mesh = Mesh(story, leaf_ttl="1h", outsiders=("old",))
    story.control = story.mesh.control


def _phase(story):
    return json.loads(story.control.run("ca", "status", "--output", "json").stdout)["phase"]


def _is_accepted(story, identity):
    try:
        with hbone.Client(story.mesh.old, story.mesh.server.ipv4, identity):
            return True
    except tls.Refused:
        return False


def shows_that_the_former_root_is_trusted_until_handshakes_of_before_are_over(story):
    identity = TestAuthority.of(story.control).leaf(identity_of("client"))
    serials = {name: sidecar.serial() for name, sidecar in story.mesh.sidecars.items()}
    story.control.run("ca", "rotate")
    for name, sidecar in story.mesh.sidecars.items():
        sidecar.wait_for_rotation(serials[name])
    began = time.monotonic()

    def is_accepted_for_4_s():
        expect(_is_accepted(story, identity), "refused after %.1f s" % (time.monotonic() - began))
        return time.monotonic() - began > 4
    wait_until("4 s", is_accepted_for_4_s, 8, 0.2)
    expect_eq(_phase(story), "reissuing", "the phase")
    wait_until("the end of the rotation", lambda: _phase(story) == "none", 15, 0.1)
    print("the former root was trusted for %.1f s more" % (time.monotonic() - began))
    wait_until("it to be refused", lambda: not _is_accepted(story, identity), 5, 0.1)
