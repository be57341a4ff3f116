"""handfast-sidecar upgrade by hand begins with the variables and flags of the running sidecar (decision 102).

    control --- router --- server: [sidecar -> sidecar -> ...]
                       \-- client: [sidecar of a unit]"""

import contextlib
import os
import signal
import socket
import threading

from handfast_harness import Mesh, Process, expect, expect_eq, needs, settings, wait_until
from handfast_harness.control_plane import SIDECAR_UID
from handfast_harness.process import is_running

DEADLINE_S = 180
SECRET = "hunter2"


def arrange(story):
    story.mesh = Mesh(story, hosts=("server", "client"), leaf_ttl="1h", start=False).start_control()
    sidecar = story.server = story.mesh.make_sidecar("server").intercept()
    story.socket = sidecar.settings["admin_socket"]
    # In the file is an address where nothing answers: with the file alone there is no identity.
    address = ",".join(sidecar.settings["control"]["address"])
    settings.write(sidecar.path, settings.merge(sidecar.settings, {"control": {"address": "192.0.2.99:15012"}}))
    os.chmod(sidecar.folder, 0o755)
    sidecar.process = Process(
        story.mesh.server, "handfast-sidecar", [story.binary("handfast-sidecar"), "--config", "sidecar.yaml",
                                                "--timeouts.connect", "7s"],
        story.log_path("handfast-sidecar-server"), uid=SIDECAR_UID, cwd=sidecar.folder,
        env={"HANDFAST_SIDECAR_CONTROL_ADDRESS": address, "HANDFAST_SIDECAR_ACCESS_LOG": "failures",
             "HANDFAST_SIDECAR_ZONE": "north", "DATABASE_PASSWORD": SECRET})
    sidecar.wait_until_ready()
    story.pids = [sidecar.process.pid]


def _of(story, key):
    """(value, where it comes from) of a setting of the process that serves."""
    return next((row["value"], row["origin"]) for row in story.server.admin("/config")["settings"] if row["key"] == key)


def _upgrade(story, *words, check=True, socket=None, cwd="/", **environment):
    """By hand, in another folder. The process that serves is the last of story.pids then."""
    env = {**{name: value for name, value in os.environ.items() if not name.startswith("HANDFAST_")}, **environment}
    done = story.mesh.server.run([story.binary("handfast-sidecar"), "upgrade", "--admin_socket", socket or story.socket,
                                  *words], uid=SIDECAR_UID, check=check, env=env, cwd=cwd)
    if done.returncode == 0:
        wait_until("the process before to end", lambda: not is_running(story.pids[-1]), 10)
        story.pids.append(story.mesh.sidecar("server").listening_pid())
        story.own(_ended(story.pids[-1]))
    return done


@contextlib.contextmanager
def _ended(pid):
    process = os.pidfd_open(pid)
    yield
    with contextlib.suppress(ProcessLookupError):
        signal.pidfd_send_signal(process, signal.SIGKILL)
    os.close(process)


def shows_that_variables_flags_and_file_are_taken_over(story):
    done = _upgrade(story)
    for name in ("HANDFAST_SIDECAR_CONTROL_ADDRESS", "HANDFAST_SIDECAR_ACCESS_LOG", "HANDFAST_SIDECAR_TIMEOUTS_CONNECT",
                 "--config"):
        expect(name in done.stdout + done.stderr, "the command does not name %s: %s" % (name, done.stderr))
    expect(SECRET not in done.stdout + done.stderr, "it shows another variable's value")
    expect_eq(_of(story, "access_log"), ("failures", "HANDFAST_SIDECAR_ACCESS_LOG"), "access_log")
    expect_eq(_of(story, "timeouts.connect"), ("7s", "HANDFAST_SIDECAR_TIMEOUTS_CONNECT"), "timeouts.connect")
    expect_eq(_of(story, "zone")[0], "north", "zone")
    expect_eq(_of(story, "log.level")[0], "debug", "log.level, of the file")
    expect(story.server.is_ready(), "it is not ready")


@needs(shows_that_variables_flags_and_file_are_taken_over)
def shows_that_what_is_given_to_the_command_comes_first(story):
    """An empty variable takes a setting back; a flag becomes one of what the next process is given."""
    _upgrade(story, "--access_log", "off", HANDFAST_SIDECAR_ZONE="")
    expect_eq(_of(story, "access_log")[0], "off", "access_log, by a flag")
    expect(not _of(story, "zone")[0], "zone, which an empty variable takes back: %s" % (_of(story, "zone"),))
    _upgrade(story)
    expect_eq(_of(story, "access_log"), ("off", "HANDFAST_SIDECAR_ACCESS_LOG"), "access_log, once more")
    expect(not _of(story, "zone")[0], "zone, once more: %s" % (_of(story, "zone"),))


@needs(shows_that_variables_flags_and_file_are_taken_over)
def shows_that_the_relative_path_of_the_file_is_still_read(story):
    changed = {"control": {"address": "192.0.2.99:15012"}, "drain_deadline": "19s"}
    settings.write(story.server.path, settings.merge(story.server.settings, changed))
    os.kill(story.pids[-1], signal.SIGHUP)
    wait_until("drain_deadline of the file", lambda: _of(story, "drain_deadline")[0] == "19s", 10)


@needs(shows_that_variables_flags_and_file_are_taken_over)
def shows_that_a_relative_path_of_the_command_is_in_its_own_folder(story):
    """The running sidecar's folder is another one, to which the command goes."""
    folder, name = os.path.split(story.socket)
    above, last = os.path.split(folder)
    _upgrade(story, socket=os.path.join(last, name), cwd=above)
    expect_eq(_of(story, "admin_socket")[0], story.socket, "admin_socket")


def shows_that_the_socket_hands_over_settings_and_nothing_else(story):
    def answer(uid):
        with story.mesh.server.connect_unix(story.socket, uid=uid) as sock:
            sock.sendall(b"given\n")
            with sock.makefile("rb") as file:
                return file.read()
    records = answer(SIDECAR_UID).split(b"\0")
    expect(any(b"CONTROL_ADDRESS=" in record for record in records), "the address is not among %s" % records)
    expect(all(record.startswith(b"HANDFAST_SIDECAR_") for record in records[2:] if record), "others: %s" % records)
    expect(SECRET.encode() not in b"".join(records), "it has another variable")
    try:
        expect_eq(answer(1000), b"", "the answer to another user")
    except PermissionError:
        pass


def shows_that_another_users_process_hands_over_nothing(story):
    """Who can make a socket at that path, where no sidecar has one."""
    folder = story.folder("elsewhere")
    os.chmod(folder, 0o755)
    path = os.path.join(folder, "sidecar.sock")
    with socket.socket(socket.AF_UNIX) as fake:
        fake.bind(path)
        os.chmod(path, 0o777)
        fake.listen()
        asked = []

        def serve():
            with contextlib.suppress(OSError):
                while True:
                    sock, _ = fake.accept()
                    with sock:
                        asked.append(sock.recv(100))
                        sock.sendall(b"/\0\0HANDFAST_SIDECAR_CONTROL_ADDRESS=192.0.2.66:15012\0\0")
        thread = threading.Thread(target=serve)
        thread.start()
        done = story.mesh.server.run([story.binary("handfast-sidecar"), "upgrade", "--admin_socket", path],
                                     uid=SIDECAR_UID, check=False)
        fake.shutdown(socket.SHUT_RDWR)
        thread.join(5)
    expect_eq(done.returncode, 77, "exit code")
    expect("has uid 0" in done.stdout + done.stderr, "the reason: %s" % done.stderr)
    expect_eq([line for line in asked if line], [], "what it was asked")


def shows_that_beside_a_unit_it_is_refused_also_where_proc_hides_it(story):
    """It has NOTIFY_SOCKET and settings that the command does not have; without a unit they would be lost, too."""
    sidecar = story.mesh.make_sidecar("client").intercept()
    os.chmod(sidecar.folder, 0o755)
    sidecar.process = Process(
        story.mesh.client, "handfast-sidecar", [story.binary("handfast-sidecar"), "--config", sidecar.path],
        story.log_path("handfast-sidecar-client"), uid=SIDECAR_UID, cwd=sidecar.folder,
        env={"NOTIFY_SOCKET": "/nonexistent", "HANDFAST_SIDECAR_ZONE": "north"})
    sidecar.wait_until_ready()
    command = [story.binary("handfast-sidecar"), "--config", sidecar.path, "--timeout", "10s"]
    hidden = ["unshare", "--mount", "sh", "-c", "mount -t proc -o hidepid=2 proc /proc && exec setpriv --reuid %d --regid %d "
              '--clear-groups "$@"' % (SIDECAR_UID, SIDECAR_UID), "sh"]
    for how, uid in (([], SIDECAR_UID), (hidden, 0)):
        done = story.mesh.client.run([*how, command[0], "upgrade", *command[1:]], uid=uid, check=False)
        expect_eq(done.returncode, 69, "exit code, and %s%s" % (done.stdout, done.stderr))
        expect("`systemctl reload` for its unit" in done.stdout + done.stderr, "no way on: %s" % done.stderr)
    done = story.mesh.client.run([*hidden, command[0], "run", "--take-over", *command[1:]], check=False)
    expect("`systemctl reload` for its unit" in done.stdout + done.stderr, "run --take-over: %s" % done.stderr)
    expect(is_running(sidecar.process.pid) and sidecar.is_ready(), "the sidecar is not the one that serves")
    zone = next(row["value"] for row in sidecar.admin("/config")["settings"] if row["key"] == "zone")
    expect_eq(zone, "north", "zone")
