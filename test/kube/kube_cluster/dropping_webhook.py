"""A webhook of another owner that knows no native sidecars: it drops restartPolicy of init containers.

    dropping_webhook.py ADDRESS PORT CERTIFICATE KEY"""

import base64
import http.server
import json
import ssl
import sys


class Reviews(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        containers = review["request"]["object"]["spec"].get("initContainers", [])
        patch = [{"op": "remove", "path": "/spec/initContainers/%d/restartPolicy" % at}
                 for at, one in enumerate(containers) if "restartPolicy" in one]
        answer = {"uid": review["request"]["uid"], "allowed": True, "patchType": "JSONPatch",
                  "patch": base64.b64encode(json.dumps(patch).encode()).decode()}
        body = json.dumps({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": answer}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        print("dropped %d" % len(patch), flush=True)


def main():
    address, port, certificate, key = sys.argv[1:]
    server = http.server.HTTPServer((address, int(port)), Reviews)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
