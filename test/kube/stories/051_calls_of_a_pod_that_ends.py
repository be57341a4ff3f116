"""A program that works on after its SIGTERM still calls others: its sidecar ends after it (finding P5).

    leaver: at SIGTERM ten calls in five seconds -> Service store -> store"""

import subprocess
import time

from handfast_harness import expect, expect_eq
from kube_cluster import shop, workloads

DEADLINE_S = 420
SPACE = "leaving"
CALLS = 10
_SCRIPT = """late() {
  for number in %s; do curl -sSf --max-time 5 http://%s/ >/dev/null && echo late-answered || echo late-failed; sleep 0.5; done  # duration: of its work
  echo work-ended; exit 0
}
trap late TERM QUIT; echo works; while :; do sleep 1 & wait $!; done"""


def arrange(story):
    shop.arrange(story, SPACE, stores=1)
    script = _SCRIPT % (" ".join(map(str, range(CALLS))), story.address)
    story.kubectl.apply(workloads.pod("leaver", workloads.app_container("app", ("sh", "-c", script)), account="shop"),
                        namespace=SPACE)
    story.kubectl.wait_for_ready("app=leaver", 1, SPACE)


def shows_that_every_late_call_is_answered_and_the_pod_ends_in_time(story):
    follow = subprocess.Popen(story.kubectl.argv("-n", SPACE, "logs", "-f", "leaver", "-c", "app"), stdout=subprocess.PIPE,
                              text=True)
    expect_eq(follow.stdout.readline().strip(), "works", "the first line")
    started = time.monotonic()
    story.kubectl("-n", SPACE, "delete", "pod", "leaver", timeout_s=60)
    took = time.monotonic() - started
    lines = follow.communicate(timeout=20)[0].split()
    expect_eq(lines, ["late-answered"] * CALLS + ["work-ended"], "what it reported")
    expect(took < 20, "the pod was gone after %.1f s" % took)
    story.kubectl.delete_namespace(SPACE)
