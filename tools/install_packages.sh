#!/usr/bin/env bash
# tools/install_packages.sh LIST ... : installs by apt the packages of the lists (one per line, # comments) that are
# missing. Prints what it does; uses the network only when a package is missing.
set -euo pipefail

wanted=$(cat "$@" | sed 's/#.*//' | tr -s ' \n' '\n' | sort -u | sed '/^$/d')
installed=$(dpkg-query -W -f='${Package} ${Status}\n' 2>/dev/null | awk '/ install ok installed$/ {print $1}')
missing=$(comm -23 <(echo "$wanted") <(echo "$installed" | sort -u))
if [ -z "$missing" ]; then
	exit 0
fi
if [ "$(id -u)" != 0 ]; then
	echo "expected to be root, to install with apt: $(echo $missing); run this as root, or install them yourself" >&2
	exit 77
fi
echo "installing $(echo "$missing" | wc -l) Debian packages: $(echo $missing)"
export DEBIAN_FRONTEND=noninteractive
# Packages must not start their servers: the tests run their own, in namespaces.
policy=/usr/sbin/policy-rc.d
made_policy=
if [ ! -e "$policy" ]; then
	printf '#!/bin/sh\nexit 101\n' >"$policy"
	chmod 755 "$policy"
	made_policy=1
fi
trap '[ -z "$made_policy" ] || rm -f "$policy"' EXIT
echo "apt downloads and unpacks them now; with all that they need this takes minutes on a new machine"
# apt's own output goes to the log; of it one line per 20 packages that are set up.
show_progress() {
	awk -v log_file="$1" '{ print > log_file } /^Setting up / && ++num % 20 == 0 { print num " packages are set up"; fflush() }'
}
log=$(mktemp)
if ! { apt-get -q update && apt-get -q install -y --no-install-recommends $missing; } 2>&1 | show_progress "$log"; then
	tail -n 30 "$log" >&2
	echo "expected apt to install the packages above; see $log" >&2
	exit 69
fi
rm -f "$log"
