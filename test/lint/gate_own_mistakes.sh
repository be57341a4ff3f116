#!/usr/bin/env bash
# The team's own mistakes, by rules of its own.
exec python3 "$(dirname "$0")/own_mistakes.py"
