"""`handfast check` where a sidecar should be and none answers: it reports that, also beside a control plane.

    client: rules, [sidecar, killed]        control: [control plane], no sidecar
    on both, /run/handfast/control.sock is the control plane's socket"""

import json
import os

from handfast_harness import Mesh, expect_eq, expect_in

NO_SIDECAR = "no sidecar answers at 127.0.0.1:15000"
CONTROL = "the control plane on this machine answers"


def arrange(story):
    story.mesh = Mesh(story, hosts=("client",), outsiders=("bare",), leaf_ttl="1h")


def _check(story, host, *words, control=True, more=()):
    """(exit code, stdout, stderr), in a /run of its own."""
    make = ["mount -t tmpfs none /run", "mkdir /run/handfast"]
    make += ["ln -s %s /run/handfast/control.sock" % story.mesh.control.socket] if control else []
    script = " && ".join([*make, *more, "exec \"$@\""])
    done = host.run(["unshare", "-m", "sh", "-c", script, "sh", story.binary("handfast"), "check", *words], check=False,
                    env={**os.environ, "KUBECONFIG": "", "HOME": "/nowhere"})
    return done.returncode, done.stdout, done.stderr


def shows_that_beside_a_sidecar_that_runs_it_answers(story):
    code, out, _ = _check(story, story.mesh.client)
    expect_eq((code, out.splitlines()[0]), (0, "ready"), "check")


def shows_that_a_host_of_a_control_plane_alone_is_well_and_named(story):
    code, out, err = _check(story, story.mesh.net.control)
    expect_eq((code, out.splitlines()[:2], err), (0, [NO_SIDECAR, CONTROL], ""), "check")
    expect_eq(json.loads(_check(story, story.mesh.net.control, "--output", "json")[1])["checked"], "control plane", "JSON")


def shows_that_a_dead_sidecar_is_no_success_of_the_control_plane(story):
    story.mesh.sidecar("client").kill()
    code, out, err = _check(story, story.mesh.client)
    expect_eq(code, 69, "the exit code")
    expect_in(NO_SIDECAR + ", and one belongs here: interception rules are there", err, "the error")
    expect_in("fix: start it: `systemctl start handfast-sidecar`; why it ended: `journalctl -u handfast-sidecar`; if it is gone for good: `handfast-init down`; elsewhere: --admin, --socket or --cluster", err, "the error")
    expect_in("if it is gone for good: `handfast-init down`", err, "the error")
    expect_in(CONTROL, out, "what is reported besides")
    code, out, _ = _check(story, story.mesh.client, "--output", "json")
    page = json.loads(out)
    expect_eq((code, page["checked"], page["sidecar"]["error"]), (69, "control plane", "unavailable"), "in JSON")
    expect_in(NO_SIDECAR, page["sidecar"]["got"], "in JSON")
    code, out, _ = _check(story, story.mesh.client, "--socket", "/run/handfast/control.sock")
    expect_eq((code, out.splitlines()[0]), (0, CONTROL), "of the control plane alone")


def shows_that_rules_without_a_sidecar_have_a_way_out(story):
    """On a host of a workload alone, as after a removal of the sidecar alone."""
    code, out, err = _check(story, story.mesh.client, control=False)
    expect_eq((code, out), (69, ""), "check")
    expect_in("one belongs here: interception rules are there", err, "the error")
    expect_in("if it is gone for good: `handfast-init down`", err, "the error")


def shows_that_without_a_control_plane_it_names_the_address_too(story):
    code, out, err = _check(story, story.mesh.bare, control=False)
    expect_eq((code, out), (69, ""), "check where nothing is")
    expect_in(NO_SIDECAR, err, "the error")
    expect_in("start it", err, "the error")
    expect_in("journalctl -u handfast-sidecar", err, "the error")


def shows_that_a_sidecar_without_rules_is_missed_by_its_files(story):
    for more, sign in ((["touch /run/handfast/sidecar.sock"], "its admin socket /run/handfast/sidecar.sock is there"),
                       (["mount -t tmpfs none /etc", "mkdir /etc/handfast", "touch /etc/handfast/sidecar.yaml"],
                        "its settings /etc/handfast/sidecar.yaml are there")):
        code, _, err = _check(story, story.mesh.net.control, more=more)
        expect_eq(code, 69, "the exit code with " + sign)
        expect_in(NO_SIDECAR + ", and one belongs here: " + sign, err, "the error")
