"""Each process of each program that ships is ended by the kernel when it makes a system call outside of its list.

Abuse case S7. The processes are those of base/sandbox/processes.def, real programs at work; a debugger makes them call.

    control [run, signer] --- client, server: [sidecars]     node: [agent, starter], API server (stand-in)
    host: the commands of all programs"""

import contextlib
import json
import os
import socket
import subprocess

from handfast_harness import Mesh, expect, expect_eq, expect_in, wait_until
from handfast_harness.control_plane import CONTROL_UID, private_file
from handfast_harness.forbidden import death_by, deaths_of, wait_for_filter
from handfast_harness.sidecar import SIDECAR_UID
from peers.kube_api import KubeApi

DEADLINE_S = 480
SIGSYS = 31
ATTACKS = ("execve", "ptrace", "mount", "bpf", "unshare", "setns", "io_uring_setup", "memfd_create", "setuid", "init_module",
           "perf_event_open", "process_vm_readv")
# Of processes that start a program of ours.
BUT_EXECVE = tuple(call for call in ATTACKS if call not in ("execve", "setns"))


def tries(_program, _process):
    """A row of base/sandbox/processes.def, which the function below tries; test/lint/processes.py compares them."""
    return lambda function: function


def arrange(story):
    story.mesh = Mesh(story, leaf_ttl="1h")
    story.node = story.topology("node").node
    story.api = story.own(KubeApi(story.node, story.folder("api")))
    story.files = story.folder("files")
    os.chmod(story.files, 0o777)
    story.programs = {name: story.binary(name) for name in (
        "handfast", "handfast-sidecar", "handfast-control", "handfast-init", "handfast-cni", "handfast-pkcs11")}


def _dies_of_each(deaths):
    expect_eq({call: number for call, number in deaths.items() if number != SIGSYS}, {}, "calls that were not refused")


def _dies(pid, call):
    expect_eq(death_by(pid, call), SIGSYS, "the signal that ends %d after %s" % (pid, call))


# --- the sidecar ---

def _sidecar_command(story, *words, env=None, calls=ATTACKS):
    path = story.mesh.sidecar("client").path
    argv = story.mesh.client.argv([story.programs["handfast-sidecar"], *words, "--config", path], SIDECAR_UID)
    _dies_of_each(deaths_of(argv, calls, program="handfast-sidecar", env=env))


@tries("handfast-sidecar", "upgrade")
def shows_the_process_that_waits_for_an_upgrade(story):
    """Its new process has a folder that it cannot use, and ends by itself."""
    _sidecar_command(story, "upgrade", "--state_dir", "/proc/none", calls=("execve", "mount"))


@tries("handfast-sidecar", "run")
def shows_a_sidecar(story):
    sidecar = story.mesh.sidecar("client")
    _dies(sidecar.process.pid, "execve")
    expect_eq(sidecar.process.wait_for_exit(), -SIGSYS, "exit code of the sidecar")


@tries("handfast-sidecar", "(upgraded)")
def shows_the_process_that_takes_over(story):
    sidecar = story.mesh.sidecar("server")
    sidecar.upgrade()
    wait_for_filter(sidecar.process.pid)
    _dies(sidecar.process.pid, "bpf")


@tries("handfast-sidecar", "wait drain quit release")
def shows_the_commands_of_a_sidecar(story):
    for command in ("wait", "drain", "quit", "release"):
        _sidecar_command(story, command)


@tries("handfast-sidecar", "svid")
def shows_the_command_that_writes_the_identity(story):
    for more in ((), ("--command", "/bin/true")):
        _sidecar_command(story, "svid", "--write", story.files, *more, env={"SPIFFE_ENDPOINT_SOCKET": "unix:///nowhere"})


# --- the control plane ---

@tries("handfast-control", "(signer)")
def shows_the_signer(story):
    process = story.mesh.control.process
    _dies(process.children()[0], "socket")
    process.wait_for_exit()
    expect_in("the signer was ended by signal 31", process.log(), "the control plane's log")


@tries("handfast-control", "run")
def shows_the_network_process(story):
    story.mesh.control.start()
    process = story.mesh.control.process
    signers = process.children()
    _dies(process.pid, "execve")
    wait_until("the signer to end", lambda: not any(os.path.exists("/proc/%d" % pid) for pid in signers))


def _control_command(story, *words, calls=ATTACKS):
    control = story.mesh.control
    argv = control.host.argv([story.programs["handfast-control"], *words, "--config", control.path], CONTROL_UID)
    _dies_of_each(deaths_of(argv, calls, program="handfast-control"))


@tries("handfast-control", "keys; keys export; keys import; backup")
def shows_the_commands_that_handle_keys(story):
    passphrase = private_file(os.path.join(story.files, "passphrase"), "a passphrase of some length\n")
    with_file = ("--passphrase-file", passphrase)
    _control_command(story, "backup", "--to", os.path.join(story.files, "backup"), *with_file)
    few = ("execve", "bpf", "mount")
    _control_command(story, "keys", "--mounted", story.files, calls=few)
    _control_command(story, "keys", "export", "--to", os.path.join(story.files, "keys"), *with_file, calls=few)
    _control_command(story, "keys", "import", "--from", os.path.join(story.files, "keys"), *with_file, calls=few)


@tries("handfast-control", "restore")
def shows_a_restore(story):
    _control_command(story, "restore", calls=("execve", "bpf", "mount"))


@tries("handfast-control", "(ca-command)")
def shows_the_process_that_runs_an_operators_command(story):
    """The command inherits its filter: it may do all but this, which gets EPERM (1), or ENOSYS (38) where the C library has
    another call."""
    keys = story.folder("keys")
    refused = ("ptrace", "mount", "unshare", "setns", "bpf", "process_vm_readv", "init_module", "io_uring_setup", "userfaultfd",
               "perf_event_open", "keyctl", "mount_setattr")
    for call, result in [(call, -1) for call in refused] + [("clone3", -38)]:
        with _with_socket(story.programs["handfast-control"], "ca-command", keys, "1000", "/bin/true") as pid:
            expect_eq(death_by(pid, call), result, "the result of %s" % call)


@contextlib.contextmanager
def _with_socket(*argv):
    """A process that its parent gives a socket, descriptor 3. Its id, when it has a filter."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours:
        child = subprocess.Popen(argv, stdin=subprocess.DEVNULL, preexec_fn=lambda: os.dup2(theirs.fileno(), 3),
                                 pass_fds=(3,), start_new_session=True)
        theirs.close()
        try:
            wait_for_filter(child.pid)
            yield child.pid
        finally:
            child.kill()
            child.wait()


@tries("handfast-pkcs11", "(token)")
def shows_the_process_with_a_vendors_module(story):
    """With SoftHSM; at its end the module is loaded and waits for what to sign."""
    module = "/usr/lib/softhsm/libsofthsm2.so"
    keys = story.folder("keys")
    pin = private_file(os.path.join(story.files, "pin"), "1234\n")
    for call in ATTACKS:
        if call in ("io_uring_setup", "memfd_create", "perf_event_open"):
            continue  # they get ENOSYS there: a library may ask what the kernel has
        with _with_socket(story.programs["handfast-pkcs11"], keys, module, "mesh", "authority", pin) as pid:
            wait_until("the module to be loaded", lambda loading=pid: "libsofthsm2" in _maps(loading))
            _dies(pid, call)


def _maps(pid):
    with open("/proc/%d/maps" % pid) as file:
        return file.read()


# --- rules ---

@tries("handfast-init", "*")
def shows_what_writes_the_rules(story):
    for words in (["up"], ["down"], ["check"], ["confirm"]):
        _dies_of_each(deaths_of(story.node.argv([story.programs["handfast-init"], *words]), ATTACKS[:4] + ATTACKS[5:8],
                                program="handfast-init"))


@tries("handfast-cni", "(plugin)")
def shows_the_cni_plugin(story):
    with open(os.path.join(story.files, "input"), "w") as file:
        json.dump({"cniVersion": "1.0.0", "name": "net", "type": "handfast-cni"}, file)
    with open(os.path.join(story.files, "input")) as stdin:
        _dies_of_each(deaths_of([story.programs["handfast-cni"]], ATTACKS, stdin=stdin, env={"CNI_COMMAND": "VERSION"}))


def _start_agent(story):
    folders = {name: os.path.join(story.files, name) for name in ("net.d", "plugins")}
    for path in folders.values():
        os.makedirs(path, exist_ok=True)
    with open(os.path.join(folders["net.d"], "10-net.conflist"), "w") as file:
        json.dump({"cniVersion": "1.0.0", "name": "net", "plugins": [{"type": "bridge"}]}, file)
    agent = story.spawn(story.node, "agent", [
        story.programs["handfast-cni"], "agent", "--node-name", "node-1", "--kubeconfig", story.api.kubeconfig, "--socket",
        os.path.join(story.files, "agent.sock"), "--init-program", story.programs["handfast-init"], "--conf-dir", folders["net.d"],
        "--bin-dir", folders["plugins"], "--remove-at-end", "never"])
    return agent.wait_for_http("http://127.0.0.1:15024/healthz/ready")


@tries("handfast-cni", "agent")
def shows_the_agent(story):
    """It has no capability either, and its starter ends with it."""
    for call in ("execve", "setns", "mount"):
        agent = _start_agent(story)
        with open("/proc/%d/status" % agent.pid) as file:
            expect_in("CapEff:\t0000000000000000", file.read(), "capabilities of the agent")
        starter = agent.children()[0]
        _dies(agent.pid, call)
        wait_until("the starter to end", lambda pid=starter: not os.path.exists("/proc/%d" % pid))


@tries("handfast-cni", "(starter)")
def shows_the_starter_of_an_agent(story):
    """The agent ends too: without it no pod gets rules, and kubelet starts it again."""
    for call in ("mount", "unshare", "bpf"):
        agent = _start_agent(story)
        _dies(agent.children()[0], call)
        expect(agent.wait_for_exit() > 0, "the agent ended as if all were well")
        expect_in("the agent's starter has ended", agent.log(), "the agent's log")


@tries("handfast-cni", "uninstall")
def shows_the_uninstall_of_the_plugin(story):
    _dies_of_each(deaths_of([story.programs["handfast-cni"], "uninstall", "--conf-dir", story.files, "--bin-dir", story.files],
                            ATTACKS))


# --- the command line ---

@tries("handfast", "*")
def shows_the_command_line(story):
    settings = os.path.join(story.files, "policy.yaml")
    with open(settings, "w") as file:
        file.write("policy: {default_mode: strict}\n")
    none = {"HOME": story.files, "KUBECONFIG": ""}
    for words in (["policy", "lint", "--file", settings], ["status", "--socket", "/nowhere"]):
        _dies_of_each(deaths_of([story.programs["handfast"], *words], ATTACKS, env=none))


def shows_the_command_line_after_a_credential_plugin(story):
    """Which is another program, of the operator's, and runs before; the API server would answer afterwards."""
    mark, plugin = os.path.join(story.files, "mark"), os.path.join(story.files, "plugin")
    with open(plugin, "w") as file:
        file.write("#!/bin/sh\necho run >>%s\nid >/dev/null\necho '%s'\n" % (mark, json.dumps(
            {"kind": "ExecCredential", "apiVersion": "client.authentication.k8s.io/v1", "status": {"token": "stand-in"}})))
    os.chmod(plugin, 0o755)
    with open(story.api.kubeconfig) as file:
        config = json.load(file)
    config["users"][0]["user"] = {"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": plugin,
                                           "interactiveMode": "Never"}}
    kubeconfig = os.path.join(os.path.dirname(story.api.kubeconfig), "with-plugin")
    with open(kubeconfig, "w") as file:
        json.dump(config, file)
    argv = story.node.argv([story.programs["handfast"], "check", "--cluster", "--kubeconfig", kubeconfig])
    _dies_of_each(deaths_of(argv, ATTACKS, program="handfast"))
    with open(mark) as file:
        expect_eq(file.read().count("run"), len(ATTACKS), "runs of the plugin")


@tries("handfast", "(watch)")
def shows_a_command_that_is_repeated(story):
    for call in BUT_EXECVE[:4]:
        watch = story.spawn(story.node, "watch", [story.programs["handfast"], "status", "--watch", "--socket", "/nowhere"],
                            env={"HOME": story.files, "KUBECONFIG": ""})
        wait_for_filter(watch.pid)
        _dies(watch.pid, call)
        expect_eq(watch.wait_for_exit(), -SIGSYS, "exit code")
