"""Objects of workloads, as dicts: what a user of a cluster would write who knows of no mesh."""

from .images import APP

PORT = 8080


def namespace(name, **labels):
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}


def account(name):
    return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}}


def app_container(name="app", command=None, **more):
    """nginx on 8080, or the command. It does not run as root and has no capability."""
    container = {"name": name, "image": APP, "imagePullPolicy": "Never", "ports": [{"containerPort": PORT}],
                 "securityContext": {"runAsUser": 1000, "runAsNonRoot": True, "allowPrivilegeEscalation": False,
                                     "capabilities": {"drop": ["ALL"]}, "seccompProfile": {"type": "RuntimeDefault"}},
                 **more}
    if command:
        container["command"] = command
    elif "readinessProbe" not in more:
        container["readinessProbe"] = {"httpGet": {"path": "/", "port": PORT}, "periodSeconds": 1}
    return container


def sleeper(name="app"):
    """A container in which curl can be run."""
    return app_container(name, ("sh", "-c", "trap exit TERM QUIT; while :; do sleep 1 & wait $!; done"))


def pod_spec(*containers, account=None, **more):
    spec = {"containers": list(containers), "terminationGracePeriodSeconds": 20, "enableServiceLinks": False, **more}
    if account:
        spec["serviceAccountName"] = account
    return spec


def deployment(name, *containers, replicas=1, account=None, annotations=None, **more):
    """Pods with the label app=NAME; the service account is NAME too, unless another is named."""
    return _controller("apps/v1", "Deployment", name, containers, account, annotations, more,
                       replicas=replicas, selector={"matchLabels": {"app": name}})


def stateful_set(name, *containers, replicas=1, account=None, annotations=None, **more):
    return _controller("apps/v1", "StatefulSet", name, containers, account, annotations, more, replicas=replicas,
                       serviceName=name, selector={"matchLabels": {"app": name}})


def job(name, *containers, account=None, annotations=None, **more):
    return _controller("batch/v1", "Job", name, containers, account, annotations,
                       {"restartPolicy": "Never", **more}, backoffLimit=0)


def _controller(version, kind, name, containers, account, annotations, pod_more, **spec):
    template = {"metadata": {"labels": {"app": name}, "annotations": annotations or {}},
                "spec": pod_spec(*(containers or [app_container()]), account=account or name, **pod_more)}
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name}, "spec": {**spec, "template": template}}


def pod(name, *containers, account=None, annotations=None, labels=None, **more):
    return {"apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": name, "labels": {"app": name, **(labels or {})}, "annotations": annotations or {}},
            "spec": pod_spec(*(containers or [app_container()]), account=account, **more)}


def service(name, port=80, target=PORT, **more):
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name},
            "spec": {"selector": {"app": name}, "ports": [{"name": "web", "port": port, "targetPort": target}], **more}}
