#!/usr/bin/env bash
# The former name of gate_house_rules.sh, for scripts outside the tree that still call it.
exec "$(dirname "$0")/gate_house_rules.sh"
