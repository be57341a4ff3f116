#!/usr/bin/env bash
# The whole tree builds with clang too, which has other warnings than gcc, and checks that each file that includes a header depends on the library that owns it (layering_check, in the hf_* macros).
. "$(dirname "$0")/counting.sh"

log=$(mktemp)
trap 'rm -f "$log"' EXIT
if quiet_bazel build --config=clang -k //... >"$log" 2>&1; then
	held
else
	broken "bazel build --config=clang //... fails:"
	grep -E '(^|[^a-z])error: |^ERROR: ' "$log" | cut -c 1-300 | head -n 40 | sed 's/^/  /'
fi
finish
