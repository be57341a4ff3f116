"""A small network: a router namespace and hosts around it, each with a subnet of its own, without NAT.

        a (192.0.2.2, 2001:db8:1::2) --- router --- b (198.51.100.2, 2001:db8:2::2)
                                           |
                                           c (203.0.113.2, 2001:db8:3::2)   and so on, a /28 and a /64 per host

Names are unique per run (they contain the process id of the harness), so concurrent runs are isolated, and leftovers of
a killed run can be distinguished from namespaces in use."""

import atexit
import ipaddress
import os
import re
import signal
import sys

from .namespace import Namespace, remove_netns

_PREFIX = os.environ.get("HANDFAST_NETNS_PREFIX", "hf")
_NETWORKS = [ipaddress.ip_network(text) for text in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24")]
_live = []


class Topology:
    """with Topology("a", "b") as net: net.a.connect(net.b.ipv4, 80)"""

    _made = 0

    def __init__(self, *names):
        Topology._made += 1
        self._stem = "%s%d-%d-" % (_PREFIX, os.getpid(), Topology._made)
        self.router = Namespace(self._stem + "router", "router")
        self.hosts = {}
        _remember(self)
        try:
            self.router.create()
            self.router.sysctl("net/ipv4/ip_forward", "1")
            self.router.sysctl("net/ipv6/conf/all/forwarding", "1")
            for name in names:
                self.add(name)
        except BaseException:
            self.remove()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.remove()

    def __getattr__(self, name):
        try:
            return self.__dict__["hosts"][name]
        except KeyError:
            raise AttributeError(name) from None

    def add(self, name):
        """One more host, connected to the router by a veth pair: eth0 in the host, to-NAME in the router."""
        number = len(self.hosts)
        subnet = list(_NETWORKS[number % 3].subnets(new_prefix=28))[number // 3]
        host = Namespace(self._stem + name, name)
        self.hosts[name] = host
        host.create()
        host.ipv4, host.ipv6 = str(subnet[2]), "2001:db8:%x::2" % (number + 1)
        gateway4, gateway6 = str(subnet[1]), "2001:db8:%x::1" % (number + 1)
        far = "to-" + name[:12]
        host.ip("link add eth0 type veth peer name %s netns %s" % (far, self.router.netns))
        self.router.ip("addr add %s/28 dev %s" % (gateway4, far), "addr add %s/64 dev %s nodad" % (gateway6, far),
                       "link set %s up" % far)
        host.ip("addr add %s/28 dev eth0" % host.ipv4, "addr add %s/64 dev eth0 nodad" % host.ipv6,
                "link set eth0 up", "route add default via " + gateway4, "route add default via " + gateway6)
        self._write_hosts()
        return host

    def add_address(self, name, address):
        """A further address for a host (a /32 or /128), routed to it by the router."""
        host, length = self.hosts[name], 128 if ":" in address else 32
        host.ip("addr add %s/%d dev eth0%s" % (address, length, " nodad" if length == 128 else ""))
        self.router.ip("route add %s/%d via %s" % (address, length, host.ipv6 if length == 128 else host.ipv4))

    def _write_hosts(self):
        """Programs inside resolve every host by name; `ip netns exec` mounts these files over /etc/hosts."""
        lines = ["127.0.0.1 localhost", "::1 localhost"]
        for host in self.hosts.values():
            lines += ["%s %s" % (address, host.name) for address in (host.ipv4, host.ipv6) if address]
        for host in self.hosts.values():
            folder = "/etc/netns/" + host.netns
            os.makedirs(folder, exist_ok=True)
            with open(folder + "/hosts", "w") as file:
                file.write("\n".join(lines) + "\n")

    def set_name_server(self, address):
        """Of all hosts, for programs that start from now on."""
        for host in self.hosts.values():
            with open("/etc/netns/%s/resolv.conf" % host.netns, "w") as file:
                file.write("nameserver %s\n" % address)

    def remove(self):
        for host in list(self.hosts.values()) + [self.router]:
            host.remove()
        if self in _live:
            _live.remove(self)


def _remember(topology):
    if not _live and not getattr(_remember, "armed", False):
        _remember.armed = True
        atexit.register(remove_all)
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # runs finally blocks and atexit handlers
        signal.signal(signal.SIGHUP, lambda *_: sys.exit(129))
    _live.append(topology)


def remove_all():
    for topology in list(_live):
        topology.remove()


def sweep_leftovers():
    """Removes namespaces of runs whose process has ended. Returns their names."""
    swept = []
    names = os.listdir("/run/netns") if os.path.isdir("/run/netns") else []
    for name in names:
        match = re.fullmatch(re.escape(_PREFIX) + r"(\d+)-\d+-.+", name)
        if match and not os.path.exists("/proc/" + match.group(1)):
            remove_netns(name)
            swept.append(name)
    return swept
