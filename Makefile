# `make book` builds the book, `make test` runs the tests; each sets up what it needs first.
SHELL := /bin/bash
.SHELLFLAGS := -eo pipefail -c
VENV ?= .venv
PARAMS ?= demo
GRID ?= quick
BIN := $(VENV)/bin
# The first Python on the path that the pinned packages support.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null && echo $$p && break; done)

.PHONY: help setup book batch test bench lint clean
help:  ## this list
	@grep -hE '^[a-z]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 10

setup: $(VENV)/.ready  ## make the virtual environment (the other targets do it themselves)

$(VENV)/.ready: requirements.txt pyproject.toml
	@test -n "$(PYTHON)" || { echo "No Python 3.11, 3.12 or 3.13 found. Install one, or say: make PYTHON=/path/to/python3.12"; exit 1; }
	@echo "Setting up $(VENV) with $$($(PYTHON) --version) (about two minutes, once)"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

book: setup  ## build the book (PARAMS=quick|demo|paper) into _build/html
	$(BIN)/jne book --params $(PARAMS)

batch: setup  ## run the grid book/grids/GRID.yml (GRID=quick|paper) into _build/batch/GRID
	$(BIN)/jne batch book/grids/$(GRID).yml

test: setup lint  ## run the tests
	$(BIN)/python -m pytest -q
	@echo "Tests passed. Settings: pyproject.toml; one kind only: $(BIN)/python -m pytest -m slow"

bench: setup  ## measure speed, memory and accuracy (about 11 minutes; nothing else should run)
	$(BIN)/python benchmarks/engine.py $(BENCH)

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

clean:  ## remove builds and cached results (keeps the virtual environment)
	rm -rf _build results .pytest_cache .ruff_cache
