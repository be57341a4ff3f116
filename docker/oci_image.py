#!/usr/bin/env python3
"""Makes an image without a container engine: a tar file with an OCI layout (OCI Image Format 1.1), of one layer.

    docker/oci_image.py Dockerfile.NAME NAME:TAG OUT.tar ARCHITECTURE=FOLDER...

With several architectures (amd64, arm64) the image is an index of one manifest each. The last stage of the
Dockerfile defines the image: COPY --from=build [--chown=UID:GID] /image/SOURCE TARGET is read from FOLDER/SOURCE
(docker/assemble.sh makes it), USER, EXPOSE, ENTRYPOINT and CMD become the configuration; of the build stage, a line
`RUN setcap CAPABILITY /image/SOURCE` gives that file the capability, for which no root is needed here. The
same files give the same bytes: owners, times and order do not depend on the machine."""

import gzip
import hashlib
import io
import json
import os
import re
import shlex
import stat
import struct
import sys
import tarfile

# By `uname -m`. OCI has Go's names of architectures; v8 is what other builders write for arm64.
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
_VARIANTS = {"arm64": "v8"}
_MEDIA = "application/vnd.oci.image."
# The attribute of a file as the kernel has it (linux/capability.h: VFS_CAP_REVISION_2, permitted and inheritable, of 32 bits
# twice), by what setcap is given. Archives have attributes under this name.
_ATTRIBUTE = "SCHILY.xattr.security.capability"
CAPABILITIES = {"cap_net_raw=p": struct.pack("<5I", 0x02000000, 1 << 13, 0, 0, 0)}


class Layer:
    """The files of an image, in the order in which they are added; a later one replaces an earlier one."""

    def __init__(self, capabilities=None):
        self._entries = {}  # path without a leading slash: (TarInfo, bytes)
        self._capabilities = capabilities or {}  # {path that is read: what setcap is given}

    def add_tree(self, source, target="/", owner=(0, 0)):
        """What is below the folder `source`, as files of `owner`."""
        for folder, folders, files in os.walk(source):
            for name in sorted(folders + files):
                path = os.path.join(folder, name)
                self.add_file(path, os.path.join(target, os.path.relpath(path, source)), owner)

    def add_file(self, source, target, owner=(0, 0), follows=False):
        """One file, folder or symbolic link; follows: what the link leads to."""
        status = os.stat(source) if follows else os.lstat(source)
        if stat.S_ISLNK(status.st_mode):
            self.add_link(target, os.readlink(source))
        elif stat.S_ISDIR(status.st_mode):
            self.add_folder(target, stat.S_IMODE(status.st_mode), owner)
        else:
            with open(source, "rb") as file:
                self.add_bytes(target, file.read(), stat.S_IMODE(status.st_mode), owner)
            if source in self._capabilities:
                self._set_capability(target, self._capabilities[source])

    def add_bytes(self, target, content, mode=0o644, owner=(0, 0)):
        self._add(target, tarfile.REGTYPE, mode, owner, content=content)

    def add_folder(self, target, mode=0o755, owner=(0, 0)):
        self._add(target, tarfile.DIRTYPE, mode, owner)

    def add_link(self, target, to):
        self._add(target, tarfile.SYMTYPE, 0o777, (0, 0), to)

    def _set_capability(self, target, capability):
        entry, _ = self._entries[os.path.normpath(target).lstrip("/")]
        entry.pax_headers[_ATTRIBUTE] = CAPABILITIES[capability].decode("ascii")

    def _add(self, target, kind, mode, owner, link="", content=b""):
        name = os.path.normpath(target).lstrip("/")
        if name in ("", "."):
            return
        parent = os.path.dirname(name)
        if parent and parent not in self._entries:
            self.add_folder(parent)
        entry = tarfile.TarInfo(name)
        entry.type, entry.mode, entry.linkname, entry.size = kind, mode, link, len(content)
        entry.uid, entry.gid = owner
        self._entries[name] = (entry, content)

    def to_bytes(self):
        plain = io.BytesIO()
        with tarfile.open(fileobj=plain, mode="w", format=tarfile.PAX_FORMAT) as tar:
            for name in sorted(self._entries):
                entry, content = self._entries[name]
                tar.addfile(entry, io.BytesIO(content))
        return plain.getvalue()


def write(out, reference, layer, config):
    """An image for this machine's architecture. config: the `config` object of the OCI image configuration (User,
    Entrypoint, Cmd, ExposedPorts)."""
    write_platforms(out, reference, {_ARCHITECTURES[os.uname().machine]: layer}, config)


def write_platforms(out, reference, layers, config):
    """layers: {architecture: layer}. Returns the image's digest."""
    blobs = {}
    entries = [_add_platform(blobs, architecture, layers[architecture], config) for architecture in sorted(layers)]
    if len(entries) > 1:
        entries = [_add_blob(blobs, "index.v1+json", _index(entries))]
    entries[0]["annotations"] = {"io.containerd.image.name": reference,
                                 "org.opencontainers.image.ref.name": reference.rpartition(":")[2]}
    files = {"oci-layout": _json({"imageLayoutVersion": "1.0.0"}), "index.json": _index(entries), **blobs}
    with tarfile.open(out, "w") as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o644
            tar.addfile(entry, io.BytesIO(content))
    return entries[0]["digest"]


def _add_platform(blobs, architecture, layer, config):
    """The descriptor of one platform's manifest; its blobs are added."""
    platform = {"architecture": architecture, "os": "linux"}
    if architecture in _VARIANTS:
        platform["variant"] = _VARIANTS[architecture]
    plain = layer.to_bytes()
    configuration = _json({**platform, "config": config,
                           "rootfs": {"type": "layers", "diff_ids": [_digest(plain)]}})
    manifest = _json({"schemaVersion": 2, "mediaType": _MEDIA + "manifest.v1+json",
                      "config": _add_blob(blobs, "config.v1+json", configuration),
                      "layers": [_add_blob(blobs, "layer.v1.tar+gzip", gzip.compress(plain, 6, mtime=0))]})
    return {**_add_blob(blobs, "manifest.v1+json", manifest), "platform": platform}


def _index(entries):
    return _json({"schemaVersion": 2, "mediaType": _MEDIA + "index.v1+json", "manifests": entries})


def _json(value):
    return json.dumps(value, sort_keys=True).encode()


def _digest(content):
    return "sha256:" + hashlib.sha256(content).hexdigest()


def _add_blob(blobs, kind, content):
    """The descriptor of a blob."""
    blobs["blobs/sha256/" + _digest(content).partition(":")[2]] = content
    return {"mediaType": _MEDIA + kind, "digest": _digest(content), "size": len(content)}


def read_dockerfile(path, folder):
    """(layer, config) of the last stage, whose files are in `folder`."""
    with open(path) as file:
        build, stage = re.split(r"^FROM scratch$", file.read(), flags=re.M)
    capable = {os.path.join(folder, source): capability
               for capability, source in re.findall(r"^RUN setcap (\S+) /image/(\S+)$", build, flags=re.M)}
    layer, config = Layer(capable), {}
    for line in stage.splitlines():
        word, _, rest = line.strip().partition(" ")
        if word == "COPY":
            _copy(layer, folder, shlex.split(rest))
        elif word == "USER":
            config["User"] = rest
        elif word == "EXPOSE":
            config["ExposedPorts"] = {port + "/tcp": {} for port in rest.split()}
        elif word in ("ENTRYPOINT", "CMD"):
            config[word.capitalize()] = json.loads(rest)
        elif word and not word.startswith("#"):
            raise ValueError("%s: %s is not among COPY, USER, EXPOSE, ENTRYPOINT and CMD, which this program knows" %
                             (path, word))
    return layer, config


def _copy(layer, folder, words):
    options = dict(word.lstrip("-").split("=", 1) for word in words if word.startswith("--"))
    source, target = [word for word in words if not word.startswith("--")]
    owner = tuple(int(number) for number in options.get("chown", "0:0").split(":"))
    if options.get("from") != "build" or not source.startswith("/image/"):
        raise ValueError("COPY of %s: expected --from=build and a source below /image/" % source)
    layer.add_tree(os.path.join(folder, source[len("/image/"):]), target, owner)


def main():
    if len(sys.argv) < 5 or not all("=" in word for word in sys.argv[4:]):
        print(__doc__, file=sys.stderr)
        return 64
    dockerfile, reference, out = sys.argv[1:4]
    layers, config = {}, {}
    for word in sys.argv[4:]:
        architecture, _, folder = word.partition("=")
        layers[architecture], config = read_dockerfile(dockerfile, folder)
    digest = write_platforms(out, reference, layers, config)
    print("%s: %s, %s, %.1f MB, %s" % (out, reference, " and ".join(sorted(layers)), os.path.getsize(out) / 1e6, digest))
    return 0


if __name__ == "__main__":
    sys.exit(main())
