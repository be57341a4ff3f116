"""etcd with TLS, one member per host: Debian's etcd-server.

etcd = Etcd(story, [net.etcd1, net.etcd2, net.etcd3]).start()
etcd.settings()                  the control plane's section `store`
etcd.members[0].kill(), .start() again with its data"""

import os
import shutil

from .control_plane import CONTROL_UID
from .expect import wait_until
from .process import Process, expect_ended
from .web_pki import WebPki

CLIENT, PEER = 2379, 2380


class Member:
    def __init__(self, etcd, host):
        self.etcd, self.host, self.name, self.process = etcd, host, host.name, None
        self.data = os.path.join(etcd.folder, self.name)

    @property
    def url(self):
        return "https://%s:%d" % (self.host.ipv4, CLIENT)

    @property
    def peer_url(self):
        return "https://%s:%d" % (self.host.ipv4, PEER)

    def launch(self):
        """Starts it without waiting for it."""
        expect_ended(self.process)
        pki, files = self.etcd.pki, {}
        for side in ("", "peer-"):
            files.update({"--%strusted-ca-file" % side: pki.path("ca.crt"), "--%scert-file" % side: pki.path(self.name + ".crt"),
                          "--%skey-file" % side: pki.path(self.name + ".key"), "--%sclient-cert-auth" % side: "true"})
        options = {"--name": self.name, "--data-dir": self.data, "--listen-client-urls": self.url,
                   "--advertise-client-urls": self.url, "--listen-peer-urls": self.peer_url,
                   "--initial-advertise-peer-urls": self.peer_url, "--initial-cluster": self.etcd.initial_cluster,
                   "--initial-cluster-token": "handfast-test", **self.etcd.options, **files}
        argv = ["etcd"] + ["%s=%s" % option for option in options.items()]
        self.process = Process(self.host, "etcd " + self.name, argv, self.etcd.story.log_path("etcd-" + self.name))
        return self.process

    def start(self, deadline_s=60.0):
        self.launch().wait_for_port(CLIENT, self.host.ipv4, deadline_s)
        return self

    def kill(self):
        self.process.kill()

    def stop(self):
        return self.process.stop() if self.process else None


class Etcd:
    def __init__(self, story, hosts, **options):
        self.story, self.folder = story, story.folder("etcd")
        self.options = {"--" + name.replace("_", "-"): value for name, value in options.items()}
        os.chmod(self.folder, 0o755)
        self.pki = WebPki(self.folder, "etcd-ca")
        for host in hosts:
            self.pki.issue(host.name, [host.name, host.ipv4])
        self.pki.issue("operator", ["operator"])
        self.pki.issue("control", ["control"], uid=CONTROL_UID)
        os.chmod(self.pki.path("ca.crt"), 0o644)
        self.user = self.password_file = None  # of allow()
        self.members = [Member(self, host) for host in hosts]
        self.initial_cluster = ",".join("%s=%s" % (member.name, member.peer_url) for member in self.members)
        story.own(self)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for member in self.members:
            if member.process:
                member.process.kill()

    def start(self, deadline_s=60.0):
        for member in self.members:
            member.launch()
        wait_until("etcd to have a leader", lambda: self.ctl("get", "x", check=False).returncode == 0, deadline_s, 0.2)
        return self

    def allow(self, user, password, prefix="/handfast/"):
        """A user with a role that has permission for the prefix; settings() names both from now on."""
        self.user, self.password_file = user, os.path.join(self.folder, "password")
        self.write_password(password)
        self.ctl("user", "add", "%s:%s" % (user, password))
        self.ctl("role", "add", user)
        self.ctl("role", "grant-permission", user, "--prefix=true", "readwrite", prefix)
        self.ctl("user", "grant-role", user, user)

    def write_password(self, password):
        with open(self.password_file + ".new", "w") as file:
            file.write(password + "\n")
        os.chown(self.password_file + ".new", CONTROL_UID, CONTROL_UID)
        os.chmod(self.password_file + ".new", 0o400)
        os.rename(self.password_file + ".new", self.password_file)

    def set_password(self, password):
        """Without white space: etcdctl reads a word."""
        self.ctl("user", "passwd", self.user, "--interactive=false", input=password + "\n")

    def enable_authentication(self):
        """From now on every call needs a user; ctl() is one with all rights by its certificate."""
        for name in ("root", "operator"):
            self.ctl("user", "add", name, "--no-password")
            self.ctl("user", "grant-role", name, "root")
        self.ctl("auth", "enable")

    def snapshot(self, path):
        self.ctl("snapshot", "save", path, member=self.members[0])

    def restore(self, path):
        """All members with the state of a snapshot, as one cluster again."""
        for member in self.members:
            member.process.kill()
            shutil.rmtree(member.data)
            self.ctl("snapshot", "restore", path, "--name", member.name, "--data-dir", member.data, "--initial-cluster",
                     self.initial_cluster, "--initial-cluster-token", "handfast-test", "--initial-advertise-peer-urls",
                     member.peer_url, member=member)
        return self.start()

    def settings(self):
        """By names, which the control plane resolves when its system calls and files are confined."""
        pki = self.pki
        login = {"user": self.user, "password_file": self.password_file} if self.user else {}
        return {"etcd": {"endpoints": ["%s:%d" % (member.name, CLIENT) for member in self.members],
                         "ca": pki.path("ca.crt"), "certificate": pki.path("control.crt"), "key": pki.path("control.key"),
                         **login}}

    def ctl(self, *words, member=None, check=True, **options):
        """etcdctl, at all members or at one."""
        members = [member] if member else self.members
        argv = ["etcdctl", "--endpoints", ",".join(one.url for one in members), "--cacert", self.pki.path("ca.crt"),
                "--cert", self.pki.path("operator.crt"), "--key", self.pki.path("operator.key"), "--command-timeout",
                "10s" if check else "3s", *words]  # what may fail often finds no leader
        return members[0].host.run(argv, check=check, env={**os.environ, "ETCDCTL_API": "3"}, **options)

    def leader(self):
        """The member that leads now."""
        for member in self.members:
            found = self.ctl("endpoint", "status", "--write-out", "fields", member=member, check=False).stdout
            fields = dict(line.split(" : ", 1) for line in found.splitlines() if " : " in line)
            if fields and fields.get('"MemberID"') == fields.get('"Leader"'):
                return member
        return None
