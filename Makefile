# make demo: set up and run the tiny recipe end to end.   make test, make checks: what CI runs.
# Settings: PYTHON (interpreter), ARGS (passed to pytest), WORKERS (processes that run the tests: one
# a processor, four at most; 0 keeps them in pytest's own, as a debugger needs), TORCH_ARGS (passed to
# pip for torch, for example an --index-url of CPU-only builds; the default build for Linux carries
# CUDA).

PYTHON ?= python3
BIN := .venv/bin
ARGS ?=
WORKERS ?= logical
TORCH_ARGS ?=

.PHONY: demo test checks setup clean

demo: setup
	$(BIN)/minireason run recipes/tiny.toml --out runs/tiny

test: setup
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --maxprocesses 4 --dist worksteal $(ARGS)

checks: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

setup: .venv/installed

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "minireason needs Python 3.11 or newer; set PYTHON=...")'
	$(PYTHON) -m venv .venv
	# torch first and alone: where a CPU build is offered under the pinned version it is taken,
	# and what follows finds torch satisfied.
	$(BIN)/python -c 'import torch' 2>/dev/null || $(BIN)/pip install -q -c constraints.txt $(TORCH_ARGS) torch
	$(BIN)/pip install -q -c constraints.txt -e '.[dev]'
	touch .venv/installed

clean:
	rm -rf .venv runs build dist src/*.egg-info
