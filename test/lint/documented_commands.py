"""The command blocks of the documents (fenced with sh, or indented by four spaces), and what runs each of them.

Every block is in one of three tables, by its first line: story 197 runs it as it stands (STORY), a named file runs the same
commands (ELSEWHERE), or no test can run it, for a reason (NOT_RUN). house_rules.py holds that; story 197 reads STORY."""

import re

from tree import ROOT

README, OPERATIONS, DEBUGGING, CONTRIBUTING, IMAGES, KUBERNETES = (
    "README.md", "docs/operations.md", "docs/debugging-tests.md", "docs/CONTRIBUTING.md", "docker/README.md",
    "docs/kubernetes.md")
INSTALL, IDENTITIES, ROTATE, AUDIT, DRAIN, BACK_UP, UPGRADE = (
    "docs/install-on-hosts.md", "docs/identities.md", "docs/rotate.md", "docs/audit.md", "docs/drain.md", "docs/back-up.md",
    "docs/upgrade.md")
FEDERATION, CONTROL_PLANES, MONITORING, POLICY = (
    "docs/federation.md", "docs/several-control-planes.md", "docs/monitoring.md", "docs/policy.md")
# Pages that one mesh of story 197 follows, in this order.
TASKS = (INSTALL, IDENTITIES, ROTATE, AUDIT, DRAIN, BACK_UP, UPGRADE)


def is_read(document):
    """README, docs/ (but decisions, which record the past, and the reference), and the images."""
    return document in (README, IMAGES) or bool(re.fullmatch(r"docs/[\w-]+\.md", document))


# {document: [(first line, host of story 197 that runs it; & after it: it stays in the foreground and runs on)]}, in order.
# After the word debian: the machines of test/debian that run it.
STORY = {
    README: [
        ("install bazel-bin/sidecar/handfast-sidecar", "newcomer"),
        ("ip netns add control", "newcomer"),
        ("install -d -m 0700 -o 1336 -g 1336 /var/lib/handfast-control", "newcomer"),
        ("install -d /run/secrets/handfast", "newcomer"),
        ("ip netns exec db python3 -m http.server 8000", "newcomer"),
        ("ip netns exec shop curl -sS http://192.0.2.3:8001/", "newcomer"),
        ("kill $(jobs -p); wait", "newcomer"),
    ],
    INSTALL: [
        ("apt-get install -y ./packages/handfast-control_*.deb", "debian control"),
        ("umask 077\nhandfast token create", "debian control"),
        ("apt-get install -y ./packages/handfast-sidecar_*.deb", "debian shop db"),
        ("handfast-init up --profile host", "debian shop db"),
        ("handfast-init confirm", "debian shop db"),
        ("systemctl enable --now handfast-init", "debian shop db"),
        ("apt-get install -y nginx-light", "debian db"),
        ("apt-get install -y curl", "debian shop"),
        ("for second in 1 2 3 4 5; do", "debian db"),
        ("install -d -m 0700 -o 1336 -g 1336 /var/lib/handfast-control", "control"),
        ("setpriv --reuid 1336 --regid 1336 --clear-groups handfast-control --config /etc/handfast/control.yaml --check", "control"),
        ("setpriv --reuid 1336 --regid 1336 --clear-groups handfast-control --config /etc/handfast/control.yaml", "control &"),
        ("(umask 077; handfast token create", "control"),
        ("install -D -m 0600 -o 1337 -g 1337 token", "pod"),
        ("handfast-init up --profile host", "machine"),
        ("handfast-init confirm", "machine"),
        ("handfast-init up\n", "pod"),
        ("setpriv --reuid 1337 --regid 1337 --clear-groups handfast-sidecar", "pod &"),
        ("handfast-sidecar wait && handfast check && handfast-init check", "pod"),
        ("handfast-init check --profile host", "pod"),
    ],
    POLICY: [
        ("cat >next.yaml", "debian control"),
        ("handfast-control --config next.yaml --check", "debian control"),
        ("handfast check", "debian db"),
        ("sed -i", "debian control"),
        ("handfast policy check --port 80 --from plaintext", "debian db"),
    ],
    IDENTITIES: [
        ("handfast entry create cart", "control"),
    ],
    ROTATE: [
        ("handfast status", "control"),
        ("handfast certs", "pod"),
        ("handfast ca rotate", "control"),
        ("handfast ca rotate --bootstrap", "control"),
        ("handfast ca replace --compromised", "control"),
    ],
    AUDIT: [
        ("handfast audit verify", "control"),
    ],
    DRAIN: [
        ("handfast-sidecar drain", "pod"),
    ],
    BACK_UP: [
        ("install -d -m 0700 -o 1336 -g 1336 /var/backups/handfast", "control"),
        ("setpriv --reuid 1336 --regid 1336 --clear-groups handfast-control restore", "control"),
        ("apt-get install -y ./packages/handfast-control_*.deb", "debian spare"),
        ("arping -c 3 -A -I eth0 192.0.2.1", "debian spare"),
    ],
    UPGRADE: [
        ("setpriv --reuid 1336 --regid 1336 --clear-groups handfast-control --config /etc/handfast/control.yaml --check", "control"),
        ("handfast-sidecar --config /etc/handfast/sidecar.yaml --check", "pod"),
        ("systemctl stop handfast-control", "debian spare"),
    ],
}

# {document: {first line: (a file that runs the same commands, a text of it)}}
ELSEWHERE = {
    INSTALL: {
        "tools/install_packages.sh tools/apt-packages.txt": ("test/debian/run.py", "deploy/debian/build_packages.sh"),
        "apt-get install -y --no-install-recommends apt-utils": ("test/debian/repository.py", "deploy/debian/sign_repository.sh"),
        "install -m 0644 handfast.asc": ("test/debian/repository.py", "deb [signed-by=/%s]"),
        "handfast-sidecar drain\napt-get purge": ("test/debian/run.py", "handfast-sidecar drain; dpkg --purge handfast-init handfast-sidecar"),
        "apt-get purge -y handfast-control handfast": ("test/debian/run.py", "a_purge_of_running_programs_removes_everything"),
        "handfast entry release 192.0.2.3": ("test/integration/132_a_refused_claim_is_made_again.py", '"entry", "release"'),
    },
    README: {
        "docker/demo.sh ": ("test/fresh_machine.sh", "run demo docker/demo.sh"),
        "tools/install_packages.sh": ("test/fresh_machine.sh", "run quick_start test/quick_start.py"),
        "kubectl apply -f deploy/kubernetes/handfast.yaml": (
            "test/kube/stories/010_install_to_the_first_encrypted_call.py", "handfast.dev/inject=enabled"),
    },
    KUBERNETES: {
        "tools/install_packages.sh": ("docker/Dockerfile.control", "tools/install_packages.sh tools/apt-packages.txt"),
        "for image in sidecar": ("test/kube/cluster.py", '"ctr", "-n", "k8s.io", "images", "import"'),
        "handfast check --pre": ("test/kube/stories/014_handfast_check.py", "--pre"),
        "kubectl apply -f - <<'YAML'": ("test/kube/stories/065_policies.py", '"kind": "Policy"'),
        "kubectl -n handfast-system exec": ("test/kube/stories/016_status_and_why_of_a_pod.py", '"/handfast", "status"'),
        "kubectl -n handfast-system rollout restart": (
            "test/kube/kube_cluster/install.py", '"rollout", "restart", "deployment/handfast-control"'),
        "kubectl annotate namespace shop": ("test/kube/stories/029_the_callers_address_in_a_pod.py", '"annotate", "namespace"'),
        "helm install": ("test/kube/stories/098_the_chart_by_helm.py", '"install", RELEASE, CHART'),
        "deploy/kubernetes/generate.py --print federation.port": (
            "test/kube/stories/098_the_chart_by_helm.py", "federation.port=15013"),
        "deploy/kubernetes/generate.py --print cni.enabled": (
            "test/kube/stories/095_restricted_namespaces.py", "cni__enabled"),
        "kubectl label namespace shop handfast.dev/inject-": (
            "test/kube/stories/010_install_to_the_first_encrypted_call.py", "handfast.dev/inject-"),
        "kubectl delete": ("test/kube/kube_cluster/install.py", '"delete"'),
        "kubectl -n handfast-system create secret": ("test/kube/stories/031_the_operators_page.py", '"create", "secret", "generic"'),
        "kubectl -n handfast-system get secret": ("test/kube/stories/031_the_operators_page.py", '"port-forward", to'),
    },
    CONTROL_PLANES: {
        "(umask 077; openssl rand -base64 24 >/etc/handfast/keys.passphrase": ("test/harness/handfast_harness/control_planes.py", '"export", "--to"'),
        "setpriv --reuid 1336 --regid 1336 --clear-groups handfast-control keys import": ("test/harness/handfast_harness/control_planes.py", '"import", "--from"'),
    },
    UPGRADE: {
        "apt-get install -y ./packages/handfast-": ("test/debian/run.py", "an_upgrade_keeps_settings_state_and_connections"),
        "setpriv --reuid 1337 --regid 1337 --clear-groups handfast-sidecar upgrade": (
            "test/integration/347_an_upgrade_by_hand_keeps_what_was_given.py", '"upgrade", "--admin_socket"'),
        "systemctl kill -s HUP --kill-whom=main handfast-sidecar": (
            "test/debian/run.py", "systemctl kill -s HUP --kill-whom=main handfast-sidecar"),
    },
    OPERATIONS: {
        "(umask 077; openssl rand -hex 32 >/etc/handfast/page.token": ("test/integration/336_the_operators_page.py", "secrets.token_hex(32)"),
    },
    FEDERATION: {
        "handfast federation list": ("test/integration/261_partners_that_misbehave.py", '"federation", "list"'),
    },
    ROTATE: {
        "handfast ca crl > mesh.crl": ("test/integration/211_certificates_are_revoked.py", '"-CRLfile"'),
        "handfast ca csr > mesh.csr": ("test/integration/240_an_authority_of_your_own.py", '"-copy_extensions", "copyall"'),
    },
    CONTRIBUTING: {
        "tools/install_packages.sh": ("test/run.sh", "test/lint/apt-packages.txt"),
        "bazel build --config=opt": ("docker/demo.sh", "bazel build --config=opt"),
    },
}

# {document: {first line: why no test runs it}}
NOT_RUN = {
    MONITORING: {
        "install -m 0644 deploy/monitoring/handfast.rules.yaml": "changes this host's Prometheus; story 335 starts one with the rules",
        "kubectl apply -f deploy/kubernetes/podmonitor.yaml": "needs the objects of the Prometheus operator in the cluster",
    },
    CONTRIBUTING: {
        "route: read the original destination": "a commit message",
    },
    DEBUGGING: {
        "gdb -batch": "gdb is no package of the tests",
        "bazel build --strip=never": "gdb is no package of the tests",
        "test/run_stories.py --list": "the runner that runs this: test/run.sh starts every story by it",
        "041 FAIL": "output of the runner",
        "053 PASS": "output of the runner",
        "test/run_stories.py --keep 041": "test/harness/harness_test.py keeps a story of its own and takes it down",
        "client     nsenter": "output of the runner",
        "ip netns list": "names a run that is going on",
        "for i in $(seq 20)": "repeats a story for minutes",
        "bazel test --config=asan": "test/run.sh has these configurations as parts of their own (asan, tsan)",
        "bazel build --config=asan": "builds everything with sanitizers; test/run.sh does it in its part asan_stories",
        "gdb -p PID": "gdb is no package of the tests",
    },
    KUBERNETES: {
        "docker/build_images.sh images registry": "needs a registry",
        "deploy/kubernetes/generate.py --values": "chooses values of a user",
    },
    IMAGES: {
        "docker run -d --name pod": "needs a Docker engine; docker/check_images.sh runs the programs of the images by chroot",
    },
}


SHELLS = ("sh", "bash", "shell", "console", "shell-session", "zsh")


def is_commands(fence, lines):
    """An indented block, a fence with a shell's name, or one of another name that shows a prompt."""
    language = None if fence is None else fence.strip("` ")
    return language is None or language in SHELLS or any(line.lstrip().startswith("$ ") for line in lines)


def blocks(text):
    """The command blocks of a document, each as its text without the indentation. A fence may stand in a list."""
    fence, lines, previous = None, [], ""
    for line in text.splitlines() + ["end of the document"]:
        is_fence = bool(re.match(r" *```", line))
        if fence and not is_fence:
            lines.append(line)
        elif not is_fence and line.startswith("    ") and (lines or not previous):
            lines.append(line[4:])
        elif not line and lines:
            lines.append("")
        else:
            if lines and is_commands(fence, lines):
                yield "\n".join(lines).rstrip("\n") + "\n"
            lines = []
            if is_fence:
                fence = None if fence else line
        previous = line


def read(document):
    return list(blocks((ROOT / document).read_text(encoding="utf-8")))


def commands_in_order(document):
    """(block, host) of the blocks that story 197 runs. AssertionError: a table that is not the document's."""
    left = list(STORY[document])
    for block in read(document):
        if left and block.startswith(left[0][0]):
            yield block, left.pop(0)[1]
    assert not left, "%s has no block that begins with %s, after the one before it" % (document, left[0][0])


def commands_of_tasks():
    """The same of all pages that the mesh of story 197 follows."""
    return [(block, host) for document in TASKS for block, host in commands_in_order(document) if not host.startswith("debian ")]


def commands_on_debian(document):
    """(block, machine) of those that test/debian runs on its machines."""
    for block, hosts in commands_in_order(document):
        for machine in hosts.split()[1:] if hosts.startswith("debian ") else ():
            yield block, machine


def gaps(texts):
    """A sentence per block that is in no table, per row without a block, and per file that does not run what it should.
    texts: {document: text}."""
    for document, text in sorted(texts.items()):
        story = [first for first, _ in STORY.get(document, [])]
        others = [*ELSEWHERE.get(document, {}), *NOT_RUN.get(document, {})]
        for block in blocks(text):
            if story and block.startswith(story[0]):
                story.pop(0)
            elif not any(block.startswith(first) for first in others):
                yield "%s: no test runs the block '%s', and no reason is given" % (document, block.splitlines()[0])
        for first in story + [first for first in others if not any(block.startswith(first) for block in blocks(text))]:
            yield "%s: no block begins with '%s', in this order" % (document, first)
        for first, (file, part) in ELSEWHERE.get(document, {}).items():
            if part not in (ROOT / file).read_text(encoding="utf-8"):
                yield "%s: '%s' is not run by %s: it has no '%s'" % (document, first, file, part)


def missing_paths(texts, has):
    """A sentence per file or folder of the tree that a block names and that is not there. has: whether a path is there."""
    for document, text in texts.items():
        for block in blocks(text):
            for path in re.findall(r"(?<![\w./:{@-])(?:\./)?((?:test|tools|docker|docs)/[\w./-]+\w)", block):
                if not has(path):
                    yield "%s: %s: no such file" % (document, path)
            for folder in re.findall(r"(?<!:)//([\w/]*\w)", block):
                if not has(folder):
                    yield "%s: //%s: no such folder" % (document, folder)
