#!/usr/bin/env bash
# test/fresh_machine.sh [--demo] [--keep] [FOLDER]: README's commands and its quick start on a fresh machine, as root.
#
# Makes a minimal Debian 12 by debootstrap in FOLDER (a new temporary folder by default, removed afterwards; --keep keeps
# it), clones the committed tree into it and runs there README's first command, then its quick start by hand, whose output
# must be what README shows, then the second command; --demo leaves out the second. Nothing that is installed by hand on
# the host exists in there. Needs about 6 GB of disk.
# The exit code is 0 only if each command's was. The last line is `N passed, N failed`, one per command.
set -euo pipefail
repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
. "$repository/test/minimal_debian.sh"

usage() {
	sed -n '2,/^set /{/^#/s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}"
}

only_demo='' keep='' folder=''
while [ $# -gt 0 ]; do
	case $1 in
	--demo) only_demo=1 ;;
	--keep) keep=1 ;;
	-h | --help) usage && exit 0 ;;
	-*) echo "expected --demo, --keep or a folder, got $1" >&2 && exit 64 ;;
	*) folder=$1 keep=1 ;;
	esac
	shift
done
if [ "$(id -u)" != 0 ]; then
	echo "expected to be root, for debootstrap and namespaces; run test/fresh_machine.sh as root" >&2
	exit 77
fi
for program in debootstrap git unshare; do
	command -v "$program" >/dev/null || {
		echo "expected $program; run tools/install_packages.sh test/apt-packages.txt" >&2
		exit 69
	}
done
folder=${folder:-$(mktemp -d /var/tmp/handfast-fresh-XXXXXX)}
root=$folder/root
mkdir -p "$root"

clean_up() {
	# Bazel's server in there would outlive its machine; the PID namespace has ended it already.
	[ -n "$keep" ] || rm -rf --one-file-system "$folder"
}
trap clean_up EXIT

write_steps() {
	cp /etc/resolv.conf /etc/hosts "$root/etc/"
	rm -rf "$root/root/handfast"
	git -c safe.directory='*' clone -q "$repository" "$root/root/handfast"
	cat >"$root/root/steps.sh" <<-'STEPS'
		# run NAME COMMAND: the command's log to a file, its exit code and time to the terminal.
		failed=0 passed=0
		run() {
			local started=$SECONDS code=0
			"$2" >"/root/$1.log" 2>&1 </dev/null || code=$?
			tail -n 6 "/root/$1.log" | sed 's/^/    /'
			echo "$1: exit $code after $((SECONDS - started)) s"
			if [ "$code" = 0 ]; then passed=$((passed + 1)); else failed=$((failed + 1)) && tail -n 60 "/root/$1.log"; fi
		}
		cd /root/handfast
		run demo docker/demo.sh
		run quick_start test/quick_start.py
		[ -n "$ONLY_DEMO" ] || run tests test/run.sh
		echo "$passed passed, $failed failed"
		[ "$failed" = 0 ]
	STEPS
}

# pivot_root and not chroot: a process in a chroot may not make user namespaces, and `ip netns exec` could not remount
# its root. A process namespace, so that Bazel's server ends with the machine.
enter() {
	unshare --mount --pid --fork --kill-child --propagation private bash -c '
		set -e
		root=$1
		mount --bind "$root" "$root"
		cd "$root"
		mount -t proc proc proc
		mount --rbind /sys sys
		mount --rbind /dev dev
		mount -t tmpfs tmpfs run
		mount -t tmpfs -o mode=1777 tmpfs tmp
		mkdir tmp/old
		pivot_root . tmp/old
		cd /
		umount -l /tmp/old
		rmdir /tmp/old
		exec /usr/bin/env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
			DEBIAN_FRONTEND=noninteractive ONLY_DEMO="$2" ${CI:+CI=$CI} bash /root/steps.sh' bash "$root" "$only_demo"
}

started=$SECONDS
make_machine "$root"
echo "a minimal Debian $(cat "$root/etc/debian_version") after $((SECONDS - started)) s"
write_steps
enter
