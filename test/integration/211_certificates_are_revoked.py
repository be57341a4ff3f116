"""A revoked certificate is refused everywhere within 2 s: the connections that it opened end, and no others; its sidecar
gets another one on the stream that it has. The same for an intermediate and all below it.

    client, other: [sidecar] ==tunnels==> server: [sidecar]
    raw: a peer with a certificate that was copied

The mesh's lists let openssl refuse the same. Rows: T7."""

import json
import os
import subprocess
import time

from cryptography import x509
from handfast_harness import Mesh, StreamServer, TestAuthority, expect, expect_eq, expect_in, identity_of, needs_earlier
from handfast_harness import stream, wait_until
from peers import hbone, tls

DEADLINE_S = 180


def arrange(story):
    story.mesh = Mesh(story, hosts=("client", "server", "other"), leaf_ttl="10m", outsiders=("raw",))
    story.control = story.mesh.control
    story.own(StreamServer(story, story.mesh.server, 9000, "echo"))


def _open(story, name):
    return stream.open_asked(story.mesh.sidecar(name).host, story.mesh.server.ipv4, 9000)


def _works(story, name):
    return stream.is_answered(story.mesh.sidecar(name).host, story.mesh.server.ipv4, 9000)


def _serial(story, name):
    """As status shows it: of the attestation record."""
    return story.control.svid_holders(identity_of(name))[0]["svid_serial"]


def _num_attested(story):
    return story.control.log().count("audit: attested: ")


def finding_t7_a_revoked_certificate_ends_what_it_opened_and_nothing_else(story):
    serial, attested, client = _serial(story, "client"), _num_attested(story), story.mesh.sidecar("client")
    used = client.serial()
    with _open(story, "client") as revoked, _open(story, "other") as kept:
        began = time.monotonic()
        answer = json.loads(story.control.run("revoke", serial, "--output", "json").stdout)
        expect_eq((answer["serial"], answer["id"], answer["was_revoked"]), (serial, identity_of("client"), False), "the answer")
        wait_until("the end of the connection", lambda: stream.is_cut(revoked), 2, 0.02)
        # In the sidecar: the control plane's record has it some milliseconds earlier, and the revoked one is refused.
        wait_until("another certificate", lambda: client.serial() != used, 2, 0.02)
        expect(_serial(story, "client") != serial, "the record has the revoked certificate")
        with _open(story, "client"):
            print("revoked and connected again after %.2f s" % (time.monotonic() - began))
        stream.ask(kept)
    expect_eq(_num_attested(story), attested, "attestations: the stream stood")
    story.mesh.sidecar("server").wait_for_access(source_id=identity_of("client"), reason="withdrawn")
    # With the byte that other programs show before a serial whose first bit is set.
    again = json.loads(story.control.run("revoke", "00" + serial, "--output", "json").stdout)
    expect_eq(again["was_revoked"], True, "a second revocation")
    colons = ":".join(serial[at:at + 2] for at in range(0, len(serial), 2))
    for written in (serial.upper(), colons, colons.upper()):  # by openssl, by browsers
        again = json.loads(story.control.run("revoke", written, "--output", "json").stdout)
        expect_eq((again["serial"], again["was_revoked"]), (serial, True), "of " + written)


def finding_t7_a_revoked_intermediate_ends_all_below_it(story):
    copied = TestAuthority.of(story.control).leaf(identity_of("client"))
    with hbone.Client(story.mesh.raw, story.mesh.server.ipv4, copied):
        pass  # accepted before
    with _open(story, "client") as first, _open(story, "other") as second:
        began = time.monotonic()
        story.control.run("revoke", "--intermediate")
        wait_until("the end of both", lambda: stream.is_cut(first) and stream.is_cut(second), 3, 0.02)
    for name in ("client", "other"):
        wait_until("calls of %s" % name, lambda: _works(story, name), 4, 0.05)
    print("an intermediate was revoked and all connected again after %.2f s" % (time.monotonic() - began))
    try:
        with hbone.Client(story.mesh.raw, story.mesh.server.ipv4, copied):
            expect(False, "a certificate below the revoked intermediate is accepted")
    except tls.Refused as refused:
        expect_eq(str(refused), "certificate revoked", "the alert")


@needs_earlier
def finding_t7_a_restart_forgets_no_revocation(story):
    before = story.mesh.sidecar("server").serial()
    story.control.restart()
    for name in ("client", "other"):
        wait_until("calls of %s" % name, lambda: _works(story, name), 10, 0.05)
    expect_eq(story.mesh.sidecar("server").serial(), before, "the server's certificate")


def _openssl_verify(story, identity, *options):
    """Its output for that leaf, by the lists of handfast ca crl."""
    folder = story.folder("openssl")
    identity.write(folder, "leaf")
    paths = {name: os.path.join(folder, name + ".pem") for name in ("leaf", "roots", "lists")}
    for name, content in (("roots", TestAuthority.of(story.control).root_pem.decode()),
                          ("lists", story.control.run("ca", "crl").stdout)):
        with open(paths[name], "w") as file:
            file.write(content)
    done = subprocess.run(["openssl", "verify", "-CAfile", paths["roots"], "-untrusted", paths["leaf"], "-CRLfile", paths["lists"],
                           *options, paths["leaf"]], capture_output=True, text=True, check=False, timeout=20)
    return done.stdout + done.stderr


@needs_earlier
def shows_that_openssl_refuses_by_the_lists_what_was_revoked(story):
    """A list of each authority, with its key identifier and a number that grows; of a revoked one there is none."""
    authority = TestAuthority.of(story.control)
    good, bad = (authority.leaf(identity_of("client")) for _ in range(2))
    for leaf in (good, bad):
        wait_until("the lists of this intermediate", lambda leaf=leaf: ": OK" in _openssl_verify(story, leaf, "-crl_check_all"), 30, 0.2)
    before = _numbers(story)
    serial = "%x" % bad.chain[0].serial_number
    story.control.run("revoke", serial.rjust(len(serial) + len(serial) % 2, "0"))
    wait_until("it to be in the list", lambda: "certificate revoked" in _openssl_verify(story, bad, "-crl_check"), 20, 0.1)
    expect_in(": OK", _openssl_verify(story, good, "-crl_check_all"), "of another certificate")
    # The lists are made one after the other, in the order of their keys.
    after = wait_until("the numbers to grow", lambda: (lambda now: now if all(now[key] > before[key] for key in before) else None)(
        _numbers(story)), 20, 0.1)
    story.control.restart()
    expect_eq(_numbers(story), after, "the numbers after a restart")
    serials = {name: _serial(story, name) for name in ("client", "server", "other")}
    story.control.run("revoke", "--intermediate")
    wait_until("the list to go", lambda: "unable to get certificate CRL" in _openssl_verify(story, good, "-crl_check"), 20, 0.1)
    # What follows reads serials of the record: not while sidecars still come back for others.
    for name, serial in serials.items():
        wait_until("another certificate for %s" % name, lambda name=name, serial=serial: _serial(story, name) != serial, 20, 0.05)


def _numbers(story):
    """By key identifier."""
    lists = _lists(story.control.run("ca", "crl").stdout)
    expect(len(lists) >= 2, "there are %d lists" % len(lists))
    return {entry.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier:
            entry.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number for entry in lists}


def _lists(text):
    end = "-----END X509 CRL-----\n"
    return [x509.load_pem_x509_crl((part + end).encode()) for part in text.split(end) if part]


def shows_that_bad_input_is_refused(story):
    for words, text in ((("xyz",), "two digits per byte"), ((), "one serial"), (("00" * 21,), "1 to 20 bytes"),
                        (("a:b",), "two digits per byte"), (("abc",), "two digits per byte")):
        refused = story.control.run("revoke", *words, check=False)
        expect_eq(refused.returncode, 64, "revoke %s" % " ".join(words))
        expect_in(text, refused.stderr, "revoke %s" % " ".join(words))


def _root_end(story):
    with open(story.control.key_file("root"), "rb") as file:
        return x509.load_pem_x509_certificate(file.read()).not_valid_after


def shows_that_what_is_unknown_is_revoked_and_banned_with_a_warning(story):
    """In advance, or misspelled: it is done, kept as long as such a certificate can live, and named."""
    unknown = identity_of("unknown")
    done = story.control.run("revoke", "5a" * 16)
    expect_in("is revoked", done.stdout, "the answer")
    expect_in("warning: no certificate that the control plane knows has this serial; expected: ", done.stderr, "the warning")
    answer = json.loads(story.control.run("revoke", "5b" * 16, "--output", "json").stdout)
    expect_eq((answer["unknown"], answer["until"]), (True, _root_end(story).strftime("%Y-%m-%dT%H:%M:%SZ")), "the answer as JSON")
    banned = story.control.run("ban", unknown)
    expect_in("warning: no sidecar, token, entry or address has this identity; expected: ", banned.stderr, "the warning")
    expect_in(unknown, story.control.run("ban", "list").stdout, "the bans")
    expect_eq(json.loads(story.control.run("ban", unknown, "--output", "json").stdout)["unknown"], True, "the ban as JSON")
    story.control.run("token", "create", "--id", identity_of("expected"))
    for words in (("ban", identity_of("expected")), ("ban", identity_of("other")), ("revoke", _serial(story, "client"))):
        known = story.control.run(*words)
        expect_eq(known.stderr, "", "warnings of %s" % (words,))
    for name in ("expected", "other"):
        story.control.run("unban", identity_of(name))


def shows_that_the_own_intermediate_is_replaced_when_it_is_revoked_by_its_serial(story):
    with open(story.control.key_file("intermediate"), "rb") as file:
        used = x509.load_pem_x509_certificate(file.read())

    def authority():
        return next(row["sha256"] for row in json.loads(story.control.run("status", "--output", "json").stdout)["authorities"]
                    if row["kind"] == "intermediate")
    before, digits = authority(), "%x" % used.serial_number
    story.control.run("revoke", digits.rjust(len(digits) + len(digits) % 2, "0"))
    wait_until("another intermediate", lambda: authority() != before, 15)
    for name in ("client", "other"):  # that one was banned a moment ago: it dials again after up to a minute
        wait_until("calls of %s" % name, lambda name=name: _works(story, name), 70, 0.05)
