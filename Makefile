# make serve    everything that is missing, then the server         (PORT=8080 HOST=0.0.0.0 DATA_DIR=/srv/inhouse)
# make install  everything that is missing, and no more      (for services and images, see docs/deployment.md)
# make test     everything that tests need, then all tests          (ARGS="tests/storage -k sqlite" WORKERS=4)
# make soak     the tests that kill servers, far more often
# make codex    the Codex CLI, some 400 MB, so that `make test` runs it too
# make ray      Ray, some 500 MB, for batches on a cluster, and so that `make test` tests them
# make llamaindex    LlamaIndex, some 280 MB, so that `make test` runs it too
# make check    style, types, floors and the coverage of the official surface
# make bench    the benchmark against peers
# make docs     the pages that are written from the code
# make lock     the lock files anew, after a change of dependencies in pyproject.toml
# make clean    removes what these commands made here, except data
# make help     these lines

SHELL := /bin/sh
VENV ?= .venv
BIN := $(VENV)/bin
PYTHON ?=
DATA_DIR ?= data
WORKERS ?= 2
UV_VERSION := 0.13.9

# Stamps carry the folder's name: in a checkout that was moved, the programs of the old place must not be run.
HERE := $(shell printf '%s' '$(CURDIR)' | cksum | cut -d ' ' -f 1)
MADE := $(VENV)/.made-$(HERE)
SERVE := $(VENV)/.serve-$(HERE)
TEST := $(VENV)/.test-$(HERE)
PEERS := $(VENV)/.official-2-$(HERE) $(VENV)/.official-1-$(HERE) $(VENV)/.ecosystem-$(HERE) $(VENV)/.ecosystem-js-$(HERE)

PIP = $(BIN)/python -m pip --disable-pip-version-check
LOCKED = --require-hashes --only-binary :all:
# Of what only tests use little is ever imported: it is compiled when it is.
BESIDE = --quiet $(LOCKED) --no-compile

# What does not wait for each other is installed and checked two at a time.
MAKEFLAGS += --jobs=2

.PHONY: serve install test browser soak codex ray llamaindex check style types floors surface bench docs lock clean help

serve: $(SERVE)
	@exec $(BIN)/inhouse serve --data-dir '$(DATA_DIR)' $(if $(HOST),--host '$(HOST)') $(if $(PORT),--port '$(PORT)')

# Compiled here, because who runs a service may not write where it lies.
install: $(SERVE)
	@$(BIN)/python -m compileall -q src

# Every server that tests start would compile everything anew.
test soak: export PYTHONDONTWRITEBYTECODE =

test: $(TEST) $(PEERS) browser
	$(BIN)/python -m pytest -n $(WORKERS) --no-loadscope-reorder $(ARGS)

# Debian's, installed where there is root; else the tests that need it are skipped, which CI does not accept.
browser:
	@for name in chromium chromium-browser google-chrome google-chrome-stable; do \
	    command -v $$name >/dev/null && exit; done; \
	{ [ "$$(id -u)" = 0 ] && apt-get -qq update && \
	    DEBIAN_FRONTEND=noninteractive apt-get -qq install --no-install-recommends chromium; } >/dev/null || \
	    echo "Chromium is missing and cannot be installed here: its tests will be skipped."

soak: $(TEST)
	KILLS=10 CRASHES=50 $(BIN)/python -m pytest --timeout 3600 tests/official/test_batches.py tests/metering/test_crash.py $(ARGS)

check: types style floors surface

style: $(TEST)
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .

types: $(TEST)
	$(BIN)/python -m mypy

floors: $(TEST)
	$(BIN)/lint-imports

surface: $(TEST)
	$(BIN)/python scripts/coverage.py

bench: $(TEST)
	$(BIN)/python -m bench.gateway $(ARGS)
	$(BIN)/python -m bench.grid --seconds 600 --kept bench/results/window.json

docs: $(SERVE)
	$(BIN)/python scripts/settings_docs.py

$(SERVE): requirements/serve.txt pyproject.toml | $(MADE)
	@echo "Installing what the server needs into $(VENV); this happens once."
	$(PIP) install --quiet $(LOCKED) -r requirements/serve.txt
	$(PIP) install --quiet --no-deps --no-build-isolation --no-index --editable .
	@touch $@

$(TEST): requirements/test.txt $(SERVE)
	$(PIP) install $(BESIDE) -r requirements/test.txt
	@touch $@

# Three major versions of the official SDK are tested: the older ones lie beside, where only their own tests look.
# So do frameworks that are used in front of the API; those in JavaScript where there is npm.
$(VENV)/.%-$(HERE): requirements/%.txt | $(MADE)
	@rm -rf '$(VENV)/$*'
	$(PIP) install $(BESIDE) --target '$(VENV)/$*' -r requirements/$*.txt
	@touch $@

$(VENV)/.ecosystem-js-$(HERE): tests/ecosystem/js/package-lock.json | $(MADE)
	@rm -rf '$(VENV)/ecosystem-js'
	@{ $(call npm_packages,js,ecosystem-js); } || { rm -rf '$(VENV)/ecosystem-js'; \
	    echo "npm cannot install packages here: the tests of JavaScript packages will be skipped."; }
	@touch $@

codex: $(TEST)
	@$(call npm_packages,codex,ecosystem-codex)

ray: $(TEST)
	$(PIP) install $(BESIDE) -r requirements/ray.txt

llamaindex: requirements/llamaindex.txt $(TEST)
	@rm -rf '$(VENV)/ecosystem-llamaindex'
	$(PIP) install $(BESIDE) --target '$(VENV)/ecosystem-llamaindex' -r requirements/llamaindex.txt

# Packages of tests/ecosystem/$(1), locked, into the environment's folder $(2).
npm_packages = mkdir -p '$(VENV)/$(2)' && cp tests/ecosystem/$(1)/package*.json '$(VENV)/$(2)/' && \
    npm ci --silent --no-audit --no-fund --ignore-scripts --prefix '$(VENV)/$(2)'

# A candidate must run, be new enough and be able to make environments: some names are shims or lack ensurepip.
$(MADE):
	@for python in $(if $(PYTHON),'$(PYTHON)',python3.13 python3.12 python3.11 python3); do \
	    if "$$python" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then \
	        echo "Making $(VENV) with $$("$$python" --version)."; \
	        "$$python" -m venv '$(VENV)' && touch '$@'; exit; \
	    fi; \
	done; \
	echo "Inhouse needs Python 3.11 or newer with its venv module, and found none$(if $(PYTHON), in PYTHON=$(PYTHON))." >&2; \
	echo "Found: $$(python3 --version 2>/dev/null || echo 'no python3'). Install one, or name it: make serve PYTHON=/path/to/python3.12" >&2; \
	exit 1

# One lock for Linux and macOS, x86-64 and ARM, and every Python from 3.11 on; it names no registry.
lock: $(MADE)
	$(PIP) install --quiet --no-deps uv==$(UV_VERSION)
	$(BIN)/uv pip compile $(COMPILE) --output-file requirements/serve.txt pyproject.toml requirements/build.in
	$(BIN)/uv pip compile $(COMPILE) --output-file requirements/test.txt --extra test \
	    --constraint requirements/serve.txt pyproject.toml requirements/build.in
	$(BIN)/uv pip compile $(COMPILE) --output-file requirements/official-2.txt requirements/official-2.in
	$(BIN)/uv pip compile $(COMPILE) --output-file requirements/official-1.txt requirements/official-1.in
	$(BIN)/uv pip compile $(COMPILE) --output-file requirements/ecosystem.txt requirements/ecosystem.in
	$(BIN)/uv pip compile $(COMPILE) --output-file requirements/ray.txt requirements/ray.in
	$(BIN)/uv pip compile $(COMPILE) --output-file requirements/llamaindex.txt requirements/llamaindex.in
COMPILE = --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links \
    --no-annotate --upgrade --custom-compile-command 'make lock'

help:
	@sed -n 's/^# \(make .*\)/\1/p' Makefile

clean:
	rm -rf '$(VENV)' build src/*.egg-info artifacts .hypothesis .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
	find src tests scripts bench -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true
