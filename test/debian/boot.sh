#!/usr/bin/env bash
# test/debian/boot.sh NAMESPACE CGROUP ROOT : starts systemd as the first process of the Debian in ROOT, which is a mount point, in
# a network namespace and in a cgroup (v2) without other processes. Ends with the machine.
# What belongs to the host stays out of reach: sysctls are read-only, and no module, clock or device can be changed.
set -euo pipefail
echo $$ >"$2/cgroup.procs"
exec ip netns exec "$1" unshare --mount --pid --fork --kill-child --uts --ipc --cgroup --propagation private bash -c '
	set -e
	cd "$1"
	mount -t proc proc proc
	mount --bind proc/sys proc/sys
	mount -o remount,ro,bind proc/sys
	mount -t sysfs -o ro sysfs sys
	mount -t cgroup2 cgroup2 sys/fs/cgroup
	mount -t tmpfs -o mode=755 tmpfs dev
	for device in null zero full random urandom tty; do
		touch dev/$device
		mount --bind /dev/$device dev/$device
	done
	mkdir dev/pts dev/shm
	mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts
	ln -s pts/ptmx dev/ptmx
	ln -s /proc/self/fd dev/fd
	mount -t tmpfs -o mode=755 tmpfs run
	mount -t tmpfs -o mode=1777 tmpfs tmp
	mkdir tmp/old
	pivot_root . tmp/old
	umount -l /tmp/old
	rmdir /tmp/old
	exec setpriv --bounding-set=-sys_module,-sys_time,-sys_boot,-sys_rawio,-mknod,-syslog \
		env -i container=handfast-test PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd
	' bash "$3"
