# Sourced: a minimal Debian 12 by debootstrap, for test/fresh_machine.sh and test/debian.

# The mirror and the keys that this machine uses; no other file of the host.
first_mirror() {
	local found
	found=$(awk '/^URIs:/ {print $2; exit}' /etc/apt/sources.list.d/*.sources 2>/dev/null || true)
	[ -n "$found" ] || found=$(awk '/^deb / {for (i = 2; i <= NF; i++) if ($i ~ /:\/\//) {print $i; exit}}' \
		/etc/apt/sources.list 2>/dev/null || true)
	[ -n "$found" ] || {
		echo "expected a Debian mirror in /etc/apt/sources.list or a .sources file; found none" >&2
		exit 69
	}
	echo "$found"
}

# make_machine ROOT [ARCHITECTURE] : a minimal Debian with ca-certificates and git, unless there is one. ROOT.log has the output of
# debootstrap. With HANDFAST_MINIMAL_DEBIAN that folder is it, for several machines, and ROOT a copy. Another architecture than
# this machine's needs its emulator (binfmt_misc), and is made each time.
make_machine() {
	local root=$1 architecture=${2-}
	[ ! -e "$root/etc/debian_version" ] || return 0
	if [ -n "$architecture" ]; then
		bootstrap "$root" --arch "$architecture"
	elif [ -n "${HANDFAST_MINIMAL_DEBIAN-}" ]; then
		[ -e "$HANDFAST_MINIMAL_DEBIAN/etc/debian_version" ] || bootstrap "$HANDFAST_MINIMAL_DEBIAN"
		mkdir -p "$root"
		cp -a --reflink=auto "$HANDFAST_MINIMAL_DEBIAN/." "$root"
	else
		bootstrap "$root"
	fi
}

bootstrap() { # ROOT [OPTION...]
	local root=$1 mirror file
	shift
	mkdir -p "$root"
	mirror=$(first_mirror)
	debootstrap "$@" --variant=minbase --include=ca-certificates,git bookworm "$root" "$mirror" >"$root.log" 2>&1 || {
		tail -n 20 "$root.log" >&2
		exit 69
	}
	# How this machine reaches its mirror and cargo's registry, and nothing else of it: sources, keys, a proxy if there is one.
	rm -f "$root/etc/apt/sources.list"
	for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.sources /etc/apt/sources.list.d/*.list; do
		[ ! -e "$file" ] || cp -a "$file" "$root$file"
	done
	grep -lE '^ *Acquire::' /etc/apt/apt.conf.d/* 2>/dev/null | xargs -r cp -a -t "$root/etc/apt/apt.conf.d/"
	cp -a /usr/share/keyrings/. "$root/usr/share/keyrings/"
	# A proxy that ends TLS has an authority of its own, which this machine trusts; cargo meets it.
	cp -a /usr/local/share/ca-certificates/. "$root/usr/local/share/ca-certificates/"
	chroot "$root" /usr/sbin/update-ca-certificates >/dev/null 2>&1
}
