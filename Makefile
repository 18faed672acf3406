# Everything needs only Python 3.11-3.13: the first target to run makes .venv and installs mien into it.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed

.PHONY: demo test test-slow lint clean

demo: $(STAMP)        ## corpus, pretraining, fine-tuning, evaluation and prediction on this machine
	$(BIN)/mien demo

# the tests run in a process per core, so each computes with one thread
test: export OMP_NUM_THREADS = 1
test: $(STAMP)        ## the fast tests (see test-slow for the rest)
	$(BIN)/python -m pytest -n auto -m "not slow"

test-slow: export OMP_NUM_THREADS = 1
test-slow: $(STAMP)
	$(BIN)/python -m pytest -n auto -m slow

lint: $(STAMP)
	$(BIN)/ruff check src tests benchmarks scripts
	$(BIN)/ruff format --check src tests benchmarks scripts
	$(BIN)/mypy

$(STAMP): pyproject.toml
	$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(None if (3, 11) <= v < (3, 14) else f"mien needs Python 3.11-3.13, this is {v[0]}.{v[1]}; try: make PYTHON=python3.12 $(MAKECMDGOALS)")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	touch $(STAMP)

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache
