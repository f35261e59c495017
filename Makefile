# `make book` builds the book, `make test` runs the tests; each sets up what it needs first. Works with GNU make 3.81 (macOS):
# no pipes in recipes, for that make cannot be told to see one fail.
SHELL := /bin/bash
VENV ?= .venv
PARAMS ?= demo
GRID ?= quick
BIN := $(VENV)/bin
# Packages are installed without compiling them: what is imported is compiled once, which a caller's setting must not forbid.
unexport PYTHONDONTWRITEBYTECODE
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile
# The first Python on the path that the pinned packages support; the newest only where there is no other.
PYTHON ?= $(shell for newest in 13 14; do for p in python3 python3.13 python3.12 python3.11 python3.14; do \
	$$p -c "import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, $$newest))" 2>/dev/null && echo $$p && exit; \
	done; done)

.PHONY: help setup setup-test book batch test bench check-book check-slurm lint types clean
help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "%-12s%s\n", $$1, $$2 }' Makefile

setup: $(VENV)/.ready  ## make the virtual environment (the other targets do it themselves)

$(VENV)/.ready: requirements.txt pyproject.toml
	@test -n "$(PYTHON)" || { echo "No Python 3.11 to 3.14 found. Install one, or say: make PYTHON=/path/to/python3.12"; exit 1; }
	@echo "Setting up $(VENV) with $$($(PYTHON) --version) (about two minutes, once)"
	$(PYTHON) -m venv $(VENV)
	$(PIP) -r requirements.txt
	$(PIP) --no-deps --no-build-isolation -e .
	@touch $@

setup-test: $(VENV)/.ready-test  ## add what only the tests need

$(VENV)/.ready-test: $(VENV)/.ready requirements-test.txt
	$(PIP) -r requirements-test.txt
	@touch $@

book: setup  ## build the book (PARAMS=quick|demo|paper) into _build/html
	$(BIN)/jne book --params $(PARAMS)

batch: setup  ## run the grid book/grids/GRID.yml (GRID=quick|study|paper) into _build/batch/GRID
	$(BIN)/jne batch book/grids/$(GRID).yml

test: setup-test lint  ## run the tests, side by side on the cores there are
	$(BIN)/python -m pytest -q -n auto --dist loadfile -m "not browser and not slurm"
	@echo "Tests passed. Settings: pyproject.toml; one kind only: $(BIN)/python -m pytest -m slow"

bench: setup  ## measure speed, memory and accuracy (about 11 minutes; nothing else should run)
	$(BIN)/python benchmarks/engine.py $(BENCH)

check-book: setup-test  ## open every page of the built book in a real browser (needs Chromium)
	JNE_BOOK=$${JNE_BOOK:-_build/html} $(BIN)/python -m pytest -q -m browser tests/test_browser.py tests/book/test_texts_from_data.py tests/book/test_captions_have_numbers.py

check-slurm: setup-test  ## send batches to a SLURM that is started for it (needs slurm-wlm and munge)
	$(BIN)/python -m pytest -q -m slurm tests/batch/test_slurm.py

lint: setup-test  ## style, and the order of the wings
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-logo

types: setup-test  ## the types of the method's wings
	$(BIN)/mypy jne/_core jne/accuracy.py jne/jacobians jne/measures jne/encoders

clean:  ## remove builds and cached results (keeps the virtual environment)
	rm -rf _build results .pytest_cache .ruff_cache .mypy_cache .import_linter_cache
