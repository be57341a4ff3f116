"""Checks of captured traffic, byte by byte."""

import collections

from handfast_harness import capture

TLS_1_3 = 0x0304
Seen = collections.namedtuple("Seen", "ports num_connections num_bytes num_records versions not_tls")


def inspect(wire, ports):
    """The traffic of the connections to these ports: every byte in both directions must be part of a TLS record."""
    versions, not_tls, num_bytes, num_records, connections = collections.Counter(), [], 0, 0, set()
    for key, data in wire.streams().items():
        source, source_port, destination, destination_port = key
        if source_port not in ports and destination_port not in ports:
            not_tls.append("%s:%d to %s:%d" % key)
            continue
        records = capture.tls_records(data)
        if sum(5 + len(record.body) for record in records) != len(data):
            not_tls.append("%s:%d to %s:%d" % key)
        num_bytes, num_records = num_bytes + len(data), num_records + len(records)
        connections.add(frozenset(((source, source_port), (destination, destination_port))))
        if source_port in ports:
            versions[capture.tls_negotiated_version(data)] += 1
    return Seen(wire.ports(), len(connections), num_bytes, num_records, versions, not_tls)
