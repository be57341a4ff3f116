"""The scenes, in order. Each shows something and makes only claims that it has checked."""

import threading
import time

from handfast_harness import Capture

from . import handshake, wire
from . import stage as stages
from .long_lived import Download, Requests, SqlSession
from .output import claim, claim_eq, kilobytes, scene, show, table, text


def introduce_identities(stage):
    scene(1, "Each of two pods gets an identity")
    text("Four network namespaces are connected by a router without NAT: control, shop, store, stranger. The store runs "
         "nginx, PostgreSQL and a server that sends first; none of them, nor curl and psql, is configured for Handfast, "
         "TLS or certificates.")
    stage.control.start()
    stage.captures = [stage.story.own(Capture(stage.story, stage.net.router, "to-shop")),
                      stage.story.own(Capture(stage.story, stage.store, "lo", "tcp port 8080"))]
    stage.big = stages.big_file()
    apps = threading.Thread(target=stage.start_apps, args=(stage.big,))
    apps.start()
    stage.start_sidecars()
    apps.join()
    rows = []
    for name, expected in (("shop", stages.SHOP), ("store", stages.STORE)):
        identity = stage.sidecar(name).identity()
        rows.append((name, stage.net.hosts[name].ipv4, identity["id"], "%d s" % identity["time_to_expiry_seconds"]))
        claim_eq(identity["id"], expected, "the pod '%s' enrolled with a join token and has the identity %s" %
                 (name, expected))
    table(rows, ("pod", "address", "SPIFFE ID", "still valid for"))


def seven_steps(stage):
    scene(2, "The mutual handshake, in seven steps")
    show("curl http://web/recipe        (in the shop, where 'web' is %s)" % stages.WEB)
    page = stage.curl(stage.shop, "http://web/recipe").stdout
    claim_eq(page.encode().strip(), stages.SECRET, "curl in the shop received the page of nginx in the store")
    text("No tunnel was open before, so the two sidecars logged this handshake (both logs, joined):")
    logs = [stage.sidecar(name).process.log for name in ("shop", "store")]
    stage.wait_until("bytes in both logs", lambda: all("exchange bytes, encrypted" in log() for log in logs))
    ends, client, server = handshake.join(logs[0](), logs[1]())
    steps = handshake.check({"client": client, "server": server}, handshake.seven_steps(stages.SHOP, stages.STORE))
    start = min(steps[0].seen_by.values())
    when = lambda step, role: "+%d ms" % (step.seen_by[role] - start) if role in step.seen_by else "not visible"
    table([(step.number, step.text, when(step, "client"), when(step, "server")) for step in steps],
          ("", "what happened between %s and %s" % ends, "seen by shop", "seen by store"))
    claim(len(steps) == 7, "all seven steps happened in this order, and each side observed exactly those that are visible to it")


def who_speaks_first(stage):
    scene(3, "Server-first protocols work too")
    show("psql -h db -U postgres -c \"select ...\"        (in the shop; the client sends first)")
    answer = stage.shop.run(stage.psql_argv("-c", "select 6 * 7, '%s'" % stages.SECRET.decode()), uid=65534, cwd="/")
    claim_eq(answer.stdout.strip(), "42|" + stages.SECRET.decode(), "psql in the shop received an answer from PostgreSQL")
    show("nc smtp 25        (in the shop; the client sends nothing, the server sends a greeting)")
    greeted = stage.shop.run(["nc", "-d", "-w", "1", "smtp", "25"], uid=stages.APP_UID, check=False, cwd="/")
    claim_eq(greeted.stdout.strip(), "220 ready", "the greeting of a server that sends first arrived at a silent client")


def the_wire(stage):
    scene(4, "What the router sees")
    outside, inside = stage.captures
    outside.stop()
    inside.stop()
    seen = wire.inspect(outside, {15008, 15012})
    ports = sorted(seen.ports)
    text("Captured at the router between the shop and all other hosts, since before the sidecars started: %d connections, "
        "%s, %d TLS records, to the ports %s (the tunnel is 15008, the control plane 15012).", seen.num_connections,
        kilobytes(seen.num_bytes), seen.num_records, ", ".join(map(str, ports)))
    claim_eq(ports, [15008, 15012], "the shop connected only to the ports of tunnels and of the control plane")
    claim_eq(seen.not_tls, [], "every byte of every connection, in both directions, is part of a TLS record")
    claim_eq(dict(seen.versions), {wire.TLS_1_3: seen.num_connections},
             "every server selected TLS 1.3 (supported_versions of its ServerHello is 0x0304)")
    for what, marker in (("the secret", stages.SECRET), ("an HTTP request", b"HTTP/1.1"), ("SQL", b"select 6")):
        claim(not outside.contains(marker), "%s is not in the capture" % what)
    claim(inside.contains(stages.SECRET) and inside.contains(b"GET /recipe"),
          "the capture inside the store, between its sidecar and nginx, has both in plaintext")


def who_with_whom(stage):
    scene(5, "Which identity called which")
    rows = []
    for name, direction in (("shop", "outbound"), ("store", "inbound")):
        for port, service in ((80, "web"), (5432, "db")):
            target = {("shop", 80): stages.WEB + ":80", ("shop", 5432): stages.DB + ":5432"}.get(
                (name, port), "%s:%d" % (stage.store.ipv4, {80: 8080}.get(port, port)))
            line = stage.sidecar(name).wait_for_access(direction=direction, destination=target, reason="done")
            claim_eq((line["source_id"], line["destination_id"], line["encrypted"]), (stages.SHOP, stages.STORE, True),
                     "the sidecar of the %s logged both identities of the call to '%s'" % (name, service))
            rows.append((name, line["source_id"].rpartition("/")[2], line["destination_id"].rpartition("/")[2], target,
                         line["bytes_sent"], line["bytes_received"]))
    table(rows, ("log of", "source", "destination", "address dialed", "bytes sent", "bytes received"))
    text("'shop' is %s, 'store' is %s.", stages.SHOP, stages.STORE)


def the_outsider(stage):
    scene(6, "A caller without a certificate")
    logged = len(stage.nginx_requests())
    show("curl http://store:%d/        (in the stranger; this port allows plaintext)" % stages.OPEN_PORT)
    claim_eq(stage.curl(stage.stranger, "http://store:%d/" % stages.OPEN_PORT).stdout, "hello from nginx\n",
             "the network is open: a permissive port answers the stranger")
    show("curl http://store:8080/recipe        (a strict port)")
    refused = stage.curl(stage.stranger, "http://store:8080/recipe", check=False)
    text("curl prints: %s", refused.stderr.strip())
    claim(refused.returncode != 0 and not refused.stdout, "the strict port of nginx sent no byte to the stranger")
    argv = [stage.postgres.bin + "/psql", "-h", "store", "-U", "postgres", "-c", "select 1"]
    asked = stage.stranger.run(argv, uid=65534, check=False, cwd="/")
    claim(asked.returncode != 0 and not asked.stdout, "the strict port of PostgreSQL sent none either")
    tls = stage.stranger.run(["openssl", "s_client", "-connect", "store:15008", "-alpn", "h2", "-tls1_3", "-ign_eof"],
                             uid=stages.APP_UID, check=False, cwd="/", input="")
    claim("certificate required" in tls.stderr + tls.stdout,
          "the tunnel port refused the stranger's TLS handshake with the alert 'certificate required'", tls.stderr[-300:])
    claim_eq(len(stage.nginx_requests()), logged + 1, "nginx received one request and not the refused one")
    lines = stage.sidecar("store").access_log(direction="inbound_plain", reason="plaintext_refused")
    ports = {line["destination"].rpartition(":")[2] for line in lines}
    claim_eq(ports, {"8080", "5432"}, "the store's sidecar logs the reason once per attempt: plaintext_refused")
    claim(all(stage.is_from(line, stage.stranger) for line in lines), "and the source: the stranger's address",
          str(lines))


_ROW = "     %7s  %10s  %-11s  %-19s  %-24s"


class _Watch:
    """Polls the two certificates during the traffic, and prints a row every few seconds."""

    def __init__(self, stage, download, session, requests):
        self.stage, self.download, self.session, self.requests = stage, download, session, requests
        self.serials = {name: [stage.sidecar(name).serial()] for name in ("shop", "store")}
        self._printed = 0.0

    def poll(self, note=""):
        for name, serials in self.serials.items():
            serial = self.stage.sidecar(name).serial()
            if serial != serials[-1]:
                serials.append(serial)
        if note or time.monotonic() - self._printed >= 4:
            self._printed = time.monotonic()
            same = "same" if self.session.is_the_same() else "NOT THE SAME"
            numbers = ", ".join("%s no. %d" % (name, len(serials)) for name, serials in self.serials.items())
            line = _ROW % ("%.1f s" % (time.monotonic() - self.download.started), kilobytes(self.download.num_bytes()),
                           same, "%d good, %d failed" % (self.requests.num_good, len(self.requests.failures)), numbers)
            print(line + note, flush=True)
        time.sleep(0.1)  # duration: the pause between two polls

    def until(self, predicate, deadline_s):
        end = time.monotonic() + deadline_s
        while not predicate():
            if time.monotonic() > end:
                return False
            self.poll()
        return True

    def num_rotations(self):
        return min(len(serials) for serials in self.serials.values()) - 1


def rotation(stage, download, session, requests):
    scene(7, "Certificates of %d s rotate under open connections" % stages.LEAF_S)
    text("One download of %s, slowed down to take 40 s, and one SQL session are opened now, and the same page is fetched "
         "repeatedly, by one curl after the other.", kilobytes(len(stage.big)))
    print(_ROW % ("time", "downloaded", "SQL session", "new requests", "certificates in use"))
    watch = _Watch(stage, download, session, requests)
    lasted = watch.until(lambda: watch.num_rotations() >= 3 and time.monotonic() - download.started > 1.5 * stages.LEAF_S,
                         40)
    claim(lasted, "each sidecar got three new certificates", "it got %d" % watch.num_rotations())
    before = download.num_bytes()
    watch.until(lambda: download.num_bytes() > before, 3)
    claim(download.is_running() and download.num_bytes() > before,
          "the download outlives the certificates (of %d s) of its tunnel" % stages.LEAF_S)
    claim(session.is_the_same(), "the SQL session is still the same one and has all its rows")
    claim_eq(requests.failures, [], "none of %d new requests failed meanwhile" % requests.num_good)
    return watch


def without_control_plane(stage, watch):
    scene(8, "The control plane stops and starts again")
    watch.until(lambda: min(stage.time_to_expiry_s(name) for name in ("shop", "store")) >= stages.LEAF_S // 2, 10)
    before, served = watch.download.num_bytes(), watch.requests.num_good
    stage.control.stop()
    stopped = time.monotonic()
    watch.poll("control plane stopped")
    watch.until(lambda: time.monotonic() - stopped >= 2.5, 5)
    claim(not stage.control.host.accepts(15012, stage.control.host.ipv4), "the control plane's port refuses connections")
    claim(watch.download.num_bytes() > before and watch.session.is_the_same() and watch.requests.num_good > served,
          "meanwhile the download, the SQL session and new requests continued (%d requests without a control plane)" %
          (watch.requests.num_good - served))
    stage.control.start()
    away_s = time.monotonic() - stopped
    watch.poll("control plane is back")
    for serials in watch.serials.values():
        del serials[:-1]
    renewed = watch.until(lambda: watch.num_rotations() >= 1, 15)
    claim(renewed, "after %.1f s without it, both sidecars reconnected and renewed their certificates" % away_s)
    claim_eq(watch.requests.failures, [], "none of %d new requests failed, before, during or after; the slowest "
             "took %.2f s" % (watch.requests.num_good, watch.requests.slowest_s))


def the_end_of_the_download(stage, download, session):
    scene(9, "The connections that were open all the time")
    printed, took, is_right = download.finish(60)
    claim_eq(printed, "200 1", "the download completed on its first connection, after %.0f s" % took)
    claim(is_right, "its %s have the SHA-256 of the file in the store" % kilobytes(download.num_expected))
    claim(session.is_the_same(), "the SQL session answered its %d statements with the same backend, number %s" %
          (session.num_answers, session.backend))


def play(stage):
    """Runs all scenes."""
    introduce_identities(stage)
    seven_steps(stage)
    who_speaks_first(stage)
    the_wire(stage)
    who_with_whom(stage)
    the_outsider(stage)
    with Download(stage, stage.big) as download, SqlSession(stage) as session, Requests(stage) as requests:
        watch = rotation(stage, download, session, requests)
        without_control_plane(stage, watch)
        the_end_of_the_download(stage, download, session)
