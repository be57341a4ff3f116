"""Captures of network traffic: tcpdump into a file, and reading that file back.

with Capture(story, net.router, "to-a") as wire: ...
expect(not wire.contains(b"marker"), "the marker crossed the wire in plaintext")"""

import collections
import ipaddress
import os
import re
import signal
import struct

from .process import Process

Packet = collections.namedtuple("Packet", "time source source_port destination destination_port flags sequence payload")
Record = collections.namedtuple("Record", "type version body")

FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16
HANDSHAKE, APPLICATION_DATA = 22, 23
_REPORT = re.compile(r"(\d+) packets? captured, (\d+) packets? received by filter, (\d+) packets? dropped by kernel\n")


class Capture(Process):
    """Stops when the block ends; only then may it be read."""

    def __init__(self, story, namespace, interface="eth0", expression="tcp"):
        name = "capture-%s-%s" % (namespace.name, interface)
        self.path = os.path.join(story.folder(name), "packets.pcap")
        # The ring has a place of the snapshot's size per packet; with -s 0 and 16 MiB it lost what a busy machine did not read in time.
        argv = ["tcpdump", "-i", interface, "-n", "-U", "-s", "65600", "-B", "65536", "--immediate-mode", "-Z", "root",
                "-w", self.path, expression]
        super().__init__(namespace, "tcpdump", argv, story.log_path(name))
        self.wait_for_log("listening on")
        self._packets, self._copies = None, 2 if interface == "lo" else 1  # libpcap skips what leaves by lo

    def _counts(self):
        """(packets that tcpdump has captured, and that the kernel has received for it, and dropped)"""
        reports = lambda: _REPORT.findall(self.log())
        num = len(reports())
        self.signal(signal.SIGUSR1)
        self.wait_until("a report of its counts", lambda: len(reports()) > num, 20)
        return map(int, reports()[-1])

    def _wait_for_received(self):
        """Until tcpdump has read from the kernel all that is received by now."""
        _, due, _ = self._counts()

        def has_read():
            captured, _, dropped = self._counts()
            return captured * self._copies + dropped >= due
        self.wait_until("%d packets to be captured" % due, has_read, 30)

    def stop(self, deadline_s=20.0):
        if self.exit_code is None:
            self._wait_for_received()
            self.signal(signal.SIGINT)
            self.wait_for_exit(deadline_s)
        return self.exit_code

    def packets(self):
        """Every TCP packet, in order."""
        if self._packets is None:
            self.stop()
            with open(self.path, "rb") as file:
                self._packets = list(read_pcap(file.read()))
        return self._packets

    def discard(self):
        """Removes the file and forgets the packets, once they were looked at."""
        os.unlink(self.path)
        self._packets = []

    def contains(self, marker, but=None):
        """Whether the bytes occur in any packet, or in any direction of any connection across packets; without the packets of
        which but(packet) is true."""
        packets = [packet for packet in self.packets() if not (but and but(packet))]
        return any(marker in packet.payload for packet in packets) or any(marker in data for data in self.streams(packets).values())

    def streams(self, packets=None):
        """{(source, port, destination, port): the bytes of that direction in order, each byte once}; of all packets, or of these."""
        parts, starts = collections.defaultdict(dict), {}
        for packet in self.packets() if packets is None else packets:
            key = packet[1:5]
            if packet.flags & SYN:
                parts.pop(key, None)
                starts[key] = packet.sequence + 1
            elif packet.payload:
                offset = (packet.sequence - starts.setdefault(key, packet.sequence)) & 0xFFFFFFFF
                if len(packet.payload) > len(parts[key].get(offset, b"")):
                    parts[key][offset] = packet.payload
        return {key: _join(pieces) for key, pieces in parts.items()}

    def ports(self):
        """The destination ports of connections."""
        return {packet.destination_port for packet in self.packets() if packet.flags & (SYN | ACK) == SYN}


def _join(pieces):
    joined = bytearray()
    for offset in sorted(pieces):
        if offset < len(joined) + 1 and offset + len(pieces[offset]) > len(joined):
            joined += pieces[offset][len(joined) - offset:]
    return bytes(joined)


def tls_records(data):
    """The TLS records of a direction; stops at bytes that are not TLS."""
    records, offset = [], 0
    while offset + 5 <= len(data):
        kind, version, length = struct.unpack_from(">BHH", data, offset)
        if kind not in (20, 21, 22, 23) or version >> 8 != 3:
            break
        records.append(Record(kind, version, data[offset + 5:offset + 5 + length]))
        offset += 5 + length
    return records


def tls_negotiated_version(server_data):
    """0x0304 for TLS 1.3, from the ServerHello at the start of the server's direction; None if there is none."""
    records = tls_records(server_data)
    if not records or records[0].type != HANDSHAKE or records[0].body[:1] != b"\x02":
        return None
    body = records[0].body[4:]
    version, = struct.unpack_from(">H", body, 0)
    offset = 35 + body[34] + 3  # version and random, session id, cipher suite and compression
    end = offset + 2 + struct.unpack_from(">H", body, offset)[0] if offset + 2 <= len(body) else 0
    offset += 2
    while offset + 4 <= end:
        kind, length = struct.unpack_from(">HH", body, offset)
        if kind == 43:  # supported_versions, RFC 8446 4.2.1
            version, = struct.unpack_from(">H", body, offset + 4)
        offset += 4 + length
    return version


def read_pcap(data):
    magic, = struct.unpack_from("<I", data, 0)
    nanoseconds = magic == 0xA1B23C4D
    link, = struct.unpack_from("<I", data, 20)
    offset = 24
    while offset + 16 <= len(data):
        seconds, fraction, length, _ = struct.unpack_from("<IIII", data, offset)
        frame = data[offset + 16:offset + 16 + length]
        offset += 16 + length
        packet = _parse_frame(link, frame, seconds + fraction / (1e9 if nanoseconds else 1e6))
        if packet is not None:
            yield packet


def _parse_frame(link, frame, when):
    skip = {1: 14, 113: 16, 276: 20, 12: 0, 101: 0}[link]  # Ethernet, the two of "any", raw IP
    ip = frame[skip:]
    if len(ip) >= 20 and ip[0] >> 4 == 4 and ip[9] == 6:
        header, total = (ip[0] & 15) * 4, struct.unpack_from(">H", ip, 2)[0]
        addresses = ip[12:16], ip[16:20]
        segment = ip[header:total or len(ip)]  # total length is 0 with segmentation offload
    elif len(ip) >= 40 and ip[0] >> 4 == 6 and ip[6] == 6:
        addresses = ip[8:24], ip[24:40]
        segment = ip[40:40 + struct.unpack_from(">H", ip, 4)[0]] if struct.unpack_from(">H", ip, 4)[0] else ip[40:]
    else:
        return None
    source_port, destination_port, sequence = struct.unpack_from(">HHI", segment, 0)
    source, destination = (str(ipaddress.ip_address(address)) for address in addresses)
    return Packet(when, source, source_port, destination, destination_port, segment[13], sequence,
                  segment[(segment[12] >> 4) * 4:])
