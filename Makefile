# Needs Python 3.11 or newer, make and git; everything else is installed into .venv by the first target that needs it.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
PEERS := $(VENV)/.peers

# What `make dev` runs.
APP ?= examples/documents/app.py
# Each pytest process starts a PostgreSQL and a Valkey of its own, so a big machine need not start as many as it has cores.
PYTEST_ARGS ?= -n logical --maxprocesses=4 --dist=worksteal
# What `make chaos` breaks; the same seed gives the same programs and the same faults.
SEED ?= 1
MINUTES ?= 1
DATABASE ?= postgres
WORKERS ?= 2

.DEFAULT_GOAL := help
.PHONY: help demo dev test lint format types arch docs chaos bench profile clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z.]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.venv: $(INSTALLED) ## Install the project and its tools into .venv (again if their versions changed)

$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed, and $(PYTHON) is "\
	"%d.%d. Name another one: make PYTHON=python3.13" % sys.version_info[:2] or 0)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[test,postgres,server]'
	@touch $@

demo: $(INSTALLED) ## Run two example applications on real input and show their steps
	$(BIN)/python -m examples.demo

dev: $(INSTALLED) ## Run an application and its pages, reloading on change (APP=path/to/app.py)
	$(BIN)/orchestrator dev $(APP)

test: $(INSTALLED) ## Run all tests, on real PostgreSQL and Valkey servers (PYTEST_ARGS="-k name")
	$(BIN)/python -m pytest $(PYTEST_ARGS)

lint: $(INSTALLED) ## Check style and formatting
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(INSTALLED) ## Mend what of style and formatting can be mended by a program
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: $(INSTALLED) ## Check types, strictly
	$(BIN)/mypy

arch: $(INSTALLED) ## Check who imports whom
	$(BIN)/lint-imports

docs: $(INSTALLED) ## Check that what the pages say is true: links, code, commands
	$(BIN)/python -m pytest tests/test_docs.py

chaos: $(INSTALLED) ## Break workers, broker and database under random workflows (SEED=1 MINUTES=1 DATABASE=postgres WORKERS=2)
	$(BIN)/python -m tests.chaos --seed $(SEED) --minutes $(MINUTES) --database $(DATABASE) --workers $(WORKERS) $(CHAOS_ARGS)

bench: $(PEERS) ## Measure our speed and that of peers, on the same work (BENCH_ARGS=--quick)
	$(BIN)/python -m benchmarks $(BENCH_ARGS)

profile: $(PEERS) ## Show where the time of our programs goes (PROFILE_ARGS=seq-sqlite)
	$(BIN)/python -m benchmarks.profiles $(PROFILE_ARGS)

$(PEERS): $(INSTALLED)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[bench]'
	@touch $@

clean: ## Remove .venv, caches and builds; the data in .orchestrator stays
	rm -rf $(VENV) benchmarks/.cache build dist .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
