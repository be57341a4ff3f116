#!/usr/bin/env bash
# test/kube/run.sh [WHICH ...] : the stories on a real Kubernetes (see README.md), as root. Without Go 1.26 or newer, and
# with nothing built, it reports that and passes.
#   test/kube/run.sh build    only builds Kubernetes' programs
#   test/kube/run.sh --list   the stories
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
case ${1-} in -h | --help) sed -n '2,5s/^# \?//p' "$0" && exit 0 ;; esac
exec /usr/bin/python3 -W ignore test/kube/run_stories.py "$@"
