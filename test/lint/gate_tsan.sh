#!/usr/bin/env bash
# Unit tests of everything that has a thread, under ThreadSanitizer.
. "$(dirname "$0")/counting.sh"

tests="//base/core:all //certs:svid_test //control:all //control/store:all //sidecar:all //sidecar/worker:all"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
quiet_bazel test --config=tsan --build_tests_only --test_tag_filters=unit -k $tests >"$log" 2>&1
while read -r label result; do
	case $result in
	PASSED) held ;;
	*) broken "$label $result under ThreadSanitizer" ;;
	esac
done < <(sed -nE 's/^(\/\/[^ ]+) +(\(cached\) )?(PASSED|FAILED|TIMEOUT|NO STATUS|FLAKY)( .*)?$/\1 \3/p; s/^(\/\/[^ ]+) +FAILED TO BUILD.*/\1 FAILED/p' "$log" | sort -u)
[ "$failed" = 0 ] || grep -A 25 'WARNING: ThreadSanitizer' "$log" | head -n 80
[ "$((passed + failed))" -gt 0 ] || { broken "no test ran:"; grep -E 'error|ERROR' "$log" | cut -c 1-300 | head; }
finish
