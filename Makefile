# make demo   start Farebox with a living example
# make test   everything that CI runs
# make check  the quick part of it, for the inner loop
# make help   the rest

SHELL := /usr/bin/env bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
# The checks end with pytest, whose summary is the last line; side by side they would mix.
.NOTPARALLEL:
# Some images set it: then each of the hundreds of processes of a test run compiles all it imports.
unexport PYTHONDONTWRITEBYTECODE

BIN := .venv/bin
CODE := $(wildcard src tools tests bench)
# Twice as many as the smallest machine that we test on has cores: half of the time tests wait.
WORKERS ?= 4
# More arguments for pytest: make test PYTEST="-k ledger -x"
PYTEST ?=

# Debian packages that the tests, and the measurements, need beside the Python ones.
# PostgreSQL and NATS are not among them: they come as Python packages.
SYSTEM_PACKAGES := nginx hledger chromium
BENCH_SYSTEM_PACKAGES := wrk

.PHONY: help venv system demo test check format lint types imports sizes bench lock clean

help: ## say what can be made
	@sed -n 's/^\([a-z]*\):.*## /make \1\t/p' $(MAKEFILE_LIST) | expand -t 16

venv: ## make the environment in .venv, with the test tools in it
	@tools/venv.sh

system: ## have the Debian packages that the tests need
	@tools/system_packages.sh $(SYSTEM_PACKAGES)

demo: venv ## start Farebox on SQLite with a living example
	@$(BIN)/farebox demo

test: system venv lint types imports sizes ## run everything: format, lint, types, imports, sizes, tests
	@$(BIN)/pytest -n $(WORKERS) --dist worksteal $(PYTEST)

check: venv lint types imports sizes ## run the quick part of it: all but the tests that need a database
	@$(BIN)/pytest -q -n $(WORKERS) $(wildcard tests/house tests/rules) $(PYTEST)

format: venv ## put the code into its form, and mend what ruff can mend safely
	@$(BIN)/ruff check --fix-only --quiet $(CODE)
	@$(BIN)/ruff format $(CODE)

lint: venv ## check form and rules
	@$(BIN)/ruff format --check $(CODE)
	@$(BIN)/ruff check $(CODE)

types: venv ## check types
	@$(BIN)/mypy $(CODE)

imports: venv ## check who imports whom
	@$(BIN)/lint-imports --no-logo

sizes: venv ## check the sizes of files, functions and contexts
	@$(BIN)/python -m tools.sizes

bench: venv ## measure every figure that the README states
	@tools/system_packages.sh $(BENCH_SYSTEM_PACKAGES)
	@$(BIN)/python -m bench

# Hashed and naming no host, so that any mirror serves (uv.lock names the index by design).
COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-header --annotation-style line pyproject.toml --extra aws --extra einvoice --extra nats --extra notify --extra pdf \
	--extra postgres --extra stripe
lock: venv ## write the lock files anew after a change of the dependencies (UPGRADE=1: newest versions)
	@$(COMPILE) $(if $(UPGRADE),--upgrade) -o requirements.lock
	@$(COMPILE) $(if $(UPGRADE),--upgrade) --group build --group test \
		-c requirements.lock -o requirements-dev.lock

clean: ## remove the environment and what the tools left behind
	@rm -rf .venv .venv.lock .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@find $(CODE) -name __pycache__ -prune -exec rm -rf {} +
