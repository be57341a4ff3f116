#!/usr/bin/env bash
# The abuse cases of docs/threats.md, the tests that hold them, and every code that is cited.
exec python3 "$(dirname "$0")/threats.py"
