"""Bad settings, damaged state and malformed messages are refused with a clear reason, and nothing is overwritten.

    control, client [sidecar], each given bad settings and bad files; stranger sends them bad messages"""

import os
import shutil

from handfast_harness import Mesh, expect, expect_eq, expect_in, identity_of, settings, wait_until
from handfast_harness import stream
from peers.enrollment import Enrollment, new_key, read_token

DEADLINE_S = 120
CONTROL_ERRORS = {"trust_domain": "UPPER", "mesh": {"networks": ["192.0.2.0/24", "not-a-network"]},
                    "identity": {"leaf_ttl": "soon"}, "listen": {"streams_port": 99999}, "nonsense": "x"}
SIDECAR_ERRORS = {"trust_domain": "UPPER", "workers": 1000, "access_log": "loud", "timeouts": {"resolve": "long"},
                    "control": {"address": "192.0.2.1:15012"}, "nonsense": "x"}
INIT_ERRORS = ["--profile", "vm", "--exclude-inbound-ports", "0,80", "--exclude-outbound-ports", "x",
                 "--exclude-outbound-networks", "10.0.0.1/8", "--nonsense"]


def arrange(story):
    story.mesh = Mesh(story, hosts=("client",), outsiders=("stranger", "twin"), leaf_ttl="1h")
    story.client = story.mesh.sidecar("client")


def _refused_settings(story, program, errors, words):
    path = settings.write(os.path.join(story.folder("bad"), "bad.yaml"), errors)
    done = story.mesh.stranger.run([story.binary(program), "--config", path], uid=1337, check=False)
    expect_eq(done.returncode, 64, "exit code of " + program)
    for word in words:
        expect_in(word, done.stderr, "errors that %s named" % program)
    expect_eq(len(done.stderr.strip().splitlines()), len(words) + 1,
              "lines, the last one naming --help, of %s: %s" % (program, done.stderr))


def shows_that_all_five_errors_are_named_at_once(story):
    _refused_settings(story, "handfast-control", CONTROL_ERRORS,
                      ["trust_domain", "not-a-network", "leaf_ttl", "streams_port", "nonsense"])
    _refused_settings(story, "handfast-sidecar", SIDECAR_ERRORS,
                      ["trust_domain", "workers", "access_log", "resolve", "nonsense"])
    done = story.mesh.stranger.run([story.binary("handfast-init"), "up", *INIT_ERRORS], check=False)
    expect_eq(done.returncode, 64, "exit code of handfast-init")
    for word in ("--profile", "'0'", "'x'", "10.0.0.1/8", "--nonsense"):
        expect_in(word, done.stderr, "errors that handfast-init named")


def shows_that_a_bad_reload_changes_nothing(story):
    good = story.mesh.control.settings
    story.mesh.control.reload({"mesh": {"networks": ["not-a-network"]}})
    story.mesh.control.process.wait_for_log("not-a-network")
    story.client.reload({"workers": 1000})
    story.client.process.wait_for_log("workers")
    expect_eq(story.client.probe()[0], 200, "readiness")
    expect_in("client", story.mesh.control.run("status").stdout, "status")
    story.mesh.control.configure(**good)
    story.client.settings["workers"] = 1
    settings.write(story.client.path, story.client.settings)


def _copy_of(sidecar, host, story):
    """A new sidecar with the same token."""
    twin = story.mesh.make_sidecar("twin", token=sidecar.token)
    expect_eq(twin.host, host, "host")
    return twin


def shows_that_a_consumed_token_does_not_enroll_a_second_sidecar(story):
    twin = _copy_of(story.client, story.mesh.twin, story)
    twin.launch().wait_for_log("token").wait_for_port(15020).wait_for_port(15000)
    expect_eq((twin.probe()[0], twin.identity()), (503, None), "readiness and identity")
    wait_until("the report to the operator", lambda: "token" in str(twin.admin("/why")) + str(twin.admin("/check")))
    twin.stop()


def _damage(path):
    with open(path, "r+b") as file:
        content = file.read()
        file.seek(0)
        file.write(b"\xff" * min(64, len(content)))
    with open(path, "rb") as file:
        return file.read()


def shows_that_damaged_state_stops_the_sidecar_and_is_not_changed(story):
    story.client.stop()
    backup = story.folder("backup")
    for name in sorted(os.listdir(story.client.state)):
        path = os.path.join(story.client.state, name)
        if name in ("identity", "destinations"):
            continue  # a start does without them: story 145
        shutil.copy2(path, backup)
        damaged = _damage(path)
        process = story.client.launch()
        expect_eq(process.wait_for_exit(), 65, "exit code with a damaged %s (%s)" % (name, process.log()[-300:]))
        expect_in(name, process.log(), "its message")
        with open(path, "rb") as file:
            expect(file.read() == damaged, "%s was overwritten" % name)
        with open(os.path.join(backup, name), "rb") as source, open(path, "wb") as target:
            target.write(source.read())
    story.client.start()


def shows_that_a_damaged_key_stops_the_control_plane_and_is_not_changed(story):
    story.mesh.control.stop()
    path = story.mesh.control.key_file("root")
    shutil.copy2(path, story.folder("backup") + "/root.pem")
    with open(path, "rb") as file:
        good = file.read()
    damaged = _damage(path)
    process = story.mesh.control.launch()
    expect_eq(process.wait_for_exit(), 65, "exit code with a damaged key")
    with open(path, "rb") as file:
        expect(file.read() == damaged, "the key was overwritten")
    with open(path, "wb") as file:
        file.write(good)
    story.mesh.control.start()


def shows_that_a_csr_does_not_choose_its_identity(story):
    token = read_token(story.mesh.control.token(identity_of("modest")))
    with Enrollment(story.mesh.stranger, story.mesh.control.host.ipv4) as control:
        result = control.attest(token, new_key(), uris=[identity_of("client"), "spiffe://cluster.local/handfast/control"])
    expect(result.status != "0" or [name.value for name in result.ids()] == [identity_of("modest")],
           "the CSR got %s" % (result.chain and result.ids()))


def shows_that_plaintext_gets_nothing_from_the_control_port(story):
    for opening in (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0" * 9, b"\0" * 100):
        received, _ = stream.attempt(story.mesh.stranger, story.mesh.control.host.ipv4, 15012, opening, timeout_s=8)
        expect(b"HTTP" not in received and len(received) < 64, "%r was answered with %r" % (opening, received))
