# Every target sets up what it needs; a second run downloads and builds nothing.
# `make` alone lists the targets.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# One profile for everything, so that the dependencies are built only once.
CARGO_FLAGS := --release --locked
TARGET_DIR = $(or $(CARGO_TARGET_DIR),target)

# The Python of the oracle. To use another one that has PyTorch 2.11, numpy and Pillow:
# make oracle ORACLE_PYTHON=/path/to/python
ORACLE_VENV := $(TARGET_DIR)/oracle-venv
ORACLE_PYTHON ?= $(ORACLE_VENV)/bin/python

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

.PHONY: demo
demo: build ## Paint the bundled pictures and show the result (sets everything up first)
	@$(TARGET_DIR)/release/impasto demo

.PHONY: test
test: setup ## Run all the tests (sets everything up first)
	cargo test $(CARGO_FLAGS)

.PHONY: build
build: setup ## Build the program
	cargo build $(CARGO_FLAGS)

.PHONY: install
install: setup ## Install the program for your user, in ~/.cargo/bin
	cargo install --locked --path .

.PHONY: setup
setup: ## Check the tools, find or fetch libtorch
	@wanted=$$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml); \
	hint="Install Rust $$wanted or newer with rustup, see https://rustup.rs (rustup update brings an older one up to date)."; \
	command -v cargo >/dev/null || { echo "impasto is built with cargo, and there is none on the PATH. $$hint" >&2; exit 1; }; \
	found=$$(cargo --version | cut -d ' ' -f 2) || { echo "cargo does not run. $$hint" >&2; exit 1; }; \
	printf '%s\n' "$$wanted" "$$found" | sort -V -C || { echo "cargo is version $$found, too old for impasto. $$hint" >&2; exit 1; }
	@scripts/libtorch.sh --link .libtorch >/dev/null

.PHONY: lint
lint: setup ## Check formatting, the dependencies between modules, and clippy
	cargo fmt --all --check
	scripts/check_modules.py
	cargo clippy $(CARGO_FLAGS) --all-targets -- -D warnings

.PHONY: oracle
oracle: $(ORACLE_PYTHON) ## Compute the results under tests/oracle anew (fetches PyTorch: 5 GB, once)
	$(ORACLE_PYTHON) tests/oracle/oracle.py
	$(ORACLE_PYTHON) tests/oracle/terms.py
	$(ORACLE_PYTHON) tests/oracle/networks.py

$(ORACLE_VENV)/bin/python:
	python3 -m venv $(ORACLE_VENV)
	$@ -m pip install torch==2.11.0 numpy pillow

# The Python beside whose PyTorch it is measured; without one that is left out.
GPU_CHECK_PYTHON ?= python3

.PHONY: gpu-check
gpu-check: build ## Test and measure impasto on this machine's GPU (see scripts/gpu_check.py)
	cargo test $(CARGO_FLAGS) --package impasto-engine --lib --no-run
	scripts/gpu_check.py --python $(GPU_CHECK_PYTHON)

.PHONY: gpu-pack
gpu-pack: build ## Pack gpu-check into an archive for a machine without a compiler
	scripts/gpu_pack.py --binary $(TARGET_DIR)/release/impasto

.PHONY: clean
clean: ## Remove what was built here, and the link to libtorch (its cached copy stays)
	cargo clean
	rm -f .libtorch

# A virtual environment whose packages did not all arrive counts as none.
.DELETE_ON_ERROR:
