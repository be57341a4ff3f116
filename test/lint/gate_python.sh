#!/usr/bin/env bash
# Runs pyflakes over all Python files: names that do not exist, imports and variables that nothing uses.
. "$(dirname "$0")/counting.sh"

if findings=$(git ls-files -z -- '*.py' | xargs -0 nice -n 10 pyflakes3 2>&1); then
	held
else
	broken "$findings"
fi
finish
