"""RabbitMQ passes between strict hosts: AMQP, and two nodes that form a cluster by Erlang's own protocol.

    client: [sidecar] -> rabbitmq, amqp-publish ==tunnels== server: [sidecar] -> rabbitmq"""

from handfast_harness import carried, expect_eq, expect_in, servers, strict_mesh

LONG = "a minute, and 35 MB of packages: test/apt-packages-long.txt"
DEADLINE_S = 420


def arrange(story):
    story.mesh = strict_mesh(story)
    story.client, story.server = story.mesh.client, story.mesh.server
    _, story.ctl = servers.rabbitmq(story, (story.client, story.server))


def _amqp(story, program, host, *words):
    return story.client.run([program, "-u", "amqp://guest:guest@%s:5672/%%2f" % host.ipv4, *words], uid=1000).stdout


def shows_that_amqp_passes(story):
    with carried(story.mesh, 5672) as marker:
        _amqp(story, "amqp-declare-queue", story.server, "-q", "here")
        _amqp(story, "amqp-publish", story.server, "-r", "here", "-b", marker)
        expect_eq(_amqp(story, "amqp-get", story.server, "-q", "here"), marker, "the message")


def shows_that_two_nodes_form_a_cluster(story):
    with carried(story.mesh, 25672) as marker:
        story.ctl(story.client, "stop_app")
        story.ctl(story.client, "join_cluster", "rabbit@server")
        story.ctl(story.client, "start_app")
        status = story.ctl(story.client, "cluster_status")
        for name in ("rabbit@client", "rabbit@server"):
            expect_in(name, status, "the nodes of the cluster")
        _amqp(story, "amqp-declare-queue", story.server, "-q", "there", "-d")
        _amqp(story, "amqp-publish", story.client, "-r", "there", "-b", marker)
        expect_eq(_amqp(story, "amqp-get", story.client, "-q", "there"), marker, "a message by the other node")
        story.ctl(story.client, "stop")
