#!/usr/bin/env bash
# Builds the images of the rooms: deploy/build_images.sh [--torch cpu|cuda] [--torch-index URL] [--tag TAG] [ROOM...]
# Uses docker, or podman where there is no docker. Images say which commit they are of; what is not committed is told.
set -euo pipefail
cd "$(dirname "$0")/.."
torch=${TORCH:-cpu} index=${TORCH_INDEX:-} tag=latest rooms=()
while [ $# -gt 0 ]; do
  case $1 in
    --torch) torch=$2; shift 2 ;;
    --torch-index) index=$2; shift 2 ;;
    --tag) tag=$2; shift 2 ;;
    -*) sed -n 2,3p "$0" >&2; exit 2 ;;
    *) rooms+=("$1"); shift ;;
  esac
done
[ ${#rooms[@]} -gt 0 ] || rooms=(gateway ingest quality annotation training inference radiomics)
engine=$(command -v docker || command -v podman) || { echo "docker or podman is needed to build images" >&2; exit 1; }
commit=${COMMIT:-$(git rev-parse HEAD 2>/dev/null || true)}
if [ -n "$commit" ] && [ -z "${COMMIT:-}" ] && [ -n "$(git status --porcelain -- constraints.txt proto libs services models)" ]; then
  commit+=-changed
fi
for room in "${rooms[@]}"; do
  arguments=(--build-arg "COMMIT=$commit")
  if grep -q '^ARG TORCH=' "services/$room/Dockerfile"; then
    arguments+=(--build-arg "TORCH=$torch" --build-arg "TORCH_INDEX=$index")
  fi
  echo "building openirp/$room:$tag"
  "$engine" build "${arguments[@]}" -f "services/$room/Dockerfile" -t "openirp/$room:$tag" .
done
