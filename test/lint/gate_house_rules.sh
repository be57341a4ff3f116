#!/usr/bin/env bash
# The rules of this project, which are in house_rules.py.
exec python3 "$(dirname "$0")/house_rules.py"
