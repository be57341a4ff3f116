"""The packages as a signed apt repository: apt installs from it, and refuses what was changed after it was signed."""

import os
import pathlib
import re
import shutil

from machine import Failure, run

SIGN = pathlib.Path(__file__).resolve().parents[2] / "deploy/debian/sign_repository.sh"
KEY, OTHER = "Handfast test <test@example.org>", "Another maker <another-test@example.org>"
CAREFUL = "A careful maker <careful@example.org>"
AT = "srv/repository"
LIST, KEYRING = "etc/apt/sources.list.d/handfast.list", "etc/apt/keyrings/handfast.asc"
ONLY = ["-o", "Dir::Etc::sourcelist=/" + LIST, "-o", "Dir::Etc::sourceparts=-", "-o", "APT::Get::List-Cleanup=0"]
PACKAGE = "handfast"


class Repository:
    def __init__(self, debian):
        self.debian, self.folder = debian, debian.base / AT
        self.home = debian.folder / "gnupg"
        self.home.mkdir(mode=0o700)
        self.key, self.other = (self._make_key(name) for name in (KEY, OTHER))

    def _make_key(self, name):
        return self.make_key(name, "--passphrase", "")

    def make_key(self, name, *options):
        """Its fingerprint."""
        self.gpg(*options, "--quick-generate-key", name, "ed25519", "sign", "1d")
        return re.search(r"^fpr:+(\w+):", self.gpg("--with-colons", "--list-secret-keys", "=" + name).stdout, re.M)[1]

    def gpg(self, *argv):
        return run("gpg", "--batch", "--homedir", self.home, *argv)

    def sign(self, *words):
        shutil.rmtree(self.folder, ignore_errors=True)
        shutil.copytree(self.debian.new, self.folder)
        return self.run(*words)

    def run(self, *words, **variables):
        return run(SIGN, self.folder, *words, env={**os.environ, "GNUPGHOME": str(self.home), **variables}, check=False)

    def enable(self):
        """As in docs/install-on-hosts.md."""
        (self.debian.base / KEYRING).parent.mkdir(exist_ok=True)
        shutil.copy(self.folder / "handfast.asc", self.debian.base / KEYRING)
        (self.debian.base / LIST).write_text("deb [signed-by=/%s] file:/%s ./\n" % (KEYRING, AT))

    def apt(self, *argv):
        """(whether it succeeded, what it printed)"""
        done = self.debian.chroot("apt-get", "-q", *ONLY, *argv, check=False)
        return done.returncode == 0, done.stdout

    def update(self):
        """As on a new host: a release that is refused is a warning to apt where it has one from before."""
        self.forget()
        is_good, text = self.apt("update")
        return is_good and "W: " not in text, text

    def expect(self, result, words, what):
        is_good, text = result
        if is_good or not any(word in text for word in words):
            raise Failure("%s: apt did not refuse it with %s: %s" % (what, " or ".join(words), text[-1000:]))

    def forget(self):
        for path in (self.debian.base / "var/lib/apt/lists").glob("_srv_repository_*"):
            path.unlink()

    def close(self):
        run("gpgconf", "--homedir", self.home, "--kill", "all", check=False)
        for path in (LIST, KEYRING):
            (self.debian.base / path).unlink(missing_ok=True)
        self.forget()
        shutil.rmtree(self.folder)


def _change(path):
    """One byte, in the middle."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def _installs_from_it(repository):
    results = (repository.update(), repository.apt("install", "-y", "--no-install-recommends", PACKAGE),
               repository.apt("purge", "-y", PACKAGE))
    for is_good, text in results:
        if not is_good:
            raise Failure("apt-get: " + text[-1000:])


def _refuses_what_was_changed(repository):
    _change(next(repository.folder.glob(PACKAGE + "_*.deb")))
    repository.expect(repository.apt("install", "-y", PACKAGE), ["Hash Sum mismatch", "unexpected size"], "a changed package")
    repository.sign(repository.key)
    packages = repository.folder / "Packages"
    packages.write_text(packages.read_text().replace("SHA256: ", "SHA256: 0", 1))
    repository.expect(repository.update(), ["Hash Sum mismatch", "unexpected size"], "a changed list of packages")
    repository.sign(repository.key)
    release = repository.folder / "InRelease"
    release.write_text(release.read_text().replace("Origin: Handfast", "Origin: Handfasu", 1))
    repository.expect(repository.update(), ["BADSIG", "invalid", "not signed"], "a changed release")


def _refuses_another_key(repository):
    repository.sign(repository.other)
    repository.expect(repository.update(), ["NO_PUBKEY"], "a release that another key has signed")


def _refuses_a_package_that_is_cut(repository):
    repository.sign("unknown@example.org")  # copies the packages, no more
    package = next(repository.folder.glob(PACKAGE + "_*.deb"))
    os.truncate(package, package.stat().st_size // 2)
    done = repository.run(repository.key)
    if done.returncode != 65 or (repository.folder / "InRelease").exists():
        raise Failure("a package that is cut: exit code %d: %s" % (done.returncode, done.stdout))


def _names_one_key(repository):
    """The address of the first is a part of the other's: by it both would be exported."""
    for words in ("unknown@example.org", "test@example.org"):
        done = repository.sign(words)
        if done.returncode != 66 or "gpg --list-secret-keys" not in done.stdout or (repository.folder / "InRelease").exists():
            raise Failure("a key by the name %s: exit code %d: %s" % (words, done.returncode, done.stdout))
    repository.sign("=" + KEY, "14")
    shown = repository.gpg("--with-colons", "--show-keys", repository.folder / "handfast.asc").stdout
    if shown.count("pub:") != 1 or repository.key not in shown:
        raise Failure("handfast.asc has other keys than the one that signs: " + shown)
    if "\nValid-Until: " not in (repository.folder / "InRelease").read_text():
        raise Failure("a repository that was signed for 14 days has no end")


def _takes_the_next_key_when_hosts_have_it(repository):
    repository.sign(repository.key, "14", repository.other)
    repository.enable()
    for words in ([repository.key, "14", repository.other], [repository.other]):
        repository.sign(*words)
        is_good, text = repository.update()
        if not is_good:
            raise Failure("apt refuses a release: " + text[-1000:])


def _names_what_a_passphrase_needs(repository):
    """Without a terminal."""
    file = repository.home / "passphrase"
    file.write_text("a passphrase\n")
    key = repository.make_key(CAREFUL, "--pinentry-mode", "loopback", "--passphrase-file", file)
    run("gpgconf", "--homedir", repository.home, "--kill", "all")  # it remembers the passphrase
    done = repository.sign(key)
    if done.returncode != 77 or "GPG_PASSPHRASE_FILE=FILE" not in done.stdout or (repository.folder / "InRelease").exists():
        raise Failure("a key with a passphrase: exit code %d: %s" % (done.returncode, done.stdout))
    done = repository.run(key, GPG_PASSPHRASE_FILE=str(file))
    if done.returncode != 0 or "the key ends on 20" not in done.stdout:
        raise Failure("a key with the file of its passphrase: exit code %d: %s" % (done.returncode, done.stdout))


def apt_takes_a_signed_repository_and_refuses_what_was_changed(debian):
    repository = Repository(debian)
    try:
        _refuses_a_package_that_is_cut(repository)
        _names_one_key(repository)
        done = repository.sign(repository.key)
        if done.returncode != 0:
            raise Failure("sign_repository.sh: exit code %d: %s" % (done.returncode, done.stdout))
        repository.enable()
        _installs_from_it(repository)
        _refuses_what_was_changed(repository)
        _refuses_another_key(repository)
        _takes_the_next_key_when_hosts_have_it(repository)
        _names_what_a_passphrase_needs(repository)
    finally:
        repository.close()
