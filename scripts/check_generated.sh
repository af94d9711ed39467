#!/usr/bin/env bash
# Fails if proto/gen is not what proto/irp generates.
set -euo pipefail
cd "$(dirname "$0")/.."
before=$(mktemp -d); trap 'rm -rf "$before"' EXIT
cp -r proto/gen/irp "$before/"
scripts/generate_protos.sh > /dev/null 2>&1
if ! diff -rq -x __pycache__ "$before/irp" proto/gen/irp; then
  echo "proto/gen was out of date: it is regenerated now; commit it" >&2; exit 1
fi
