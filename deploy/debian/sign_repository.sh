#!/usr/bin/env bash
# deploy/debian/sign_repository.sh FOLDER KEY [DAYS [NEXT]] : makes a folder of packages an apt repository that is signed with a key of gpg; KEY
# is its fingerprint, as `gpg --list-secret-keys` shows it. Adds Packages, Release, InRelease, and the public key as handfast.asc; run it
# again after each change. With DAYS hosts refuse the repository so many days later, unless it was signed again: an old copy of it is not
# taken for the present one. NEXT: the fingerprint of a key that is to sign later; handfast.asc then has both. GPG_PASSPHRASE_FILE: a
# file with the passphrase of KEY, where there is no terminal to ask at. Every version in the folder is listed.
# Needs the packages apt-utils, gpg and gpg-agent. The format: https://wiki.debian.org/DebianRepository/Format, "flat".
set -euo pipefail
days=${3-}
[ $# -ge 2 ] && [ $# -le 4 ] && [ "${1#-}" = "$1" ] && [ -z "${days//[0-9]/}" ] || { sed -n '2,7s/^# //p' "$0" >&2 && exit 64; }
folder=$(realpath -e "$1") || { echo "expected a folder of packages; make it: deploy/debian/build_packages.sh $1" >&2 && exit 66; }
cd "$folder"
for program in apt-ftparchive gpg; do
	command -v "$program" >/dev/null || { echo "expected the program $program; install it: apt-get install -y apt-utils gpg gpg-agent" >&2 && exit 69; }
done
compgen -G '*.deb' >/dev/null || { echo "expected packages (*.deb) in $1; make them: deploy/debian/build_packages.sh $1" >&2 && exit 66; }
# The fingerprint, so that the key that is exported is the one that signs, whatever other keys of the keyring are called.
keys=$( (gpg --batch --with-colons --list-secret-keys "$2" 2>/dev/null || true) | awk -F: '$1 == "sec" { first = 1 } $1 == "fpr" && first { print $10; first = 0 }')
[ "$(wc -w <<<"$keys")" = 1 ] || { echo "expected one key of gpg with a secret part; '$2' names $(wc -w <<<"$keys"); name it by its fingerprint: gpg --list-secret-keys" >&2 && exit 66; }
# gpg's own keys end after two or three years: hosts refuse what such a key signs then.
ends=$(gpg --batch --with-colons --list-secret-keys "$keys" 2>/dev/null | awk -F: '$1 == "sec" { print $7 }')
if [ -n "$ends" ] && [ "$ends" -le "$(date +%s)" ]; then
	echo "the key has ended on $(date -u -d "@$ends" +%F); renew it: gpg --quick-set-expire $keys 3y, sign again, and give hosts the new handfast.asc" >&2
	exit 65
fi
options=()
[ -z "${GPG_PASSPHRASE_FILE-}" ] || options=(--pinentry-mode loopback --passphrase-file "$(cd "$OLDPWD" && realpath -e "$GPG_PASSPHRASE_FILE")")
[ ! -t 0 ] || export GPG_TTY="${GPG_TTY-$(tty)}"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/made"
apt-ftparchive packages . >"$work/made/Packages"
listed=$(grep -c '^Package: ' "$work/made/Packages" || true) total=$(compgen -G '*.deb' | wc -l)
[ "$listed" = "$total" ] || { echo "expected $total whole packages in $1, and $listed can be read (see above): copy or make them again" >&2 && exit 65; }
fields=(-o APT::FTPArchive::Release::Origin=Handfast -o APT::FTPArchive::Release::Label=Handfast)
[ -z "$days" ] || fields+=(-o "APT::FTPArchive::Release::ValidTime=$((days * 86400))")
# Release has the SHA-256 of Packages, which has that of each package.
(cd "$work/made" && apt-ftparchive "${fields[@]}" release .) >"$work/Release"
gpg --batch --yes "${options[@]}" --local-user "$keys" --clearsign --output "$work/InRelease" "$work/Release" ||
	{ echo "gpg did not sign, and the folder is as before; for a key with a passphrase run it on a terminal, or name a file with it: GPG_PASSPHRASE_FILE=FILE" >&2 && exit 77; }
gpg --batch --yes --armor --export-options export-minimal --output "$work/handfast.asc" --export "$keys" ${4+"$4"}
mv "$work/made/Packages" "$work/Release" "$work/handfast.asc" .
mv "$work/InRelease" . # last: until then apt sees the former state, or an error
chmod 0644 Packages Release InRelease handfast.asc
[ -z "$ends" ] || echo "signed; the key ends on $(date -u -d "@$ends" +%F): renew it before (gpg --quick-set-expire), and give hosts the new handfast.asc"
