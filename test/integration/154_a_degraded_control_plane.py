"""A signer that hangs makes the control plane not ready; expired tokens and keys are removed; and a running sidecar
enrolls at a new control plane with a new token.

    control [its signer is stopped; then its keys are lost] --- client [sidecar], gone [sidecar that stops]

Rows: I12, I16."""

import os
import signal
import time

from handfast_harness import Mesh, expect, expect_eq, expect_in, identity_of, wait_until
from handfast_harness.control_plane import METRICS

DEADLINE_S = 480
LEAF_TTL_S = 10
FORGET_S = 1


def arrange(story):
    story.mesh = Mesh(story, hosts=("client", "gone"), leaf_ttl="%ds" % LEAF_TTL_S,
                      control={"identity": {"forget_after": "%ds" % FORGET_S}})
    story.control, story.client = story.mesh.control, story.mesh.sidecar("client")
    story.mesh.sidecar("gone").stop()
    story.control.run("token", "create", "--id", identity_of("never"), "--ttl", "%ds" % FORGET_S)
    # An attestation key is forgotten that long after its last certificate; the last second is for rounding.
    story.ends = {"token": time.monotonic() + FORGET_S + 1, "attestation_key": time.monotonic() + LEAF_TTL_S + FORGET_S + 1}


def _ready(story):
    status, body = story.control.host.http("http://%s:%d/healthz/ready" % (story.control.host.ipv4, METRICS))
    return status, body.decode()


def _wait_for_the_end(end):
    time.sleep(max(0, end - time.monotonic()))  # duration: what is to be forgotten ends at this time


def _signer(story):
    pid = story.control.process.pid
    with open("/proc/%d/task/%d/children" % (pid, pid)) as file:
        return int(file.read().split()[0])


def finding_i12_a_hung_signer_is_not_ready(story):
    expect_eq(_ready(story)[0], 200, "readiness before")
    os.kill(_signer(story), signal.SIGSTOP)
    try:
        wait_until("the control plane to be not ready", lambda: _ready(story)[0] == 503, 20)
        expect_in("the signer has not answered for", _ready(story)[1], "the readiness page")
        story.control.process.wait_for_log("no certificate can be made")
        expect(story.control.metrics()["handfast_control_signer_wait_seconds"] >= 5, "the metric")
    finally:
        os.kill(_signer(story), signal.SIGCONT)
    wait_until("the control plane to be ready again", lambda: _ready(story)[0] == 200)
    story.control.process.wait_for_log("the signer answers again")


def finding_i12_expired_tokens_and_keys_are_removed(story):
    def forgotten(what):
        return story.control.metrics()['handfast_control_forgotten_total{what="%s"}' % what]

    def is_swept_at_a_start(what):
        """The first sweep comes a second after a start, the next one a minute later."""
        story.control.restart()
        wait_until("a " + what + " to be removed", lambda: forgotten(what) == 1, 20)
    for what, end in story.ends.items():
        if forgotten(what) == 0:
            _wait_for_the_end(end)
            is_swept_at_a_start(what)
    expect(identity_of("gone") not in story.control.run("status").stdout, "the stopped sidecar is still shown")
    expect_in(identity_of("client"), story.control.run("status").stdout, "the running sidecar")


def _enrolls_anew(story):
    """At a control plane whose state is lost. Whether the token's file was the cause, and not a try that was due by itself."""
    story.control.stop()
    for folder, _, files in os.walk(story.control.state):
        for name in files:
            os.remove(os.path.join(folder, name))
    story.control.start()
    log, before = story.client.process.log, len(story.client.process.log())
    wait_until("the fix in the log", lambda: "or its former root retired, write a new token (`handfast token create`)" in log()[before:], 70)
    story.control.token(identity_of("client"), path=story.client.token)
    wait_until("the sidecar to have an identity of the new control plane",
               lambda: identity_of("client") in story.control.run("status").stdout, 70)
    return "the token file has changed: trying again at once" in log()[before:]


def finding_i12_a_new_token_is_read_while_the_sidecar_runs(story):
    """The file is read each second, and a refused sidecar waits a random time, which can end in that second."""
    pid = story.client.process.pid
    expect(any(_enrolls_anew(story) for _ in range(4)), "four times the sidecar did not notice that the token's file has changed")
    story.client.wait_until_ready()
    expect_eq((story.client.process.pid, story.client.process.exit_code), (pid, None), "the same process runs")
