"""The rules that every BUILD file of ours uses: house flags in, nothing else."""

load("@rules_cc//cc:defs.bzl", "cc_binary", "cc_library", "cc_test")

TAGS = ["unit", "integration", "netns", "fuzz", "soak", "interop", "bench"]

_WARNINGS = [
    "-Wall",
    "-Wextra",
    "-Werror",
    "-Wshadow",
    "-Wconversion",
    "-Wstrict-prototypes",
    "-Wmissing-prototypes",
    "-Wswitch-enum",
    "-Wformat=2",
    "-Wvla",
    "-Wno-missing-field-initializers",
]

_LANGUAGE = ["-std=gnu17", "-D_GNU_SOURCE", "-fPIE", "-fstack-protector-strong"] + select({
    "//tools:arm64": ["-mbranch-protection=standard"],
    "//conditions:default": ["-fcf-protection"],
})

_FORTIFY = select({
    "//tools:asan": [],
    "//tools:tsan": [],
    "//tools:fuzz": [],
    "//conditions:default": ["-U_FORTIFY_SOURCE", "-D_FORTIFY_SOURCE=2"],
})

COPTS = _LANGUAGE + _WARNINGS + _FORTIFY

# A target must depend on the library of each header that it includes. Only clang checks this (gcc ignores it), and only
# for the targets of this tree: BoringSSL's BUILD files do not comply.
_FEATURES = ["layering_check"]

# Generated code has the hardening flags but not the strict warnings.
GENERATED_COPTS = _LANGUAGE + ["-w"] + _FORTIFY

# Bazel links libstdc++ and libm to all targets; none needs them.
_HARDENED_LINK = ["-Wl,--as-needed", "-pie", "-Wl,-z,relro,-z,now", "-Wl,-z,noexecstack"]

# gcc refuses -static with a sanitizer; static-pie needs the bfd linker.
_STATIC_LINK = select({
    "//tools:asan": _HARDENED_LINK,
    "//tools:tsan": _HARDENED_LINK,
    "//tools:fuzz": _HARDENED_LINK,
    "//conditions:default": ["-static-pie", "-fuse-ld=bfd", "-Wl,-z,relro,-z,now", "-Wl,-z,noexecstack"],
})

# Of a static program's 215 KB of relocations 2 KB are left, which is as much less in memory. Debian's linker packs them
# for amd64 alone; those of the sanitizers' builds do not know the option.
_PACKED_RELOCATIONS = select({
    "//tools:arm64": [],
    "//tools:asan": [],
    "//tools:tsan": [],
    "//tools:fuzz": [],
    "//conditions:default": ["-Wl,-z,pack-relative-relocs"],
})

def hf_library(name, copts = [], **kwargs):
    cc_library(
        name = name,
        copts = COPTS + copts,
        features = _FEATURES,
        **kwargs
    )

def hf_generated_library(name, **kwargs):
    cc_library(
        name = name,
        copts = GENERATED_COPTS,
        **kwargs
    )

def hf_binary(name, static = True, copts = [], linkopts = [], **kwargs):
    cc_binary(
        name = name,
        copts = COPTS + copts,
        linkopts = (_STATIC_LINK + _PACKED_RELOCATIONS if static else _HARDENED_LINK) + linkopts,
        linkstatic = True,
        # Bazel detects gold and uses its option to group objects; bfd, which static-pie needs, lacks it.
        features = _FEATURES + ["-supports_start_end_lib"],
        **kwargs
    )

def hf_preload(name, srcs):
    """A shared library for LD_PRELOAD, for tests only. Without a sanitizer: other programs are started with it, too."""
    cc_binary(
        name = name,
        testonly = True,
        srcs = srcs,
        copts = COPTS + ["-fPIC", "-fno-sanitize=all"],
        linkopts = ["-nodefaultlibs", "-lc", "-ldl"],  # gcc adds none of a sanitizer then
        linkshared = True,
    )

def hf_test(name, srcs, deps = [], tags = ["unit"], size = "small", copts = [], **kwargs):
    for tag in tags:
        if tag not in TAGS:
            fail("expected a tag from {}, got {}".format(TAGS, tag))
    native_tags = tags + (["local", "exclusive"] if "netns" in tags else [])
    cc_test(
        name = name,
        srcs = srcs,
        copts = COPTS + copts,
        features = _FEATURES,
        linkopts = ["-pie"],
        linkstatic = True,
        size = size,
        tags = native_tags,
        deps = deps + ["//third_party/cmocka"],
        **kwargs
    )

def hf_module(name, deps = [], test_deps = [], **kwargs):
    """NAME.c with NAME.h as a library, and NAME_test.c as its test; test_deps: what the test uses besides."""
    hf_library(
        name = name,
        srcs = [name + ".c"],
        hdrs = [name + ".h"],
        deps = deps,
        **kwargs
    )
    hf_test(
        name = name + "_test",
        srcs = [name + "_test.c"],
        deps = [":" + name] + test_deps,
    )

def hf_fuzz(name, srcs, corpus, deps = []):
    """A fuzz target: with --config=fuzz libFuzzer's, else a test that runs the corpus (a folder) once."""
    cc_test(
        name = name,
        srcs = srcs + select({
            "//tools:fuzz": [],
            "//conditions:default": ["//test/fuzz:corpus_main.c"],
        }),
        copts = COPTS,
        features = _FEATURES,
        linkopts = ["-pie"] + select({
            "//tools:fuzz": ["-fsanitize=fuzzer"],
            "//conditions:default": [],
        }),
        linkstatic = True,
        size = "small",
        tags = ["unit", "fuzz"],
        args = select({
            "//tools:fuzz": ["-runs=0"],
            "//conditions:default": [],
        }) + [native.package_name() + "/" + corpus],
        data = native.glob([corpus + "/**"]),
        deps = deps,
    )
