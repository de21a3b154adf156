# make run    set everything up, then serve http://127.0.0.1:7860 on the profile "default"
# make test   set everything up, then run every check
# make quick  the same checks without the slow tests
#
# Tests run side by side, but for those that start Ray, which takes all cores by itself.
#
# All three may be repeated at will: what is installed is installed again only after pyproject.toml or constraints.txt
# changed. VENV=folder puts the virtual environment elsewhere, PYTHON=python3.12 builds it with another interpreter.

VENV ?= .venv
PYTHON ?= python3
BIN := $(VENV)/bin
SIDE_BY_SIDE := -n logical --maxprocesses=4 --dist worksteal
INSTALL := $(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt

.PHONY: run test quick
.DELETE_ON_ERROR:

run: $(VENV)/.installed
	@$(BIN)/alife run default

test: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest $(SIDE_BY_SIDE) -m "not ray"
	$(BIN)/python -m pytest -m ray

quick: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest $(SIDE_BY_SIDE) -m "not slow and not ray"

$(VENV)/.installed: pyproject.toml constraints.txt
	@command -v $(PYTHON) >/dev/null || { echo "Python 3.11 or newer is needed, and $(PYTHON) was not found."; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "Python 3.11 or newer is needed; $(PYTHON) is $$($(PYTHON) --version 2>&1). Try: make PYTHON=python3.12"; exit 1; }
	@echo "== 1/3 virtual environment $(VENV)"
	@$(PYTHON) -m venv $(VENV) || { echo "No virtual environment could be made; on Debian: apt install python3-venv"; exit 1; }
	@echo "== 2/3 torch, the biggest download (a few minutes the first time)"
	@$(INSTALL) torch==2.13.0
	@echo "== 3/3 everything else"
	@$(INSTALL) --editable .
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	@echo "== tools of the checks"
	@$(INSTALL) --editable ".[dev]"
	@touch $@
