"""py-spiffe against a sidecar's Workload API: prints one JSON line per event.

usage: py_spiffe.py watch|jwt SOCKET [AUDIENCE]"""

import json
import sys
import time

from spiffe import JwtSource, WorkloadApiClient, X509Source


def show(**event):
    print(json.dumps(event), flush=True)


def watch(address):
    with X509Source(socket_path=address, timeout_in_seconds=20) as source:
        last, end_s = None, time.monotonic() + 120
        while time.monotonic() < end_s:
            serial = "%x" % source.svid.leaf.serial_number
            if serial != last:
                show(id=str(source.svid.spiffe_id), serial=serial, chain=len(source.svid.cert_chain),
                     domains={bundle.trust_domain.name: len(bundle.x509_authorities) for bundle in source.bundles})
                last = serial
            time.sleep(0.1)  # duration: the source has no event for a change


def jwt(address, audience):
    with JwtSource(socket_path=address, timeout_in_seconds=20) as source, WorkloadApiClient(address) as client:
        svid = source.fetch_svid(audience={audience})
        there = client.validate_jwt_svid(token=svid.token, audience=audience)
        show(id=str(svid.spiffe_id), there=str(there.spiffe_id), domains=[
            bundle.trust_domain.name for bundle in source.bundles])


if __name__ == "__main__":
    {"watch": watch, "jwt": jwt}[sys.argv[1]]("unix://" + sys.argv[2], *sys.argv[3:])
