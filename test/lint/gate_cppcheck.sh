#!/usr/bin/env bash
# cppcheck over all C files; its false reports are in cppcheck.suppressions, with reasons.
. "$(dirname "$0")/counting.sh"

cache=${TMPDIR:-/tmp}/handfast-cppcheck-$(id -u)
mkdir -m 700 "$cache" 2>/dev/null || true
findings=$(our_c_files | nice -n 10 cppcheck -j 2 --quiet --std=c11 --language=c --enable=warning,performance,portability \
	--inline-suppr --suppressions-list=test/lint/cppcheck.suppressions --max-configs=1 --cppcheck-build-dir="$cache" \
	-I . -D_GNU_SOURCE -D__linux__ -D__x86_64__ -D__SIZEOF_INT128__ --library=posix --file-list=- \
	--template='{file}:{line}: {severity}: {message} [{id}]' 2>&1)
total=$(our_c_files | wc -l)
failed=$(echo "$findings" | sed -nE 's/^([^:]+):[0-9]+: .*/\1/p' | sort -u | wc -l)
passed=$((total - failed))
[ -z "$findings" ] || echo "$findings"
finish
