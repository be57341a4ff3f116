#!/usr/bin/env bash
# clang-tidy, by .clang-tidy, over every C file. The build makes the headers that come from .proto files and BoringSSL's.
. "$(dirname "$0")/counting.sh"

if ! quiet_bazel build //proto:handfast_v1 @boringssl//:ssl >/dev/null 2>&1; then
	broken "expected //proto:handfast_v1 and @boringssl//:ssl to build"
	finish
fi
HANDFAST_GENERATED=$(bazel info bazel-bin 2>/dev/null)
HANDFAST_BORINGSSL=$(bazel info output_base 2>/dev/null)/external/boringssl/include
export HANDFAST_GENERATED HANDFAST_BORINGSSL
exec python3 test/lint/tidy.py "$@"
