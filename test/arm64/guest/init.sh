#!/bin/busybox sh
# The first program of the kernel: the folder `root` of the host under a layer in memory becomes the file system, `work`
# is /given, and the repository is /tree. The kernel loads further modules itself, by /sbin/modprobe.
b=/bin/busybox
share() { $b mount -t 9p -o "trans=virtio,version=9p2000.L,msize=262144,$3" "$1" "$2"; }
$b mount -t proc proc /proc
$b mount -t devtmpfs dev /dev
for module in /modules/*; do $b insmod "$module"; done
share root /lower ro,cache=loose
$b mount -t tmpfs tmpfs /upper
$b mkdir /upper/files /upper/own
$b mount -t overlay -o lowerdir=/lower,upperdir=/upper/files,workdir=/upper/own overlay /new
for folder in proc sys dev tmp run given tree etc var/lib root; do $b mkdir -p /new/$folder; done
$b mount -t proc proc /new/proc
$b mount -t sysfs sys /new/sys
$b mount -t devtmpfs dev /new/dev
$b mount -t tmpfs tmpfs /new/tmp
$b mount -t tmpfs tmpfs /new/run
$b chmod 1777 /new/tmp
$b cp $b /new/run/busybox
share work /new/given rw
share tree /new/tree ro,cache=loose
$b ip link set lo up
exec $b switch_root /new /bin/sh /given/run.sh </dev/ttyAMA0 >/dev/ttyAMA0 2>&1
