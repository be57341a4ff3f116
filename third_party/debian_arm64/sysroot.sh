#!/usr/bin/env bash
# sysroot.sh FOLDER PACKAGE... : unpacks Debian's arm64 packages, and what they depend on, into FOLDER, on a machine of
# another architecture. Nothing of them runs, so they are not configured. apt fetches them from the machine's own sources and verifies its signatures;
# lists and packages have folders of their own, so dpkg's database does not change and root is not needed.
set -euo pipefail
folder=$1
shift
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$folder" "$work/state/lists/partial" "$work/cache/archives/partial"
: >"$work/status"
options=(-q -o APT::Architecture=arm64 -o APT::Architectures=arm64 -o APT::Sandbox::User= -o "Dir::State=$work/state"
	-o "Dir::State::status=$work/status" -o "Dir::Cache=$work/cache")
export DEBIAN_FRONTEND=noninteractive
apt-get "${options[@]}" update
apt-get "${options[@]}" install -y --no-install-recommends --download-only "$@"
for package in "$work"/cache/archives/*.deb; do
	dpkg-deb -x "$package" "$folder"
done
# A link to an absolute path would lead out of the folder.
find "$folder" -type l -lname '/*' | while IFS= read -r link; do
	ln -sfn "$(realpath -ms --relative-to="$(dirname "$link")" "$folder$(readlink "$link")")" "$link"
done
