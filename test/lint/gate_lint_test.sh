#!/usr/bin/env bash
# The lint's own tests.
exec python3 "$(dirname "$0")/lint_test.py"
