"""HTTP/1.1, HTTP/2 without TLS, gRPC and WebSocket pass between strict hosts, each with a client and server of others.

    client: curl, grpcio, websockets -> [sidecar] ==tunnel==> server: [sidecar] -> nginx, grpcio, websockets"""

from handfast_harness import Nginx, StoryFailure, carried, expect, expect_eq, expect_in, servers, strict_mesh, stream

DEADLINE_S = 120
MESSAGES = 5


def arrange(story):
    story.mesh = strict_mesh(story)
    story.client, story.server = story.mesh.client, story.mesh.server


def _curl(story, *words):
    return story.client.run(["curl", "-sS", "--max-time", 10, *words], uid=1000).stdout


def shows_that_http_1_1_passes_with_a_body_both_ways(story):
    story.own(Nginx(story, story.server, 80, extra="location /put { return 200 '$http_x_marker'; }"))
    with carried(story.mesh, 80) as marker:
        url = "http://%s/put" % story.server.ipv4
        expect_eq(_curl(story, "-H", "X-Marker: " + marker, "-d", "x" * 100000, "-H", "Expect:", url, "-w", " %{http_version}"),
                  marker + " 1.1", "the answer to a POST")


def shows_that_http_2_without_tls_passes(story):
    content = stream.pattern(1_000_000)
    story.own(Nginx(story, story.server, 8080, {"large": content}, flags="http2", extra="add_header X-Marker $http_x_marker;"))
    with carried(story.mesh, 8080) as marker:
        answer = _curl(story, "--http2-prior-knowledge", "-H", "X-Marker: " + marker, "-D", "-", "-o", "/dev/null", "-w",
                       "%{http_version} %{size_download}", "http://%s:8080/large" % story.server.ipv4)
        expect_in("x-marker: " + marker, answer, "the headers of the answer")
        expect_eq(answer.splitlines()[-1], "2 1000000", "version and size of the answer")


def shows_that_grpc_streams_pass(story):
    servers.grpc(story, story.server)
    with carried(story.mesh, 50051) as marker:
        sent = ["%s %d" % (marker, number) for number in range(MESSAGES)]
        done = story.client.run(servers.program(story, "grpc-client", story.server.ipv4 + ":50051", *sent), uid=1000)
        expect_eq(done.stdout.splitlines(), ["answer to " + message for message in sent], "the answers of a stream")


def shows_that_websockets_pass(story):
    servers.websocket(story, story.server)
    with carried(story.mesh, 8765) as marker:
        sent = ["%s %d" % (marker, number) for number in range(MESSAGES)]
        done = story.client.run(servers.program(story, "websocket-client", "ws://%s:8765/" % story.server.ipv4, *sent),
                                uid=1000)
        expect_eq(done.stdout.splitlines(), ["answer to " + message for message in sent], "the answers of a WebSocket")


def _is_noticed(story, port):
    try:
        with carried(story.mesh, port) as marker:
            expect_eq(_curl(story, "http://%s:%d/?%s" % (story.server.ipv4, port, marker)), "hello from nginx\n", "the page")
    except StoryFailure as failure:
        return "ports that were dialed on the wire: {%d}" % port in str(failure)
    return False


def shows_that_a_connection_beside_the_tunnels_is_noticed(story):
    """The check that these stories share refuses a port that both hosts have excluded; here the last, since it changes rules."""
    story.own(Nginx(story, story.server, 8081))
    for host, flag in ((story.client, "--exclude-outbound-ports"), (story.server, "--exclude-inbound-ports")):
        host.run([story.binary("handfast-init"), "up", flag, "8081"])
    expect(_is_noticed(story, 8081), "a request in plaintext passed for one in a tunnel")
