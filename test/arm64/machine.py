"""A machine of arm64 with Debian's kernel, emulated by QEMU. Its files are Debian's packages, unpacked; nothing is
installed. Its folders of the host: the file system (changes stay in its memory), `work`, and the repository."""

import glob
import gzip
import os
import shutil
import subprocess

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
QEMU, QEMU_USER = "/usr/bin/qemu-system-aarch64", "/usr/bin/qemu-aarch64-static"
# What mounts the folders; the kernel loads the rest when it needs it.
_MODULES = ("virtio_pci", "9pnet_virtio", "9p", "overlay")


class Machine:
    """Its files are below `folder`; what it is given to run is in `self.work`."""

    def __init__(self, folder):
        self._root, self._initrd = os.path.join(folder, "root"), os.path.join(folder, "initrd.gz")
        self.work = os.path.join(folder, "work")
        os.makedirs(self.work)
        shutil.copy(os.path.join(HERE, "guest/run.sh"), self.work)
        with open(os.path.join(HERE, "guest/packages.txt")) as file:
            packages = [line.strip() for line in file if line.strip() and not line.startswith("#")]
        subprocess.run([os.path.join(ROOT, "third_party/debian_arm64/sysroot.sh"), self._root, *packages], check=True,
                       stdout=subprocess.DEVNULL)
        # As the packages' scripts do: else each start of a Python program compiles its modules anew.
        subprocess.run(["/usr/bin/python3", "-m", "compileall", "-q", *glob.glob(self._root + "/usr/lib/python3*")],
                       stdout=subprocess.DEVNULL)
        self._make_initrd(os.path.join(folder, "initrd"))

    def _kmod(self, *words):
        """depmod or modprobe of the unpacked packages, by qemu-user."""
        argv = [QEMU_USER, "-L", self._root, "-0", words[0], self._root + "/bin/kmod", *words[1:]]
        return subprocess.run(argv, check=True, stdout=subprocess.PIPE, text=True).stdout

    def _make_initrd(self, folder):
        version = os.listdir(self._root + "/lib/modules")[0]
        self._kmod("depmod", "-b", self._root, version)
        for name in ("bin", "modules", "proc", "dev", "lower", "upper", "new"):
            os.makedirs(os.path.join(folder, name))
        shutil.copy(self._root + "/bin/busybox", folder + "/bin/busybox")
        shutil.copy(os.path.join(HERE, "guest/init.sh"), folder + "/init")
        os.chmod(folder + "/init", 0o755)
        listed = [line.split()[1] for module in _MODULES for line in self._kmod(
            "modprobe", "-d", self._root, "-S", version, "--show-depends", module).splitlines() if "insmod" in line]
        for number, path in enumerate(dict.fromkeys(listed)):
            shutil.copy(path, "%s/modules/%03d-%s" % (folder, number, os.path.basename(path)))
        names = "".join(os.path.relpath(os.path.join(above, name), folder) + "\n"
                        for above, folders, files in os.walk(folder) for name in folders + files)
        made = subprocess.run([QEMU_USER, self._root + "/bin/busybox", "cpio", "-o", "-H", "newc"], cwd=folder, check=True,
                              input=names.encode(), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        with gzip.open(self._initrd, "wb", 1) as file:
            file.write(made.stdout)

    def argv(self):
        """The command line that runs the machine until it powers off, with its console as standard output."""
        shares = []
        for tag, path, access in (("root", self._root, ",readonly=on"), ("work", self.work, ""),
                                  ("tree", ROOT, ",readonly=on")):
            shares += ["-fsdev", "local,id=%s,path=%s,security_model=none%s" % (tag, path, access),
                       "-device", "virtio-9p-pci,fsdev=%s,mount_tag=%s" % (tag, tag)]
        # The processor has pointer authentication and branch targets, with a cheap algorithm for the first.
        return [QEMU, "-M", "virt", "-cpu", "max,pauth-impdef=on", "-smp", "2", "-m", "2048", "-nographic", "-no-reboot",
                "-nic", "none", "-kernel", glob.glob(self._root + "/boot/vmlinuz-*")[0], "-initrd", self._initrd,
                "-append", "console=ttyAMA0 quiet panic=-1", *shares]
