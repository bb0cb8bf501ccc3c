# `make demo` and `make test` each work alone on a fresh machine: the first one to run makes .venv.
#
#   make demo     adapt to a target in two ways, evaluate: runs/demo/report.html
#   make test     everything CI runs
#   make lint     the quick part of it: ruff and mypy
#   make format   let ruff rewrite what it can
#   make pages    every page and picture under policies/ anew, in an hour or two
#
# PYTHON=python3.12 picks another interpreter for .venv; WORKERS=0 runs the tests one after another.

PYTHON ?= python3
WORKERS ?= 2

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
LOG := $(VENV)/install.log

.PHONY: demo test lint format pages clean
.DELETE_ON_ERROR:

demo: $(STAMP)
	@$(BIN)/sim2real demo

# One BLAS thread a process: the tests already fill the cores, and results must not depend on them.
test: export OMP_NUM_THREADS := 1
test: export OPENBLAS_NUM_THREADS := 1
test: lint
	@$(BIN)/python tests/test_budgets.py
	$(BIN)/python -m pytest -q -n $(WORKERS) --dist loadfile --durations 10 -m "slow or not slow"

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --strict sim2real

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

pages: $(STAMP)
	$(BIN)/python scripts/results.py
	$(BIN)/python scripts/simulators.py

clean:
	rm -rf $(VENV) dist .mypy_cache .pytest_cache .ruff_cache

# Redone whenever the requirements change; a venv that was left half made is repaired first.
$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit("sim2real needs Python 3.11 or newer, this is %d.%d: name another with PYTHON=python3.11" % sys.version_info[:2] if sys.version_info < (3, 11) else 0)'
	@echo "Setting up $(VENV), a minute or two (log: $(LOG))"
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt -e '.[all,dev]' >$(LOG) 2>&1 \
		|| { tail -n 30 $(LOG) >&2; echo "The installation failed; the whole log is $(LOG)" >&2; exit 1; }
	@touch $@
