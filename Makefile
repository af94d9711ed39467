# OpenIRP: `make demo` and `make test` are all a newcomer needs; each sets itself up.
SHELL := /bin/bash
BIN := .venv/bin
export PATH := $(CURDIR)/.venv/bin:$(CURDIR)/.tools/bin:$(PATH)
SOURCES := libs services clients scripts tests benchmarks
PYTEST_ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help setup proto fmt lint test flow chaos up down demo models bench shape docs images lock

##@ Begin here
help: ## This page
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n\033[1m%s\033[0m\n", substr($$0, 5)} /^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' Makefile
demo: setup ## The whole story on real hearts; writes out/demo/report.html (ARGS="--short --keep")
	irp demo $(ARGS)
test: setup ## Every test, on the real parts
	OMP_NUM_THREADS=1 pytest -q -n 2 --dist loadgroup --no-loadscope-reorder $(PYTEST_ARGS)

##@ Run
up: setup ## Start the whole house and stay (Ctrl-C ends it); `irp up --detach` returns
	irp up
down: ## Stop the house
	irp down

##@ Develop
setup: ## Virtual environment, pinned dependencies, nats-server (nothing when nothing changed)
	@scripts/setup.sh
proto: setup ## proto/irp -> proto/gen
	scripts/generate_protos.sh
fmt: setup ## Format and fix
	ruff format $(wildcard $(SOURCES)) && ruff check --fix $(wildcard $(SOURCES))
lint: setup ## ruff, mypy --strict, import-linter, buf, generated files, manifests
	ruff format --check $(wildcard $(SOURCES))
	ruff check $(wildcard $(SOURCES))
	mypy libs services clients
	lint-imports --cache-dir .import_linter_cache
	cd proto && buf lint
	scripts/check_generated.sh
	python scripts/generate_docs.py --check
	python scripts/check_manifests.py
flow: setup ## Only the stories through several rooms
	OMP_NUM_THREADS=1 pytest -q tests/flow $(PYTEST_ARGS)
chaos: setup ## The full matrix of killed processes (long)
	OMP_NUM_THREADS=1 IRP_CHAOS=1 pytest -q tests/flow -m chaos $(PYTEST_ARGS)
models: setup ## Train the shipped models through the training server's API (long; needs the data named in models/README.md)
	python scripts/make_models.py $(ARGS)
bench: setup ## Benchmarks side by side; prints ratios, writes out/bench/*.json
	for file in benchmarks/bench_*.py; do python $$file || exit 1; done
shape: setup ## Lengths, annotations, docstrings: numbers to keep in view
	@python scripts/shape.py
docs: setup ## Generated reference pages
	python scripts/generate_docs.py
lock: ## constraints.txt from what is installed
	pip freeze --exclude-editable | sed 's/+cpu$$//; s/+cu[0-9]*$$//' | grep -Ev '^(pip|irp-|openirp|nvidia-|triton)' > constraints.txt
images: ## Container images (needs docker or podman)
	deploy/build_images.sh
