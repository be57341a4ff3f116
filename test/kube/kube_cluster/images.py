"""Images without an engine: Handfast's from docker/, and two for tests made of this machine's Debian programs."""

import os
import re
import shutil
import subprocess
import sys

from handfast_harness.namespace import environment
from handfast_harness.story import find_binary

from . import programs

_ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", "..", ".."))
sys.path[:0] = [os.path.join(_ROOT, "docker"), os.path.join(_ROOT, "deploy", "kubernetes")]

import generate  # noqa: E402 (the path must be set first)
import oci_image  # noqa: E402

APP, PAUSE, ETCD = "docker.io/local/app:1", "docker.io/local/pause:1", "docker.io/local/etcd:1"
PREFIX, TAG = "docker.io/handfast/", "test"
# {image: its programs}, of those that the manifests name
HANDFAST = {image: [label.rpartition(":")[2] for label in labels] for image, labels in generate.images().items()}
_APPLETS = ("sh", "cat", "date", "echo", "env", "grep", "head", "httpd", "id", "kill", "ls", "nc", "netstat", "printf", "ps",
            "seq", "sleep", "tail", "test", "timeout", "true", "wget")
_NGINX = """daemon off;
pid /tmp/nginx.pid;
error_log stderr;
worker_processes 1;
events { worker_connections 1024; }
http {
  access_log off;
  client_body_temp_path /tmp/body; proxy_temp_path /tmp/proxy; fastcgi_temp_path /tmp/fastcgi;
  uwsgi_temp_path /tmp/uwsgi; scgi_temp_path /tmp/scgi;
  server {
    listen 8080; listen [::]:8080;
    location / { return 200 "hello-in-plaintext from $hostname to $remote_addr\\n"; }
  }
}
"""


def import_app(cluster):
    """The images of workloads and of the pods' own process. The app is nginx on 8080, as user 1000; with curl, busybox."""
    busybox = shutil.which("busybox", path="/usr/bin:/bin")
    if not busybox:
        raise programs.Missing("busybox-static is not installed; expected the packages of test/kube/apt-packages.txt")
    pause = oci_image.Layer()
    pause.add_file(busybox, "/bin/busybox", follows=True)
    _import(cluster, PAUSE, pause, {"Entrypoint": ["/bin/busybox", "sleep", "2147483647"]})
    app = oci_image.Layer()
    app.add_file(busybox, "/bin/busybox", follows=True)
    for name in _APPLETS:
        app.add_link("/bin/" + name, "busybox")
    for path in ("/usr/bin/curl", "/usr/sbin/nginx"):
        _add_program(app, path)
    app.add_bytes("/etc/nginx/nginx.conf", _NGINX.encode())
    app.add_bytes("/etc/passwd", b"root:x:0:0:root:/:\napp:x:1000:1000::/tmp:\n")
    app.add_bytes("/etc/group", b"root:x:0:\napp:x:1000:\n")
    app.add_bytes("/etc/nsswitch.conf", b"hosts: files dns\n")
    app.add_folder("/tmp", 0o1777)
    app.add_folder("/var/log/nginx", 0o777)
    app.add_folder("/var/lib/nginx", 0o777)
    _import(cluster, APP, app, {"User": "1000:1000", "Cmd": ["/usr/sbin/nginx", "-c", "/etc/nginx/nginx.conf"],
                                "StopSignal": "SIGQUIT", "Env": ["PATH=/bin:/usr/bin:/usr/sbin"]})


def import_etcd(cluster):
    """A server of gRPC's health service, and of /health over HTTP or HTTPS: the cluster's own program, as any user."""
    layer = oci_image.Layer()
    layer.add_file(programs.path("etcd"), "/etcd", follows=True)
    layer.add_folder("/tmp", 0o1777)
    _import(cluster, ETCD, layer, {"User": "1000:1000", "Entrypoint": ["/etcd", "--data-dir", "/tmp/etcd"]})


def _add_program(layer, path):
    """The program with its libraries, those of name resolution too."""
    layer.add_file(path, path, follows=True)
    listed = subprocess.run(["ldd", path], capture_output=True, text=True, check=True).stdout
    for library in re.findall(r"(/\S+) \(0x", listed):
        layer.add_file(library, library, follows=True)


def _import(cluster, reference, layer, config):
    path = cluster.path(re.sub(r"\W", "-", reference) + ".tar")
    oci_image.write(path, reference, layer, config)
    cluster.node.import_image(path)
    os.unlink(path)


def import_handfast(cluster, tag=TAG, built=None):
    """The images under PREFIX + name + ":" + tag, of the programs in `built`, or of those under test (HANDFAST_BIN, else
    bazel-bin). An earlier build has no images of programs that are newer."""
    folder = cluster.path("handfast-bin")
    os.makedirs(folder, exist_ok=True)
    chosen = [image for image, names in HANDFAST.items()
              if not built or all(os.path.exists(os.path.join(built, name)) for name in names)]
    for name in {name for image in chosen for name in HANDFAST[image]}:
        shutil.copy(os.path.join(built, name) if built else find_binary(name), os.path.join(folder, name))
    images = cluster.path("images")
    subprocess.run([os.path.join(_ROOT, "docker", "build_images.sh"), images, PREFIX, tag, *chosen], check=True,
                   stdout=subprocess.DEVNULL, env=environment({"HANDFAST_BIN": folder}))
    for name in sorted(os.listdir(images)):
        cluster.node.import_image(os.path.join(images, name))
        os.unlink(os.path.join(images, name))


def import_handfast_once(cluster):
    if not getattr(cluster, "has_handfast_images", False):
        import_handfast(cluster)
        cluster.has_handfast_images = True
