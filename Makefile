# ResellerKPI: `make help` lists the commands.

PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	"$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$p" && exit; done; echo python3)
VENV := .venv
PY := $(CURDIR)/$(VENV)/bin/python
LOCAL := $(PY) -m resellerkpi.local
RUN := $(LOCAL) run --
DATA ?= $(RESELLERKPI_REFERENCE)/data
ARGS ?=
CODE := resellerkpi billing kpis reports tests bench
CHECKED = $(foreach folder,$(CODE),$(if $(wildcard $(folder)/*.py),$(folder))) manage.py
PIP := $(PY) -m pip --disable-pip-version-check install $(if $(CI),--quiet) --progress-bar off --require-hashes
TESTVAR := $(CURDIR)/var/test
PYTEST := $(PY) -m pytest -n 2 --dist loadgroup

export PYTHONUNBUFFERED := 1

.DEFAULT_GOAL := help
.PHONY: help setup setup-dev demo test test-fast check lint types contracts fmt real bench clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' Makefile

$(VENV)/bin/python:
	@command -v "$(PYTHON)" >/dev/null || { echo "ResellerKPI needs Python 3.11 or later and no $(PYTHON) was found." >&2; exit 1; }
	@"$(PYTHON)" resellerkpi/local/check_python.py
	@echo "· Making the Python environment in $(VENV)" >&2
	@"$(PYTHON)" -m venv $(VENV) >&2 || { rm -rf $(VENV); exit 1; }

$(VENV)/.runtime: requirements.lock | $(VENV)/bin/python
	@echo "· Installing the packages of requirements.lock (a few minutes the first time)" >&2
	@$(PIP) -r requirements.lock >&2
	@touch $@

$(VENV)/.dev: requirements-dev.lock | $(VENV)/bin/python
	@echo "· Installing the packages of requirements-dev.lock (a few minutes the first time)" >&2
	@$(PIP) -r requirements-dev.lock >&2
	@touch $(VENV)/.runtime $@

setup: $(VENV)/.runtime ## make the environment with what the product needs
setup-dev: $(VENV)/.dev ## make the environment with what the tests and checks need

demo: setup ## build the demo and serve it (ARGS="--port 8123 --seed 7 --size small --no-serve")
	@$(LOCAL) demo $(ARGS)

test: setup-dev ## run all tests, the browser's too (ARGS=... goes to pytest)
	@chromium="$$($(PY) -m resellerkpi.local.chromium)" && \
	CHROMIUM="$$chromium" RESELLERKPI_VAR="$(TESTVAR)" RESELLERKPI_FAST_DB=1 $(RUN) $(PYTEST) $(ARGS)

test-fast: setup-dev ## run the tests without browser and without the slow ones
	@RESELLERKPI_VAR="$(TESTVAR)" RESELLERKPI_FAST_DB=1 $(RUN) $(PYTEST) -m "not browser and not slow" $(ARGS)

check: ## do what CI does: lint, types, contracts, all tests
	@bash .ci/run

lint: setup-dev ## check style, templates, settings and migrations
	$(PY) -m ruff check $(CHECKED)
	$(PY) -m ruff format --check $(CHECKED)
	$(PY) -m djlint templates --lint --quiet
	@RESELLERKPI_VAR="$(TESTVAR)" RESELLERKPI_FAST_DB=1 $(RUN) sh -ec ' \
	"$(PY)" manage.py check --fail-level WARNING; "$(PY)" manage.py makemigrations --check --dry-run'

types: setup-dev ## check the types
	$(PY) -m mypy $(CHECKED)

contracts: setup-dev ## check which package may import which
	$(VENV)/bin/lint-imports

fmt: setup-dev ## put code into shape
	$(PY) -m ruff check --fix $(CHECKED)
	$(PY) -m ruff format $(CHECKED)

real: setup ## take real data sets through a scratch database (DATA=DIR, ARGS="--set NAME")
	@test -d "$(DATA)" || { echo "Say where the data is: make real DATA=DIR, or set RESELLERKPI_REFERENCE." >&2; exit 1; }
	@if [ -d var/real ]; then RESELLERKPI_VAR="$(CURDIR)/var/real" $(LOCAL) clean; fi
	@env -u DATABASE_URL -u DATABASE_OWNER_URL -u REDIS_URL \
	RESELLERKPI_VAR="$(CURDIR)/var/real" RESELLERKPI_FAST_DB=1 $(RUN) sh -ec ' \
	"$(PY)" manage.py setup_database >&2; exec "$(PY)" manage.py real --data "$$@"' sh "$(DATA)" $(ARGS)

bench: setup-dev ## measure speed and memory, one JSON line each (ARGS="price supply" for some, BENCH_CALLS=200000 for less)
	@env -u DATABASE_URL -u DATABASE_OWNER_URL -u REDIS_URL \
	RESELLERKPI_VAR="$(CURDIR)/var/bench" $(RUN) $(PY) -m bench $(ARGS)

clean: ## remove all run-time data (the demo's too) and caches
	@if [ -x $(PY) ] && [ -d var ]; then $(LOCAL) clean; fi
	@rm -rf .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	@find $(wildcard $(CODE)) -name __pycache__ -type d -prune -exec rm -rf {} +
