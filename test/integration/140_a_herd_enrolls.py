"""A thousand sidecars enroll at the same moment, as after a cold start: all of them succeed, and little work is
repeated.

    control and 1,000 sidecars' identity clients (test/herd), each with an address of its own, on one host

Rows: I14. Larger herds run by hand: `test/herd/README.md`."""

import json
import os
import shutil
import tempfile

from handfast_harness import Mesh, expect, expect_eq
from handfast_harness.process import Process

DEADLINE_S = 90
NUM, SECONDS = 1000, 45


def arrange(story):
    story.mesh = Mesh(story, hosts=(), leaf_ttl="1h", control={"log": {"level": "warning"}}, start=False)
    story.mesh.net.control.ip(*["address add 127.77.%d.%d/32 dev lo" % divmod(number + 256, 256) for number in range(NUM)])
    story.mesh.start_control()
    story.folder_of_herd = tempfile.mkdtemp(prefix="herd-", dir="/dev/shm")  # so that the disk is not measured
    story.own(_Removed(story.folder_of_herd))


class _Removed:
    def __init__(self, path):
        self.path = path

    def __enter__(self):
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.path)


def finding_i14_a_cold_start_does_not_collapse(story):
    herd = Process(story.mesh.net.control, "herd",
                   [story.binary("herd"), story.mesh.control.socket, story.folder_of_herd, "127.77.1.0", str(NUM),
                    str(SECONDS)], story.log_path("herd"))
    story.own(herd)
    code = herd.wait_for_exit(SECONDS + 20)
    last = story.last = json.loads(herd.log().strip().splitlines()[-1])
    expect_eq(code, 0, "exit code of the herd (%s)" % last)
    expect_eq((last["svids"], last["streams"]), (NUM, NUM), "sidecars with an SVID and with a stream")
    expect(last["failed_tries"] < 3 * NUM, "%d tries failed" % last["failed_tries"])


def finding_i14_each_issued_certificate_is_used(story):
    metrics = story.mesh.control.metrics()
    attested = metrics['handfast_control_attestations_total{result="attested"}']
    expect(attested < 1.5 * NUM, "%d certificates for %d sidecars" % (attested, NUM))
    # where handshakes are the slowest part, no request needs to be deferred
    expect(metrics['handfast_control_attestations_total{result="deferred"}'] > 0 or story.last["failed_tries"] < 50,
           "no request was deferred, and %d tries failed" % story.last["failed_tries"])
