#!/usr/bin/env bash
# test/arm64/run.sh : the programs for arm64, tested on amd64 (see README.md), as root. Without the cross compiler and
# QEMU it reports that and passes.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
case ${1-} in -h | --help) sed -n '2,3s/^# \?//p' "$0" && exit 0 ;; esac
exec /usr/bin/python3 -W ignore test/arm64/run_arm64.py
