#!/usr/bin/env bash
# The shipped programs (--config=opt): their hardening is in the binary, not only in a flag.
. "$(dirname "$0")/counting.sh"

log=$(mktemp)
trap 'rm -f "$log"' EXIT
mapfile -t labels < <(python3 test/lint/hardening.py --labels)
if ! quiet_bazel build --config=opt "${labels[@]}" >"$log" 2>&1; then
	broken "bazel build --config=opt of the programs fails:"
	grep -E 'error: |^ERROR: ' "$log" | head -n 20
	finish
fi
python3 test/lint/hardening.py "$(bazel info --config=opt bazel-bin 2>/dev/null)"
