"""`handfast status` shows a sidecar in the row of its own key, with the serial in use, where a full disk kept its
certificate from the record and the control plane was started again.

    control (state_dir on a small tmpfs) --- router --- client [sidecar, the last of several keys of its identity]"""

import json
import os

from handfast_harness import Mesh, expect, identity_of, wait_until
from handfast_harness.control_plane import CONTROL_UID
from handfast_harness.small_disk import SmallDisk

DEADLINE_S = 240


def arrange(story):
    story.mesh = Mesh(story, hosts=("client",), leaf_ttl="1h", start=False)
    story.control = story.mesh.control
    story.disk = story.own(SmallDisk(story.control.state, CONTROL_UID, "3m"))
    story.mesh.start()
    story.client = story.mesh.sidecar("client")
    _attest_anew(story)
    wait_until("both addresses", lambda: _serial_is_shown(story), 40)  # a full disk keeps a new claim out
    story.control.restart()  # a store that is no longer in its journal alone
    story.client.wait_until_ready()


def _rows(story):
    return {row["attestation_key_sha256"]: row
            for row in json.loads(story.control.run("status", "--output", "json").stdout)["svid_holders"]}


def _attest_anew(story):
    """The client gets another attestation key, whose row is not the first of its identity in the order of keys."""
    for _ in range(10):
        former = set(_rows(story))
        story.client.stop()
        for name in os.listdir(story.client.state):
            os.remove(os.path.join(story.client.state, name))
        story.control.token(identity_of("client"), path=story.client.token)
        story.client.start()
        story.key = (set(_rows(story)) - former).pop()
        if story.key != min(_rows(story)):
            break
    expect(story.key != min(_rows(story)), "ten keys in descending order")


def _serial_is_shown(story):
    connected = [(key, row["svid_serial"], row["addresses"]) for key, row in _rows(story).items() if row["connected"]]
    expect(len(connected) < 2, "rows that are connected: %s" % connected)
    if not connected:
        return False
    key, serial, addresses = connected[0]
    expect(key == story.key, "the row of a former key is connected: %s" % connected)
    return (serial.lower() == story.client.serial().lower()
            and set(addresses) == {story.mesh.client.ipv4, story.mesh.client.ipv6})


def shows_the_certificate_in_use_in_the_row_of_its_key(story):
    story.disk.fill()
    recorded = story.client.serial()
    story.client.restart()
    expect(story.client.serial() != recorded, "the restart gave no other certificate")
    expect(story.control.metrics()["handfast_control_svids_unrecorded_total"] >= 1, "the certificate has a record")
    wait_until("the serial in use", lambda: _serial_is_shown(story), 20)
    story.control.kill()
    story.disk.fill()  # its open files are released now
    story.control.start()
    wait_until("the serial in use, after a restart of the control plane", lambda: _serial_is_shown(story), 20)
