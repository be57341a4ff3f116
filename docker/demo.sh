#!/usr/bin/env bash
# docker/demo.sh [--keep]: installs packages, builds, and runs the demo (docker/demo.py), as root.
# --keep keeps everything running afterwards, until Ctrl-C. Exit codes: 0 all claims hold; 1 one does not (see the last
# line; the logs are kept); 64 wrong flags; 69 packages are missing; 77 not root; 130 Ctrl-C.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

for flag in "$@"; do
	case $flag in
	--keep) ;;
	-h | --help) sed -n '2,/^set /{/^#/s/^# \{0,1\}//p}' docker/demo.sh && exit 0 ;;
	*) echo "unknown flag $flag; expected: --keep or --help" >&2 && exit 64 ;;
	esac
done
if [ "$(id -u)" != 0 ]; then
	echo "expected to be root: the demo makes network namespaces; run docker/demo.sh as root" >&2
	exit 77
fi
cat <<'TEXT'
This will
  1. install by apt what is missing of tools/apt-packages.txt and test/apt-packages.txt
  2. build the four programs with Bazel (about five minutes the first time, seconds afterwards)
  3. play a demo of about a minute in network namespaces of its own, which are removed afterwards
TEXT

export HOME="${HOME:-/root}" USER="${USER:-root}" # Bazel needs both
echo "1. Packages"
tools/install_packages.sh tools/apt-packages.txt test/apt-packages.txt

echo "2. Building"
programs=(//control:handfast-control //sidecar:handfast-sidecar //intercept:handfast-init //cli:handfast)
# Hides warnings about third-party code; errors are shown in any case.
bazel build --config=opt --show_progress --show_progress_rate_limit=5 --ui_event_filters=-info,-warning,-debug \
	"${programs[@]}"

echo "3. The demo"
HANDFAST_BIN=$(bazel info --config=opt bazel-bin 2>/dev/null) exec python3 docker/demo.py "$@"
