#!/usr/bin/env python3
"""Makes handfast.yaml, handfast-cni.yaml and the Helm chart from objects.yaml.in and cni.yaml.in: each @{VALUE} becomes
its default in the one and a reference to the chart's values in the other. `generate.py` prints the files that are not
current, `generate.py --write` writes them.

    deploy/kubernetes/generate.py --print [VALUE=TEXT ...]    what the chart makes of these values, for a cluster without
                                                              Helm: handfast.yaml; with cni.enabled=true handfast-cni.yaml, too
    deploy/kubernetes/generate.py --values                    the values, each with its default"""

import json
import pathlib
import re
import sys

HERE = pathlib.Path(__file__).resolve().parent
SOURCES = "objects.yaml.in", "cni.yaml.in"
_PLACE = re.compile(r"@\{([\w.]+)\}")


def _version():
    text = (HERE.parent.parent / "base/core/version.h").read_text(encoding="utf-8")
    return re.search(r'#define HANDFAST_VERSION "([^"]+)"', text)[1]


# (name, default, what it is), in the order of values.yaml; names of one prefix stand together.
VALUES = [
    ("namespace", "handfast-system", "The namespace of the control plane."),
    ("replicas", "2", "Replicas of the control plane; each serves and issues."),
    ("trustDomain", "cluster.local", "The SPIFFE trust domain; a workload is spiffe://TRUST DOMAIN/ns/NAMESPACE/sa/ACCOUNT."),
    ("image.prefix", "docker.io/handfast/", "Registry and path of the images, with a slash at the end."),
    ("image.tag", _version(), "The version of all images."),
    ("image.pullPolicy", "IfNotPresent", "When the control plane's image is pulled."),
    ("identity.leafTtl", "1h", "Lifetime of a pod's certificate, in whole seconds, minutes, hours or days; it is renewed "
     "after half of it."),
    ("identity.otherRootsFile", "", "Roots of another authority, whose SVIDs open discovery, such as /etc/handfast-trust/roots.pem."),
    ("federation.port", "0", "15013: the bundle endpoint, where partners fetch this mesh's trust bundle; 0: none."),
    ("federation.refreshHint", "5m", "How often partners fetch it; SPIRE does once per minute at most."),
    ("federation.partners", "[]", "Partners, as federation.partners of the settings: a YAML list, on one line."),
    ("federation.entries", "[]", "Where workloads outside of the cluster are, as entries of the settings: a YAML list, on one line."),
    ("policy.defaultMode", "permissive", "Inbound mode where no workload's own applies: off, permissive or strict."),
    ("page.tokenFile", "", "/etc/handfast-page/token, the key `token` of the Secret handfast-page: it opens the operators' page; without it there is none."),
    ("page.port", "15018", "The page's port, on 127.0.0.1 of each replica: for kubectl port-forward."),
    ("interception", "redirect", "The mode of pods that have none by annotation, nor their namespace: redirect or tproxy."),
    ("cni.enabled", "false", "Interception rules by the CNI plugin handfast-cni, in place of an init container with NET_ADMIN."),
    ("cni.binDir", "/opt/cni/bin", "The container runtime's folder of CNI plugins, on the nodes."),
    ("cni.confDir", "/etc/cni/net.d", "The container runtime's folder of network configurations, on the nodes."),
    ("resources.cpu", "100m", "CPU that the control plane requests."),
    ("resources.memory", "64Mi", "Memory that the control plane requests."),
    ("resources.memoryLimit", "512Mi", "Memory that the control plane may use at most."),
    ("log.level", "notice", "The least severe log lines: error, warning, notice or debug."),
    ("log.format", "json", "The form of log lines: text or json."),
]
CHOICES = {
    "image.pullPolicy": ["Always", "IfNotPresent", "Never"],
    "policy.defaultMode": ["off", "permissive", "strict"],
    "interception": ["redirect", "tproxy"],
    "log.level": ["error", "warning", "notice", "debug"],
    "log.format": ["text", "json"],
}
LISTS = {name for name, default, _ in VALUES if default == "[]"}
_MADE = "# Made by deploy/kubernetes/generate.py from objects.yaml.in; a change goes there.\n"
_CHART = """apiVersion: v2
name: handfast
description: Mutual TLS between pods, with no change to them
type: application
version: %(version)s
appVersion: "%(version)s"
kubeVersion: ">=1.29.0-0"
"""
# Rendered where a cluster answers, by install alone: `helm template` has no lookup. Helm itself would make the namespace
# first, then fail on that of the chart, and leave half of the objects.
_RELEASE_ELSEWHERE = """{{- if and .Release.IsInstall (eq .Release.Namespace .Values.namespace) (lookup "v1" "Namespace" "" "kube-system") (not (lookup "v1" "Namespace" "" .Values.namespace)) }}
{{- fail (printf "the chart makes the namespace %s itself; keep the release in another one: helm install %s CHART --namespace default" .Values.namespace .Release.Name) }}
{{- end }}
"""
_NOTES = """Pods of a namespace with the label get a sidecar when they are created:

    kubectl label namespace NAMESPACE handfast.dev/inject=enabled
    kubectl -n NAMESPACE rollout restart deployment,statefulset,daemonset
    handfast check

Before `helm uninstall {{ .Release.Name }} --namespace {{ .Release.Namespace }}` restart them without the label, until
`handfast check --uninstall` finds none.
"""
_IF_KNOWN = """{{- if semverCompare ">=1.30.0-0" .Capabilities.KubeVersion.Version }}
%s{{- end }}
"""


def _sources():
    return {name: (HERE / name).read_text(encoding="utf-8") for name in SOURCES}


def images():
    """{name: the labels of its programs} of all images that the objects name, from docker/Dockerfile.*; of one without a
    Dockerfile no labels."""
    folder = HERE.parent.parent / "docker"
    names = sorted(set(re.findall(r"@\{image\.prefix\}([\w-]+):", "".join(_sources().values()))))
    files = {name: folder / ("Dockerfile." + name.removeprefix("handfast-")) for name in names}
    return {name: re.findall(r"docker/assemble\.sh (\S+)", file.read_text(encoding="utf-8")) if file.exists() else []
            for name, file in files.items()}


def _objects(replacement, source=SOURCES[0]):
    texts = _sources()
    known = {name for name, _, _ in VALUES}
    used = set(_PLACE.findall("".join(texts.values())))
    if used != known:
        raise SystemExit("%s: unknown values: %s; unused: %s" % (SOURCES, sorted(used - known), sorted(known - used)))
    return _PLACE.sub(lambda match: replacement(match[1]), texts[source])


def manifest(changes=(), source=SOURCES[0]):
    """handfast.yaml, or what is made from another source, with `changes` in place of defaults."""
    values = {name: default for name, default, _ in VALUES}
    for name, value in dict(changes).items():
        if name not in values:
            raise SystemExit("no value is named %s; expected one of %s" % (name, ", ".join(values)))
        if values[name] in ("true", "false") and value not in ("true", "false") or values[name].isdigit() and not value.isdigit():
            raise SystemExit("%s is %s; expected %s" % (name, value, "a number" if values[name].isdigit() else "true or false"))
        if value not in CHOICES.get(name, [value]):
            raise SystemExit("%s is %s; expected one of %s" % (name, value, ", ".join(CHOICES[name])))
        values[name] = value
    return _MADE.replace(SOURCES[0], source) + _objects(values.__getitem__, source)


def _values_yaml():
    lines, group = [], None
    for name, default, what in VALUES:
        parent, _, leaf = name.rpartition(".")
        if parent and parent != group:
            lines.append(parent + ":")
        group, pad = parent, "  " if parent else ""
        quoted = default if re.fullmatch(r"[a-z][\w-]*|\d+|\[\]", default) else '"%s"' % default
        lines += ["%s# %s" % (pad, what), "%s%s: %s" % (pad, leaf, quoted)]
    return _MADE.replace("objects.yaml.in", "its table of values") + "\n".join(lines) + "\n"


def _schema_of(name, default):
    """Of a text numbers too, since Helm makes one of `--set image.tag=1`."""
    if name in CHOICES:
        return {"enum": CHOICES[name]}
    kind = "boolean" if default in ("true", "false") else "integer" if default.isdigit() else "array" if name in LISTS else None
    return {"type": kind or ["string", "number"]}


def _schema():
    """A value that is misspelled is refused, in place of a default that goes unnoticed."""
    def members():
        return {"type": "object", "additionalProperties": False, "properties": {}}
    schema = {"$schema": "http://json-schema.org/draft-07/schema#", **members()}
    schema["properties"]["global"] = {"type": "object"}  # Helm's own, where the chart is part of another
    for name, default, what in VALUES:
        parent, _, leaf = name.rpartition(".")
        at = schema["properties"].setdefault(parent, members()) if parent else schema
        at["properties"][leaf] = {"description": what, **_schema_of(name, default)}
    return json.dumps(schema, indent=2) + "\n"


def _reference(name):
    return ("{{ toJson .Values.%s }}" if name in LISTS else "{{ .Values.%s }}") % name


def files():
    """{path below this folder: content}"""
    return {
        "handfast.yaml": manifest(),
        "handfast-cni.yaml": manifest(source=SOURCES[1]),
        "chart/Chart.yaml": _MADE + _CHART % {"version": _version()},
        "chart/values.yaml": _values_yaml(),
        "chart/values.schema.json": _schema(),
        "chart/templates/NOTES.txt": _NOTES,
        "chart/templates/handfast.yaml": _MADE + _RELEASE_ELSEWHERE + _where_known(_objects(_reference)),
        "chart/templates/handfast-cni.yaml": _MADE.replace(SOURCES[0], SOURCES[1]) + "{{- if .Values.cni.enabled }}\n"
                                             + _objects(_reference, SOURCES[1]) + "{{- end }}\n",
    }


def _where_known(text):
    """Objects of kinds that Kubernetes 1.29 does not have are left out there. kubectl reports them and applies the rest."""
    documents = [_IF_KNOWN % one if "\nkind: ValidatingAdmissionPolicy" in one else one for one in text.split("---\n")]
    return "---\n".join(documents)


def stale():
    """The names of files that are not as they would be made."""
    def differs(name, content):
        path = HERE / name
        return not path.exists() or path.read_text(encoding="utf-8") != content
    return ["deploy/kubernetes/" + name for name, content in files().items() if differs(name, content)]


def _print(words):
    """handfast-cni.yaml last: its agents leave the nodes when the control plane's objects are gone."""
    odd = [word for word in words if "=" not in word]
    if odd:
        print("expected VALUE=TEXT, got %s; the values: deploy/kubernetes/generate.py --values" % odd[0], file=sys.stderr)
        return 64
    changes = dict(word.split("=", 1) for word in words)
    print(manifest(changes), end="")
    if changes.get("cni.enabled") == "true":
        print("---\n" + manifest(changes, SOURCES[1]), end="")
    return 0


def main():
    words = sys.argv[1:]
    if words[:1] == ["--print"]:
        return _print(words[1:])
    if words == ["--values"]:
        for name, default, what in VALUES:
            print("%s=%s\n    %s" % (name, default, what))
        return 0
    if words == ["--write"]:
        for name, content in files().items():
            (HERE / name).parent.mkdir(parents=True, exist_ok=True)
            (HERE / name).write_text(content, encoding="utf-8")
    elif words:
        print(__doc__, file=sys.stderr)
        return 64
    for name in stale():
        print("%s is not current: run deploy/kubernetes/generate.py --write" % name)
    return 1 if stale() else 0


if __name__ == "__main__":
    sys.exit(main())
