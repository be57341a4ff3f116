#!/usr/bin/env bash
# test/run.sh: everything that is proven, in one command, as root.
# Installs what Debian packages it needs, builds, tests, and ends with `N passed, N failed` (see test/suite.py).
set -euo pipefail
cd "$(dirname "$0")/.."
case ${1:-} in
-h | --help) sed -n '2,/"""$/{s/^"""//;s/"""$//;s/suite\.py/run.sh/;p}' test/suite.py && exit 0 ;;
-*) echo "expected names of parts, or --help; got $1" >&2 && exit 64 ;;
esac
if [ "$(id -u)" != 0 ]; then
	echo "expected to be root, for packages and network namespaces; run test/run.sh as root" >&2
	exit 77
fi
export HOME="${HOME:-/root}" USER="${USER:-root}"
tools/install_packages.sh tools/apt-packages.txt test/apt-packages.txt test/lint/apt-packages.txt
exec /usr/bin/python3 -W ignore test/suite.py "$@"
