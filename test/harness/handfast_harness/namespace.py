"""One network namespace: making, entering, configuring and removing it.

The harness makes its own sockets in a namespace by entering it for the call of socket(): a socket stays in the
namespace (and, for rules on uid and gid, with the user) in which it was made. So a story can dial from any host as
any user without starting a program."""

import contextlib
import ctypes
import http.client
import os
import shutil
import signal
import socket
import subprocess

from .expect import StoryFailure, wait_until

_libc = ctypes.CDLL(None, use_errno=True)
_CLONE_NEWNET = 0x40000000
_SETRESUID, _SETRESGID = {"x86_64": (117, 119), "aarch64": (147, 149)}[os.uname().machine]


def _be(uid, gid):
    """Sets this thread's effective user by raw system calls: the library's functions would change every thread."""
    for call, number in ((_SETRESGID, gid), (_SETRESUID, uid)) if uid else ((_SETRESUID, uid), (_SETRESGID, gid)):
        if _libc.syscall(call, -1, number, -1) != 0:
            raise OSError(ctypes.get_errno(), "setresuid or setresgid")


def _enter(fd):
    if _libc.setns(fd, _CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


def as_user(argv, uid=0, gid=None, capabilities=None):
    """The command line that runs argv as that user, with the capabilities that setpriv names, such as -all,+net_raw; or with
    a list of options of setpriv in their place."""
    gid = uid if gid is None else gid
    user = [] if uid == 0 and gid == 0 else ["setpriv", "--reuid", str(uid), "--regid", str(gid), "--clear-groups"]
    if isinstance(capabilities, list):
        user += capabilities
    elif capabilities:
        user += ["--inh-caps", capabilities, "--ambient-caps", capabilities]
    return [*user, *map(str, argv)]


class Namespace:
    """`name` is the name in the story, `netns` the kernel's."""

    def __init__(self, netns, name):
        self.netns, self.name = netns, name
        self.ipv4 = self.ipv6 = None  # the main addresses as text, once a topology has assigned them
        self._fd = -1

    def create(self):
        subprocess.run(["ip", "netns", "add", self.netns], check=True)
        self._fd = os.open("/run/netns/" + self.netns, os.O_RDONLY | os.O_CLOEXEC)
        self.sysctl("net/ipv6/conf/all/accept_dad", "0")
        self.sysctl("net/ipv6/conf/default/accept_dad", "0")
        self.sysctl("net/ipv4/ip_unprivileged_port_start", "0")  # as container runtimes set it
        self.ip("link set lo up")

    def remove(self):
        """Ends the remaining processes inside by process id, then removes the namespace. May be called twice."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        remove_netns(self.netns)

    def ip(self, *lines):
        """Runs `ip` subcommands in the namespace in one go."""
        done = subprocess.run(["ip", "-n", self.netns, "-batch", "-"], input="\n".join(lines) + "\n", text=True,
                              capture_output=True)
        if done.returncode != 0:
            raise RuntimeError("ip in %s: %s(of: %s)" % (self.name, done.stderr, "; ".join(lines)))
        return done.stdout

    def sysctl(self, path, value):
        """path as under /proc/sys, e.g. net/ipv4/tcp_congestion_control."""
        with self.entered(), open("/proc/sys/" + path, "w") as file:
            file.write(str(value))

    @contextlib.contextmanager
    def entered(self):
        """This thread is in the namespace until the block ends."""
        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            _enter(self._fd)
            try:
                yield self
            finally:
                _enter(home)
        finally:
            os.close(home)

    def socket(self, family=socket.AF_INET, kind=socket.SOCK_STREAM, uid=0, gid=None):
        """A socket of this namespace that belongs to the given user, and to the group of the same number unless given."""
        with self.entered():
            _be(uid, uid if gid is None else gid)
            try:
                return socket.socket(family, kind | socket.SOCK_CLOEXEC)
            finally:
                _be(0, 0)

    def connect(self, address, port, uid=0, gid=None, timeout_s=5.0, source=None):
        """A connected TCP socket with a timeout. address: IPv4 or IPv6 text. Errors are Python's own OSErrors."""
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        sock = self.socket(family, uid=uid, gid=gid)
        try:
            sock.settimeout(timeout_s)
            if source is not None:
                sock.bind((source, 0))
            sock.connect((address, port))
            return sock
        except BaseException:
            sock.close()
            raise

    def connect_unix(self, path, uid=0, gid=0, timeout_s=5.0):
        """A connected Unix socket of a process of this namespace and user, as the other end sees it."""
        with self.entered():
            sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
            sock.settimeout(timeout_s)
            _be(uid, gid)
            try:
                sock.connect(path)
                return sock
            except BaseException:
                sock.close()
                raise
            finally:
                _be(0, 0)

    def listen(self, address, port, backlog=64, uid=0, gid=None):
        """A listening TCP socket with a timeout of 5 s; for `::` also IPv4."""
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        sock = self.socket(family, uid=uid, gid=gid)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.settimeout(5.0)
        sock.bind((address, port))
        sock.listen(backlog)
        return sock

    def accepts(self, port, address="127.0.0.1"):
        """Whether a connection to that port succeeds now."""
        try:
            self.connect(address, port, timeout_s=0.5).close()
            return True
        except OSError:
            return False

    def http(self, url, method="GET", body=None, headers=None, uid=0, timeout_s=5.0):
        """(status, body bytes) of http://ADDRESS:PORT/PATH, dialed from here. ADDRESS is an address, not a name."""
        authority, _, path = url[len("http://"):].partition("/")
        address, _, port = authority.rpartition(":")
        connection = http.client.HTTPConnection("in-namespace", timeout=timeout_s)
        connection.sock = self.connect(address.strip("[]"), int(port), uid=uid, timeout_s=timeout_s)
        with contextlib.closing(connection):
            connection.request(method, "/" + path, body, {"Host": authority, **(headers or {})})
            answer = connection.getresponse()
            return answer.status, answer.read()

    def argv(self, argv, uid=0, gid=None, capabilities=None):
        """The command line that runs argv in this namespace as that user; the process id stays the same across each
        exec."""
        return ["ip", "netns", "exec", self.netns, *as_user(argv, uid, gid, capabilities)]

    def run(self, argv, uid=0, gid=None, timeout_s=20.0, check=True, **options):
        """Runs argv to its end. Output is text; a status other than 0 raises unless check=False."""
        options.setdefault("env", environment())
        done = subprocess.run(self.argv(argv, uid, gid), capture_output=True, text=True, timeout=timeout_s, **options)
        if check and done.returncode != 0:
            raise RuntimeError("%s in %s ended with %d: %s%s" % (" ".join(map(str, argv)), self.name, done.returncode,
                                                                 done.stdout, done.stderr))
        return done


def environment(more=None):
    """The environment of started programs: Handfast's would read the runner's HANDFAST_* variables as settings."""
    return {**{name: value for name, value in os.environ.items() if not name.startswith("HANDFAST_")}, **(more or {})}


def pids_in(netns):
    listed = subprocess.run(["ip", "netns", "pids", netns], capture_output=True, text=True)
    return [int(pid) for pid in listed.stdout.split() if int(pid) != os.getpid()]


def remove_netns(netns):
    if not os.path.exists("/run/netns/" + netns):
        return
    for number in (signal.SIGTERM, signal.SIGKILL):
        for pid in pids_in(netns):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        with contextlib.suppress(StoryFailure):
            wait_until("the processes of %s to end" % netns, lambda: not pids_in(netns), 1.0)
    subprocess.run(["ip", "netns", "delete", netns], stderr=subprocess.DEVNULL)
    shutil.rmtree("/etc/netns/" + netns, ignore_errors=True)
