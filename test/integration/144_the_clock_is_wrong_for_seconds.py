"""The control plane's clock is hours ahead for seconds: nothing is closed, and the log reports it.

    control (the story sets its clock) --- router --- client [sidecar] ==tunnel==> server [sidecar] -> echo

A preloaded library changes the clock of a control plane that is linked dynamically; the signer, which gets no
environment, and the sidecars keep the true time. Leaf certificates live 20 s.

Rows: I9, I8."""

from handfast_harness import Mesh, StreamServer, expect, expect_eq, needs, wait_until
from handfast_harness import stream
from handfast_harness.clock import Clock
from handfast_harness.control_plane import CONTROL_UID
from handfast_harness.process import Process

DEADLINE_S = 150
SIX_HOURS_S = 6 * 3600  # longer than any leaf lives, shorter than the server certificate, which the signer makes by the true clock


def arrange(story):
    story.mesh = Mesh(story, leaf_ttl="20s", start=False)
    control = story.control = story.mesh.control
    story.clock = Clock(story)
    binary = story.binary("handfast-control-dynamic")

    def launch():
        control.process = Process(control.host, "handfast-control", [*story.clock.words, binary, "--config", control.path],
                                  story.log_path("handfast-control"), uid=CONTROL_UID)
        return control.process

    control.launch = launch
    story.mesh.start()
    story.own(StreamServer(story, story.mesh.server, 9000, "echo"))


def _calls(story):
    with story.mesh.client.connect(story.mesh.server.ipv4, 9000, uid=1000) as sock:
        expect_eq(stream.exchange(sock, b"as ever"), (b"as ever", "fin"), "a new connection")


def _wrong_for_a_while(story, by_s, word):
    """Waits until every sidecar has got the wrong time, and one has renewed with it."""
    control, sidecars = story.control, story.mesh.sidecars.values()
    heard = {sidecar.name: sidecar.process.log().count("accepted only after") for sidecar in sidecars}
    story.clock.set(by_s)
    control.process.wait_for_log("the clock of this host was set %s by %d s" % (word, abs(by_s)))
    for sidecar in sidecars:
        wait_until("%s to get the time" % sidecar.name,
                   lambda: sidecar.process.log().count("accepted only after") > heard[sidecar.name], 10, 0.1)
        expect_eq(sidecar.probe()[0], 200, "readiness of " + sidecar.name)
    _calls(story)
    story.mesh.sidecar("client").wait_for_rotation(deadline_s=30)
    _calls(story)
    story.clock.set(0)
    control.process.wait_for_log("the clock of this host was set %s by %d s" %
                                 ("back" if word == "forward" else "forward", abs(by_s)))


def finding_i9_a_clock_that_is_ahead_for_seconds_expires_no_identity(story):
    streams = story.control.metrics()["handfast_control_streams"]
    _wrong_for_a_while(story, SIX_HOURS_S, "forward")
    for sidecar in story.mesh.sidecars.values():
        expect_eq(sidecar.probe()[0], 200, "readiness of " + sidecar.name)
        expect("has expired" not in sidecar.process.log(), "an identity seemed to have expired")
    _calls(story)
    expect("connection ended" not in story.control.log(), "streams were closed")
    # a renewal opens the stream of the other address family again
    wait_until("all streams", lambda: story.control.metrics()["handfast_control_streams"] >= streams, 10)


@needs(finding_i9_a_clock_that_is_ahead_for_seconds_expires_no_identity)
def finding_i8_each_step_of_the_clock_is_counted_and_the_server_can_be_reached(story):
    expect(story.control.metrics()["handfast_control_clock_set_total"] >= 2, "the steps were not counted")
    sidecar = story.mesh.sidecar("client")
    sidecar.restart()  # it verifies the control plane's certificate again
    _calls(story)
