"""kubectl, and waiting for what it shows."""

import json
import re
import subprocess

from handfast_harness.expect import StoryFailure, wait_until
from handfast_harness.namespace import environment

from . import programs


# Generous, since no story is about it: after an outage of the API server a controller waits up to a minute before it
# asks again, and the machine may have other work.
_DEADLINE_S = 180


# Of kubectl and the API server about themselves; the text of a webhook that cannot be called is another one.
_BUSY = re.compile(r"Unable to connect to the server|The connection to the server \S+ was refused|etcdserver: |"
                   r"the server is currently unable to handle the request")


class KubectlError(StoryFailure):
    """kubectl ended with another status than 0; the text is what it printed."""


class Kubectl:
    def __init__(self, cluster, user="admin"):
        self._cluster, self._user = cluster, user

    def argv(self, *words):
        return self._cluster.machine.argv([programs.path("kubectl"), "--kubeconfig",
                                           self._cluster.pki.kubeconfig(self._user), *words])

    def run(self, *words, text=None, check=True, timeout_s=60.0):
        """The finished process; stdout and stderr are text. text: its input."""
        done = subprocess.run(self.argv(*words), input=text or "", capture_output=True, text=True, timeout=timeout_s,
                              env=environment({"HOME": self._cluster.folder}))
        if check and done.returncode != 0:
            raise KubectlError("kubectl %s ended with %d: %s%s" % (" ".join(words), done.returncode, done.stdout[-2000:],
                                                                   done.stderr[-2000:]))
        return done

    def __call__(self, *words, **options):
        """What it prints."""
        return self.run(*words, **options).stdout

    def apply(self, *objects, namespace=None):
        """objects: YAML text, or dicts. Returns what kubectl prints, warnings included."""
        texts = [one if isinstance(one, str) else json.dumps(one) for one in objects]
        scope = ["-n", namespace] if namespace else []
        done = self.run(*scope, "apply", "-f", "-", text="\n---\n".join(texts))
        return done.stdout + done.stderr

    def get(self, kind, name=None, namespace="default", selector=None):
        """The object, or None if it is not there; without a name the list of objects."""
        words = ["-n", namespace, "get", kind, *([name] if name else []), "-o", "json", "--ignore-not-found"]
        printed = self(*words, *(["-l", selector] if selector else []))
        if name:
            return json.loads(printed) if printed.strip() else None
        return json.loads(printed)["items"] if printed.strip() else []

    def pods(self, selector=None, namespace="default"):
        """Those that are not being deleted."""
        pods = self.get("pods", namespace=namespace, selector=selector)
        return [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]

    def wait(self, what, predicate, deadline_s=_DEADLINE_S):
        """A call of kubectl is made again where the API server was not reached, or was busy; any other failure is one."""
        refused = []

        def holds():
            refused.clear()
            try:
                return predicate()
            except KubectlError as error:
                if not _BUSY.search(str(error)):
                    raise
                refused.append(error)
                return None
        try:
            return wait_until(what, holds, deadline_s, 0.2)
        except StoryFailure as failure:
            raise StoryFailure("%s%s" % (failure, "; at last: %s" % refused[0] if refused else "")) from None

    def wait_for_ready(self, selector, num=1, namespace="default", deadline_s=_DEADLINE_S):
        """The pods, when exactly `num` of them are there and all are ready. The failure names what they wait for."""
        seen = []

        def ready():
            seen[:] = self.pods(selector, namespace)
            return len(seen) == num and all(map(is_ready, seen)) and list(seen)
        try:
            return self.wait("%d ready pods of %s" % (num, selector), ready, deadline_s)
        except StoryFailure as failure:
            raise StoryFailure("%s; found: %s" % (failure, "; ".join(map(state_of, seen)) or "none")) from None

    def wait_for_rollout(self, deployment, namespace):
        self._wait_for(namespace, "rollout", "status", "deployment/" + deployment)

    def wait_for_job(self, job, namespace):
        self._wait_for(namespace, "wait", "--for=condition=complete", "job/" + job)

    def _wait_for(self, namespace, *words):
        self("-n", namespace, *words, "--timeout=%ds" % _DEADLINE_S, timeout_s=_DEADLINE_S + 10)

    def exec(self, pod, container, *argv, namespace="default", **options):
        return self("-n", namespace, "exec", pod, "-c", container, "--", *argv, **options)

    def logs(self, pod, container, namespace="default", *more):
        return self("-n", namespace, "logs", pod, "-c", container, *more)

    def delete_namespace(self, name):
        """Does not wait: its pods end by themselves."""
        self("delete", "namespace", name, "--ignore-not-found", "--wait=false")


def is_ready(pod):
    conditions = pod.get("status", {}).get("conditions", [])
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


def statuses(pod):
    """{container: its status}, init containers included."""
    status = pod.get("status", {})
    return {one["name"]: one for one in status.get("initContainerStatuses", []) + status.get("containerStatuses", [])}


def state_of(pod):
    parts = ["%s is %s" % (pod["metadata"]["name"], pod.get("status", {}).get("phase"))]
    for name, one in statuses(pod).items():
        for state, detail in one.get("state", {}).items():
            parts.append("%s %s %s" % (name, state, " ".join(
                str(detail[key]) for key in ("reason", "message", "exitCode") if key in detail)))
    return ", ".join(parts)
