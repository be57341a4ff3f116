"""The conntrack table of one namespace, by the conntrack program."""

import os


def flows(host, port):
    """The lines of TCP connections to this port."""
    families = ("ipv4", "ipv6")
    listed = [host.run(["conntrack", "-L", "-f", family, "-p", "tcp", "--orig-port-dst", port]).stdout
              for family in families]
    return [line for text in listed for line in text.splitlines()]


def flush(host):
    """As when a firewall is reloaded."""
    host.run(["conntrack", "-F"])


def fill(story, host):
    """Up to the limit, with entries that are not evicted. The limit is the machine's, and cannot be changed in a
    namespace."""
    with open("/proc/sys/net/netfilter/nf_conntrack_max") as file:
        limit = int(file.read())
    path = os.path.join(story.folder("conntrack-" + host.name), "flows")
    with open(path, "w") as file:
        for number in range(limit):
            file.write("-I -p tcp -s 192.0.2.1 -d 198.51.100.%d --sport %d --dport 2 --state ESTABLISHED --timeout 600 "
                       "-u ASSURED\n" % (1 + (number >> 15), 1 + (number & 32767)))
    host.run(["conntrack", "-R", path], check=False, timeout_s=60.0)  # fails when the table is full
    os.remove(path)
    with host.entered(), open("/proc/sys/net/netfilter/nf_conntrack_count") as file:
        return int(file.read()) >= limit
