#!/usr/bin/env python3
"""Makes the Debian packages of one architecture from built programs; build_packages.sh calls it.

    packages.py PROGRAMS ARCHITECTURE VERSION OUT   PROGRAMS/ARCHITECTURE/root has the stripped programs, and PROGRAMS/ that of
                                                    this machine, too, whose programs print their manual pages
    packages.py --labels                            what to build

Owners, times and order do not depend on the machine: the same programs give the same bytes."""

import dataclasses
import gzip
import hashlib
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
import urllib.parse

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
MAINTAINER = "Handfast <packages@handfast.dev>"
COMPLETIONS = {"bash": "usr/share/bash-completion/completions/%s", "zsh": "usr/share/zsh/vendor-completions/_%s",
               "fish": "usr/share/fish/vendor_completions.d/%s.fish"}
# What docs/monitoring.md installs.
MONITORING = ("handfast.rules.yaml", "prometheus.yaml", "dashboard.json")


@dataclasses.dataclass(frozen=True)
class Package:
    """A program with what belongs to it. user: (name, uid and gid) of the program; unit: its systemd unit; on_upgrade: what
    an upgrade does with a unit that is active; files: {path in the package: file of the tree}; secrets: what a purge removes
    beside the state folder."""
    label: str
    about: str  # the first line is the synopsis
    path: str
    section: int = 0  # of the manual; 0: no page
    user: tuple = ()
    unit: str = ""
    on_upgrade: str = "restart"
    files: dict = dataclasses.field(default_factory=dict)
    secrets: str = ""
    depends: str = ""
    recommends: str = ""

    @property
    def name(self):
        return self.label.rpartition(":")[2]

    @property
    def conffiles(self):
        return sorted("/" + path for path in self.files if path.startswith("etc/"))


PACKAGES = [
    Package("//sidecar:handfast-sidecar", """data plane of the service mesh Handfast
Runs beside a workload and carries its TCP connections to the sidecars of other
workloads through mutually authenticated TLS 1.3. The workload is not changed.""", "usr/sbin", 8,
            user=("handfast-sidecar", 1337), unit="handfast-sidecar.service", on_upgrade="reload", secrets="/etc/handfast/token", depends="passwd",
            recommends="handfast, handfast-init",
            files={"etc/handfast/sidecar.yaml": "deploy/debian/handfast-sidecar.yaml",
                   "usr/lib/tmpfiles.d/handfast-sidecar.conf": "deploy/debian/handfast.tmpfiles",
                   "usr/share/doc/handfast-sidecar/examples/sidecar.yaml": "docker/sidecar.example.yaml",
                   "usr/share/doc/handfast-sidecar/examples/tproxy.conf": "deploy/debian/tproxy.conf"}),
    Package("//control:handfast-control", """control plane of the service mesh Handfast
Attests workloads, issues their certificates, and distributes addresses and
policy to their sidecars.""", "usr/sbin", 8,
            user=("handfast-control", 1336), unit="handfast-control.service", secrets="/etc/handfast/page.token", depends="passwd", recommends="handfast",
            files={"etc/handfast/control.yaml": "deploy/debian/handfast-control.yaml",
                   "usr/lib/tmpfiles.d/handfast-control.conf": "deploy/debian/handfast.tmpfiles",
                   "usr/lib/systemd/system/handfast-init.service.d/handfast-control.conf": "deploy/debian/control-plane.conf",
                   "usr/share/doc/handfast-control/examples/control.yaml": "docker/control.example.yaml",
                   **{f"usr/share/doc/handfast-control/examples/{name}": f"deploy/monitoring/{name}" for name in MONITORING}}),
    Package("//control/pkcs11:handfast-pkcs11", """keys in PKCS#11 tokens for the control plane of Handfast
Signs the mesh's intermediate certificates by a key in a PKCS#11 token, whose
module it loads. The control plane starts it.""", "usr/libexec", recommends="handfast-control"),
    Package("//intercept:handfast-init", """interception rules of the service mesh Handfast
Writes, checks and removes the nftables rules that lead a workload's TCP
connections to its sidecar.""", "usr/sbin", 8,
            unit="handfast-init.service", on_upgrade="reload", recommends="handfast-sidecar",
            files={"etc/default/handfast-init": "deploy/debian/handfast-init.default",
                   "usr/lib/systemd/system/nftables.service.d/handfast.conf": "deploy/debian/nftables.conf"}),
    Package("//intercept/cni:handfast-cni", """CNI plugin of the service mesh Handfast
Writes the interception rules of pods that may not write their own: a plugin,
and the agent of a node that installs it.""", "usr/sbin", 8, depends="handfast-init"),
    Package("//cli:handfast", """command line of the service mesh Handfast
Shows and changes a mesh as its operator: join tokens, bans, authorities,
policy, and why a connection was refused.""", "usr/bin", 1),
]


class Tree:
    """The files of one package, below a temporary folder."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)

    def add(self, path, content, mode=0o644):
        target = self.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content if isinstance(content, bytes) else content.encode())
        target.chmod(mode)

    def files(self):
        return sorted(path for path in self.folder.rglob("*") if path.is_file() and path.parts[len(self.folder.parts)] != "DEBIAN")

    def finish(self, epoch):
        """Modes of folders, and all times."""
        for path in [self.folder, *self.folder.rglob("*")]:
            if path.is_dir():
                path.chmod(0o755)
            os.utime(path, (epoch, epoch))


def printed(*argv, folder=None):
    return subprocess.run([str(word) for word in argv], check=True, capture_output=True, cwd=folder).stdout


def scripts(package):
    """{name: text} of the maintainer scripts, put together from those of scripts/ that the package needs, and its own."""
    values = {"PACKAGE": package.name, "UNIT": package.unit, "ON_UPGRADE": package.on_upgrade, "SECRETS": package.secrets}
    parts = ["unit", package.name] if package.unit else [package.name]
    if package.user:
        values.update(USER=package.user[0], ID=str(package.user[1]))
        parts.insert(0, "user")
    made = {}
    for name in ("preinst", "postinst", "prerm", "postrm"):
        texts = [path.read_text() for path in (HERE / "scripts" / f"{part}.{name}" for part in parts) if path.exists()]
        if not texts:
            continue
        text = "#!/bin/sh\nset -e\n" + "".join(texts)
        for key, value in values.items():
            text = text.replace(f"@{key}@", value)
        made[name] = text
    return made


def library_packages(program):
    """The packages of the shared libraries that a program needs; a static one needs none. From the program of this
    machine: Debian's libraries have the same names and versions on each architecture."""
    with tempfile.TemporaryDirectory() as folder:
        os.mkdir(folder + "/debian")
        pathlib.Path(folder, "debian/control").write_text("Source: handfast\n\nPackage: handfast\nArchitecture: any\n")
        line = printed("dpkg-shlibdeps", "--warnings=0", "-O", f"-e{program}", folder=folder).decode().strip()
    return line.partition("=")[2]


def control(package, tree, architecture, version, depends):
    size = sum(-(-path.stat().st_size // 1024) for path in tree.files())
    synopsis, _, text = package.about.partition("\n")
    fields = {"Package": package.name, "Source": "handfast", "Version": version, "Architecture": architecture,
              "Maintainer": MAINTAINER, "Installed-Size": size, "Depends": depends, "Recommends": package.recommends,
              "Section": "net", "Priority": "optional",
              "Description": synopsis + "".join("\n " + line for line in text.split("\n"))}
    return "".join(f"{key}: {value}\n" for key, value in fields.items() if value)


def changelog(version, epoch):
    date = time.strftime("%a, %d %b %Y %H:%M:%S +0000", time.gmtime(epoch))
    return (f"handfast ({version}) unstable; urgency=medium\n\n  * Built from the tree; its changes are in changelog.gz.\n\n"
            f" -- {MAINTAINER}  {date}\n")


def add_program(tree, package, program, own):
    """own: the same program for this machine, which prints its pages."""
    tree.add(f"{package.path}/{package.name}", program.read_bytes(), 0o755)
    if not package.section:
        return
    page = printed(own, "--man")
    tree.add(f"usr/share/man/man{package.section}/{package.name}.{package.section}.gz", gzip.compress(page, 9, mtime=0))
    for shell, path in COMPLETIONS.items():
        tree.add(path % package.name, printed(own, "--completion", shell))


def notices(sbom):
    """What the licenses of the libraries inside ask to be passed on: of each, the file of its Debian package."""
    document = json.loads(sbom)
    inside = {one["relatedSpdxElement"] for one in document["relationships"] if one["relationshipType"] == "STATIC_LINK"}
    for one in document["packages"]:
        purl = one["externalRefs"][0]["referenceLocator"] if one["SPDXID"] in inside else ""
        text = f"{one['name']} {one['versionInfo']}: {one['licenseDeclared']}\n"
        if purl.startswith("pkg:deb/"):
            name = urllib.parse.unquote(purl.split("/")[2].split("@")[0])
            yield text + "\n" + pathlib.Path("/usr/share/doc", name, "copyright").read_text(encoding="utf-8", errors="replace")
        elif purl:
            yield text


def overrides(package, is_static):
    """Of lintian. The programs are static but two, which it takes for libraries that lack something; of what is in them only
    libyaml is on its list. The packages are not Debian's, where an upload closes the bug that announced it."""
    tags = ["initial-upload-closes-no-bugs *"]
    if is_static:
        tags += ["embedded-library libyaml *", "shared-library-lacks-prerequisites *"]
    if not package.section:
        tags.append("no-manual-page *")  # another program starts it
    return "".join(f"{package.name} binary: {tag}\n" for tag in tags)


def add_documents(tree, package, version, epoch, sbom):
    folder = f"usr/share/doc/{package.name}"
    tree.add(f"{folder}/sbom.spdx.json", sbom.read_bytes())
    tree.add(f"{folder}/libraries.copyright.gz", gzip.compress("\n\n".join(notices(sbom.read_bytes())).encode(), 9, mtime=0))
    tree.add(f"{folder}/copyright", (HERE / "copyright").read_bytes())
    tree.add(f"{folder}/changelog.gz", gzip.compress((ROOT / "CHANGES.md").read_bytes(), 9, mtime=0))
    tree.add(f"{folder}/changelog.Debian.gz", gzip.compress(changelog(version, epoch).encode(), 9, mtime=0))
    tree.add(f"usr/share/lintian/overrides/{package.name}", overrides(package, b'"name": "libyaml"' in sbom.read_bytes()))
    if package.unit:
        tree.add(f"{folder}/README.Debian", (HERE / "README.Debian").read_bytes())


def build(package, programs, architecture, version, out, epoch):
    own = printed("dpkg", "--print-architecture").decode().strip()
    name = "root/" + package.name
    with tempfile.TemporaryDirectory() as folder:
        tree = Tree(folder)
        add_program(tree, package, programs / architecture / name, programs / own / name)
        add_documents(tree, package, version, epoch, programs / architecture / "root/usr/share/doc" / package.name / "sbom.spdx.json")
        if package.unit:
            tree.add("usr/lib/systemd/system/" + package.unit, (HERE / package.unit).read_bytes())
        for path, source in package.files.items():
            tree.add(path, (ROOT / source).read_bytes())
        depends = ", ".join(filter(None, [library_packages(programs / own / name), package.depends]))
        sums = "".join(f"{hashlib.md5(path.read_bytes()).hexdigest()}  {path.relative_to(folder)}\n" for path in tree.files())
        tree.add("DEBIAN/control", control(package, tree, architecture, version, depends))
        tree.add("DEBIAN/md5sums", sums)
        if package.conffiles:
            tree.add("DEBIAN/conffiles", "".join(path + "\n" for path in package.conffiles))
        for script, text in scripts(package).items():
            tree.add("DEBIAN/" + script, text, 0o755)
        tree.finish(epoch)
        target = out / f"{package.name}_{version}_{architecture}.deb"
        # One thread: with more of them the blocks of xz depend on how many.
        # Beside its place, so that who reads the folder meanwhile finds whole packages alone.
        part = target.with_suffix(".part")
        printed("dpkg-deb", "--root-owner-group", "-Zxz", "--threads-max=1", "--build", folder, part)
        part.replace(target)
    print(f"{target}: {target.stat().st_size / 1e6:.1f} MB, sha256 {hashlib.sha256(target.read_bytes()).hexdigest()}")


def main():
    if sys.argv[1:] == ["--labels"]:
        print("\n".join(package.label for package in PACKAGES))
        return 0
    if len(sys.argv) != 5:
        print(__doc__, file=sys.stderr)
        return 64
    os.umask(0o022)
    for package in PACKAGES:
        build(package, pathlib.Path(sys.argv[1]), sys.argv[2], sys.argv[3], pathlib.Path(sys.argv[4]),
              int(os.environ["SOURCE_DATE_EPOCH"]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
