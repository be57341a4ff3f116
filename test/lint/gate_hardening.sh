#!/usr/bin/env bash
# The shipped programs (--config=opt): their hardening is in the binary, not only in a flag.
. "$(dirname "$0")/counting.sh"

log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! quiet_bazel build --config=opt //sidecar:handfast-sidecar //control:handfast-control //cli:handfast \
	//intercept:handfast-init //intercept/cni:handfast-cni >"$log" 2>&1; then
	broken "bazel build --config=opt of the four programs fails:"
	grep -E 'error: |^ERROR: ' "$log" | head -n 20
	finish
fi
python3 test/lint/hardening.py "$(bazel info --config=opt bazel-bin 2>/dev/null)"
