#!/usr/bin/env bash
# Files, functions and structs that the documents name exist.
exec python3 "$(dirname "$0")/document_names.py"
