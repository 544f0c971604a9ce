# Everything happens in .venv, made on first use; `make PYTHON=python3.12 demo` picks another.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check
SOURCES := pyproject.toml CMakeLists.txt $(wildcard native/*)

.PHONY: demo test lint docs bench peers sanitize wheel clean

demo: .venv/installed
	@$(BIN)/charloom demo

test: .venv/installed-dev
	@$(BIN)/python -m pytest -q

lint: .venv/installed-dev
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/basedpyright --level error

docs: .venv/installed-dev
	@$(BIN)/python scripts/make_cli_docs.py

# Live agreement with PyTorch and Keras, which are large: only here and in .ci/run.
peers: .venv/installed-peers
	@$(BIN)/python -m pytest -q tests/peers

bench: .venv/installed
	@$(BIN)/python benchmarks/bench.py

wheel: .venv/installed
	@$(PIP) wheel --no-deps --wheel-dir dist .

clean:
	rm -rf .venv build dist

.venv/bin/python:
	@$(PYTHON) -m venv .venv

.venv/installed: .venv/bin/python $(SOURCES)
	@$(PIP) install --editable .
	@touch $@

.venv/installed-dev: .venv/installed
	@$(PIP) install --editable '.[dev]'
	@touch $@

.venv/installed-peers: .venv/installed-dev
	@$(PIP) install --editable '.[peers]'
	@touch $@
