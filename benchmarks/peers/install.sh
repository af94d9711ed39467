#!/usr/bin/env bash
# The servers of benchmarks/bench_servers.py, each in an environment of its own: .tools/peers/NAME.
# install.sh [NAME ...]; without names all of them.
set -euo pipefail
cd "$(dirname "$0")/../.."
for peer in ${@:-litserve bentoml mlserver triton monailabel}; do
  here=.tools/peers/$peer
  [ -x "$here/bin/python" ] || "${PYTHON:-python3}" -m venv "$here"
  "$here/bin/python" -m pip --disable-pip-version-check --quiet install -r "benchmarks/peers/$peer.txt"
done
