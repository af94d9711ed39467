#!/usr/bin/env bash
# Makes .venv with pinned dependencies, and nats-server; does nothing when nothing changed.
# TORCH_INDEX=URL chooses another build of torch (see README: CPU or CUDA).
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; set PYTHON=" >&2; exit 1; }
packages=(proto libs/kernel libs/deid libs/bundle libs/chassis services/* 'services/training[int8]' 'clients/python[local]')
want=$(cat constraints.txt requirements-dev.txt tests/judges/requirements.txt scripts/setup.sh proto/pyproject.toml {libs,services,clients}/*/pyproject.toml | sha256sum; echo "$PWD ${TORCH_INDEX:-}")
if [ "$(cat .venv/.setup 2>/dev/null)" = "$want" ] && [ -x .tools/bin/nats-server ] && [ -x .tools/judges/bin/python ]; then exit 0; fi

say() { printf '\033[1m%s\033[0m\n' "$*"; }
[ -x .venv/bin/python ] || { say "Making .venv"; "$python" -m venv .venv; }
pip() { .venv/bin/python -m pip --disable-pip-version-check --quiet "$@" 2> >(grep -v '^WARNING: Location' >&2); }
say "Installing torch (the largest part; TORCH_INDEX chooses another build, see README.md)"
pip install ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} "$(grep '^torch==' constraints.txt)"
say "Building pyradiomics (needs a C compiler and numpy first)"
pip install -c constraints.txt numpy "setuptools<81" wheel versioneer cython hatchling editables
pip install -c constraints.txt --no-build-isolation "$(grep '^pyradiomics==' constraints.txt)"
say "Installing everything else"
arguments=(); for package in "${packages[@]}"; do arguments+=(-e "$package"); done
pip install -c constraints.txt --no-build-isolation "${arguments[@]}" -r requirements-dev.txt
say "Fetching nats-server"
PYTHON=.venv/bin/python scripts/install_nats.sh
say "Installing Triton's client, which judges the Open Inference Protocol (an environment of its own)"
[ -x .tools/judges/bin/python ] || "$python" -m venv .tools/judges
.tools/judges/bin/python -m pip --disable-pip-version-check --quiet install -r tests/judges/requirements.txt 2> >(grep -v '^WARNING: Location' >&2)
echo "$want" > .venv/.setup
