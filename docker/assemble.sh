#!/usr/bin/env bash
# docker/assemble.sh LABEL FOLDER [arm64] : builds one program, for this machine or by cross-build for arm64, and creates,
# under FOLDER/root, the file tree of its image: the program, its shared libraries if any, its SBOM, and the names of the users; and
# the folders of its user, FOLDER/state for /var/lib and FOLDER/run for /run. With HANDFAST_BIN (for arm64
# HANDFAST_BIN_ARM64) the program comes from that folder and is not built. Used by the Dockerfiles, and without a
# container engine by docker/build_images.sh and docker/check_images.sh.
set -euo pipefail
label=$1 folder=$2 architecture=${3-}
cd "$(dirname "${BASH_SOURCE[0]}")/.."

config=(--config=opt) binaries=${HANDFAST_BIN-} strip=strip sysroot=
if [ "$architecture" = arm64 ] && [ "$(dpkg --print-architecture)" != arm64 ]; then
	config+=(--config=arm64) binaries=${HANDFAST_BIN_ARM64-} strip=aarch64-linux-gnu-strip
	sysroot=$(bazel info output_base 2>/dev/null)/external/debian_arm64/root
	[ -d "$sysroot" ] || bazel fetch --ui_event_filters=-info,-warning,-debug @debian_arm64//:all # without a build
fi

program=${label##*:}
built=$binaries/$program
if [ -z "$binaries" ]; then
	bazel build "${config[@]}" --ui_event_filters=-info,-warning,-debug "$label"
	built=$(bazel info "${config[@]}" bazel-bin 2>/dev/null)/$(echo "${label#//}" | tr : /)
fi

mkdir -p "$folder/root/etc" "$folder/root/var/lib" "$folder/root/run" "$folder/run/handfast"
# Not every builder supports --chmod for folders: the mode is set here, the owner in the Dockerfile.
case $program in handfast | handfast-pkcs11) ;; *) install -d -m 0700 "$folder/state/$program" ;; esac
install -m 0755 "$built" "$folder/root/$program"
"$strip" --strip-unneeded "$folder/root/$program"
if [ "$program" = handfast-pkcs11 ]; then # where the control plane looks for it
	mkdir -p "$folder/root/usr/local/bin"
	ln -sf "/$program" "$folder/root/usr/local/bin/$program"
fi
cat >"$folder/root/etc/passwd" <<'TEXT'
root:x:0:0:root:/:
handfast-control:x:1336:1336::/:
handfast-sidecar:x:1337:1337::/:
TEXT
printf 'root:x:0:\nhandfast-control:x:1336:\nhandfast-sidecar:x:1337:\n' >"$folder/root/etc/group"

# needed_by FILE : the shared libraries that an arm64 program and its libraries need, as paths in the folder $sysroot; ldd
# would have to run the program. Without the loader, which is added as the interpreter.
needed_by() {
	local name path
	for name in $(readelf -d "$1" | sed -n '/\[ld-linux/d;s/.*(NEEDED).*\[\(.*\)\]/\1/p'); do
		for path in {/usr,}/lib{/aarch64-linux-gnu,}/"$name"; do
			[ -e "$sysroot$path" ] || continue
			echo "$path"
			needed_by "$sysroot$path"
			continue 2
		done
		echo "expected $name, which $1 needs, among Debian's arm64 packages" >&2
		return 1
	done
}

# Only handfast-init has shared libraries, since Debian has no static libnftables, and handfast-pkcs11, which loads others.
if [ -n "$sysroot" ]; then
	libraries=$(needed_by "$built" | sort -u)
	[ -z "$libraries" ] || libraries+=" $(readelf -l "$built" | sed -n 's/.*interpreter: \(.*\)\]/\1/p')"
else
	libraries=$(ldd "$built" 2>/dev/null | grep -o '/[^ ]*' || true)
fi
for library in $libraries; do
	mkdir -p "$folder/root$(dirname "$library")"
	cp -L "$sysroot$library" "$folder/root$library"
done
mkdir -p "$folder/root/usr/share/doc/$program"
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH-$(git -c safe.directory='*' log -1 --format=%ct 2>/dev/null || echo 0)} \
/usr/bin/python3 tools/sbom.py ${sysroot:+--sysroot "$sysroot"} "$label" "$folder/root/$program" \
	"${architecture:-$(dpkg --print-architecture)}" $libraries >"$folder/root/usr/share/doc/$program/sbom.spdx.json"
