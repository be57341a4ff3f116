"""The control plane's disk is full: identities are still renewed, and changes that cannot be stored are refused with
the reason.

    control (state_dir on a small tmpfs) --- router --- client [sidecar]

Rows: I11."""

import os

from handfast_harness import Mesh, expect, expect_eq, expect_in, identity_of, needs, wait_until
from handfast_harness.control_plane import CONTROL_UID, private_file
from handfast_harness.small_disk import SmallDisk

DEADLINE_S = 240


def arrange(story):
    story.mesh = Mesh(story, hosts=("client",), leaf_ttl="6s", start=False)
    story.control = story.mesh.control
    story.disk = story.own(SmallDisk(story.control.state, CONTROL_UID, "3m"))
    story.mesh.start()
    story.client = story.mesh.sidecar("client")
    story.client.wait_for_rotation()
    story.control.restart()  # a store that is no longer in its journal alone
    story.client.wait_for_rotation()
    story.disk.fill()


def finding_i11_identities_are_renewed_on_a_full_disk(story):
    for _ in range(2):
        story.client.wait_for_rotation(deadline_s=15)
        expect_eq(story.client.probe()[0], 200, "readiness of the client")
    expect(story.control.metrics()["handfast_control_svids_unrecorded_total"] >= 1, "none was counted as unrecorded")


def finding_i11_a_sidecar_that_restarts_gets_its_identity_back(story):
    story.client.restart()


def finding_i11_refused_changes_name_file_and_reason_and_are_audited_as_failed(story):
    for words in (("ban", identity_of("gone")), ("token", "create", "--id", identity_of("fresh"))):
        done = story.control.run(*words, check=False)
        expect(done.returncode != 0, "%s succeeded" % (words,))
        expect_in("control.db: ", done.stderr, "the message of %s" % words[0])
    audit = [line for line in story.control.log().splitlines() if " audit: " in line]
    expect(not [line for line in audit if "banned: " in line and "failed" not in line], "the audit log has the ban")
    expect(not [line for line in audit if "token made for " + identity_of("fresh") in line],
           "the audit log has the token")
    expect_in("control.db: ", story.control.log(), "the log of the control plane")
    expect_in("full", story.control.log(), "the log of the control plane")
    lines = [line for line in story.control.log().splitlines() if "changes cannot be stored" in line]
    expect_eq(len(lines), 1, "lines about the disk: %s" % lines)


@needs(finding_i11_refused_changes_name_file_and_reason_and_are_audited_as_failed)
def finding_i11_the_condition_has_its_name_on_page_gauge_and_status(story):
    status, body = story.control.host.http("http://%s:15014/healthz/ready" % story.control.host.ipv4)
    expect_eq(status, 200, "readiness")
    expect_in("degraded: store: ", body.decode(), "the page")
    expect_in("control.db", body.decode(), "the page")
    expect_eq(story.control.metrics()['handfast_control_condition{name="store"}'], 1, "the gauge")
    expect_in("DEGRADED store: ", story.control.run("status").stdout, "status")


def finding_i11_a_backup_names_the_full_disk_and_leaves_nothing(story):
    passphrase = private_file(os.path.join(story.control.folder, "passphrase"), "a passphrase for a story\n")
    store = os.path.join(story.control.state, "store")
    before = sorted(os.listdir(store))
    done = story.control.host.run([story.control._binary, "backup", "--config", story.control.path, "--to",
                                   os.path.join(story.control.state, "backup"), "--passphrase-file", passphrase],
                                  uid=1336, check=False)
    expect(done.returncode != 0 and "No space left" in done.stderr, "backup: %s" % done.stderr)
    expect_eq(sorted(os.listdir(store)), before, "files in the store's folder")


def finding_i11_a_control_plane_that_crashes_starts_again_on_a_full_disk(story):
    reserve = os.path.join(story.control.state, "store", "reserve")
    expect_eq(os.path.getsize(reserve), 256 * 1024, "the reserve")
    for number in range(4):
        if number < 2:
            story.control.kill()
        else:
            story.control.stop()  # removes the journal
        story.disk.fill()  # its open files are released now
        story.control.start()
        story.client.wait_for_rotation(deadline_s=15)
    expect_in("starting with the reserve of", story.control.log(), "the log")
    expect(0 < os.path.getsize(reserve) < 256 * 1024, "the reserve is used up")


@needs(finding_i11_refused_changes_name_file_and_reason_and_are_audited_as_failed)
def finding_i11_with_room_again_it_recovers_by_itself(story):
    story.disk.free()
    wait_until("the condition to end", lambda: story.control.metrics()['handfast_control_condition{name="store"}'] == 0,
               15)
    expect_in("changes are stored again", story.control.log(), "the log")
    expect_eq(story.control.run("ban", identity_of("gone")).returncode, 0, "exit code of ban")
    expect_in("banned: " + identity_of("gone"), story.control.log(), "the audit log")
    expect("degraded" not in story.control.host.http(
        "http://%s:15014/healthz/ready" % story.control.host.ipv4)[1].decode(), "the page still has the condition")
