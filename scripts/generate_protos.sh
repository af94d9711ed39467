#!/usr/bin/env bash
# proto/irp/**.proto -> proto/gen/irp/** (messages, type stubs, gRPC stubs). Run by `make proto`.
set -euo pipefail
cd "$(dirname "$0")/../proto"
bin=$(dirname "$(command -v "${PYTHON:-python}")")
rm -rf gen/irp && mkdir -p gen
mapfile -t files < <(find irp -name '*.proto' | sort)
"$bin/python" -m grpc_tools.protoc -I. \
  --plugin=protoc-gen-mypy="$bin/protoc-gen-mypy" --plugin=protoc-gen-mypy_grpc="$bin/protoc-gen-mypy_grpc" \
  --python_out=gen --mypy_out=gen --grpc_python_out=gen --mypy_grpc_out=gen "${files[@]}"
# Packages, so that wheels and type checkers find them.
find gen/irp -type d -exec touch {}/__init__.py {}/py.typed \;
