#!/usr/bin/env bash
# The alerts and the dashboard of deploy/monitoring against the tables of metrics, and their tests by promtool.
exec python3 "$(dirname "$0")/monitoring.py"
