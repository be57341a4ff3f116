#!/usr/bin/env bash
# The team's own errors, by rules of its own.
exec python3 "$(dirname "$0")/own_mistakes.py"
