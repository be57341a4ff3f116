#!/usr/bin/env bash
# Every tracked C file is as .clang-format says.
. "$(dirname "$0")/counting.sh"

while read -r name; do
	[ -f "$name" ] || continue
	if findings=$(clang-format --dry-run -Werror "$name" 2>&1); then
		held
	else
		broken "$name: not formatted; clang-format -i $name"
		echo "$findings" | grep -m 3 'error:' | sed 's/^/  /'
	fi
done < <(git ls-files -- '*.c' '*.h' '*.def')
finish
