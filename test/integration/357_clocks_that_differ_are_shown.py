"""A host's clock that is minutes from the control plane's is a condition of its sidecar, which stays ready.

    control (the story sets its clock) --- router --- client [sidecar]

A preloaded library changes the clock of a control plane that is linked dynamically."""

from handfast_harness import Mesh, expect_eq, expect_in, wait_until
from handfast_harness.clock import Clock
from handfast_harness.control_plane import CONTROL_UID
from handfast_harness.process import Process

DEADLINE_S = 120
TEN_MINUTES_S = 600
NAME = "the clock differs from the control plane's"


def arrange(story):
    story.mesh = Mesh(story, hosts=("client",), leaf_ttl="1h", start=False)
    control = story.mesh.control
    story.clock = Clock(story)
    binary = story.binary("handfast-control-dynamic")

    def launch():
        control.process = Process(control.host, "handfast-control", [*story.clock.words, binary, "--config", control.path],
                                  story.log_path("handfast-control"), uid=CONTROL_UID)
        return control.process

    control.launch = launch
    story.clock.set(TEN_MINUTES_S)
    story.mesh.start()
    story.client = story.mesh.sidecar("client")


def _shown(story):
    rows = [row for row in story.client.admin("/check")["conditions"] if row["name"] == NAME]
    return rows, story.client.metrics()['handfast_condition{name="clock_differs"}']


def shows_that_a_clock_ten_minutes_behind_is_a_condition(story):
    wait_until("the condition and its metric", lambda: len(_shown(story)[0]) == _shown(story)[1] == 1, 10)
    row = _shown(story)[0][0]
    expect_in("s behind", row["detail"], "its detail")
    expect_in("timedatectl", row["fix"], "its fix")
    expect_eq((row["level"], story.client.probe()[0]), ("degraded", 200), "level and readiness")


def shows_that_it_ends_with_the_difference(story):
    story.clock.set(0)
    story.mesh.control.restart()
    story.client.restart()
    wait_until("the sidecar's stream", lambda: story.client.metric("handfast_control_plane_connected") == 1, 20)
    wait_until("no condition", lambda: _shown(story) == ([], 0), 10)
