# Needs nothing but make and Python 3.11 or newer; everything else goes into $(VENV).
PYTHON ?= python3
VENV   ?= .venv
JOBS   ?= auto
MODELS ?=
# What pip takes to install PyTorch for processors alone, such as torch==2.13.0+cpu where an index has it: then the tests
# of training run too. What the usual index has brings 2.9 GB of libraries for graphics cards, so no group names it.
TORCH  ?=
BIN    := $(VENV)/bin

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test check format bench models clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(VENV)/test.stamp ## optimise a small trained network and print the report
	@mkdir -p build
	$(BIN)/graphopt optimize models/digits.onnx -o build/digits.opt.onnx

test: $(VENV)/test.stamp ## run the tests, in parallel (JOBS=n to choose how many)
	$(BIN)/python -m pytest -n $(JOBS)

check: $(VENV)/dev.stamp ## lint, formatting and types
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

format: $(VENV)/dev.stamp ## format the code and repair what the linter can repair
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

bench: $(VENV)/test.stamp ## run the measurements
	$(BIN)/python -m tests.bench

models: $(BIN)/python ## fetch the public models of models/zoo.toml and check them (MODELS="name ..." for some)
	$(BIN)/python models/fetch.py $(MODELS)

clean: ## remove the environment, caches and outputs (fetched models stay)
	rm -rf $(VENV) build dist .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Dependency groups need a newer pip than some Pythons bring, so the environment's own pip comes first.
$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "graphopt needs Python 3.11 or newer: make PYTHON=/path/to/python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"

$(VENV)/%.stamp: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable . --group $*
	$(if $(TORCH),$(BIN)/python -m pip install --quiet $(TORCH))
	@touch $@
