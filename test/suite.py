#!/usr/bin/python3
"""Runs every part of the test suite in turn and adds up the results, as root. test/run.sh installs packages and calls
it:

    test/suite.py                 all parts but `kube`, `fresh` and `arm64`
    test/suite.py unit stories    some parts: asan unit netns harness interop stories asan_stories tsan_stories lint
    kube fresh arm64
    test/suite.py all kube fresh    the call of .ci/run: every part, the stories on a real Kubernetes where Go is on the
    machine, and README's first command and quick start on a fresh machine

Counted are: each case of a unit test or a corpus (twice: plain, and with sanitizers), each rule of a lint, each
case of the harness's own tests and of the interoperability scripts, each story. A test program that dies, or a part
that does not build, counts as one failure. Flaky stories are listed above the last line (run_stories.py). The last line is
`N passed, N failed`; the exit code is 0 only if none failed."""

import collections
import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PYTHON = ["/usr/bin/python3", "-W", "ignore"]
PROGRAMS = ["sidecar/handfast-sidecar", "control/handfast-control", "cli/handfast", "intercept/handfast-init",
            "intercept/cni/handfast-cni"]
# Further programs of the stories.
STORY_PROGRAMS = PROGRAMS + ["test/herd/herd", "control/handfast-control-dynamic", "test/preload/set_clock.so",
                             "base/kube/kube_watcher", "control/pkcs11/handfast-pkcs11"]
# With sanitizers: closed and broken connections, refusals, hostile tunnels, restarts; the rest would take too long.
ASAN_STORIES = ["020", "023", "041", "042", "043", "053", "060", "120", "124"]
# With ThreadSanitizer: several workers, rotation, drain, changes while connections are open.
TSAN_STORIES = ["020", "025", "041", "050", "053", "124"]
PART_LIMIT_S = 45 * 60
_VERDICTS = "PASSED|FLAKY|FAILED TO BUILD|FAILED|TIMEOUT|NO STATUS|INCOMPLETE"

Sum = collections.namedtuple("Sum", "passed failed")


def run(argv, env=None, limit_s=PART_LIMIT_S, shows=True):
    """(exit code, output); prints as it goes."""
    process = subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                               errors="replace", env={**os.environ, **(env or {})})
    end, lines = time.monotonic() + limit_s, []
    for line in process.stdout:
        lines.append(line)
        if shows:
            print("    " + line, end="", flush=True)
        if time.monotonic() > end:
            process.terminate()
    return process.wait(), "".join(lines)


def bazel(*words):
    return run(["bazel", *words], shows=False)


# --- unit tests by Bazel ---

def cases_of(target, verdict):
    """The results in one test program's log; a program that crashes is one failure."""
    path = os.path.join(ROOT, "bazel-testlogs", target[2:].replace(":", "/"), "test.log")
    text = ""
    if os.path.exists(path):
        with open(path, errors="replace") as file:
            text = file.read()
    passed = sum(map(int, re.findall(r"^\[  PASSED  \] (\d+) test", text, re.M)))
    failed = sum(map(int, re.findall(r"^\[  FAILED  \] (\d+) test", text, re.M)))
    for found in re.findall(r"^(\d+) passed, (\d+) failed$", text, re.M):
        passed, failed = passed + int(found[0]), failed + int(found[1])
    if verdict in ("PASSED", "FLAKY"):
        return Sum(passed or 1, failed)
    return Sum(passed, failed or 1)


def add_up(output, code):
    verdicts = re.findall(r"^(//\S+)\s+(?:\(cached\) )?(%s)" % _VERDICTS, output, re.M)
    sums = [cases_of(target, verdict) for target, verdict in verdicts]
    total = Sum(sum(one.passed for one in sums), sum(one.failed for one in sums))
    print("    %d test programs" % len(verdicts))
    if code != 0:
        print(output[-6000:])
        total = Sum(total.passed, total.failed or 1)
    return total


def bazel_test(*words):
    code, output = bazel("test", "--keep_going", "--test_summary=short", *words, "//...")
    return add_up(output, code)


def build_programs(name, *words, programs=tuple(PROGRAMS)):
    """The programs in one configuration, copied: the next configuration overwrites them."""
    build(*words, *("//{}:{}".format(*program.rsplit("/", 1)) for program in programs))
    folder = os.path.join(WORK, name)
    os.makedirs(folder, exist_ok=True)
    for program in programs:
        target = os.path.join(folder, os.path.basename(program))
        shutil.copy(os.path.join(ROOT, "bazel-bin", program), target)
        os.chmod(target, 0o755)
    return folder


def build(*words):
    code, output = bazel("build", *words)
    if code != 0:
        print(output[-6000:])
        raise RuntimeError("bazel build %s fails" % " ".join(words))


# --- the parts, in their order ---

def asan():
    """unit tests and corpora with AddressSanitizer and UndefinedBehaviorSanitizer"""
    total = bazel_test("--config=asan", "--test_tag_filters=-netns")
    build_programs("asan", "--config=asan")
    return total


def unit():
    """unit tests and corpora"""
    build("//...")
    return bazel_test("--test_tag_filters=-netns")


def netns():
    """unit tests that need network namespaces"""
    return bazel_test("--test_tag_filters=netns", "--build_tests_only")


def harness():
    """the harness's own tests"""
    code, output = run(PYTHON + ["test/harness/harness_test.py"])
    ran = int((re.search(r"^Ran (\d+) test", output, re.M) or [0, 0])[1])
    failed = sum(map(int, re.findall(r"(?:failures|errors)=(\d+)", output))) or (code != 0)
    return Sum(ran - failed if ran else 0, int(failed))


def scripts(pattern, env=None):
    """Each script that the pattern finds, by its last line `N passed, N failed`, else by its exit code."""
    total = Sum(0, 0)
    for path in sorted(glob.glob(os.path.join(ROOT, pattern))):
        if not path.endswith((".py", ".sh")):
            continue
        code, output = run((PYTHON if path.endswith(".py") else ["bash"]) + [os.path.relpath(path, ROOT)], env)
        found = re.findall(r"^(\d+) passed, (\d+) failed$", output, re.M)
        passed, failed = map(int, found[-1]) if found else (code == 0, code != 0)
        total = Sum(total.passed + passed, total.failed + (failed or int(code != 0)))
    return total


def lint():
    """checks beyond the compiler"""
    return scripts("test/lint/gate_*")


def interop():
    """against other implementations"""
    build("//test/interop/...")
    return scripts("test/interop/*.py")


def run_stories(folder, which, env):
    logs = tempfile.mkdtemp(prefix="hf-")  # short: paths of Unix sockets end at 107 bytes
    os.chmod(logs, 0o755)
    code, output = run(PYTHON + ["test/run_stories.py", "--second-try", "--logs", logs, *which],
                       {"HANDFAST_BIN": folder, **env})
    FLAKY.extend(re.findall(r"^flaky: .*$", output, re.M))
    found = re.findall(r"^(\d+) passed, (\d+) failed$", output, re.M)
    return Sum(*map(int, found[-1])) if found else Sum(0, 1)


def stories():
    """the stories in network namespaces"""
    return run_stories(build_programs("plain", programs=STORY_PROGRAMS), [], {})


def asan_stories():
    """some of the stories, with AddressSanitizer in the programs"""
    folder = os.path.join(WORK, "asan")
    if not os.path.isdir(folder):
        build_programs("asan", "--config=asan")
    # The leak check needs ptrace, which the programs forbid; the unit tests check for leaks.
    return run_stories(folder, ASAN_STORIES, {"ASAN_OPTIONS": "detect_leaks=0"})


def tsan_stories():
    """some of the stories, with ThreadSanitizer in the programs"""
    return run_stories(build_programs("tsan", "--config=tsan"), TSAN_STORIES,
                       {"TSAN_OPTIONS": "halt_on_error=1:exitcode=66"})


def kube():
    """the stories on a real Kubernetes, where Go is on the machine"""
    code, output = run(["test/kube/run.sh"], {"HANDFAST_BIN": build_programs("plain")})
    found = re.findall(r"^(\d+) passed, (\d+) failed$", output, re.M)
    return Sum(*map(int, found[-1])) if found else Sum(0, 1)


def fresh():
    """README's first command and its quick start on a minimal Debian made by debootstrap"""
    code, output = run(["bash", "test/fresh_machine.sh", "--demo"])
    found = re.findall(r"^(\d+) passed, (\d+) failed$", output, re.M)
    return Sum(*map(int, found[-1])) if found else Sum(0, 1)


def arm64():
    """images and tests for arm64, where its compiler and QEMU are on the machine"""
    _, output = run(["test/arm64/run.sh"])
    found = re.findall(r"^(\d+) passed, (\d+) failed$", output, re.M)
    return Sum(*map(int, found[-1])) if found else Sum(0, 1)


def has_rules():
    """Whether the machine itself has interception rules, which would disconnect it: they belong into a test's
    namespaces."""
    return run(["nft", "list", "table", "inet", "handfast"], shows=False)[0] == 0


# tsan_stories and lint last: they build in other configurations.
PARTS = [asan, unit, netns, harness, interop, stories, asan_stories, tsan_stories, lint]
ON_REQUEST = [kube, fresh, arm64]  # what a fresh machine has no Go for; not on a fresh machine itself
FLAKY = []  # lines of run_stories.py


def main():
    wanted = sys.argv[1:] or ["all"]
    if "all" in wanted:
        wanted = [name for name in wanted if name != "all"] + [part.__name__ for part in PARTS]
    if unknown := set(wanted) - {part.__name__ for part in PARTS + ON_REQUEST}:
        print("no such part: %s" % " ".join(unknown), file=sys.stderr)
        return 64
    sums, had_rules = [], has_rules()
    for part in PARTS + ON_REQUEST:
        if part.__name__ not in wanted:
            continue
        print("== %s: %s" % (part.__name__, part.__doc__), flush=True)
        started = time.monotonic()
        try:
            sums.append(part())
        except (OSError, RuntimeError) as error:
            print("    %s" % error)
            sums.append(Sum(0, 1))
        if has_rules() and not had_rules:
            print("    rules of handfast-init are left on the machine itself; remove them: handfast-init down")
            sums[-1], had_rules = Sum(sums[-1].passed, sums[-1].failed + 1), True
        print("== %s: %d passed and %d failed in %.0f s" % (part.__name__, *sums[-1], time.monotonic() - started),
              flush=True)
    passed, failed = sum(one.passed for one in sums), sum(one.failed for one in sums)
    for line in FLAKY:
        print(line)
    print("%d flaky" % len(FLAKY))
    print("%d passed, %d failed" % (passed, failed))
    return 1 if failed else 0


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="handfast-suite-") as WORK:
        os.chmod(WORK, 0o755)
        sys.exit(main())
