#!/usr/bin/env bash
# docker/check_images.sh : creates the file tree of each image and runs its program in it by chroot, as its user, to find
# missing files without a container engine. Needs root.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
folder=$(mktemp -d)
trap 'umount "$folder"/*/root/proc 2>/dev/null || true; rm -rf "$folder"' EXIT
passed=0 failed=0

# holds WHAT COMMAND... : the command's status is 0
holds() {
	local what=$1
	shift
	if "$@" >"$folder/output" 2>&1; then
		passed=$((passed + 1)) && echo "PASS $what"
	else
		failed=$((failed + 1)) && echo "FAIL $what: $(tail -n 3 "$folder/output")"
	fi
}

for label in //sidecar:handfast-sidecar //control:handfast-control //cli:handfast //intercept:handfast-init; do
	docker/assemble.sh "$label" "$folder/${label##*:}" >"$folder/output" 2>&1 || { cat "$folder/output" && exit 1; }
	mkdir "$folder/${label##*:}/root/proc"
	mount -t proc proc "$folder/${label##*:}/root/proc"
done

docker/assemble.sh //intercept/cni:handfast-cni "$folder/handfast-init" >"$folder/output" 2>&1 || { cat "$folder/output" && exit 1; }

inside() { # PROGRAM UID ARGUMENT...
	chroot --userspec="$2:$2" "$folder/$1/root" "/$1" "${@:3}"
}

holds "the sidecar starts in its image" inside handfast-sidecar 1337 --version
holds "handfast-control starts in its image" inside handfast-control 1336 --version
holds "handfast starts in its image" inside handfast 1336 --version
holds "handfast-init finds its libraries in its image" inside handfast-init 0 --version
holds "handfast-init writes its rules, in a new namespace" \
	unshare -n sh -c "ip link set lo up && chroot $folder/handfast-init/root /handfast-init up"

holds "handfast-cni starts in its image, beside handfast-init" chroot "$folder/handfast-init/root" /handfast-cni --version

mkdir -p "$folder/handfast-control/root/etc/handfast"
cp docker/control.example.yaml "$folder/handfast-control/root/etc/handfast/control.yaml"
holds "the example settings are valid in the image" \
	inside handfast-control 1336 --config /etc/handfast/control.yaml --check

sed -n '/^  control\.yaml: |$/,/^---$/{s/^    //p}' deploy/kubernetes/handfast.yaml \
	>"$folder/handfast-control/root/etc/handfast/cluster.yaml"
holds "the settings in the manifest for Kubernetes are valid" \
	inside handfast-control 1336 --config /etc/handfast/cluster.yaml --check

# The whole program: the control plane, with its signer, starts with nothing but an empty state folder.
chown -R 1336:1336 "$folder/handfast-control/state/handfast-control" "$folder/handfast-control/run/handfast"
cp -a "$folder/handfast-control/state/." "$folder/handfast-control/root/var/lib/"
cp -a "$folder/handfast-control/run/." "$folder/handfast-control/root/run/"
chroot --userspec=1336:1336 "$folder/handfast-control/root" /handfast-control --config /etc/handfast/control.yaml \
	--listen.streams_port 45012 --listen.metrics_port 45014 >"$folder/log" 2>&1 &
control=$!
is_ready() { grep -q "ready: streams on port 45012" "$folder/log"; }
for _ in $(seq 100); do
	is_ready && break
	sleep 0.1 # duration: the pause between two polls
done
holds "the control plane becomes ready in its image" is_ready
kill "$control" 2>/dev/null || true
holds "and stops on SIGTERM" wait "$control"

echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
