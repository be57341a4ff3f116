#!/usr/bin/env bash
# docker/build_images.sh [--arm64] FOLDER [PREFIX [TAG [NAME...]]] : the images as OCI layouts, FOLDER/NAME.tar, without a
# container engine. PREFIX is the registry and path before each name (default: docker.io/handfast/), TAG the version of the
# tree, NAME an image; without one all of docker/Dockerfile.* are made. --arm64: each image for amd64 and arm64, by
# cross-build (README.md). With HANDFAST_BIN, and HANDFAST_BIN_ARM64, the programs of that folder are taken, else they are
# built. Into containerd:
#     ctr -n k8s.io images import FOLDER/handfast-sidecar.tar
set -euo pipefail
architectures=$(dpkg --print-architecture)
if [ "${1-}" = --arm64 ]; then
	[ "$architectures" = amd64 ] || { echo "expected an amd64 machine, where arm64 is cross-built; here --arm64 is not needed" >&2 && exit 64; }
	architectures="amd64 arm64"
	shift
fi
[ $# -ge 1 ] && [ "${1#-}" = "$1" ] || { sed -n '2,7s/^# //p' "$0" >&2 && exit 64; }
cd "$(dirname "${BASH_SOURCE[0]}")/.."
out=$1 prefix=${2-docker.io/handfast/}
tag=${3:-$(sed -n 's/^#define HANDFAST_VERSION "\(.*\)"$/\1/p' base/core/version.h)}
names=("${@:4}")
[ $# -gt 3 ] || for file in docker/Dockerfile.*; do names+=("handfast-${file#docker/Dockerfile.}"); done
for name in "${names[@]}"; do
	[ -e "docker/Dockerfile.${name#handfast-}" ] || { echo "expected an image that has a docker/Dockerfile.*, got $name" >&2 && exit 64; }
done
mkdir -p "$out"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# One architecture after the other: Bazel analyzes the tree again for each change.
for architecture in $architectures; do
	for name in "${names[@]}"; do
		for label in $(grep -oP 'docker/assemble\.sh \K\S+' "docker/Dockerfile.${name#handfast-}"); do
			docker/assemble.sh "$label" "$work/$name/$architecture" "$architecture"
		done
	done
done
for name in "${names[@]}"; do
	folders=
	for architecture in $architectures; do
		folders+=" $architecture=$work/$name/$architecture"
	done
	/usr/bin/python3 docker/oci_image.py "docker/Dockerfile.${name#handfast-}" "$prefix$name:$tag" "$out/$name.tar" $folders
done
