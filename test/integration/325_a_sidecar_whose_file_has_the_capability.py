"""A container that is not root gets no capability: the sidecar's file has CAP_NET_RAW, and what runs has that alone, or nothing.

    client: [sidecar] ==tunnel==> seen: [sidecar, tproxy], plain: [sidecar, redirect] -> echo

Each sidecar is started as a container runtime starts one: user 1337, without a capability, a bounding set of what the pod
may have, and the file as the image has it."""

import os
import shutil
import sys

from handfast_harness import Mesh, StreamServer, expect, expect_eq, expect_in, stream

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "docker"))

import oci_image  # noqa: E402 (the path must be set first)

DEADLINE_S = 240
PORT = 9000
NET_RAW, NONE = "0000000000002000", "0000000000000000"  # CAP_NET_RAW is bit 13
TPROXY_POD = ["--bounding-set", "-all,+net_raw", "--no-new-privs"]  # setpriv holds what it may, as runc does
REDIRECT_POD = ["--bounding-set", "-all", "--no-new-privs"]
WITHOUT = ["--bounding-set", "-all,+net_raw", "setpriv", "--no-new-privs"]  # a runtime that gives up what `add` lists
UNBOUNDED = ["--bounding-set", "-all,+net_raw,+chown,+setuid"]  # as engines start containers by themselves


def arrange(story):
    mesh = story.mesh = Mesh(story, hosts=("client", "seen", "plain"), outsiders=("stranger",), leaf_ttl="1h", start=False)
    mesh.start_control()
    story.file = _file_of_the_image(story)
    _start(story, "seen", TPROXY_POD, "tproxy")
    _start(story, "plain", REDIRECT_POD, "redirect")
    mesh.start_sidecar("client")
    for name in ("seen", "plain"):
        mesh.sidecar(name).wait_until_ready()
    story.servers = {name: story.own(StreamServer(story, mesh.net.hosts[name], PORT, "echo")) for name in ("seen", "plain")}


def _file_of_the_image(story):
    """The program with the capability that docker/Dockerfile.sidecar gives it."""
    with open(os.path.join(os.path.dirname(oci_image.__file__), "Dockerfile.sidecar")) as file:
        capability, = [line.split()[2] for line in file if line.startswith("RUN setcap ")]
    path = os.path.join(story.folder("image"), "handfast-sidecar")
    shutil.copy(story.binary("handfast-sidecar"), path)
    os.chmod(path, 0o755)
    os.chmod(os.path.dirname(path), 0o755)
    os.setxattr(path, "security.capability", oci_image.CAPABILITIES[capability])
    return path


def _start(story, name, options, mode):
    sidecar = story.mesh.make_sidecar(name, rules=("--mode", mode), configuration={"interception": mode}, capabilities=options)
    sidecar._binary = story.file
    sidecar.intercept().launch()


def _status(pid):
    """[{field: value}] of all threads."""
    found = []
    for thread in os.listdir("/proc/%d/task" % pid):
        with open("/proc/%d/task/%s/status" % (pid, thread)) as file:
            found.append(dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line))
    return found


def _expect_capabilities(pid, wanted, bounding):
    threads = _status(pid)
    expect(len(threads) > 1, "the sidecar has %d threads" % len(threads))
    for one in threads:
        expect_eq((one["Uid"].split(), one["Gid"].split(), one["Groups"].strip()), (["1337"] * 4, ["1337"] * 4, ""), "the user")
        expect_eq({key: one[key] for key in ("CapPrm", "CapEff", "CapInh", "CapAmb", "CapBnd")},
                  {"CapPrm": wanted, "CapEff": wanted, "CapInh": NONE, "CapAmb": NONE, "CapBnd": bounding}, "capabilities")
        expect_eq((one["NoNewPrivs"], one["Seccomp"]), ("1", "2"), "no_new_privs and the system call filter")


def shows_that_in_the_mode_tproxy_each_thread_has_one_capability(story):
    _expect_capabilities(story.mesh.sidecar("seen").process.pid, NET_RAW, NET_RAW)


def shows_that_the_workload_sees_its_caller_there_and_the_sidecar_elsewhere(story):
    own, mesh = {4: story.mesh.client.ipv4, 6: story.mesh.client.ipv6}, story.mesh
    for name, expected in (("seen", own), ("plain", {4: "169.254.15.6", 6: "100::6"})):
        host = mesh.net.hosts[name]
        for number, (family, address) in enumerate(((4, host.ipv4), (6, host.ipv6))):
            with mesh.client.connect(address, PORT, uid=1000) as sock:
                expect_eq(stream.exchange(sock, b"hello"), (b"hello", "fin"), "the answer of " + name)
            peer = story.servers[name].wait_for_report(number)["peer"][0].removeprefix("::ffff:")
            expect_eq(peer, expected[family], "the caller's address at %s, IPv%d" % (name, family))


def shows_that_K42_the_same_file_gives_nothing_in_another_mode(story):
    _expect_capabilities(story.mesh.sidecar("plain").process.pid, NONE, NONE)
    sidecar = story.mesh.sidecar("plain")
    sidecar.stop()
    sidecar.capabilities = UNBOUNDED
    sidecar.start()
    threads = _status(sidecar.process.pid)
    expect_eq({one["CapPrm"] + one["CapEff"] for one in threads}, {NONE + NONE}, "capabilities of a process that could keep one")


def shows_that_a_mode_that_the_pod_may_not_have_does_not_start(story):
    """The file without the right to it, the right without the file, and a runtime that holds nothing when it starts it."""
    sidecar = story.mesh.make_sidecar("stranger", rules=None, configuration={"interception": "tproxy"})
    for options, program in ((REDIRECT_POD, story.file), (["--bounding-set", "-all"], story.file), (WITHOUT, story.file),
                             (TPROXY_POD, story.binary("handfast-sidecar"))):
        sidecar.capabilities, sidecar._binary = options, program
        process = sidecar.launch()
        expect_eq(process.wait_for_exit(), 77, "the exit code with %s" % options)
        expect_in("has no CAP_NET_RAW", process.log(), "the log")


def shows_that_K42_another_program_gets_nothing(story):
    """Of the container of the mode tproxy: what has no capability of its own gets none."""
    done = story.mesh.seen.run(["setpriv", "--reuid", "1337", "--regid", "1337", "--clear-groups", *TPROXY_POD, "cat",
                                "/proc/self/status"])
    for row in ("CapPrm", "CapEff", "CapInh", "CapAmb"):
        expect_in("%s:\t%s" % (row, NONE), done.stdout, "capabilities of another program")


def shows_that_commands_in_the_container_work(story):
    """Hooks of kubelet run them by the same file, under the same bounds."""
    done = story.mesh.seen.run(["setpriv", "--reuid", "1337", "--regid", "1337", "--clear-groups", *TPROXY_POD, story.file, "wait",
                                "--config", story.mesh.sidecar("seen").path])
    expect_eq(done.returncode, 0, "the exit code of wait")
    story.mesh.sidecar("seen").process.signal(15)
    expect_eq(story.mesh.sidecar("seen").process.wait_for_exit(), 0, "the exit code of the sidecar")
