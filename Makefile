# make quickstart   set up, run recipes/quickstart.yaml from raw files to a model, fill masks with it
# make test         set up, check style and types, run the tests
# make lint         style and types alone
# make bench        measure the claims of docs/bench.md
# make interop      let mosaicml-streaming and its forks read our shards, and write the same (1.2 GB an environment)

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
WORK ?= work

.PHONY: quickstart test lint bench interop clean
.DELETE_ON_ERROR:

# torch is installed first and alone: resolved with the rest it could come with gigabytes of CUDA on a machine without one.
$(VENV)/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade --constraint constraints.txt pip hatchling editables
	$(BIN)/pip install --quiet --constraint constraints.txt torch
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

quickstart: $(VENV)/ready
	$(BIN)/bertmill sample $(WORK)/sample
	$(BIN)/bertmill run recipes/quickstart.yaml --work $(WORK)/quickstart --workers 2
	$(BIN)/bertmill fill-mask $(WORK)/quickstart/export "Returns a new [MASK] of the given shape and type." \
		"If the value is not [MASK], a ValueError is raised." "def __init__([MASK], name):"

test: lint
	$(BIN)/python -m pytest

lint: $(VENV)/ready
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

bench: $(VENV)/ready
	for script in $(filter-out bench/peers.py bench/samples.py bench/mds_library.py bench/interop.py,$(wildcard bench/*.py)); do $(BIN)/python $$script || exit 1; done

interop: $(VENV)/ready
	$(BIN)/python bench/interop.py

clean:
	rm -rf $(VENV) $(WORK)
