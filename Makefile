# Each target makes its own virtual environment in .venv and needs nothing but Python 3.11 or newer.
# What the tests and the site need stands in pyproject.toml; in which versions, in tests/ and docs/requirements.txt.

PYTHON ?= python3
VENV := .venv
NEWEST := .venv-newest
TRIED := .venv-wheel
SITE := .venv-docs
FRAMEWORKS := .venv-frameworks
PYTHONS := .venv-nox
SURVEY := .venv-survey
BIN := $(VENV)/bin
INSTALL := -m pip install --quiet --disable-pip-version-check
export PYTHONPATH := .:tests

.PHONY: help demo test coverage test-newest pythons test-docs test-nfs frameworks upgrade soak explore mutants survey bench \
	bench-plots lint docs pictures screens wheel clean

help:
	@sed -n 's/^\([a-z-]*\):.*## /\1	/p' $(MAKEFILE_LIST)

demo: $(VENV)/installed ## the main job: real commands take turns under real locks
	@PATH="$(CURDIR)/$(BIN):$$PATH" sh examples/jobscheduler/demo.sh
	@PATH="$(CURDIR)/$(BIN):$$PATH" sh examples/jobscheduler/chain/demo.sh

test: $(VENV)/dev ## all tests, with the versions that they were made for
	$(BIN)/python -m pytest

coverage: export PYTHONPATH := $(CURDIR):$(CURDIR)/tests
coverage: $(VENV)/dev ## which lines and branches the tests go through, in a report; what others end by kill -9 does not count
	rm -rf .coverage
	mkdir -m a=rwx .coverage
	$(BIN)/python -m coverage run -m pytest $(WHAT)
	$(BIN)/python -m coverage combine --quiet
	$(BIN)/python -m coverage report

test-newest: ## all tests, with the newest versions of everything
	rm -rf $(NEWEST)
	$(MAKE) $(NEWEST)/dev
	$(NEWEST)/bin/python -m pytest

pythons: $(PYTHONS)/installed ## all tests under each Python that is installed; WHAT for pytest
	$(PYTHONS)/bin/python -m nox --envdir $(PYTHONS)/sessions $(if $(WHAT),-- $(WHAT))

frameworks: $(FRAMEWORKS)/dev ## run the programs of the page about frameworks, under the real ones
	$(FRAMEWORKS)/bin/python -m pytest -rs tests/house/test_frameworks.py

test-docs: $(VENV)/dev ## run the examples in the pages, and follow their links
	$(BIN)/python -m pytest tests/house/test_docs.py

test-nfs: $(VENV)/dev ## scenarios on two hosts: HOST_A="ssh a" HOST_B="ssh b" DIR=/srv/locks, see tests/nfs/conftest.py
	$(BIN)/python -m pytest -rs tests/nfs

upgrade: ## renew tests/requirements.txt and docs/requirements.txt from the newest versions
	rm -rf $(NEWEST) $(SITE)
	$(MAKE) $(NEWEST)/dev
	$(NEWEST)/bin/python -m pip freeze --disable-pip-version-check --exclude-editable > tests/requirements.txt
	$(PYTHON) -m venv $(SITE)
	$(SITE)/bin/python $(INSTALL) --upgrade pip
	$(SITE)/bin/python $(INSTALL) --group docs
	$(SITE)/bin/python -m pip freeze --disable-pip-version-check > docs/requirements.txt

soak: $(VENV)/dev ## locks, kills and removals for SECONDS
	$(BIN)/python tests/soak.py --seconds $(or $(SECONDS),120)
	$(BIN)/python -m compat.soak --seconds $(or $(PAIR_SECONDS),1)

explore: $(VENV)/dev ## every schedule of two to four contenders, for SECONDS of the processor each
	$(BIN)/python -m explorer --seconds $(or $(SECONDS),600) $(WHAT)

mutants: $(VENV)/dev ## break lines of pylock in a copy, and see that the tests notice; WHAT names files
	$(BIN)/python tests/mutations.py $(WHAT)

survey: $(SURVEY)/dev ## break pylock by rule, and tell what no test notices: hours, but it goes on where it was; WHAT for words
	$(SURVEY)/bin/python -m survey $(WHAT)

bench: $(VENV)/dev ## what it costs, beside the raw system calls and the peers
	$(BIN)/python -m benchmarks $(WHAT) $(if $(JSON),--json $(JSON))

bench-plots: ## draw the plots of docs/explanation/performance.md, from what make bench JSON=... wrote
	PYTHONPATH=.:docs $(PYTHON) -m drawing plot

lint: $(VENV)/dev ## style and types
	$(BIN)/python -m ruff check
	$(BIN)/python -m ruff format --check
	$(BIN)/python -m mypy

docs: $(SITE)/installed ## build the documentation as a site, in site/
	NO_MKDOCS_2_WARNING=1 $(SITE)/bin/python -m mkdocs build --strict --quiet
	$(PYTHON) docs/check_site.py site
	@echo "site/index.html; with search: python3 -m http.server --directory site"

pictures: ## draw the pictures of the pages anew, from the code, the figures and the screens
	PYTHONPATH=.:docs $(PYTHON) -m drawing

screens: $(VENV)/dev ## look anew at real commands in a terminal, for the pictures of them
	PYTHONPATH=.:docs $(BIN)/python -m drawing.capture
	$(MAKE) pictures

wheel: ## build the wheel, and try it alone in an environment of its own
	rm -rf dist $(TRIED)
	$(PYTHON) -m venv $(TRIED)
	$(TRIED)/bin/python -m pip wheel --quiet --no-deps --wheel-dir dist .
	$(TRIED)/bin/python $(INSTALL) dist/*.whl
	cd dist && unset PYTHONPATH && ../$(TRIED)/bin/pylock run -d "$$PWD" tried -- ../$(TRIED)/bin/pylock status -d "$$PWD" tried
	cd $(TRIED)/share && ls man/man1/pylock.1 man/man1/pylock-run.1 bash-completion/completions/pylock zsh/site-functions/_pylock \
		fish/vendor_completions.d/pylock.fish

clean: ## remove what these targets have made
	rm -rf $(VENV) $(NEWEST) $(TRIED) $(SITE) $(FRAMEWORKS) $(PYTHONS) $(SURVEY) build dist site *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage .survey

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit("pylock needs Python 3.11 or newer; set PYTHON=python3.11") if sys.version_info < (3, 11) else 0'
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed: $(VENV)/bin/python pyproject.toml hatch_build.py
	$(BIN)/python $(INSTALL) --editable .
	@touch $@

$(VENV)/dev: $(VENV)/installed tests/requirements.txt
	$(BIN)/python $(INSTALL) --requirement tests/requirements.txt
	@touch $@

$(NEWEST)/dev: pyproject.toml
	$(PYTHON) -m venv $(NEWEST)
	$(NEWEST)/bin/python $(INSTALL) --upgrade pip
	$(NEWEST)/bin/python $(INSTALL) --upgrade --group dev --editable .
	@touch $@

$(SITE)/installed: docs/requirements.txt
	$(PYTHON) -m venv $(SITE)
	$(SITE)/bin/python $(INSTALL) --requirement docs/requirements.txt
	@touch $@

$(FRAMEWORKS)/dev: pyproject.toml
	$(PYTHON) -m venv $(FRAMEWORKS)
	$(FRAMEWORKS)/bin/python $(INSTALL) --upgrade pip
	$(FRAMEWORKS)/bin/python $(INSTALL) --upgrade --group frameworks --editable .
	@touch $@

$(SURVEY)/dev: pyproject.toml
	$(PYTHON) -m venv $(SURVEY)
	$(SURVEY)/bin/python $(INSTALL) --upgrade pip
	$(SURVEY)/bin/python $(INSTALL) --upgrade --group survey --editable .
	@touch $@

$(PYTHONS)/installed: pyproject.toml
	$(PYTHON) -m venv $(PYTHONS)
	$(PYTHONS)/bin/python $(INSTALL) --upgrade pip
	$(PYTHONS)/bin/python $(INSTALL) --group pythons
	@touch $@
