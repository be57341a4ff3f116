#!/usr/bin/env bash
# docker/assemble.sh LABEL FOLDER : builds one program and creates, under FOLDER/root, the file tree of its image: the
# program, its shared libraries if any, and the names of the users; and the folders of its user, FOLDER/state for /var/lib
# and FOLDER/run for /run. With HANDFAST_BIN the program comes from that folder and is not built. Used by the Dockerfiles,
# and without a container engine by docker/build_images.sh and docker/check_images.sh.
set -euo pipefail
label=$1 folder=$2
cd "$(dirname "${BASH_SOURCE[0]}")/.."

program=${label##*:}
built=${HANDFAST_BIN-}/$program
if [ -z "${HANDFAST_BIN-}" ]; then
	bazel build --config=opt --ui_event_filters=-info,-warning,-debug "$label"
	built=$(bazel info --config=opt bazel-bin 2>/dev/null)/$(echo "${label#//}" | tr : /)
fi

mkdir -p "$folder/root/etc" "$folder/root/var/lib" "$folder/root/run" "$folder/run/handfast"
# Not every builder supports --chmod for folders: the mode is set here, the owner in the Dockerfile.
install -d -m 0700 "$folder/state/$program"
install -m 0755 "$built" "$folder/root/$program"
strip --strip-debug "$folder/root/$program"
cat >"$folder/root/etc/passwd" <<'TEXT'
root:x:0:0:root:/:
handfast-control:x:1336:1336::/:
handfast-sidecar:x:1337:1337::/:
TEXT
printf 'root:x:0:\nhandfast-control:x:1336:\nhandfast-sidecar:x:1337:\n' >"$folder/root/etc/group"

# Only handfast-init has shared libraries: Debian has no static libnftables.
libraries=$(ldd "$built" 2>/dev/null | grep -o '/[^ ]*' || true)
for library in $libraries; do
	mkdir -p "$folder/root$(dirname "$library")"
	cp -L "$library" "$folder/root$library"
done
