#!/usr/bin/env bash
# Headers, libraries and programs against the lists of packages.
exec python3 "$(dirname "$0")/packages.py"
