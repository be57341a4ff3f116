"""MQTT, NATS, SMTP with STARTTLS, SSH, rsync and passive FTP pass between strict hosts.

    client: mosquitto_pub, curl, ssh, rsync -> [sidecar] ==tunnel==> server: [sidecar] -> mosquitto, nats-server, aiosmtpd,
                                                                     dropbear, rsyncd, vsftpd"""

from handfast_harness import carried, expect_eq, expect_in, servers, strict_mesh, stream

DEADLINE_S = 240
LARGE = stream.pattern(2_000_000)


def arrange(story):
    story.mesh = strict_mesh(story)
    story.client, story.server = story.mesh.client, story.mesh.server


def shows_that_mqtt_passes(story):
    servers.mosquitto(story, story.server)
    with carried(story.mesh, 1883) as marker:
        at = ["-h", story.server.ipv4, "-t", "topic", "-q", "2"]
        subscriber = story.spawn(story.client, "mosquitto_sub", ["stdbuf", "-oL", "mosquitto_sub", "-d", "-C", "1", *at], uid=1000)
        subscriber.wait_for_log("Subscribed")
        story.client.run(["mosquitto_pub", *at, "-m", marker], uid=1000)
        expect_eq(subscriber.wait_for_exit(10), 0, "the end of mosquitto_sub")
        expect_in(marker, subscriber.log(), "what the subscriber got")


def _nats_lines(sock, until):
    got = b""
    while until not in got:
        got += stream.receive_exactly(sock, 1)
    return got


def shows_that_nats_passes(story):
    servers.nats(story, story.server)
    with carried(story.mesh, 4222) as marker, story.client.connect(story.server.ipv4, 4222, uid=1000) as sock:
        expect_in(b"INFO {", _nats_lines(sock, b"\r\n"), "the greeting")
        sock.sendall(b'CONNECT {"verbose":false}\r\nSUB news 1\r\nPUB news %d\r\n%s\r\nPING\r\n' % (len(marker), marker.encode()))
        expect_in(b"MSG news 1 %d\r\n%s\r\n" % (len(marker), marker.encode()), _nats_lines(sock, b"PONG\r\n"), "the message")


def shows_that_smtp_passes_after_starttls(story):
    server = servers.smtp(story, story.server)
    with carried(story.mesh, 25) as marker:
        story.client.run(["curl", "-sS", "--max-time", "10", "--ssl-reqd", "-k", "--mail-from", "a@example.org", "--mail-rcpt",
                          "b@example.org", "-T", "-", "smtp://%s/client" % story.server.ipv4], uid=1000,
                         input="Subject: %s\r\n\r\n%s\r\n" % (marker, "line\r\n" * 10000))
        server.wait_for_log(marker)


def shows_that_ssh_passes(story):
    _, ssh = servers.ssh(story, story.server)
    with carried(story.mesh, 22) as marker:
        done = story.client.run([*ssh, story.server.ipv4, "echo %s; cat | sha256sum" % marker], uid=65534, input="x" * 1_000_000)
        expect_eq(done.stdout, "%s\n%s  -\n" % (marker, stream.sha256(b"x" * 1_000_000)), "the output of a remote command")


def shows_that_rsync_passes(story):
    servers.rsync(story, story.server, {"large": LARGE})
    with carried(story.mesh, 873) as marker:
        folder = story.folder("rsync-client")
        with open(folder + "/small", "w") as file:
            file.write(marker)
        at = "rsync://%s/files/" % story.server.ipv4
        story.client.run(["rsync", folder + "/small", at])
        story.client.run(["rsync", at + "small", at + "large", folder + "/back/"])
        with open(folder + "/back/small") as small, open(folder + "/back/large", "rb") as large:
            expect_eq((small.read(), stream.sha256(large.read())), (marker, stream.sha256(LARGE)), "the files that came back")


def shows_that_passive_ftp_passes(story):
    server = servers.ftp(story, story.server, {"large": LARGE})
    for ways in ([], ["--disable-epsv"]):  # EPSV, PASV
        with carried(story.mesh, 21) as marker:
            expect_eq(servers.ftp_both_ways(server, story.client, marker, *ways), len(LARGE), "the bytes that came")


def shows_that_active_ftp_is_refused_without_the_mode_tproxy(story):
    """The server sees another address than that of PORT (docs/what-a-workload-notices.md)."""
    if "server" in story.mesh.of_mode_tproxy:
        return
    servers.ftp(story, story.server, port=2121)
    done = story.client.run(["curl", "-v", "--max-time", "15", "-P", "-", "--disable-eprt", "ftp://%s:2121/" % story.server.ipv4],
                            uid=1000, check=False)
    expect_in("500 Illegal PORT command", done.stderr, "the answer to PORT")
