# Everything runs from one virtual environment, built from lock files with hashes.
# Nothing outside this folder is changed.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PRODUCT := application cli domain local_stack persistence providers runtime simulators \
	web workers
PACKAGES := $(PRODUCT) bench docs examples tests
export BLACK_CACHE_DIR := $(CURDIR)/build/black

# The files of a suite run side by side, each whole in one process; WORKERS=0 runs them in
# one. Most tests wait for servers, so there may be more processes than cores. The suites
# that count for coverage keep its data, subprocesses included, in build.
WORKERS ?= 4
PYTEST = -m pytest -q --numprocesses=$(WORKERS) --dist=loadfile --durations=20 --durations-min=2 --basetemp=build/pytest/$@ tests/$@
SUITE = mkdir -p build/pytest; $(BIN)/python $(PYTEST)
MEASURED_SUITE = mkdir -p build/pytest; COVERAGE_FILE=$(CURDIR)/build/coverage/$@ $(BIN)/coverage run $(PYTEST)

.DEFAULT_GOAL := help
.PHONY: help setup setup-dev lock demo up down test gates check health lint typecheck unit \
	integration contract simulation simulate e2e security chaos-short chaos coverage bench docs format clean

help: ## Show this help
	@awk 'BEGIN {FS = ":.*## "} \
	  /^##@/ {printf "\n%s\n", substr($$0, 5)} \
	  /^[a-z0-9-]+:.*## / {printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

##@ Run
setup: $(VENV)/.run ## Build .venv with all that running needs (instant when nothing changed)
	@:
demo: setup ## Start the whole stack, submit the example payments, show what came of them
	@$(BIN)/python examples/demo.py
up: setup ## Run the stack in the foreground until Ctrl-C
	@$(BIN)/payments up
down: setup ## Stop the stack that `make up` or `payments up --detach` started
	@$(BIN)/payments down

##@ Test
test: gates ## Set up and pass every gate
gates: setup-dev ## Run the gates of every stage and print their table
	@$(BIN)/python tests/gates.py
check: setup-dev ## What to run before each commit: lint, types, unit tests (two minutes)
	@$(MAKE) --no-print-directory lint typecheck unit
health: setup-dev ## Stage 1: servers, readiness and metrics of a started stack
	@$(SUITE)
lint: setup-dev ## Stage 2: flake8, black, import-linter
	@$(BIN)/flake8 $(PACKAGES)
	@$(BIN)/black --check --quiet --diff $(PACKAGES)
	@$(BIN)/lint-imports --no-cache --no-logo
typecheck: setup-dev ## Stage 2: mypy --strict on every package
	@$(BIN)/mypy --strict $(PACKAGES)
unit: WORKERS = 2
unit: setup-dev ## Stages 2 and 3: domain and application, no servers
	@$(MEASURED_SUITE)
integration: setup-dev ## Stage 4: real Redis and MongoDB, HTTP to the simulators
	@$(MEASURED_SUITE)
contract: setup-dev ## Stages 4 and 5: simulators by official clients, our API by its OpenAPI
	@$(SUITE)
simulation: setup-dev ## Stage 3: crash points, random histories, quick mutants of the product
	@$(BIN)/python -m pytest -q --durations=10 --durations-min=2 --basetemp=build/pytest/$@ tests/simulation
simulate: setup-dev ## The same for as long as asked: HISTORIES=1000000, FOR=600 (s), SEED=7
	@$(BIN)/python -m tests.simulation $(if $(HISTORIES),--histories $(HISTORIES)) \
	  $(if $(FOR),--seconds $(FOR)) $(if $(SEED),--seed $(SEED)) \
	  $(if $(PROCESSES),--processes $(PROCESSES)) $(if $(PAIRS),--pairs)
coverage: setup-dev ## Stages 2 to 4: what the unit and integration tests have covered
	@$(BIN)/python tests/coverage_gate.py
security: setup-dev ## Stage 6: bandit, encryption, hostile input
	@$(BIN)/bandit --quiet --recursive -ll $(PRODUCT)
	@$(SUITE)
e2e: setup-dev ## Stage 7: a stack started as a user starts it, faults included
	@$(SUITE)

chaos-short: setup-dev ## Stage 7: a minute of kills, wipes, fail-overs and faults
	@mkdir -p build/pytest; $(BIN)/python -m pytest -q --basetemp=build/pytest/$@ tests/chaos
chaos: setup-dev ## The same for a quarter of an hour, beside a plain Celery service
	@$(BIN)/python -m tests.chaos

##@ Develop
setup-dev: $(VENV)/.dev ## Build .venv with the test and development tools as well
	@:
docs: setup-dev ## Write docs/states.md anew from the code
	@PYTHONPATH=. $(BIN)/python docs/states.py
format: setup-dev ## Lay out the code with black
	@$(BIN)/black --quiet $(PACKAGES)
lock: setup-dev ## Write the lock files anew from setup.cfg
	@for name in run embedded dev; do \
	  case $$name in run) extras="";; embedded) extras="--extra embedded";; \
	    dev) extras="--extra embedded --extra test --extra dev --extra ops";; esac; \
	  $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	    --no-annotate --no-strip-extras --custom-compile-command "make lock" --upgrade \
	    $$extras \
	    --output-file requirements/$$name.lock setup.cfg requirements/setup.in || exit 1; done
bench: setup-dev ## Throughput, CPU and latency beside peers and a floor (ten minutes)
	@$(BIN)/python -m bench
clean: ## Remove .venv, data and caches
	rm -rf $(VENV) .payments build *.egg-info .mypy_cache .pytest_cache .hypothesis .coverage*

INSTALL := $(BIN)/pip install --quiet --quiet --no-cache-dir --disable-pip-version-check
PROJECT := --no-deps --no-build-isolation --editable .

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or later is needed: make PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -m venv $(VENV)

# A development environment holds all that running needs, so it is never cut back.
$(VENV)/.run: $(VENV)/bin/python requirements/embedded.lock requirements/dev.lock setup.cfg
	@lock=embedded; test ! -e $(VENV)/.dev || lock=dev; \
	  echo "Building $(VENV) from requirements/$$lock.lock (about a minute)"; \
	  $(INSTALL) --require-hashes -r requirements/$$lock.lock && $(INSTALL) $(PROJECT)
	@touch $@

$(VENV)/.dev: $(VENV)/bin/python requirements/dev.lock setup.cfg
	@echo "Building $(VENV) from requirements/dev.lock (about a minute)"
	@$(INSTALL) --require-hashes -r requirements/dev.lock
	@$(INSTALL) $(PROJECT)
	@touch $@ $(VENV)/.run
