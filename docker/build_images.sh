#!/usr/bin/env bash
# docker/build_images.sh FOLDER [PREFIX [TAG]] : the images as OCI layouts, FOLDER/NAME.tar, without a container
# engine. PREFIX is the registry and path before each name (default: docker.io/handfast/), TAG the version of the tree.
# With HANDFAST_BIN the programs of that folder are taken, else they are built. Into containerd:
#     ctr -n k8s.io images import FOLDER/handfast-sidecar.tar
set -euo pipefail
[ $# -ge 1 ] && [ $# -le 3 ] || { sed -n '2,5s/^# //p' "$0" >&2 && exit 64; }
cd "$(dirname "${BASH_SOURCE[0]}")/.."
out=$1 prefix=${2-docker.io/handfast/}
tag=${3:-$(sed -n 's/^#define HANDFAST_VERSION "\(.*\)"$/\1/p' base/core/version.h)}
mkdir -p "$out"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for pair in handfast-sidecar=//sidecar:handfast-sidecar handfast-control=//control:handfast-control \
	handfast-cli=//cli:handfast handfast-init=//intercept:handfast-init \
	handfast-cni=//intercept:handfast-init+//intercept/cni:handfast-cni; do
	name=${pair%%=*}
	for label in $(echo "${pair#*=}" | tr + ' '); do
		docker/assemble.sh "$label" "$work/$name"
	done
	/usr/bin/python3 docker/oci_image.py "docker/Dockerfile.${name#handfast-}" "$work/$name" "$prefix$name:$tag" "$out/$name.tar"
done
