#!/usr/bin/env bash
# docker/demo.sh [--keep]: installs what building and the demo need, builds, and plays the demo (docker/demo.py), as root.
#
# --keep keeps everything running afterwards, until Ctrl-C. Exit codes: 0 every claim holds; 1 one does not (the last line
# says which; the logs are kept); 64 wrong flags; 69 packages are missing; 77 not root; 130 Ctrl-C.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

for word in "$@"; do
	case $word in
	--keep) ;;
	-h | --help) sed -n '2,/^set /{/^#/s/^# \{0,1\}//p}' docker/demo.sh && exit 0 ;;
	*) echo "expected --keep or --help, got $word" >&2 && exit 64 ;;
	esac
done
if [ "$(id -u)" != 0 ]; then
	echo "expected to be root: the demo makes network namespaces; run docker/demo.sh as root" >&2
	exit 77
fi
cat <<'TEXT'
This will
  1. install by apt what is missing of tools/apt-packages.txt and test/apt-packages.txt
  2. build the four programs with Bazel (about four minutes the first time, seconds afterwards)
  3. play a demo of about a minute in network namespaces of its own, which are removed afterwards
TEXT

export HOME="${HOME:-/root}" USER="${USER:-root}" # Bazel wants both
echo "1. Packages"
tools/install_packages.sh tools/apt-packages.txt test/apt-packages.txt

echo "2. Building"
programs=(//control:handfast-control //sidecar:handfast-sidecar //intercept:handfast-init //cli:handfast)
# What a compiler or linker says of other people's code helps nobody here; errors are told whatever the filter.
bazel build --config=opt --show_progress --show_progress_rate_limit=5 --ui_event_filters=-info,-warning,-debug \
	"${programs[@]}"

echo "3. The demo"
HANDFAST_BIN=$(bazel info --config=opt bazel-bin 2>/dev/null) exec python3 docker/demo.py "$@"
