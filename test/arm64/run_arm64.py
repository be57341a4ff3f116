#!/usr/bin/python3
"""Tests the programs for arm64 on amd64: images, unit tests by qemu-user, and what needs a kernel of arm64 in an emulated
machine. run.sh calls it. The last line is `N passed, N failed`."""

import glob
import os
import re
import shutil
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.dirname(HERE)]
sys.dont_write_bytecode = True

import machine  # noqa: E402 (the path must be set first)
import suite  # noqa: E402
from suite import Sum  # noqa: E402

# The system call filter, which the signer of the control plane has too, and IP_LOCAL_PORT_RANGE: qemu-user has neither.
NEEDS_KERNEL = ["//base/sandbox:sandbox_test", "//base/sandbox:sandbox_starter_test", "//base/sandbox:sandbox_foreign_test",
                "//base/net:local_ports_test", "//control/issue:issuer_test",
                "//control/serve:claims_test", "//control/serve:connections_test", "//control/serve:enrollment_test",
                "//control/serve:identity_service_test", "//control/serve:kubernetes_test",
                "//control/serve:server_identity_test"]
# Rules, a tunnel, a workload's calls to itself, IPv6, policy, restarts and drain.
STORIES = ["010", "020", "022", "024", "041", "053"]
MACHINE_LIMIT_S = 40 * 60
# An emulated processor is slow: what waits for a condition waits longer.
TEST_OPTIONS = ["--config=arm64", "--copt=-DTEST_WAIT_MS=60000"]
OPT = ["--config=arm64", "--config=opt"]
PROGRAMS = ["//{}:{}".format(*program.rsplit("/", 1)) for program in suite.PROGRAMS]
COMPILER = "/usr/bin/aarch64-linux-gnu-g++"


def images(folder):
    """The images for both platforms, twice with the same digests; the programs start in them."""
    digests = []
    for run in ("first", "second"):
        code, output = suite.run(["docker/build_images.sh", "--arm64", os.path.join(folder, run)], shows=False)
        digests.append(re.findall(r"^\S+/(\S+)\.tar: .*, amd64 and arm64, .*, (sha256:\w+)$", output, re.M))
        if code != 0:
            print(output[-3000:])
            return Sum(0, 1)
    for name, digest in digests[0]:
        print("    %s@%s" % (name, digest))
    has_same = len(digests[0]) == len(glob.glob("docker/Dockerfile.*", root_dir=suite.ROOT)) and digests[0] == digests[1]
    print("    %s the digests of two builds are the same" % ("PASS" if has_same else "FAIL"))
    return plus(Sum(int(has_same), int(not has_same)), last_line(*suite.run(["docker/check_images.sh", "arm64"])))


def packages(_folder):
    """The Debian packages, on a minimal Debian by qemu-user."""
    return last_line(*suite.run(suite.PYTHON + ["test/debian/run_arm64.py"]))


def hardening(_folder):
    """The flags of the linked programs, as test/lint checks them for amd64."""
    suite.build(*OPT, *suite.run(suite.PYTHON + ["test/lint/hardening.py", "--labels"], shows=False)[1].split())
    return last_line(*suite.run(suite.PYTHON + ["test/lint/hardening.py", bazel_info("bazel-bin", *OPT), libraries()]))


def libraries():
    return os.path.join(bazel_info("output_base"), "external/debian_arm64/root")


def in_qemu_user(_folder):
    """The unit tests and corpora on this machine's kernel."""
    code, output = suite.bazel("test", *TEST_OPTIONS, "--keep_going", "--test_summary=short", "--test_timeout=600",
                               "--run_under=" + machine.QEMU_USER, "--test_env=QEMU_LD_PREFIX=" + libraries(),
                               "--test_tag_filters=-netns", "--", "//...", *("-" + test for test in NEEDS_KERNEL))
    return suite.add_up(output, code)


def in_machine(folder):
    """The other unit tests, those that need network namespaces, and some stories, on a kernel of arm64."""
    guest = machine.Machine(os.path.join(folder, "machine"))
    listed = suite.bazel("query", r'attr(tags, "\bnetns\b", kind(cc_test, //...))')[1]
    names = [test[2:].replace(":", "/") for test in NEEDS_KERNEL + re.findall(r"^//\S+$", listed, re.M)]
    put_tests(names, os.path.join(guest.work, "tests"))
    put_programs(os.path.join(guest.work, "programs"))
    with open(os.path.join(guest.work, "stories"), "w") as file:
        file.write(" ".join(STORIES))
    output = suite.run(guest.argv(), limit_s=MACHINE_LIMIT_S)[1]
    return results(re.sub(r"\r|\x1b\[[\d;?]*\w", "", output), names)


def put_tests(names, folder):
    suite.build(*TEST_OPTIONS, *("//{}:{}".format(*name.rsplit("/", 1)) for name in names))
    above = bazel_info("bazel-bin", *TEST_OPTIONS)
    os.makedirs(folder)
    for name in names:
        shutil.copytree(os.path.join(above, name + ".runfiles"), os.path.join(folder, name + ".runfiles"))
    with open(os.path.join(folder, "list"), "w") as file:
        file.writelines(name + "\n" for name in names)


def put_programs(folder):
    suite.build(*OPT, *PROGRAMS)
    above = bazel_info("bazel-bin", *OPT)
    os.makedirs(folder)
    for program in suite.PROGRAMS:
        target = shutil.copy(os.path.join(above, program), folder)
        os.chmod(target, 0o755)


def results(output, names):
    """From the console. A test program that ends badly, or has no end there, is at least one failure; so is a run of the
    stories."""
    total = Sum(0, 0)
    for name in names:
        found = re.search(r"^test %s\n(.*?)^test %s: status (\d+)$" % ((re.escape(name),) * 2), output, re.M | re.S)
        counts = [sum(map(int, re.findall(r"^\[  %s  \] (\d+) test" % word, found.group(1) if found else "", re.M)))
                  for word in ("PASSED", "FAILED")]
        is_good = found is not None and found.group(2) == "0"
        total = plus(total, Sum(counts[0] or int(is_good), counts[1] or int(not is_good)))
    code = re.search(r"^stories: status (\d+)$", output, re.M)
    return plus(total, last_line(int(code.group(1)) if code else 1, output))


def bazel_info(key, *words):
    return re.findall(r"^/\S*$", suite.bazel("info", *words, key)[1], re.M)[-1]


def last_line(code, output):
    found = re.findall(r"^(\d+) passed, (\d+) failed$", output, re.M)
    passed, failed = map(int, found[-1]) if found else (0, 1)
    return Sum(passed, failed or int(code != 0))


def plus(one, other):
    return Sum(one.passed + other.passed, one.failed + other.failed)


def main():
    missing = [path for path in (COMPILER, machine.QEMU, machine.QEMU_USER) if not os.path.exists(path)]
    if missing:
        print("the tests for arm64 are left out: there is no %s; expected: the packages of docker/apt-packages-arm64.txt and "
              "test/arm64/apt-packages.txt" % ", ".join(missing))
        print("0 passed, 0 failed")
        return 0
    total = Sum(0, 0)
    with tempfile.TemporaryDirectory(prefix="handfast-arm64-") as folder:
        for step in (images, packages, hardening, in_qemu_user, in_machine):
            print("-- %s: %s" % (step.__name__, step.__doc__), flush=True)
            one = step(folder)
            print("-- %s: %d passed, %d failed" % (step.__name__, *one), flush=True)
            total = plus(total, one)
    print("%d passed, %d failed" % total)
    return 1 if total.failed else 0


if __name__ == "__main__":
    sys.exit(main())
