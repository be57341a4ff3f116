"""An endpoint behind a tunnel that accepts each connection and resets it is set aside twice as long each time, until it
serves.

    client -> 203.0.113.200:80 -> [sidecar] ==tunnel==> good: [sidecar] -> echo
                                            ==tunnel==> resetting: [sidecar] -> app that resets what it accepts
    both are spiffe://.../sa/web"""

import contextlib
import re
import time

from handfast_harness import Mesh, StreamServer, expect, expect_eq, identity_of, needs_earlier, wait_until
from handfast_harness import stream

SERVICE, WEB, PORT = "203.0.113.200", identity_of("web"), 9000
DEADLINE_S = 180


def arrange(story):
    mesh = story.mesh = Mesh(story, hosts=("client", "good", "resetting"), leaf_ttl="1h", start=False, services=[
        {"name": "web", "address": SERVICE, "ports": [{"port": 80, "target": PORT}], "identity": WEB}])
    mesh.start_control()
    story.client = mesh.start_sidecar("client")
    for name in ("good", "resetting"):
        mesh.start_sidecar(name, identity=WEB)
    story.own(StreamServer(story, mesh.good, PORT, "echo"))
    story.app = story.own(StreamServer(story, mesh.resetting, PORT, "reset", num_bytes=5))
    story.at = "%s:%d" % (mesh.resetting.ipv4, PORT)
    for name in ("good", "resetting"):  # a call before would fail as well, and be counted
        wait_until("%s to own its addresses" % name, lambda: [
            claim for claim in mesh.sidecar(name).admin("/certs")["addresses"] if claim["held"]], 40)


def _call(story):
    """Whether it was answered."""
    with contextlib.suppress(ConnectionError):
        with story.mesh.client.connect(SERVICE, 80, uid=1000, timeout_s=10) as sock:
            sock.sendall(b"hello")
            return stream.receive_exactly(sock, 5) == b"hello"
    return False


def _pauses(story):
    """Seconds for which the endpoint was set aside, in order."""
    return [int(found) for found in re.findall(r"the endpoint %s of \S+ is set aside for (\d+) s" % re.escape(story.at),
                                              story.client.process.log())]


def shows_that_each_time_is_twice_as_long(story):
    started, num_calls, num_failed = time.monotonic(), 0, 0
    while len(_pauses(story)) < 4:
        expect(time.monotonic() - started < 40, "set aside for %s s within 40 s" % _pauses(story))
        num_calls += 1
        num_failed += not _call(story)
        time.sleep(0.02)  # duration: the pace of the callers
    expect_eq(_pauses(story), [1, 2, 4, 8], "seconds")
    expect_eq(num_failed, 4, "calls that met the endpoint")
    print("      %d of %d calls failed in %.1f s" % (num_failed, num_calls, time.monotonic() - started))


@needs_earlier
def shows_that_it_is_used_again_once_it_serves(story):
    story.app.stop()
    story.app = story.own(StreamServer(story, story.mesh.resetting, PORT, "echo"))
    wait_until("the endpoint to serve", lambda: _call(story) and "the endpoint %s of %s:80 serves again" % (
        story.at, SERVICE) in story.client.process.log(), 20, 0.05)
    expect_eq(_pauses(story), [1, 2, 4, 8], "seconds")
