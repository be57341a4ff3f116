#!/usr/bin/env bash
# docker/check_images.sh [arm64] : creates the file tree of each image and runs its program in it by chroot, as its user,
# to find missing files without a container engine. Needs root. With arm64 the programs are cross-built and run in
# qemu-user, which carries neither nftables' messages nor the system call filter: what needs those is left out here, and
# test/arm64 runs it on a kernel of arm64.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
architecture=${1-} emulator=
[ "$architecture" != arm64 ] || emulator=/qemu
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

assemble() { # LABEL IMAGE
	docker/assemble.sh "$1" "$folder/$2" $architecture >"$folder/output" 2>&1 || { cat "$folder/output" && exit 1; }
}

# The layer that nodes unpack, by tar in their place; in the other pods nothing of it may keep the program from starting.
unpack_sidecar() { # before /proc is mounted in its tree
	/usr/bin/python3 docker/oci_image.py docker/Dockerfile.sidecar handfast-sidecar:check "$folder/image.tar" \
		"${architecture:-amd64}=$folder/handfast-sidecar" || return 1
	chmod 0755 "$folder" && mkdir "$folder/image" "$folder/layer" && tar -xf "$folder/image.tar" -C "$folder/image" || return 1
	tar --xattrs --xattrs-include='*' -xzf "$(ls -S "$folder"/image/blobs/sha256/* | head -n 1)" -C "$folder/layer"
}

for label in //sidecar:handfast-sidecar //control:handfast-control //cli:handfast //intercept:handfast-init; do
	assemble "$label" "${label##*:}"
	[ "$label" != //sidecar:handfast-sidecar ] || holds "the sidecar's layer is unpacked" unpack_sidecar
	mkdir "$folder/${label##*:}/root/proc"
	mount -t proc proc "$folder/${label##*:}/root/proc"
	[ -z "$emulator" ] || cp /usr/bin/qemu-aarch64-static "$folder/${label##*:}/root$emulator"
done

assemble //control/pkcs11:handfast-pkcs11 handfast-control
assemble //intercept/cni:handfast-cni handfast-init

inside() { # PROGRAM UID ARGUMENT...
	chroot --userspec="$2:$2" "$folder/$1/root" $emulator "/$1" "${@:3}"
}

holds "the sidecar starts in its image" inside handfast-sidecar 1337 --version
has_net_raw() { getcap "$folder/layer/handfast-sidecar" | tee /dev/stderr | grep -q ' cap_net_raw=p$'; }
holds "its file has CAP_NET_RAW, permitted alone" has_net_raw
[ -n "$emulator" ] || holds "the sidecar starts where its container may not have the capability" setpriv --reuid 1337 --regid 1337 \
	--clear-groups --bounding-set -all --no-new-privs "$folder/layer/handfast-sidecar" --version
holds "handfast-control starts in its image" inside handfast-control 1336 --version
holds "handfast starts in its image" inside handfast 1336 --version
# 64: it is started by the control plane alone. 127: a library is missing.
holds "handfast-pkcs11 finds its libraries in its image" sh -c \
	"chroot --userspec=1336:1336 $folder/handfast-control/root $emulator /usr/local/bin/handfast-pkcs11; [ \$? = 64 ]"
holds "handfast-init finds its libraries in its image" inside handfast-init 0 --version
[ -n "$emulator" ] || holds "handfast-init writes its rules, in a new namespace" \
	unshare -n sh -c "ip link set lo up && chroot $folder/handfast-init/root /handfast-init up"

holds "handfast-cni starts in its image, beside handfast-init" chroot "$folder/handfast-init/root" $emulator /handfast-cni --version

mkdir -p "$folder/handfast-control/root/etc/handfast"
cp docker/control.example.yaml "$folder/handfast-control/root/etc/handfast/control.yaml"
holds "the example settings are valid in the image" \
	inside handfast-control 1336 --config /etc/handfast/control.yaml --check

sed -n '/^  control\.yaml: |$/,/^---$/{s/^    //p}' deploy/kubernetes/handfast.yaml \
	>"$folder/handfast-control/root/etc/handfast/cluster.yaml"
holds "the settings in the manifest for Kubernetes are valid" \
	inside handfast-control 1336 --config /etc/handfast/cluster.yaml --check

if [ -n "$emulator" ]; then
	echo "$passed passed, $failed failed"
	[ "$failed" = 0 ]
	exit
fi

# The whole program: the control plane, with its signer, starts with nothing but an empty state folder.
chown -R 1336:1336 "$folder/handfast-control/state/handfast-control" "$folder/handfast-control/run/handfast"
cp -a "$folder/handfast-control/state/." "$folder/handfast-control/root/var/lib/"
cp -a "$folder/handfast-control/run/." "$folder/handfast-control/root/run/"
start_control() { # OPTION... : its log is $folder/log
	chroot --userspec=1336:1336 "$folder/handfast-control/root" /handfast-control --config /etc/handfast/control.yaml \
		--listen.streams_port 45012 --listen.metrics_port 45014 "$@" >"$folder/log" 2>&1 &
	control=$!
}
wait_for() { # COMMAND...
	for _ in $(seq 100); do
		"$@" && return
		sleep 0.1 # duration: the pause between two polls
	done
}
is_ready() { grep -q "ready: streams on port 45012" "$folder/log"; }
start_control
wait_for is_ready
holds "the control plane becomes ready in its image" is_ready
kill "$control" 2>/dev/null || true
holds "and stops on SIGTERM" wait "$control"

# An operator's module, with its libraries and its token, put into the image: SoftHSM.
root=$folder/handfast-control/root module=/usr/lib/softhsm/libsofthsm2.so
for file in $module $(ldd $module | grep -o '/[^ ]*'); do
	[ -e "$root$file" ] || install -D "$file" "$root$file"
done
export SOFTHSM2_CONF=/etc/softhsm2.conf
install -d -o 1336 -g 1336 -m 0700 "$root/token"
printf 'directories.tokendir = /token\nobjectstore.backend = file\nlog.level = ERROR\n' >"$root$SOFTHSM2_CONF"
sed "s|/token|$root/token|" "$root$SOFTHSM2_CONF" >"$folder/softhsm2.conf"
tool() { SOFTHSM2_CONF=$folder/softhsm2.conf pkcs11-tool --module $module --token-label mesh --login --pin 1234 "$@"; }
make_token() {
	SOFTHSM2_CONF=$folder/softhsm2.conf softhsm2-util --init-token --free --label mesh --pin 1234 --so-pin 5678 &&
		tool --keypairgen --key-type EC:prime256v1 --label authority &&
		tool --read-object --type pubkey --label authority --output-file "$folder/public.der" &&
		openssl pkey -pubin -inform DER -in "$folder/public.der" -out "$folder/public.pem" &&
		openssl req -x509 -newkey rsa:2048 -nodes -keyout "$folder/root.key" -out "$root/etc/handfast/root.pem" -subj /CN=root -days 365 \
			-addext keyUsage=critical,keyCertSign,cRLSign &&
		openssl x509 -new -force_pubkey "$folder/public.pem" -subj /CN=token -CA "$root/etc/handfast/root.pem" \
			-CAkey "$folder/root.key" -days 90 -out "$root/etc/handfast/token.pem" -extfile <(printf \
			'basicConstraints=critical,CA:TRUE,pathlen:1\nkeyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\n') &&
		install -o 1336 -g 1336 -m 0600 <(echo 1234) "$root/etc/handfast/pin" && chown -R 1336:1336 "$root/token"
}
holds "there is a token with a key and its certificate" make_token
start_control --identity.ca.source pkcs11 --identity.ca.certificate /etc/handfast/token.pem \
	--identity.ca.root /etc/handfast/root.pem --identity.ca.pkcs11.module $module --identity.ca.pkcs11.token mesh \
	--identity.ca.pkcs11.key authority --identity.ca.pkcs11.pin_file /etc/handfast/pin
is_used() { grep -q "rotation 1 of the mesh's root: ended" "$folder/log"; } # from the first start's root to this one
wait_for is_used
holds "a root above a key in a SoftHSM token is used, by handfast-pkcs11 in the image" is_used
kill "$control" 2>/dev/null || true
holds "and it stops on SIGTERM" wait "$control"

echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
