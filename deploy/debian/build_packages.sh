#!/usr/bin/env bash
# deploy/debian/build_packages.sh [--arm64] FOLDER [VERSION] : Debian packages of all programs, FOLDER/NAME_VERSION_ARCH.deb, by
# Debian's own tools. VERSION: by default that of the tree, with the revision 1. --arm64: for amd64 and arm64, by cross-build
# (docker/README.md). With HANDFAST_BIN, and HANDFAST_BIN_ARM64, the programs of that folder are taken, else they are built.
# The same commit gives the same bytes: times come from SOURCE_DATE_EPOCH, by default the time of the commit.
set -euo pipefail
architectures=$(dpkg --print-architecture)
if [ "${1-}" = --arm64 ]; then
	[ "$architectures" = amd64 ] || { echo "expected an amd64 machine, where arm64 is cross-built; here --arm64 is not needed" >&2 && exit 64; }
	architectures="amd64 arm64"
	shift
fi
{ [ $# = 1 ] || [ $# = 2 ]; } && [ "${1#-}" = "$1" ] || { sed -n '2,5s/^# //p' "$0" >&2 && exit 64; }
mkdir -p "$1"
out=$(realpath "$1")
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
version=${2-$(sed -n 's/^#define HANDFAST_VERSION "\(.*\)"$/\1/p' base/core/version.h)-1}
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH-$(git -c safe.directory='*' log -1 --format=%ct)}
export SOURCE_DATE_EPOCH
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
labels=$(/usr/bin/python3 deploy/debian/packages.py --labels)
total=$(($(wc -w <<<"$labels") * $(wc -w <<<"$architectures")))
number=0
# One architecture after the other: Bazel analyzes the tree again for each change.
for architecture in $architectures; do
	for label in $labels; do
		echo "$((number += 1)) of $total: ${label##*:}, $architecture"
		docker/assemble.sh "$label" "$work/$architecture" "$architecture"
	done
done
for architecture in $architectures; do
	/usr/bin/python3 deploy/debian/packages.py "$work" "$architecture" "$version" "$out"
done
