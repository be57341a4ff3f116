"""Real programs as workloads: nginx, Redis, PostgreSQL, each with a configuration of its own in the story's folder.

They listen on every address of their host, IPv4 and IPv6, and run as a user other than the sidecar's."""

import glob
import os
import pwd
import shutil
import subprocess

from .process import Process

_NGINX = """daemon off;
user %(user)s;
worker_processes 1;
pid %(folder)s/nginx.pid;
error_log stderr warn;
events { worker_connections 4096; }
http {
    access_log %(folder)s/access.log;
    client_body_temp_path %(folder)s/body;
    proxy_temp_path %(folder)s/proxy;
    fastcgi_temp_path %(folder)s/fastcgi;
    uwsgi_temp_path %(folder)s/uwsgi;
    scgi_temp_path %(folder)s/scgi;
    sendfile on;
    keepalive_requests 1000000;
    server {
        %(listen)s
        root %(folder)s/www;
        %(extra)s
    }
}
"""


class Nginx(Process):
    """Serves the files of `files` (name: bytes); `extra` goes into the server block; `addresses` to listen on, with
    `flags`."""

    def __init__(self, story, namespace, port=80, files=None, extra="", addresses=("0.0.0.0", "[::]"), flags=""):
        listen = " ".join("listen %s:%d backlog=4096 %s;" % (address, port, flags) for address in addresses)
        folder = story.folder("nginx-%s-%d" % (namespace.name, port))
        os.makedirs(folder + "/www")
        for name, content in {"index.html": b"hello from nginx\n", **(files or {})}.items():
            with open(os.path.join(folder, "www", name), "wb") as file:
                file.write(content)
        with open(folder + "/nginx.conf", "w") as file:
            file.write(_NGINX % {"user": "www-data", "folder": folder, "listen": listen, "extra": extra})
        self.access_log = folder + "/access.log"
        super().__init__(namespace, "nginx", ["nginx", "-e", "stderr", "-p", folder, "-c", folder + "/nginx.conf"],
                         story.log_path("nginx-%s-%d" % (namespace.name, port)))
        self.wait_for_port(port)

    def requests(self):
        """The lines of its access log, at least one: nginx writes it after the answer."""
        def read():
            with open(self.access_log) as file:
                return file.read().splitlines()
        return self.wait_until("a line of its access log", read)


class Redis(Process):
    """`options`: further words of the command line."""

    def __init__(self, story, namespace, port=6379, options=()):
        folder = story.folder("redis-%s-%d" % (namespace.name, port))
        user = pwd.getpwnam("redis")
        os.chown(folder, user.pw_uid, user.pw_gid)
        argv = ["redis-server", "--port", port, "--bind", "0.0.0.0", "::", "--protected-mode", "no", "--save", "",
                "--appendonly", "no", "--daemonize", "no", "--dir", folder, *options]
        super().__init__(namespace, "redis", argv, story.log_path("redis-%s-%d" % (namespace.name, port)),
                         uid=user.pw_uid, gid=user.pw_gid)
        self.wait_for_port(port)


class Postgres(Process):
    """A fresh cluster with superuser `postgres` and no password; `hba`: the text of pg_hba.conf; `settings`: of
    postgresql.conf, as text."""

    def __init__(self, story, namespace, port=5432, listen="*", hba=None, settings=()):
        folder = story.folder("postgres-%s-%d" % (namespace.name, port))
        user = pwd.getpwnam("postgres")
        os.chown(folder, user.pw_uid, user.pw_gid)
        found = sorted(glob.glob("/usr/lib/postgresql/*/bin/initdb"))
        if not found:
            raise RuntimeError("PostgreSQL is not installed (see test/apt-packages.txt)")
        self.bin = os.path.dirname(found[-1])
        done = subprocess.run(["setpriv", "--reuid", str(user.pw_uid), "--regid", str(user.pw_gid), "--clear-groups",
                               self.bin + "/initdb", "-D", folder + "/data", "-A", "trust", "-U", "postgres",
                               "--no-sync", "--locale", "C", "-E", "UTF8"], capture_output=True, text=True, cwd=folder)
        if done.returncode != 0:
            raise RuntimeError("initdb: " + done.stdout + done.stderr)
        with open(folder + "/data/pg_hba.conf", "w") as file:
            file.write(hba or "local all all trust\nhost all all 0.0.0.0/0 trust\nhost all all ::/0 trust\n")
        argv = [self.bin + "/postgres", "-D", folder + "/data", "-p", port, "-k", "", "-c", "listen_addresses=" + listen,
                "-c", "fsync=off", *(word for setting in settings for word in ("-c", setting))]
        super().__init__(namespace, "postgres", argv, story.log_path("postgres-%s-%d" % (namespace.name, port)),
                         uid=user.pw_uid, gid=user.pw_gid, cwd=folder)
        self.wait_for_log("ready to accept connections", deadline_s=40)

    def psql(self, namespace, address, sql, port=5432, uid=65534, timeout_s=20.0):
        """The output of psql, run on any host, for one statement, without headings."""
        psql = self.bin + "/psql"
        done = namespace.run([psql if os.path.exists(psql) else shutil.which("psql"), "-h", address, "-p", port, "-U",
                              "postgres", "-AtqX", "-c", sql], uid=uid, timeout_s=timeout_s, cwd="/")
        return done.stdout.strip()
