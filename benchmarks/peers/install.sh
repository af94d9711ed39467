#!/usr/bin/env bash
# The servers of benchmarks/bench_servers.py, in .tools/peers.
set -euo pipefail
cd "$(dirname "$0")/../.."
[ -x .tools/peers/bin/python ] || "${PYTHON:-python3}" -m venv .tools/peers
.tools/peers/bin/python -m pip --disable-pip-version-check --quiet install -r benchmarks/peers/requirements.txt
