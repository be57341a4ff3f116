# Sourced by the gates: counts what held and what did not, and ends with the line that test/run.sh adds up.
# HANDFAST_BAZEL_FLAGS may hold more flags for Bazel.
set -uo pipefail
cd "$(git -C "$(dirname "${BASH_SOURCE[0]}")" rev-parse --show-toplevel)" || exit 70
passed=0
failed=0

held() {
	passed=$((passed + 1))
}

broken() {
	failed=$((failed + 1))
	echo "$*"
}

finish() {
	echo "$passed passed, $failed failed"
	[ "$failed" = 0 ]
	exit
}

# Bazel without its noise, and without moving the bazel-bin link that others run programs from.
quiet_bazel() {
	local verb=$1
	shift
	nice -n 10 bazel "$verb" --symlink_prefix=/ ${HANDFAST_BAZEL_FLAGS:-} "$@"
}

our_c_files() {
	git ls-files -- '*.c' | while read -r name; do [ -f "$name" ] && echo "$name"; done
}
