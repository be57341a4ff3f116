"""A SIGHUP during the start of a sidecar neither ends it nor is lost.

    one sidecar, restarted

Rows: O3."""

import signal

from handfast_harness import Mesh, wait_until

DEADLINE_S = 150


def arrange(story):
    story.mesh = Mesh(story, leaf_ttl="1h")


def _blocks_sighup(pid):
    with open("/proc/%d/status" % pid) as file:
        rows = dict(line.split(":", 1) for line in file)
    return "handfast-sideca" in rows["Name"] and int(rows["SigBlk"], 16) & 1


def _starts(sidecar):
    """A sidecar that is still starting and blocks SIGHUP; on a busy or fast machine it may be too late for that."""
    for _ in range(30):
        sidecar.stop()
        process = sidecar.launch()
        wait_until("the start, or its end", lambda: _blocks_sighup(process.pid) or "workers" in process.log(),
                   interval_s=0.001)
        if "workers" not in process.log():
            return process
    raise AssertionError("SIGHUP was not blocked in thirty starts")


def finding_o3_a_sighup_during_the_start_of_a_sidecar_is_not_lost(story):
    sidecar = story.mesh.sidecar("server")
    process = _starts(sidecar)
    process.signal(signal.SIGHUP)
    process.wait_for_log("the settings were read again: nothing changed")
    sidecar.wait_until_ready()
