"""A token that was revoked after the backup is useless after its restore, and an empty copy is refused as a source of
bans.

    stranger, with the token -> control

Rows: I7, I10."""

import os
import subprocess

from handfast_harness import Mesh, expect, expect_eq, expect_in, identity_of
from handfast_harness.control_plane import CONTROL_UID
from peers.enrollment import Enrollment, new_key, read_token

PERMISSION_DENIED = "7"


def arrange(story):
    story.mesh = Mesh(story, hosts=(), outsiders=("stranger",))
    story.control = story.mesh.control
    story.token = story.control.token(identity_of("stranger"))
    story.control.stop()
    backup = os.path.join(story.control.folder, "backup")
    subprocess.run(["cp", "-a", story.control.state, backup], check=True)
    story.control.start()
    listed = story.control.run("token", "list").stdout
    expect_in(identity_of("stranger"), listed, "the list of tokens")
    number = next(word for word in listed.split() if len(word) == 32 and all(c in "0123456789abcdef" for c in word))
    story.control.run("token", "revoke", number)
    story.control.stop()
    subprocess.run(["rm", "-rf", story.control.state], check=True)
    subprocess.run(["cp", "-a", backup, story.control.state], check=True)


def _restore(story, *words):
    return story.control.host.run([story.control._binary, "restore", "--config", story.control.path, *words],
                                  uid=CONTROL_UID, check=False)


def finding_i7_an_empty_copy_is_refused_and_not_changed(story):
    path = os.path.join(story.control.folder, "empty.db")
    with open(path, "w"):
        os.chmod(path, 0o600)
        os.chown(path, CONTROL_UID, CONTROL_UID)
    done = _restore(story, "--bans-from", path)
    expect_eq(done.returncode, 65, "exit code (%s)" % done.stderr)
    expect_in("is empty", done.stderr, "its message")
    expect_eq(os.path.getsize(path), 0, "its size afterwards")


def finding_i7_a_token_that_was_revoked_after_the_backup_enrolls_no_key(story):
    done = _restore(story)
    expect_eq(done.returncode, 0, "exit code (%s)" % done.stderr)
    expect_in("1 unused join tokens were revoked", done.stderr, "its message")
    story.control.start()
    with Enrollment(story.mesh.stranger, story.control.host.ipv4) as control:
        expect_eq(control.attest(read_token(story.token), new_key()).status, PERMISSION_DENIED, "the answer to the token")
    expect(identity_of("stranger") not in story.control.run("token", "list").stdout, "the token is listed")
