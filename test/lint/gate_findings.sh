#!/usr/bin/env bash
# Each finding about release 0.1.0 has a test with its number.
exec python3 "$(dirname "$0")/findings.py"
