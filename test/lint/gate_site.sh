#!/usr/bin/env bash
# The site of the documents builds in strict mode, and its links lead somewhere.
exec python3 "$(dirname "$0")/site_check.py"
