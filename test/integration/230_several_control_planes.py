"""Three control planes with one state in etcd of three members, with TLS: any of the six is killed, stopped or cut off
under load, one after the other. No call fails, renewals go on at another control plane, and one that was stopped
changes nothing when it wakes up.

    control, control2, control3 ---- router ---- etcd1, etcd2, etcd3
                                       |
          client: keep-alive clients and new connections -> [sidecar] ==tunnels==> [sidecar] server"""

import json
import os
import signal
import time

from handfast_harness import Mesh, StreamServer, expect, expect_eq, expect_in, identity_of, wait_until
from handfast_harness.control_plane import CONTROL_UID
from handfast_harness.control_planes import another_control_plane, carry_keys, exported_keys, keys_command, start_sidecars
from handfast_harness.etcd import Etcd
from handfast_harness.load import Load

DEADLINE_S = 900
CONTROLS = ("control", "control2", "control3")
MEMBERS = ("etcd1", "etcd2", "etcd3")
SERVICE = "203.0.113.250"
PASSWORDS = ("first-password", "second-password", "third=password;signs")


def arrange(story):
    mesh = story.mesh = Mesh(story, hosts=("client", "server"), outsiders=CONTROLS[1:] + MEMBERS + ("stranger",), leaf_ttl="12s", start=False,
                             services=[{"name": "echo", "address": SERVICE, "ports": [{"port": 9000}],
                                        "identity": identity_of("server")}])
    story.etcd = Etcd(story, [mesh.net.hosts[name] for name in MEMBERS]).start()
    story.etcd.allow("handfast", PASSWORDS[0])
    mesh.control.configure({"store": story.etcd.settings(), "mesh": {"claim_grace": "3s"}})
    story.controls = [mesh.control]
    mesh.control.start()
    wait_until("the keys", lambda: mesh.control.run("status", check=False).returncode == 0, 30)
    for name in CONTROLS[1:]:
        other = another_control_plane(mesh.control, mesh.net.hosts[name])
        carry_keys(mesh.control, other)
        story.controls.append(other)
        other.start()
    start_sidecars(mesh, story.controls, ("client", "server"))
    story.own(StreamServer(story, mesh.server, 9000, "echo"))


def _status(control, *words):
    return json.loads(control.run(*(words or ("status",)), "--output", "json").stdout)


def shows_that_all_answer_from_one_state(story):
    """A token of one control plane is known to the others, and each one has the same claims after three grace periods:
    a sidecar's stream is at one of them."""
    token = story.controls[0].run("token", "create", "--id", identity_of("new")).stdout
    expect(token, "no token")
    for control in story.controls[1:]:
        wait_until("the token at %s" % control.name, lambda: identity_of("new") in control.run("token", "list").stdout, 20)
    began = time.monotonic()
    wait_until("three grace periods", lambda: time.monotonic() - began > 10, 20, 0.5)
    for control in story.controls:
        entries = story.etcd.ctl("get", "--prefix", "/handfast/claim/", "--print-value-only").stdout
        expect_eq(entries.count("ended=0"), 2, "claims that hold")
    with Load(story.mesh.client, SERVICE, 9000, num_clients=4, new_per_second=10) as load:
        load.wait_for_requests(100)
    expect_eq(load.failures, [], "failures")


def _expect_logged(control, text, since=0):
    wait_until("'%s' in the log of %s" % (text, control.name), lambda: text in control.log()[since:], 10)


def shows_that_authentication_is_enabled_and_a_password_replaced_while_all_run(story):
    """The control planes have a user from the start. etcd's tokens end with each change of the password, and with a
    member's process."""
    for control in story.controls:
        _expect_logged(control, "etcd's authentication is off")
    with Load(story.mesh.client, SERVICE, 9000, num_clients=4, new_per_second=10) as load:
        story.etcd.enable_authentication()
        _wait_until_whole(story)
        for password in PASSWORDS[1:]:
            story.etcd.write_password(password)
            story.etcd.set_password(password)
            for control in story.controls:  # no change fails meanwhile
                control.run("token", "create", "--id", identity_of("x"))
        for member in story.etcd.members[:2]:
            member.kill()
            member.start()
            _wait_until_whole(story)
    expect_eq(load.failures, [], "failures")
    for control in story.controls:
        for secret in PASSWORDS:
            expect(secret not in control.log(), "%s has logged a password" % control.name)


def shows_that_a_refused_user_is_named_with_what_to_do(story):
    """A wrong password, then a permission that is taken away: sidecars go on, a start is refused at once."""
    control, late = story.controls[0], story.controls[2]
    since = len(control.log())
    with Load(story.mesh.client, SERVICE, 9000, num_clients=4, new_per_second=10) as load:
        story.etcd.set_password("not-in-the-file")
        _expect_logged(control, "etcd refuses the user 'handfast' with the password in", since)
        refused = control.run("token", "create", "--id", identity_of("x"), check=False)
        expect_in("the password that etcd has for this user", refused.stderr, "a change")
        _expect_renewals(story, _Fault("a wrong password", None, None))
        story.etcd.set_password(PASSWORDS[-1])
        _wait_until_whole(story)
        since = len(control.log())
        story.etcd.ctl("role", "revoke-permission", "handfast", "--prefix=true", "/handfast/")
        _expect_logged(control, "etcd has denied permission to its user 'handfast'", since)
        refused = control.run("token", "create", "--id", identity_of("x"), check=False)
        expect_in("grant-permission ROLE --prefix=true readwrite /handfast/", refused.stderr, "a change")
        late.stop()
        began = time.monotonic()
        expect(late.launch().wait_for_exit(20) != 0, "it has started")
        expect(time.monotonic() - began < 10, "the start has waited")
        expect_in("etcd has denied permission to its user 'handfast'", late.log(), "its log")
        story.etcd.ctl("role", "grant-permission", "handfast", "--prefix=true", "readwrite", "/handfast/")
        late.start()
        _wait_until_whole(story)
    expect_eq(load.failures, [], "failures")


def shows_that_a_control_plane_with_other_keys_is_refused(story):
    other = another_control_plane(story.controls[0], story.mesh.net.hosts["stranger"])
    expect_eq(other.launch().wait_for_exit(20), 65, "its exit code without keys")
    expect_in("the bootstrap root key is missing", other.log(), "its log")
    store = other.settings["store"]
    story.etcd.ctl("role", "grant-permission", "handfast", "--prefix=true", "readwrite", "/other/")
    other.configure(store={"etcd": {**store["etcd"], "prefix": "/other/"}})
    other.launch()  # a mesh of its own
    wait_until("keys of its own", lambda: other.run("status", check=False).returncode == 0, 30)
    other.stop()
    for name in set(os.listdir(os.path.join(other.state, "keys"))) - {"bootstrap.pem", "root.pem"}:
        os.remove(os.path.join(other.state, "keys", name))
    other.configure(store=store)
    expect_eq(other.launch().wait_for_exit(20), 65, "its exit code with other keys")
    expect_in("the key folder has other keys", other.log(), "its log")
    expect_in("keys import", other.log(), "its log")
    sealed, passphrase = exported_keys(story.controls[0])
    refused = keys_command(other, "import", "--from", sealed, "--passphrase-file", passphrase, check=False)
    expect_eq(refused.returncode, 69, "an import beside keys: " + refused.stderr)
    expect_in("nothing was overwritten", refused.stderr, "an import beside keys")


def _rotate(story, control):
    number = _status(control, "ca", "status")["number"] + 1
    control.run("ca", "rotate")
    for each in story.controls:
        wait_until("the end of the rotation at %s" % each.name, lambda: (now := _status(each, "ca", "status"))["phase"] ==
                   "none" and now["number"] == number, 90, 0.3)
    roots = [[row["sha256"] for row in _status(each, "ca", "status")["roots"] if row["role"] == "active"]
             for each in story.controls]
    expect_eq(roots[1:], roots[:1] * 2, "the active root at each control plane")
    return roots[0]


def shows_that_the_bootstrap_root_is_replaced_at_all_three(story):
    """From any of them; each makes tokens with the successor's pin, and one that starts again takes it from the store."""
    def bootstrap(control):
        return _status(control, "ca", "status")["bootstrap"]
    story.controls[1].run("ca", "rotate", "--bootstrap")
    for control in story.controls:
        wait_until("the successor at %s" % control.name, lambda control=control: bootstrap(control)["phase"] == "overlap", 60, 0.3)
    story.controls[2].kill()
    story.controls[2].start()
    pins = set()
    for control in story.controls:
        wait_until("it to sign there", lambda control=control: bootstrap(control)["roots"] == bootstrap(story.controls[0])["roots"], 10)
        with open(control.token(identity_of("odd"))) as file:
            pins.add(file.read().strip().split(".")[3])
    expect_eq(len(pins), 1, "the pins of new tokens")
    for sidecar in story.mesh.sidecars.values():
        sidecar.restart()


def shows_that_the_root_is_rotated_at_all_three(story):
    """Each signer takes the next root from the store; under load; then once more while one control plane is killed in
    the middle, and starts again with the root before last in its key folder."""
    with Load(story.mesh.client, story.mesh.server.ipv4, 9000, num_clients=4, new_per_second=10) as load:
        first = _rotate(story, story.controls[1])
        story.controls[2].kill()
        number = _status(story.controls[0], "ca", "status")["number"] + 1
        story.controls[0].run("ca", "rotate")
        wait_until("the end of the rotation without it", lambda: (now := _status(story.controls[0], "ca", "status"))["phase"]
                   == "none" and now["number"] == number, 90, 0.3)
        story.controls[2].start()
        active = lambda: [[row["sha256"] for row in _status(each, "ca", "status")["roots"] if row["role"] == "active"]
                          for each in story.controls]
        roots = wait_until("one active root at all control planes", lambda: (now := active())[1:] == now[:1] * 2 and now, 10, 0.2)
        expect(roots[0] != first, "the same root signs")
        _stop(story.controls[1], signal.SIGSTOP)  # asleep during a whole rotation
        number += 1
        story.controls[0].run("ca", "rotate")
        wait_until("the end of the rotation without it", lambda: (now := _status(story.controls[0], "ca", "status"))["phase"]
                   == "none" and now["number"] == number, 90, 0.3)
        _stop(story.controls[1], signal.SIGCONT)
        active = [row["sha256"] for row in _status(story.controls[0], "ca", "status")["roots"] if row["role"] == "active"]
        wait_until("the root at the one that slept", lambda: active == [
            row["sha256"] for row in _status(story.controls[1], "ca", "status")["roots"] if row["role"] == "active"], 10, 0.2)
        expect_eq(_status(story.controls[0], "ca", "status")["number"], number, "the number after it woke up")
        for control in story.controls:  # each issues below it
            others = [each for each in story.controls if each is not control]
            for each in others:
                _stop(each, signal.SIGSTOP)
            try:
                serials = {name: sidecar.serial() for name, sidecar in story.mesh.sidecars.items()}
                for name, sidecar in story.mesh.sidecars.items():
                    sidecar.wait_for_rotation(serials[name], deadline_s=14)
            finally:
                for each in others:
                    _stop(each, signal.SIGCONT)
    expect_eq(load.failures, [], "failures")


def shows_that_without_a_majority_nothing_is_changed_and_renewals_go_on(story):
    lost = story.etcd.members[:2]
    for member in lost:
        _stop(member, signal.SIGSTOP)
    try:
        with Load(story.mesh.client, story.mesh.server.ipv4, 9000, num_clients=4, new_per_second=10) as load:
            _expect_renewals(story, _Fault("no majority", None, None))
            refused = story.controls[0].run("token", "create", "--id", identity_of("x"), check=False)
            expect_eq(refused.returncode, 69, "a change: " + refused.stderr)
            expect_in("etcd with a majority of its members", refused.stderr, "a change")
    finally:
        for member in lost:
            _stop(member, signal.SIGCONT)
    expect_eq(load.failures, [], "failures")
    _wait_until_whole(story)


class _Fault:
    """One of the six under load: what breaks it and what mends it."""

    def __init__(self, name, breaks, mends):
        self.name, self.breaks, self.mends = name, breaks, mends


def _cut_off(host):
    host.run(["nft", "add table inet cut; add chain inet cut in { type filter hook input priority -300; policy drop; }; "
              "add chain inet cut out { type filter hook output priority -300; policy drop; }"])


def _join(host):
    host.run(["nft", "delete table inet cut"])


def _faults_of(part):
    return [_Fault("%s killed" % part.name, part.kill, part.start),
            _Fault("%s stopped" % part.name, lambda: _stop(part, signal.SIGSTOP), lambda: _stop(part, signal.SIGCONT)),
            _Fault("%s cut off" % part.name, lambda: _cut_off(part.host), lambda: _join(part.host))]


def _stop(part, number):
    children = part.process.children()
    for pid in [part.process.pid] + children:
        os.kill(pid, number)


def _expect_renewals(story, fault):
    """Both sidecars renew while it is broken; a renewal that is due waits for at most 2 s more than without."""
    serials = {name: sidecar.serial() for name, sidecar in story.mesh.sidecars.items()}
    began = time.monotonic()
    for name, sidecar in story.mesh.sidecars.items():
        sidecar.wait_for_rotation(serials[name], deadline_s=8 + 2)  # 66 % of 12 s
    print("%s: both have renewed after %.1f s" % (fault.name, time.monotonic() - began))


def _survives(story, parts):
    """`parts`: called for each fault, since another member may lead by then."""
    with Load(story.mesh.client, story.mesh.server.ipv4, 9000, num_clients=4, new_per_second=10) as load:
        for number in range(3):
            part = parts()
            fault = _faults_of(part)[number]
            fault.breaks()
            try:
                _print_wait_for_a_change(story, part, fault)
                _expect_renewals(story, fault)
            finally:
                fault.mends()
            _wait_until_whole(story)
            load.wait_for_requests(50)
    expect_eq(load.failures, [], "failures")


def _print_wait_for_a_change(story, part, fault):
    """How long a control plane that is not the broken one takes to store a change."""
    control = next(each for each in story.controls if each is not part)
    began = time.monotonic()
    wait_until("a change at %s" % control.name, lambda: control.run(
        "token", "create", "--id", identity_of("x"), check=False).returncode == 0, 8, 0.05)
    print("%s: %s has stored a change after %.2f s" % (fault.name, control.name, time.monotonic() - began))


def _wait_until_whole(story):
    """Every control plane can store a change again."""
    for control in story.controls:
        wait_until("%s to store a change" % control.name, lambda: control.run(
            "token", "create", "--id", "spiffe://cluster.local/ns/default/sa/x", check=False).returncode == 0, 30, 0.3)


def shows_that_the_leader_of_etcd_may_fail(story):
    _survives(story, story.etcd.leader)


def shows_that_a_follower_of_etcd_may_fail(story):
    _survives(story, lambda: next(member for member in story.etcd.members if member is not story.etcd.leader()))


def shows_that_each_control_plane_may_fail(story):
    for control in story.controls:
        _survives(story, lambda: control)


def _confirm(control, *words):
    return control.host.run([control.story.binary("handfast-control"), "restore", *words, "--config", control.path],
                            uid=CONTROL_UID)


def shows_that_a_restored_etcd_needs_an_operators_word(story):
    """A snapshot lacks a ban: every control plane refuses it, at each start, until it is confirmed on one of them, and
    taken by the others. The ban is gone from the store, and sidecars that know it keep it."""
    snapshot = os.path.join(story.etcd.folder, "snapshot")
    story.etcd.snapshot(snapshot)
    for number in range(3):
        story.controls[number].run("ban", identity_of("banned%d" % number))
    for control in story.controls:
        wait_until("the bans at %s" % control.name, lambda: control.run("ban", "list").stdout.count("banned") == 3, 20)
    for control in story.controls:
        control.stop()
    story.etcd.restore(snapshot)
    for control in story.controls:
        for _ in range(2):
            expect_eq(control.launch().wait_for_exit(30), 65, "the exit code of %s: %s" % (control.name, control.log()[-300:]))
    _confirm(story.controls[0])
    for control in story.controls[1:]:
        _confirm(control, "--confirmed")
    for control in story.controls:
        control.start()
    _wait_until_whole(story)
    expect_eq(story.controls[1].run("ban", "list").stdout.count("banned"), 0, "the bans after it")
    _expect_renewals(story, _Fault("after the restore", None, None))
    with Load(story.mesh.client, story.mesh.server.ipv4, 9000, num_clients=4, new_per_second=10) as load:
        load.wait_for_requests(50)
    expect_eq(load.failures, [], "failures")
