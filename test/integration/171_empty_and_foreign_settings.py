"""Settings that are empty, truncated or foreign are refused with a message or ignored, and running programs continue.

Rows: I2, O4.

    control, client [sidecar], stranger starts programs that cannot start"""

import os

from handfast_harness import Mesh, expect, expect_eq, expect_in
from handfast_harness.namespace import environment

DEADLINE_S = 180
EMPTY = {"nothing": b"", "comments": b"# all of it\n# is a comment\n", "a byte order mark": b"\xef\xbb\xbf", "a dash line": b"---\n",
         "a scalar": b"5\n", "null": b"~\n"}
# Of use in an outage alone (decision 074); story 145 has damaged ones.
KEPT = ("destinations", "identity")
SERVICES = ("HANDFAST", "HANDFAST_CONTROL", "HANDFAST_SIDECAR", "HANDFAST_INIT", "HANDFAST_CONTROL_METRICS")


def service_links():
    """The variables that Kubernetes sets in each pod for Services of these names, each with a port named streams."""
    links = {}
    for name in SERVICES:
        links.update({name + "_SERVICE_HOST": "192.0.2.99", name + "_SERVICE_PORT": "15012",
                      name + "_SERVICE_PORT_STREAMS": "15012", name + "_PORT": "tcp://192.0.2.99:15012",
                      name + "_PORT_15012_TCP": "tcp://192.0.2.99:15012", name + "_PORT_15012_TCP_PROTO": "tcp",
                      name + "_PORT_15012_TCP_PORT": "15012", name + "_PORT_15012_TCP_ADDR": "192.0.2.99"})
    return links


def arrange(story):
    story.mesh = Mesh(story, hosts=("client",), outsiders=("stranger",), leaf_ttl="1h")
    story.client = story.mesh.sidecar("client")


def _refused(story, path, *words):
    for program in ("handfast-sidecar", "handfast-control"):
        done = story.mesh.stranger.run([story.binary(program), "--config", path], uid=1337, check=False)
        expect_eq(done.returncode, 64, "exit code of %s (%s)" % (program, done.stderr[-300:]))
        for word in words:
            expect_in(word, done.stderr, "the message of %s" % program)


def finding_i2_an_empty_file_is_refused_at_the_start(story):
    folder = story.folder("empty")
    for name, content in EMPTY.items():
        path = os.path.join(folder, name.replace(" ", "-") + ".yaml")
        with open(path, "wb") as file:
            file.write(content)
        _refused(story, path, ".yaml:1: ", "expected: keys and values")
    _refused(story, folder, "a folder")
    _refused(story, "/dev/null", "a pipe, socket or device")


def finding_i2_an_empty_file_at_a_reload_changes_nothing(story):
    for program, path, process in (("sidecar", story.client.path, story.client.process),
                                   ("control", story.mesh.control.path, story.mesh.control.process)):
        with open(path, "rb") as file:
            good = file.read()
        for name, content in EMPTY.items():
            with open(path, "wb") as file:
                file.write(content)
            before = process.log().count("expected: keys and values")
            process.signal(1)
            process.wait_until("it to refuse %s" % name,
                               lambda: process.log().count("expected: keys and values") > before)
        with open(path, "wb") as file:
            file.write(good)
        expect_eq(process.exit_code, None, "the end of " + program)
    expect_eq(story.client.probe()[0], 200, "readiness")
    expect_in("client", story.mesh.control.run("status").stdout, "status")


def finding_i2_an_empty_file_of_the_state_is_refused(story):
    story.client.stop()
    for name in sorted(os.listdir(story.client.state)):
        path = os.path.join(story.client.state, name)
        if not os.path.isfile(path) or os.path.getsize(path) == 0:
            continue
        with open(path, "rb") as file:
            good = file.read()
        os.truncate(path, 0)
        if name in KEPT:
            story.client.start()
            story.client.stop()
            continue
        process = story.client.launch()
        expect_eq(process.wait_for_exit(), 65, "exit code with an empty %s (%s)" % (name, process.log()[-300:]))
        expect_in(name, process.log(), "its message")
        with open(path, "r+b") as file:
            file.write(good)
    story.client.start()


def finding_o4_variables_of_services_are_ignored(story):
    story.client.stop()
    story.client.environment = {**service_links(), "HANDFAST_SIDECAR_WORKERZ": "3", "HANDFAST_SIDECAR_OUTBOUND_MODE": "",
                                "HANDFAST_LOG_LEVEL": "notice"}
    story.client.start()
    log = story.client.process.log()
    expect_in("HANDFAST_SIDECAR_WORKERZ: no setting has this name", log, "the sidecar's log")
    expect_in("HANDFAST_LOG_LEVEL: this name is read for the last time", log, "the sidecar's log")
    expect("SERVICE_HOST" not in log and "15012_TCP" not in log, "a Service's variables are in the log: " + log)


def finding_o4_the_other_programs_ignore_them_too(story):
    variables = environment({**service_links(), "HANDFAST_CONTROL_WORKERZ": "3", "HANDFAST_INIT_PROFILES": "x"})
    control = story.mesh.control
    done = control.host.run([story.binary("handfast-control"), "--config", control.path, "--check"], uid=1336, env=variables)
    expect_in("HANDFAST_CONTROL_WORKERZ: no setting has this name", done.stderr, "the message of the control plane")
    expect("15012_TCP" not in done.stderr, done.stderr)
    control.host.run([story.binary("handfast"), "status", "--socket", control.socket], env=variables)
    story.mesh.client.run([story.binary("handfast-init"), "up", "--dry-run"], env=variables)


def finding_o4_the_sidecars_own_variables_count(story):
    variables = environment({"HANDFAST_SIDECAR_CONTROL_ADDRESS": "UPPER", "HANDFAST_SIDECAR_PORTS_TUNNEL": "none"})
    done = story.mesh.stranger.run([story.binary("handfast-sidecar")], uid=1337, env=variables, check=False)
    expect_eq(done.returncode, 64, "exit code")
    expect_in("HANDFAST_SIDECAR_PORTS_TUNNEL (ports.tunnel)", done.stderr, "its message")
