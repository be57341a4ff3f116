"""`handfast-sidecar svid --write DIR` keeps the identity in files for programs that only read files: fresh at each
rotation, with a command or a signal after each change, and through restarts of the sidecar.

    server: nginx with ssl_certificate DIR/svid.pem <- files <- handfast-sidecar svid <- [sidecar] workload.sock"""

import os
import stat
import time

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from handfast_harness import Mesh, expect, expect_eq, expect_in, identity_of, needs, wait_until

DEADLINE_S = 300
APP = 1000
FILES = {"svid.pem": 0o644, "svid_key.pem": 0o600, "svid_bundle.pem": 0o644}


def arrange(story):
    story.socket = os.path.join(_open_folder(story, "sockets"), "workload.sock")
    story.mesh = Mesh(story, hosts=("server",), leaf_ttl="30s",
                      sidecar={"workload_api": {"socket": story.socket, "uids": [APP]}})
    story.sidecar = story.mesh.sidecar("server")
    story.files = _open_folder(story, "files")
    story.program = story.binary("handfast-sidecar")


def _open_folder(story, name):
    folder = story.folder(name)
    os.chmod(folder, 0o777)
    return folder


def _run(story, *words, check=True, env=None):
    return story.mesh.server.run([story.program, "svid", *words], uid=APP, timeout_s=70, check=check, env=env)


def _public(key):
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def _leaf(folder):
    with open(os.path.join(folder, "svid.pem"), "rb") as file:
        return x509.load_pem_x509_certificate(file.read())


def _key(folder):
    with open(os.path.join(folder, "svid_key.pem"), "rb") as file:
        return serialization.load_pem_private_key(file.read(), None)


def shows_three_files_and_their_modes(story):
    done = _run(story, "--write", story.files, "--once", "--workload_api.socket", story.socket)
    expect_eq(done.stdout.strip(), "written", "the output")
    expect_eq({name: stat.S_IMODE(os.stat(os.path.join(story.files, name)).st_mode) for name in os.listdir(story.files)},
              FILES, "the files and their modes")
    expect_eq(_public(_key(story.files).public_key()), _public(_leaf(story.files).public_key()), "the key of the leaf")
    uris = _leaf(story.files).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    expect_eq(uris.get_values_for_type(x509.UniformResourceIdentifier), [identity_of("server")], "the identity")
    checked = story.mesh.server.run(["openssl", "verify", "-CAfile", os.path.join(story.files, "svid_bundle.pem"), "-untrusted",
                                     os.path.join(story.files, "svid.pem"), os.path.join(story.files, "svid.pem")])
    expect_in("OK", checked.stdout, "openssl verify")


def shows_the_address_of_the_environment(story):
    folder = _open_folder(story, "of-environment")
    _run(story, "--write", folder, "--once", env={**os.environ, "SPIFFE_ENDPOINT_SOCKET": "unix://" + story.socket})
    expect_eq(sorted(os.listdir(folder)), sorted(FILES), "the files")


def shows_a_command_and_a_signal_after_each_change(story):
    marks, program = os.path.join(story.files, "marks"), os.path.join(story.files, "notice.sh")
    with open(program, "w") as file:
        file.write("#!/bin/sh\nopenssl x509 -noout -serial -in %s/svid.pem >> %s\n" % (story.files, marks))
    os.chmod(program, 0o755)
    signals = story.spawn(story.mesh.server, "signalled", [
        "/usr/bin/python3", "-c", "import signal, sys\nsignal.signal(signal.SIGHUP, lambda *_: print('signalled', flush=True))\n"
        "print('ready', flush=True)\nwhile True: signal.pause()"], uid=APP)
    signals.wait_for_log("ready")
    pid_file = os.path.join(story.files, "pid")
    with open(pid_file, "w") as file:
        file.write("%d\n" % signals.pid)
    story.writer = story.spawn(story.mesh.server, "svid", [
        story.program, "svid", "--write", story.files, "--workload_api.socket", story.socket, "--command", program, "--signal",
        "HUP", "--pid-file", pid_file], uid=APP)
    wait_until("two notices", lambda: _num_lines(marks) >= 2, 60)
    wait_until("two signals", lambda: signals.log().count("signalled") >= 2)
    with open(marks) as file:
        serials = file.read().split()
    expect(serials[0] != serials[1], "the same certificate was announced twice")


def _num_lines(path):
    try:
        with open(path) as file:
            return len(file.read().splitlines())
    except FileNotFoundError:
        return 0


@needs(shows_a_command_and_a_signal_after_each_change)
def shows_that_the_files_never_lack_or_mix_a_part(story):
    """Read as fast as possible across a rotation: each file is complete; key and leaf belong together within a moment."""
    first, end_s = _leaf(story.files).serial_number, time.monotonic() + 60
    while _leaf(story.files).serial_number == first and time.monotonic() < end_s:
        _key(story.files)
    wait_until("the key of the new leaf",
               lambda: _public(_key(story.files).public_key()) == _public(_leaf(story.files).public_key()), 10)


@needs(shows_a_command_and_a_signal_after_each_change)
def shows_that_a_restart_of_the_sidecar_is_survived(story):
    before = _num_lines(os.path.join(story.files, "marks"))
    story.sidecar.restart()
    wait_until("a notice after the restart", lambda: _num_lines(os.path.join(story.files, "marks")) > before, 60)
    expect_eq(story.writer.exit_code, None, "the writer ended")
    expect_eq(story.writer.stop(), 0, "its exit code")


def shows_what_cannot_be_done(story):
    socket = ("--workload_api.socket", story.socket)
    for words, text in ((("--write", "/does/not/exist", *socket), "a folder that exists"),
                        (("--write", story.files), "no socket is given"),
                        (socket, "no folder is given"),
                        (("--write", story.files, *socket, "--signal", "HUP"), "both --signal and --pid-file"),
                        (("--write", story.files, *socket, "--signal", "KILL", "--pid-file", "/x"), "HUP, INT"),
                        (("--write", story.files, *socket, "--command", "reload"), "the absolute path of a program")):
        done = _run(story, *words, check=False)
        expect_eq(done.returncode, 64, "the exit code of %s" % (words,))
        expect_in(text, done.stderr, "the error")
