#!/usr/bin/python3
"""Runs every part of the test suite in turn and adds up the results, as root. test/run.sh installs packages and calls
it:

    test/suite.py                 all parts but `long_stories`, `busy_kube`, `kube`, `packages`, `fresh` and `arm64`
    test/suite.py unit stories    some parts: asan unit netns harness interop busy_stories stories soak
    asan_stories tsan_stories lint long_stories busy_kube kube packages fresh arm64
    test/suite.py all busy_kube kube packages fresh    the call of .ci/run: every part, the stories on a real Kubernetes where Go is on
    the machine, the Debian packages, and README's first command and quick start on a fresh machine

The first parts compute and run one after the other. Those that wait more than they compute run in lanes beside each other,
once all programs are built (LANES below); HANDFAST_ONE_LANE=1 runs one part at a time.

Counted are: each case of a unit test or a corpus (twice: plain, and with sanitizers), each rule of a lint, each
case of the harness's own tests and of the interoperability scripts, each story. A test program that dies, or a part
that does not build, counts as one failure. What failed and what was flaky (handfast_harness/tries.py) is listed above the
last line, which is `N passed, N failed`; the exit code is 0 only if none failed."""

import collections
import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PYTHON = ["/usr/bin/python3", "-W", "ignore"]
PROGRAMS = ["sidecar/handfast-sidecar", "control/handfast-control", "cli/handfast", "intercept/handfast-init",
            "intercept/cni/handfast-cni", "test/herd/herd", "control/handfast-control-dynamic", "sidecar/handfast-sidecar-dynamic",
            "test/preload/set_clock.so", "base/kube/kube_watcher", "control/pkcs11/handfast-pkcs11"]
# A thousand sidecars or two thousand connections, with promised times: nothing else runs beside them.
BUSY_STORIES = ["140", "210", "270"]
BUSY_KUBE_STORIES = ["012"]  # how much later a pod is ready
# With sanitizers: closed and broken connections, refusals, hostile tunnels, restarts; the rest would take too long.
ASAN_STORIES = ["020", "023", "041", "042", "043", "053", "060", "120", "124"]
# With ThreadSanitizer: several workers, rotation, drain, changes while connections are open.
TSAN_STORIES = ["020", "025", "041", "050", "053", "124"]
TPROXY = {"STORIES_MODE": "tproxy"}
SOAK = ["--seconds", "180", "--seed", "1"]
PART_LIMIT_S = 3600  # of a part that hangs
MAX_FLAKY_PROGRAMS = 2  # test programs per part that may run twice
TESTS_FAILED = 3  # Bazel's exit code when all is built
_VERDICTS = "PASSED|FLAKY|FAILED TO BUILD|FAILED|TIMEOUT|NO STATUS|INCOMPLETE"

Sum = collections.namedtuple("Sum", "passed failed")


class Lane(threading.Thread):
    """Runs parts one after the other. A lane in the background prints the output of a part when it has ended, and runs
    the parts of LOW_PRIORITY with the least priority."""

    current = threading.local()  # .lane: that of this thread
    printing = threading.Lock()

    def __init__(self, parts, background=False):
        super().__init__(name=" ".join(part.__name__ for part in parts))
        self.parts, self.background, self.part, self.lines, self.sums = parts, background, None, [], []
        self.failures = []  # lines that name what fails in the part

    def run(self):
        Lane.current.lane = self
        for self.part in self.parts:
            try:
                self.sums.append(run_part(self.part))
            finally:
                self.show()

    def show(self):
        with Lane.printing:
            print("".join(line + "\n" for line in self.lines), end="", flush=True)
        self.lines = []

    def prefix(self):
        return ["nice", "-n", "19"] if self.background and self.part in LOW_PRIORITY else []


def report(text):
    lane = Lane.current.lane
    lane.lines.append(text)
    lane.failures.extend(line.strip()[:200] for line in text.split("\n") if re.search(r"\bFAIL(ED)?\b", line))
    if not lane.background:
        lane.show()


def run(argv, env=None, limit_s=PART_LIMIT_S, shows=True):
    """(exit code, output); reports each line as it comes."""
    process = subprocess.Popen(Lane.current.lane.prefix() + argv, cwd=ROOT, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, text=True, errors="replace", env={**os.environ, **(env or {})})
    end, lines = time.monotonic() + limit_s, []
    for line in process.stdout:
        lines.append(line)
        if shows:
            report("    " + line.rstrip("\n"))
        if time.monotonic() > end:
            process.terminate()
    return process.wait(), "".join(lines)


def bazel(*words):
    return run(["bazel", *words], shows=False)


# --- unit tests by Bazel ---

def log_of(target):
    path = os.path.join(ROOT, "bazel-testlogs", target[2:].replace(":", "/"), "test.log")
    if not os.path.exists(path):
        return ""
    with open(path, errors="replace") as file:
        return file.read()


def cases_of(target, verdict):
    """The results in one test program's log; a program that crashes is one failure."""
    text = log_of(target)
    passed = sum(map(int, re.findall(r"^\[  PASSED  \] (\d+) test", text, re.M)))
    failed = sum(map(int, re.findall(r"^\[  FAILED  \] (\d+) test", text, re.M)))
    for found in re.findall(r"^(\d+) passed, (\d+) failed$", text, re.M):
        passed, failed = passed + int(found[0]), failed + int(found[1])
    if verdict in ("PASSED", "FLAKY"):
        return Sum(passed or 1, failed)
    return Sum(passed, failed or 1)


def verdicts_of(output):
    return re.findall(r"^(//\S+)\s+(?:\(cached\) )?(%s)" % _VERDICTS, output, re.M)


def add_up(verdicts):
    report("    %d test programs" % len(verdicts))
    sums = [cases_of(target, verdict) for target, verdict in verdicts]
    return Sum(sum(one.passed for one in sums), sum(one.failed for one in sums))


def bazel_test(*words):
    """A test program that fails runs once more, alone, if few of them do; what passes then is flaky, as with stories."""
    arguments = ["test", "--keep_going", "--test_summary=short", *words]
    code, output = bazel(*arguments, "//...")
    verdicts = dict(verdicts_of(output))
    failed = [target for target, verdict in verdicts.items() if verdict in ("FAILED", "TIMEOUT")]
    for target in failed:
        report("    FAILED %s, its log ends so:\n%s" % (target, log_of(target)[-4000:]))
    if code == TESTS_FAILED and len(failed) <= MAX_FLAKY_PROGRAMS:
        code, output = bazel(*arguments, "--local_test_jobs=1", *failed)
        again = dict(verdicts_of(output))
        FLAKY.extend("flaky: %s" % target for target in failed if again.get(target) == "PASSED")
        verdicts.update(again)
    total = add_up(list(verdicts.items()))
    if code != 0:
        report(output[-6000:])
        total = Sum(total.passed, total.failed or 1)
    return total


def build_programs(name, *words):
    """The folder with the programs of the stories in one configuration, copied: the next configuration overwrites them."""
    folder = os.path.join(WORK, name)
    if os.path.isdir(folder):
        return folder
    build(*words, *("//{}:{}".format(*program.rsplit("/", 1)) for program in PROGRAMS))
    os.makedirs(folder + ".new")
    for program in PROGRAMS:
        target = os.path.join(folder + ".new", os.path.basename(program))
        shutil.copy(os.path.join(ROOT, "bazel-bin", program), target)
        os.chmod(target, 0o755)
    os.rename(folder + ".new", folder)
    return folder


def build(*words):
    code, output = bazel("build", *words)
    if code != 0:
        report(output[-6000:])
        raise RuntimeError("bazel build %s fails" % " ".join(words))


# --- the parts, in their order ---

def asan():
    """unit tests and corpora with AddressSanitizer and UndefinedBehaviorSanitizer"""
    return bazel_test("--config=asan", "--test_tag_filters=-netns")


def unit():
    """unit tests and corpora"""
    build("//...")
    return bazel_test("--test_tag_filters=-netns")


def netns():
    """unit tests that need network namespaces"""
    return bazel_test("--test_tag_filters=netns", "--build_tests_only")


def harness():
    """the own tests of the harness and of the soak"""
    total = Sum(0, 0)
    for path in ("test/harness/harness_test.py", "test/soak/soak_test.py"):
        code, output = run(PYTHON + [path])
        ran = int((re.search(r"^Ran (\d+) test", output, re.M) or [0, 0])[1])
        failed = sum(map(int, re.findall(r"(?:failures|errors)=(\d+)", output))) or int(code != 0)
        total = Sum(total.passed + (ran - failed if ran else 0), total.failed + failed)
    return total


def scripts(pattern, env=None):
    """Each script that the pattern finds, by its last line `N passed, N failed`, else by its exit code."""
    total = Sum(0, 0)
    for path in sorted(glob.glob(os.path.join(ROOT, pattern))):
        if not path.endswith((".py", ".sh")):
            continue
        code, output = run((PYTHON if path.endswith(".py") else ["bash"]) + [os.path.relpath(path, ROOT)], env)
        found = re.findall(r"^(\d+) passed, (\d+) failed$", output, re.M)
        passed, failed = map(int, found[-1]) if found else (code == 0, code != 0)
        if failed or code != 0:
            report("    FAILED %s" % os.path.relpath(path, ROOT))
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


# The programs of each part that runs in a lane.
def plain():
    return build_programs("plain")


def with_asan():
    return build_programs("asan", "--config=asan")


def with_tsan():
    return build_programs("tsan", "--config=tsan")


def busy_stories():
    """the stories in network namespaces that need the whole machine"""
    return run_stories(plain(), BUSY_STORIES, {})


def others_than(numbers, folder):
    """The numbers of the other stories in that folder."""
    names = map(os.path.basename, glob.glob(os.path.join(ROOT, folder, "[0-9]*.py")))
    return sorted({name[:3] for name in names} - set(numbers))


def stories():
    """the other stories in network namespaces"""
    return run_stories(plain(), others_than(BUSY_STORIES, "test/integration"), {})


def soak():
    """random faults under traffic, of a fixed seed"""
    _, output = run(PYTHON + ["test/soak/run.py", *SOAK], {"HANDFAST_BIN": plain()})
    found = re.findall(r"^(\d+) passed, (\d+) failed$", output, re.M)
    return Sum(*map(int, found[-1])) if found else Sum(0, 1)


def long_stories():
    """the stories of heavy programs, whose packages it installs, and those of protocols with all hosts in mode tproxy"""
    code, _ = run(["tools/install_packages.sh", "test/apt-packages-long.txt"])
    if code != 0:
        return Sum(0, 1)
    sums = [run_stories(plain(), ["--long"], mode) for mode in ({}, TPROXY)] + [run_stories(plain(), ["300-304"], TPROXY)]
    return Sum(sum(one.passed for one in sums), sum(one.failed for one in sums))


def asan_stories():
    """some of the stories, with AddressSanitizer in the programs"""
    # The leak check needs ptrace, which the programs forbid; the unit tests check for leaks.
    return run_stories(with_asan(), ASAN_STORIES, {"ASAN_OPTIONS": "detect_leaks=0"})


def tsan_stories():
    """some of the stories, with ThreadSanitizer in the programs"""
    return run_stories(with_tsan(), TSAN_STORIES, {"TSAN_OPTIONS": "halt_on_error=1:exitcode=66"})


def run_kube(which):
    code, output = run(["test/kube/run.sh", *which], {"HANDFAST_BIN": plain()})
    FLAKY.extend(re.findall(r"^flaky: .*$", output, re.M))
    found = re.findall(r"^(\d+) passed, (\d+) failed$", output, re.M)
    return Sum(*map(int, found[-1])) if found else Sum(0, 1)


def busy_kube():
    """the stories on a real Kubernetes that need the whole machine, where Go is on it"""
    return run_kube(BUSY_KUBE_STORIES)


def kube():
    """the other stories on a real Kubernetes, where Go is on the machine"""
    return run_kube(others_than(BUSY_KUBE_STORIES, "test/kube/stories"))


def minimal_debian():
    """The tree that the machines of one run are copies of (test/minimal_debian.sh)."""
    return {"HANDFAST_MINIMAL_DEBIAN": os.path.join(WORK, "debian")}


def fresh():
    """README's first command and its quick start on a minimal Debian made by debootstrap"""
    code, output = run(["bash", "test/fresh_machine.sh", "--demo"], minimal_debian())
    found = re.findall(r"^(\d+) passed, (\d+) failed$", output, re.M)
    return Sum(*map(int, found[-1])) if found else Sum(0, 1)


def packages():
    """the Debian packages on machines of a minimal Debian, with systemd"""
    code, output = run(PYTHON + ["test/debian/run.py"], {"HANDFAST_BIN": plain(), **minimal_debian()})
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
    return subprocess.run(["nft", "list", "table", "inet", "handfast"], capture_output=True).returncode == 0


PARTS = [asan, unit, netns, harness, interop, busy_stories, stories, soak, asan_stories, tsan_stories, lint]
# What a fresh machine has no Go for; not on a fresh machine itself; large programs of others.
ON_REQUEST = [long_stories, busy_kube, kube, packages, fresh, arm64]
LANES = [[stories, soak, asan_stories, tsan_stories], [kube, lint, packages, fresh, arm64]]
LOW_PRIORITY = [lint, packages, fresh, arm64]
NEEDS = {stories: plain, soak: plain, kube: plain, packages: plain, asan_stories: with_asan, tsan_stories: with_tsan}
FLAKY = []  # lines of the runners of stories, and test programs
FAILURES = []  # lines that name what failed, by part


def run_part(part):
    report("== %s: %s" % (part.__name__, part.__doc__))
    Lane.current.lane.failures = []
    started = time.monotonic()
    try:
        total = part()
    except (OSError, RuntimeError) as error:
        report("    FAILED: %s" % error)
        total = Sum(0, 1)
    if total.failed:
        FAILURES.extend("%s: %s" % (part.__name__, line) for line in Lane.current.lane.failures[:20] or ["failed"])
    report("== %s: %d passed and %d failed in %.0f s" % (part.__name__, *total, time.monotonic() - started))
    return total


def builds_for(parts):
    """A part that builds the programs of all these parts."""
    def programs():
        """the programs of the stories, in each configuration"""
        for build_them in dict.fromkeys(NEEDS[part] for part in parts if part in NEEDS):
            build_them()
        bazel("shutdown")  # the next server of Bazel has the priority of the part that starts it
        return Sum(0, 0)
    return programs


def stages(wanted):
    """Lists of lanes: those of one stage run beside each other."""
    first = [part for part in PARTS + ON_REQUEST if part in wanted]
    if os.environ.get("HANDFAST_ONE_LANE"):
        return [[Lane(first)]]
    beside = [[part for part in lane if part in wanted] for lane in LANES]
    beside = [lane for lane in beside if lane]
    if len(beside) < 2:
        return [[Lane(first)]]
    later = sum(beside, [])
    first = [part for part in first if part not in later] + [builds_for(later)]
    return [[Lane(first)], [Lane(lane, background=at > 0) for at, lane in enumerate(beside)]]


def main():
    wanted = sys.argv[1:] or ["all"]
    if "all" in wanted:
        wanted = [name for name in wanted if name != "all"] + [part.__name__ for part in PARTS]
    if unknown := set(wanted) - {part.__name__ for part in PARTS + ON_REQUEST}:
        print("no such part: %s" % " ".join(unknown), file=sys.stderr)
        return 64
    sums, had_rules = [], has_rules()
    for lanes in stages([part for part in PARTS + ON_REQUEST if part.__name__ in wanted]):
        for lane in lanes:
            lane.start()
        for lane in lanes:
            lane.join()
            sums.extend(lane.sums)
            sums.extend([Sum(0, 1)] * (len(lane.parts) - len(lane.sums)))  # ended by an exception
        if has_rules() and not had_rules:
            print("rules of handfast-init are left on the machine itself; remove them: handfast-init down")
            sums.append(Sum(0, 1))
            had_rules = True
    subprocess.run(["bazel", "shutdown"], cwd=ROOT, capture_output=True)  # it may have the least priority
    passed, failed = sum(one.passed for one in sums), sum(one.failed for one in sums)
    for line in FAILURES + FLAKY:
        print(line)
    print("%d flaky" % len(FLAKY))
    print("%d passed, %d failed" % (passed, failed))
    return 1 if failed else 0


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="handfast-suite-") as WORK:
        os.chmod(WORK, 0o755)
        sys.exit(main())
