#!/usr/bin/env bash
# Every tracked C file is formatted by .clang-format.
. "$(dirname "$0")/counting.sh"

mapfile -t files < <(git ls-files -- '*.c' '*.h' | while read -r name; do [ -f "$name" ] && echo "$name"; done)
findings=$(printf '%s\n' "${files[@]}" | nice -n 10 xargs -n 40 -P 2 clang-format --dry-run 2>&1 | grep -E ': (warning|error): ' | cut -d: -f1 | sort -u)
for name in $findings; do
	broken "$name: not formatted; clang-format -i $name"
done
passed=$((${#files[@]} - failed))
finish
