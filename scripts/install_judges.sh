#!/usr/bin/env bash
# Other people's clients that judge our doors, each in .tools/judges/NAME; does nothing when nothing changed.
set -euo pipefail
cd "$(dirname "$0")/.."
wanted=tests/judges/requirements-triton.txt
home=.tools/judges/triton
want=$(sha256sum < "$wanted")
if [ "$(cat "$home/.setup" 2>/dev/null)" = "$want" ] && [ -x "$home/bin/python" ]; then exit 0; fi
rm -rf "$home"
"${PYTHON:-python3}" -m venv "$home"
"$home/bin/python" -m pip --disable-pip-version-check --quiet install -r "$wanted" 2> >(grep -v '^WARNING: Location' >&2)
echo "$want" > "$home/.setup"
