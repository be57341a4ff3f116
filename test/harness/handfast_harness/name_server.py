"""Names of the DNS inside a topology: Debian's dnsmasq.

NameServer(story, net, net.dns, {"bundle.partner.test": net.partner.ipv4})"""


class NameServer:
    """Programs that are started afterward ask it. Any other name does not exist."""

    def __init__(self, story, net, host, names):
        self.host = host
        words = ["dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--pid-file", "--user=root", "--no-resolv", "--no-hosts",
                 "--bind-interfaces", "--listen-address=" + host.ipv4, "--local=/#/"]
        words += ["--host-record=%s,%s" % row for row in names.items()]
        story.spawn(host, "dnsmasq", words).wait_for_port(53, host.ipv4)
        net.set_name_server(host.ipv4)
