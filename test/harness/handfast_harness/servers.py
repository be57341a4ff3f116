"""Real servers as workloads, one function each, beside those of apps.py: it starts the program on a host, waits until it
accepts, and returns a Process that the story owns. Each has its own folder and listens on every address of its host.

    servers.memcached(story, story.mesh.server)"""

import os
import pwd
import subprocess
import sys
import tempfile

from .expect import expect_eq
from .namespace import as_user, environment
from .web_pki import WebPki

UID = 65534
_VSFTPD = """listen=NO
listen_ipv6=YES
listen_port=%(port)d
background=NO
anonymous_enable=YES
local_enable=NO
anon_root=%(folder)s/files
write_enable=YES
anon_upload_enable=YES
secure_chroot_dir=%(folder)s/empty
run_as_launching_user=NO
ftp_username=ftp
chown_uploads=NO
connect_from_port_20=YES
seccomp_sandbox=NO
xferlog_enable=NO
"""
_RSYNCD = """port = %(port)d
use chroot = no
reverse lookup = no
pid file = %(folder)s/pid
[files]
path = %(folder)s/files
read only = no
"""
_MOSQUITTO = "listener %d\nallow_anonymous true\n"


def _folder(story, namespace, name, uid=UID):
    folder = story.folder("%s-%s" % (name, namespace.name))
    os.chown(folder, uid, uid)
    return folder


def _files(folder, files, uid=UID):
    """The folder `files` in folder with these files (name: bytes), writable for the user."""
    path = os.path.join(folder, "files")
    os.makedirs(path)
    os.chown(path, uid, uid)
    for name, content in (files or {}).items():
        with open(os.path.join(path, name), "wb") as file:
            file.write(content)
    return path


def _write(folder, name, text):
    path = os.path.join(folder, name)
    with open(path, "w") as file:
        file.write(text)
    return path


def _start(story, namespace, name, argv, port, uid=UID, deadline_s=40.0, **more):
    return story.spawn(namespace, name, argv, uid=uid, **more).wait_for_port(port, deadline_s=deadline_s)


def mariadb(story, namespace, port=3306, sql=""):
    """A fresh data folder with the tables of a new installation; `sql` is run first, one statement per line."""
    # Not on a disk: the installation waits for it almost a thousand times.
    folder = story.own(tempfile.TemporaryDirectory(prefix="hf-mariadb-", dir="/dev/shm" if os.path.isdir("/dev/shm") else None))
    os.chown(folder, UID, UID)
    common = ["--no-defaults", "--datadir=" + folder + "/data", "--innodb-log-file-size=4M", "--innodb-buffer-pool-size=8M"]
    made = subprocess.run(as_user(["mariadb-install-db", *common, "--auth-root-authentication-method=normal", "--skip-test-db"],
                                  UID), capture_output=True, text=True, cwd=folder)
    if made.returncode != 0:
        raise RuntimeError("mariadb-install-db: " + made.stdout + made.stderr)
    argv = ["mariadbd", *common, "--socket=" + folder + "/socket", "--port=%d" % port, "--bind-address=*",
            "--skip-name-resolve", "--init-file=" + _write(folder, "first.sql", sql)]
    return _start(story, namespace, "mariadb", argv, port, cwd=folder)


def memcached(story, namespace, port=11211):
    return _start(story, namespace, "memcached", ["memcached", "-p", port, "-U", 0, "-l", "0.0.0.0,::"], port)


def mosquitto(story, namespace, port=1883):
    path = _write(_folder(story, namespace, "mosquitto"), "mosquitto.conf", _MOSQUITTO % port)
    return _start(story, namespace, "mosquitto", ["mosquitto", "-c", path], port)


def nats(story, namespace, port=4222):
    return _start(story, namespace, "nats", ["nats-server", "-a", "::", "-p", port], port)


def etcd_pair(story, hosts, port=2379, peer_port=2380):
    """One etcd of two members, in plaintext; each member knows the other by its address alone."""
    url = lambda host, at: "http://%s:%d" % (host.ipv4, at)
    members = ",".join("%s=%s" % (host.name, url(host, peer_port)) for host in hosts)
    started = [story.spawn(host, "etcd", [
        "etcd", "--name", host.name, "--data-dir", _folder(story, host, "etcd") + "/data",
        "--listen-client-urls", "http://0.0.0.0:%d" % port, "--advertise-client-urls", url(host, port),
        "--listen-peer-urls", "http://0.0.0.0:%d" % peer_port, "--initial-advertise-peer-urls", url(host, peer_port),
        "--initial-cluster", members, "--unsafe-no-fsync"], uid=UID) for host in hosts]
    for member in started:
        member.wait_for_log("ready to serve client requests", 40)
    return started


def rabbitmq(story, hosts):
    """A node per host, named after it, with one cookie; guest may log in from anywhere. Returns the nodes and a function that
    runs rabbitmqctl on one: ctl(host, words ...)."""
    folders = {host: _folder(story, host, "rabbitmq") for host in hosts}
    environments = {host: {"HOME": folder, "RABBITMQ_NODENAME": "rabbit@" + host.name, "RABBITMQ_MNESIA_BASE": folder,
                           "RABBITMQ_LOG_BASE": folder, "RABBITMQ_LOGS": "-", "RABBITMQ_CONF_ENV_FILE": "/dev/null",
                           "RABBITMQ_ENABLED_PLUGINS_FILE": folder + "/plugins", "HOSTNAME": host.name,
                           "RABBITMQ_CONFIG_FILE": _write(folder, "rabbitmq.conf", "loopback_users.guest = false\n")[:-5],
                           "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-setcookie story", "RABBITMQ_CTL_ERL_ARGS": "-setcookie story"}
                    for host, folder in folders.items()}
    program_of = lambda name: "/usr/lib/rabbitmq/bin/" + name
    nodes = [story.spawn(host, "rabbitmq", [program_of("rabbitmq-server")], uid=UID, env=environments[host], cwd=folders[host])
             for host in hosts]
    for node in nodes:
        node.wait_for_port(5672, deadline_s=180)
    ctl = lambda host, *words: host.run([program_of("rabbitmqctl"), *words], uid=UID, timeout_s=60, cwd=folders[host],
                                        env=environment(environments[host])).stdout
    return nodes, ctl


def smtp(story, namespace, port=25):
    """aiosmtpd, which takes messages only after STARTTLS and prints them."""
    folder = _folder(story, namespace, "smtp")
    WebPki(folder, "smtp-ca").issue("smtp", [namespace.ipv4], uid=UID)
    return _start(story, namespace, "smtp", ["aiosmtpd", "-n", "-l", "0.0.0.0:%d" % port, "--tlscert", folder + "/smtp.crt",
                                             "--tlskey", folder + "/smtp.key"], port, cwd=folder,
                  env={"PYTHONUNBUFFERED": "1"})


def ftp(story, namespace, files=None, port=21):
    """vsftpd for anonymous users. Its attribute `uploads` is the path of the folder in which they may write."""
    folder = _folder(story, namespace, "ftp")
    os.makedirs(folder + "/empty")
    root = _files(folder, files, uid=0)  # not the user's: vsftpd refuses a root that its user can write
    os.makedirs(root + "/upload")
    os.chown(root + "/upload", pwd.getpwnam("ftp").pw_uid, -1)
    path = _write(folder, "vsftpd.conf", _VSFTPD % {"folder": folder, "port": port})
    process = _start(story, namespace, "ftp", ["vsftpd", path], port, uid=0)
    process.uploads = root + "/upload"
    return process


def ftp_both_ways(server, caller, marker, *options):
    """curl sends a file with the marker to that server, and fetches `large`: its size."""
    curl = ["curl", "-sS", "--max-time", "10", *options]
    name = "small" + "".join(options)
    caller.run([*curl, "-T", "-", "ftp://%s/upload/%s" % (server.namespace.ipv4, name)], input=marker, uid=1000)
    with open(os.path.join(server.uploads, name)) as file:
        expect_eq(file.read(), marker, "the file that FTP brought")
    return int(caller.run([*curl, "ftp://%s/large" % server.namespace.ipv4, "-o", "/dev/null", "-w", "%{size_download}"],
                          uid=1000).stdout)


def rsync(story, namespace, files=None, port=873):
    folder = _folder(story, namespace, "rsync")
    _files(folder, files)
    path = _write(folder, "rsyncd.conf", _RSYNCD % {"folder": folder, "port": port})
    return _start(story, namespace, "rsync", ["rsync", "--daemon", "--no-detach", "--config", path], port, cwd=folder)


def ssh(story, namespace, port=22):
    """Dropbear. Returns (its process, the start of a command line of OpenSSH that logs in there).

    Its user is that of UID, who has a shell and a home in the story's folder in this namespace only (/etc/netns)."""
    folder = _folder(story, namespace, "ssh")
    user = pwd.getpwuid(UID).pw_name
    with open("/etc/passwd") as file:
        lines = [line for line in file if not line.startswith(user + ":")]
    _write("/etc/netns/" + namespace.netns, "passwd", "".join(lines) + "%s:x:%d:%d::%s:/bin/sh\n" % (user, UID, UID, folder))
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", os.path.join(folder, name)], check=True)
    subprocess.run(["dropbearconvert", "openssh", "dropbear", folder + "/host", folder + "/host.dropbear"], check=True,
                   capture_output=True)
    os.makedirs(folder + "/.ssh", 0o700)
    os.rename(folder + "/user.pub", folder + "/.ssh/authorized_keys")
    for path in (".ssh", ".ssh/authorized_keys", "user", "host.dropbear"):
        os.chown(os.path.join(folder, path), UID, UID)
    with open(folder + "/host.pub") as file:
        _write(folder, "known_hosts", "* " + file.read())
    process = _start(story, namespace, "dropbear", ["dropbear", "-F", "-E", "-s", "-p", port, "-r", folder + "/host.dropbear"],
                     port, uid=0)
    return process, ["ssh", "-F", "none", "-i", folder + "/user", "-o", "UserKnownHostsFile=%s/known_hosts" % folder,
                     "-o", "BatchMode=yes", "-o", "ConnectTimeout=5", "-p", str(port), "-l", user]


def program(story, mode, *words):
    """The argv of protocol_program.py in that mode, from a folder that every user may read."""
    path = os.path.join(story.folder("program"), "protocol_program.py")
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "protocol_program.py")) as file:
        _write(os.path.dirname(path), "protocol_program.py", file.read())
    return [sys.executable, path, mode, *words]


def grpc(story, namespace, port=50051):
    return _start(story, namespace, "grpc", program(story, "grpc-server", str(port)), port)


def websocket(story, namespace, port=8765):
    return _start(story, namespace, "websocket", program(story, "websocket-server", str(port)), port)
