"""A new process takes the listening sockets over from a running sidecar: nothing is refused, nothing is reset.

    control --- router --- client: [sidecar -> sidecar] ==tunnels==> server: [sidecar -> sidecar] -> echo, source"""

import contextlib
import os
import signal

from handfast_harness import Mesh, StreamServer, expect, expect_eq, settings, wait_until
from handfast_harness import stream
from handfast_harness.control_plane import SIDECAR_UID
from handfast_harness.load import Load
from handfast_harness.process import is_running


DEADLINE_S = 300


def arrange(story):
    story.mesh = Mesh(story, leaf_ttl="1h")
    story.own(StreamServer(story, story.mesh.server, 9000, "echo"))
    story.server, story.client = story.mesh.sidecar("server"), story.mesh.sidecar("client")


def _connect(story):
    return story.mesh.client.connect(story.mesh.server.ipv4, 9000, uid=1000)


@contextlib.contextmanager
def _killed_at_the_end(pid):
    process = os.pidfd_open(pid)
    yield
    with contextlib.suppress(ProcessLookupError):
        signal.pidfd_send_signal(process, signal.SIGKILL)
    os.close(process)


def _passes(sock, data):
    sock.sendall(data)
    expect_eq(stream.receive_exactly(sock, len(data)), data, "echo")


def shows_that_under_load_nothing_is_refused_or_reset(story):
    old = []
    with Load(story.mesh.client, story.mesh.server.ipv4, 9000, num_clients=20, new_per_second=200) as load:
        load.wait_for_requests()
        for sidecar in (story.server, story.client, story.server, story.client):
            old.append(sidecar.upgrade())
            load.wait_for_requests(200)
        expect_eq(load.failures, [], "failures while four processes took over")
    expect_eq(load.failures, [], "failures")
    expect(load.num_connections > 200, "only %d new connections" % load.num_connections)
    for process in old:
        expect_eq(process.wait_for_exit(20), 0, "exit code of a process that was upgraded")
    expect(story.server.is_ready(), "the new process is not ready")


def shows_that_a_connection_stays_with_the_process_that_accepted_it(story):
    with _connect(story) as live:
        _passes(live, b"before")
        old = story.server.upgrade(), story.client.upgrade()
        _passes(live, b"through the processes that were upgraded")
        with _connect(story) as late:
            _passes(late, b"through the new ones")
        expect_eq([process.exit_code for process in old], [None, None], "exit codes while a connection is open")
    for process in old:
        expect_eq(process.wait_for_exit(20), 0, "exit code after its last connection")


def shows_that_callers_never_hear_of_a_drain(story):
    """The endpoint stays: only a process that ends without a successor drains for its callers."""
    seen = story.mesh.control.log().count("draining")
    story.server.upgrade().wait_for_exit(10)
    expect_eq(story.mesh.control.log().count("draining"), seen, "lines about draining at the control plane")
    wait_until("the server's address to be held", lambda: [
        claim for claim in story.server.admin("/certs")["addresses"] if claim["held"]], 40)


def shows_that_the_command_upgrades_and_waits(story):
    """Through a pipe, as in a script: the new process writes to the log of the one before, not to the pipe."""
    before, old = story.server.process.pid, story.server.process
    shown = story.mesh.server.run(["bash", "-c", '"$0" upgrade --config "$1" 2>&1 | cat', story.binary("handfast-sidecar"),
                                   story.server.path], uid=SIDECAR_UID).stdout
    expect("upgraded" in shown and "serving" not in shown, "the command shows %r" % shown)
    old.wait_for_log("taken over after")
    expect_eq(old.wait_for_exit(10), 0, "exit code of the process that was upgraded")
    pid = story.server.listening_pid()
    expect(pid != before, "the process is the same one")
    story.own(_killed_at_the_end(pid))
    with _connect(story) as sock:
        _passes(sock, b"through the process that the command started")
    story.server.command("quit")
    wait_until("it to end", lambda: not is_running(pid), 10)
    story.server.start()


def shows_that_a_process_without_an_identity_changes_nothing(story):
    other = os.path.join(story.server.folder, "other.yaml")
    elsewhere = settings.merge(story.server.settings, {
        "control": {"address": "192.0.2.99:15012"}, "identity": {"keep_svid": False}})
    empty = os.path.join(story.server.folder, "empty")
    os.makedirs(empty, mode=0o700)
    os.chown(empty, SIDECAR_UID, SIDECAR_UID)
    settings.write(other, settings.merge(elsewhere, {"state_dir": empty}))
    late = story.server.prepare("--timeout", "1500ms", path=other)
    expect(late.wait_for_exit(10) not in (0, None), "it claims to have taken over")
    expect("not taken over; the former sidecar continues to serve" in late.log(), "its log lacks that nothing has changed")
    gave_up = next(line for line in late.log().splitlines() if "no identity after" in line)
    expect_eq([gave_up.count(part) for part in ("; expected: ", "; fix: ")], [1, 1], "parts of the reason: %s" % gave_up)
    goes_on = "does not take over; this process continues to serve"
    seen = story.server.process.log().count(goes_on)
    killed = story.server.prepare(path=other)
    killed.wait_for_log("preparing to take over")
    twice = story.server.prepare(path=other)
    expect(twice.wait_for_exit(15) != 0, "two processes take over at once")
    expect("is taking over" in twice.log(), "the log of the second one lacks the reason")
    killed.kill()
    wait_until("the running one to go on", lambda: story.server.process.log().count(goes_on) > seen, 10)
    with _connect(story) as sock:
        _passes(sock, b"through the one before")


def _elsewhere(story, name, **changes):
    """A file of settings with which no process gets an identity."""
    path, empty = os.path.join(story.server.folder, name + ".yaml"), os.path.join(story.server.folder, name)
    os.makedirs(empty, mode=0o700)
    os.chown(empty, SIDECAR_UID, SIDECAR_UID)
    settings.write(path, settings.merge(story.server.settings, {
        "state_dir": empty, "control": {"address": "192.0.2.99:15012"}, "identity": {"keep_svid": False}, **changes}))
    return path


def shows_that_more_workers_take_nothing_before_they_serve(story):
    """Sockets that only the new process has listen when it serves: else the kernel would lead connections to them."""
    late = story.server.prepare("--timeout", "3s", path=_elsewhere(story, "workers", workers=4))
    with Load(story.mesh.client, story.mesh.server.ipv4, 9000, num_clients=2, new_per_second=50) as load:
        late.wait_for_log("preparing to take over")
        load.wait_for_requests(50)
        expect(late.wait_for_exit(10) not in (0, None), "it claims to have taken over")
        load.wait_for_requests(20)
    expect_eq(load.failures, [], "failures beside a process with more workers that does not take over")


def shows_that_a_sidecar_that_ends_hands_nothing_over(story):
    """Else the next process would serve without an identity, and the former would remove its sockets' files."""
    for end in (lambda: story.server.process.signal(signal.SIGTERM), lambda: story.server.command("quit")):
        waiting = story.server.prepare(path=_elsewhere(story, "ends%d" % story.server.process.pid))
        waiting.wait_for_log("preparing to take over")
        end()
        expect(waiting.wait_for_exit(10) not in (0, None), "it claims to have taken over")
        expect("has kept its sockets" in waiting.log(), "its log lacks the reason")
        story.server.process.wait_for_exit(30)
        story.server.start()


def shows_that_after_a_crash_the_next_one_does_not_serve_without_an_identity(story):
    waiting = story.server.prepare("--timeout", "3s", path=_elsewhere(story, "crash"))
    waiting.wait_for_log("preparing to take over")
    story.server.kill()
    expect(waiting.wait_for_exit(10) not in (0, None), "it claims to have taken over")
    expect("not taken over, and the sidecar before has ended" in waiting.log() and ": serving" not in waiting.log(),
           "its log: %s" % waiting.log()[-500:])
    story.server.start()


def shows_that_it_refuses_what_cannot_work(story):
    as_root = story.mesh.server.run([story.binary("handfast-sidecar"), "upgrade", "--config", story.server.path],
                                    check=False)
    expect(as_root.returncode != 0 and "uid 1337" in as_root.stdout + as_root.stderr,
           "root: %d %s" % (as_root.returncode, as_root.stderr))
    few = story.mesh.server.run(["bash", "-c", 'ulimit -n 512; exec "$0" upgrade --config "$1"',
                                 story.binary("handfast-sidecar"), story.server.path], uid=SIDECAR_UID, check=False)
    expect(few.returncode != 0 and "may have 512 open files" in few.stdout + few.stderr, "few files: %s" % few.stderr)
    story.server.stop()
    alone = story.mesh.server.run([story.binary("handfast-sidecar"), "upgrade", "--config", story.server.path],
                                  uid=SIDECAR_UID, check=False)
    expect(alone.returncode != 0 and "sidecar.sock" in alone.stdout + alone.stderr, "alone: %s" % alone.stderr)
    story.server.start()


def shows_that_the_number_of_workers_may_change(story):
    for workers in (4, 1, 3):
        story.server.configure({"workers": workers})
        with Load(story.mesh.client, story.mesh.server.ipv4, 9000, num_clients=4, new_per_second=100) as load:
            load.wait_for_requests()
            story.server.upgrade()
            load.wait_for_requests(100)
        expect_eq(load.failures, [], "failures with %d workers" % workers)


def shows_that_the_new_process_keeps_what_a_restart_needs(story):
    """The state folder is the new one's: after it, a restart without a control plane has identity and policy."""
    def written_ns():
        with contextlib.suppress(FileNotFoundError):
            return os.stat(os.path.join(story.server.state, "identity")).st_mtime_ns
        return 0
    before = written_ns()
    story.server.upgrade().wait_for_exit(10)
    wait_until("the identity to be kept by the new process",
               lambda: "is not kept" not in story.server.process.log() and written_ns() > before, 30, 0.2)
    story.mesh.control.stop()
    story.server.restart()
    with _connect(story) as sock:
        _passes(sock, b"without a control plane")
