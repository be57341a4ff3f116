"""C code from .proto files by Debian's protoc and protobuf-c, made in the build and never committed."""

load("//tools:handfast.bzl", "hf_generated_library")

def hf_proto_library(name, srcs, visibility):
    outs = []
    for src in srcs:
        stem = src[:-len(".proto")]
        outs += [stem + ".pb-c.h", stem + ".pb-c.c"]
    native.genrule(
        name = name + "_c",
        srcs = srcs,
        outs = outs,
        # Paths from the workspace root, the same in #include and import.
        cmd = "protoc-c --proto_path=. --c_out=$(GENDIR) $(SRCS)",
    )
    hf_generated_library(
        name = name,
        srcs = [out for out in outs if out.endswith(".c")],
        hdrs = [out for out in outs if out.endswith(".h")],
        visibility = visibility,
        deps = ["//third_party/protobuf_c"],
    )
