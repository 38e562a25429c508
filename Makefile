# `make demo` and `make test` do all the set-up: a virtual environment, what is needed in it, and a browser.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: demo test test-long lint types browser bench catalogues clean

demo: $(STAMP)
	$(BIN)/consent demo

test: $(STAMP) browser lint types
	$(BIN)/python -m pytest -n 2 --dist worksteal -m "not long" --cov --cov-report=term:skip-covered

test-long: $(STAMP) browser
	$(BIN)/python -m pytest -n 2 --dist worksteal -m long

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP)
	$(BIN)/mypy

browser: $(STAMP)
	$(BIN)/python -m tests.browser.chromium
	$(BIN)/python -m tests.caches.nginx

catalogues: $(STAMP)
	$(BIN)/python -m tests.catalogues

bench: $(STAMP)
	$(BIN)/python -m pip install --quiet --editable ".[server,dev,bench]"
	$(BIN)/python -m bench

clean:
	rm -rf $(VENV) demo-site dist build artefacts

$(STAMP): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable ".[server,dev]"
	touch $(STAMP)
