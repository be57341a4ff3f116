#!/usr/bin/env bash
# Runs shellcheck over all shell scripts, with what they source, and over the parts of the packages' maintainer scripts.
. "$(dirname "$0")/counting.sh"

check() {
	local findings
	if findings=$(nice -n 10 shellcheck -x -P SCRIPTDIR:. -S warning -f gcc "$@" 2>&1); then
		held
	else
		broken "$findings"
	fi
}

while read -r name; do
	check "$name"
done < <(git ls-files -- '*.sh' .ci | xargs grep -lE '^#!/(usr/)?bin/(env )?(ba|da)?sh$')
for name in deploy/debian/scripts/*; do
	check --shell=sh "$name"
done
finish
