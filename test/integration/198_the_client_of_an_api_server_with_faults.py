"""A client of Kubernetes' API server keeps its view through each fault of the server.

    one: kube_watcher (base/kube) --- TLS, HTTP/2 --- stand-in API server (python3-h2)

test/kube has the real one; this one has faults on demand."""

import os
import subprocess
import threading

from handfast_harness import expect_eq, expect_in, wait_until
from handfast_harness.certificates import TestAuthority
from handfast_harness.namespace import environment
from peers.kube_api_faults import PATH, ApiServer

DEADLINE_S = 600
PORT, NAME = 6443, "kubernetes"
MIB = 1024 * 1024
KUBECONFIG = """current-context: here
contexts: [{name: here, context: {cluster: here, user: us}}]
clusters: [{name: here, cluster: {server: "https://%s:%d", tls-server-name: %s, certificate-authority: ca.pem}}]
users: [{name: us, user: {token: abc}}]
"""


class Watcher:
    """The program, with what its lines add up to: `objects` {name: version}, `num_syncs`, `troubles`."""

    def __init__(self, host, program, kubeconfig):
        self.objects, self._next, self.num_syncs, self.troubles, self.is_in_trouble = {}, None, 0, [], False
        self._popen = subprocess.Popen(host.argv([program, kubeconfig]), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                       text=True, env=environment())
        self.pid = self._popen.pid
        threading.Thread(target=self._read, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._popen.stdin.close()
        self._popen.wait(10)

    def write(self, line):
        self._popen.stdin.write(line + "\n")
        self._popen.stdin.flush()

    def _read(self):
        for line in self._popen.stdout:
            path, event, *words = line.split(None, 3)
            if path == PATH:
                self._take(event, words)

    def _take(self, event, words):
        """As a table does it: what is not put between begin and synced is gone."""
        if event == "begin":
            self._next = {}
        elif event == "put":
            (self.objects if self._next is None else self._next)[words[0]] = int(words[1])
        elif event == "deleted":
            self.objects.pop(words[0], None)
        elif event == "synced":
            self.objects, self._next, self.num_syncs = self._next, None, self.num_syncs + 1
        elif event == "trouble":
            self.troubles.append(" ".join(words))
            self.is_in_trouble = True
        elif event == "over":
            self.is_in_trouble = False


def arrange(story):
    net = story.topology("one")
    folder = story.folder("config")
    authority = TestAuthority()
    authority.write_bundle(folder, "ca.pem")
    identity = authority.leaf("spiffe://cluster.local/api", dns_names=(NAME,))
    story.server = story.own(ApiServer(net.one.listen(net.one.ipv4, PORT), identity))
    kubeconfig = os.path.join(folder, "kubeconfig")
    with open(kubeconfig, "w") as file:
        file.write(KUBECONFIG % (net.one.ipv4, PORT, NAME))
    for number in range(5):
        story.server.put("cart-%d" % number)
    story.watcher = story.own(Watcher(net.one, story.binary("kube_watcher"), kubeconfig))
    story.watcher.write("watch " + PATH)
    _agree(story)


def _agree(story, deadline_s=60):
    """Each side has the same objects, of the same versions."""
    def versions():
        with story.server.lock:
            return {name: int(body["metadata"]["resourceVersion"]) for name, body in story.server.objects.items()}
    wait_until("the client to have what the server has", lambda: story.watcher.objects == versions(), deadline_s)


def _agree_after_a_change(story, deadline_s=60):
    story.server.put("cart-1")
    story.server.delete("cart-2") if "cart-2" in story.server.objects else story.server.put("cart-2")
    _agree(story, deadline_s)


def _again(story):
    """The watch has to begin again, and the version is gone."""
    syncs = story.watcher.num_syncs
    with story.server.lock:
        story.server.put("while-away")
        story.server.oldest = story.server.version + 1
        story.server.send_all(b"", ends=True)
        story.server.delete("while-away")
        story.server.version += 1
    wait_until("the whole state", lambda: story.watcher.num_syncs > syncs, 60)
    _agree_after_a_change(story)


def shows_that_changes_arrive(story):
    _agree_after_a_change(story)
    expect_eq(story.watcher.num_syncs, 1, "whole states")


def shows_that_a_watch_that_ends_is_resumed(story):
    story.server.send_all(b"", ends=True)
    _agree_after_a_change(story)
    expect_eq((story.watcher.num_syncs, story.watcher.troubles), (1, []), "whole states and troubles")


def shows_that_half_a_line_is_no_event(story):
    story.server.send_all(b'{"type":"DELETED","object":{"metadata":{"name":"cart-', ends=True)
    _agree_after_a_change(story)
    expect_eq((story.watcher.num_syncs, story.watcher.troubles), (1, []), "whole states and troubles")


def shows_that_goaway_within_a_watch_loses_nothing(story):
    story.server.goaway()
    _agree_after_a_change(story)
    expect_eq(story.watcher.num_syncs, 1, "whole states")


def shows_that_a_version_that_is_gone_has_the_state_read_again(story):
    _again(story)


def shows_that_a_server_without_watch_list_is_listed_in_pages(story):
    story.server.has_watch_list, story.server.queries = False, []
    story.server.oldest = 0
    with story.server.lock:
        story.server.oldest = story.server.version + 1
        story.server.version += 2
        story.server.send_all(b"", ends=True)
    syncs = story.watcher.num_syncs
    wait_until("a page that is gone", lambda: any("continue" in query for query in story.server.queries), 60)
    story.server.oldest = 0  # the next list is whole
    wait_until("the whole state", lambda: story.watcher.num_syncs > syncs, 60)
    _agree_after_a_change(story)
    story.server.has_watch_list = True


def shows_that_an_old_store_is_listed_too(story):
    story.server.has_new_store = False
    syncs = story.watcher.num_syncs
    story.server.restore(story.server.version)
    with story.server.lock:
        story.server.oldest = story.server.version + 1
        story.server.version += 2
        story.server.queries = []
    wait_until("the whole state", lambda: story.watcher.num_syncs > syncs, 60)
    _agree_after_a_change(story)
    story.server.has_new_store, story.server.oldest = True, 0


def shows_that_10_mib_are_an_event_and_more_is_refused(story):
    story.server.put("large", filler="x" * (10 * MIB - 400))
    _agree(story)
    story.server.put("larger", filler="x" * (11 * MIB))
    wait_until("a reason", lambda: any("10485760 bytes" in text for text in story.watcher.troubles), 60)
    with story.server.lock:
        story.server.history = [(version, line) for version, line in story.server.history if len(line) < 11 * MIB]
    story.server.delete("larger")
    _agree_after_a_change(story, 60)


def shows_that_a_missing_right_is_named(story):
    story.server.is_forbidden = True
    story.server.cut()
    rule = 'resources ["pods"], verbs ["list", "watch"]'
    wait_until("a reason", lambda: any(rule in text for text in story.watcher.troubles), 60)
    story.server.is_forbidden = False
    _agree_after_a_change(story, 60)  # it tries again every 15 to 30 s


def shows_that_a_server_that_was_restored_is_read_anew(story):
    story.server.restore(3)
    story.server.put("cart-old")
    _agree(story, 60)
    wait_until("the end of the trouble", lambda: not story.watcher.is_in_trouble, 60)


def shows_that_a_server_that_stops_is_noticed(story):
    story.server.is_stalled = True
    story.watcher.troubles.clear()
    wait_until("a reason", lambda: any("cannot be reached" in text for text in story.watcher.troubles), 60)
    story.server.is_stalled = False
    _agree_after_a_change(story, 60)
    wait_until("the end of the trouble", lambda: not story.watcher.is_in_trouble, 60)
    with open("/proc/%d/status" % story.watcher.pid) as file:
        expect_in("kube_watcher", file.read(), "the program, which still runs")
