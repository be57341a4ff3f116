#!/usr/bin/env bash
# deploy/debian/sign_repository.sh FOLDER KEY : makes a folder of packages an apt repository that is signed with a key of gpg, as
# `gpg --list-secret-keys` shows it. Adds Packages, Release, InRelease, and the public key as handfast.asc; run it again after each change.
# Needs the packages apt-utils and gpg. The format: https://wiki.debian.org/DebianRepository/Format, "flat".
set -euo pipefail
[ $# = 2 ] && [ "${1#-}" = "$1" ] || { sed -n '2,4s/^# //p' "$0" >&2 && exit 64; }
cd "$1"
for program in apt-ftparchive gpg; do
	command -v "$program" >/dev/null || { echo "expected the program $program; install it: apt-get install -y apt-utils gpg" >&2 && exit 69; }
done
compgen -G '*.deb' >/dev/null || { echo "expected packages (*.deb) in $1; make them: deploy/debian/build_packages.sh $1" >&2 && exit 66; }
gpg --batch --list-secret-keys "$2" >/dev/null || { echo "expected a key of gpg with a secret part; $2 is none: gpg --list-secret-keys" >&2 && exit 66; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
apt-ftparchive packages . >"$work/Packages"
# Release has the SHA-256 of Packages, which has that of each package.
(cd "$work" && apt-ftparchive -o APT::FTPArchive::Release::Origin=Handfast -o APT::FTPArchive::Release::Label=Handfast release .) >"$work.release"
mv "$work.release" "$work/Release"
gpg --batch --yes --local-user "$2" --clearsign --output "$work/InRelease" "$work/Release"
gpg --batch --yes --armor --export-options export-minimal --output "$work/handfast.asc" --export "$2"
mv "$work/Packages" "$work/Release" "$work/handfast.asc" .
mv "$work/InRelease" . # last: until then apt sees the former state, or an error
chmod 0644 Packages Release InRelease handfast.asc
