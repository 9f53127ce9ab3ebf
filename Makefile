# Each target makes its own virtual environment in .venv and needs nothing but Python 3.11 or newer.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export PYTHONPATH := .:tests

.PHONY: demo test soak bench lint docs nfs clean

demo: $(VENV)/installed
	@PATH="$(CURDIR)/$(BIN):$$PATH" sh examples/jobscheduler/demo.sh
	@PATH="$(CURDIR)/$(BIN):$$PATH" sh examples/jobscheduler/chain/demo.sh

test: $(VENV)/dev
	$(BIN)/python -m pytest

soak: $(VENV)/dev
	$(BIN)/python tests/soak.py --seconds $(or $(SECONDS),120)
	$(BIN)/python -m compat.soak --seconds $(or $(PAIR_SECONDS),1)

bench: $(VENV)/bench
	$(BIN)/python -m benchmarks $(WHAT)

lint: $(VENV)/dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

docs: $(VENV)/dev
	$(BIN)/python -m pytest tests/test_docs.py

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit("pylock needs Python 3.11 or newer; set PYTHON=python3.11") if sys.version_info < (3, 11) else 0'
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed: $(VENV)/bin/python pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(VENV)/dev: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "pytest>=8" "hypothesis>=6.100" "mypy>=1.11" "ruff>=0.6" "rich>=13" "filelock>=4.3.1" "portalocker>=4.4.2"
	@touch $@

$(VENV)/bench: $(VENV)/dev
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "filelock>=4.3.1" "portalocker>=4.4.2" "fasteners>=0.19" "zc.lockfile>=3"
	@touch $@
