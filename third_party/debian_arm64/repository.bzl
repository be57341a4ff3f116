"""A cross compiler for arm64 of Debian's packages, loaded only with --config=arm64: the compiler is installed
(docker/apt-packages-arm64.txt), libraries and headers are Debian's arm64 packages in a folder of this repository."""

_TARGET = "aarch64-linux-gnu"

def _libraries(packages):
    """The development packages in the text of tools/apt-packages.txt, and those of C and C++."""
    lines = [line.strip() for line in packages.splitlines()]
    return ["libc6-dev", "libstdc++-12-dev"] + [line for line in lines if line.startswith("lib") and line.endswith("-dev")]

def _debian_arm64_impl(ctx):
    for program in ["gcc", "g++"]:
        if not ctx.which(_TARGET + "-" + program):
            fail("there is no {}-{}; expected: Debian's cross compiler; fix: tools/install_packages.sh docker/apt-packages-arm64.txt".format(_TARGET, program))
    libraries = _libraries(ctx.read(ctx.path(ctx.attr.packages)))
    made = ctx.execute([ctx.path(ctx.attr._sysroot), ctx.path("root")] + libraries, timeout = 600)
    if made.return_code != 0:
        fail("apt does not give Debian's arm64 packages: {}; expected: a mirror that has them; fix: run apt-get update and try again".format(made.stderr[-2000:]))
    for folder in ["etc", "usr/bin", "usr/share", "var"]:
        ctx.delete("root/" + folder)
    ctx.template("BUILD", ctx.attr._build, {"%{root}": str(ctx.path("root"))}, executable = False)

debian_arm64 = repository_rule(
    implementation = _debian_arm64_impl,
    attrs = {
        "packages": attr.label(mandatory = True, allow_single_file = True),
        "_build": attr.label(default = "//third_party/debian_arm64:toolchain.BUILD", allow_single_file = True),
        "_sysroot": attr.label(default = "//third_party/debian_arm64:sysroot.sh", allow_single_file = True),
    },
)
