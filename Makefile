# make quickstart   set up, run recipes/quickstart.yaml from raw files to a model, fill masks with it
# make test         set up, check style and types, run the tests
# make lint         style and types alone
# make bench        measure the claims of docs/bench.md
# make parity       let transformers 4.48, 4.57, 5.0 and 5.23 compute what our models compute (160 MB an environment)
# make proofs       show that training learns, resumes and goes together (an hour on two cores; docs/learning.md)
# make interop      let mosaicml-streaming and its forks read our shards, and write the same (1.2 GB an environment)

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
WORK ?= work

.PHONY: quickstart test lint bench proofs interop parity clean
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
	$(BIN)/python -m pytest --numprocesses auto --maxprocesses 8 --dist loadfile

lint: $(VENV)/ready
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

PROOFS := $(addprefix bench/,learning.py same_curve.py tiling.py anneal.py stops.py worlds.py)
APART := $(PROOFS) $(addprefix bench/,peers.py samples.py mds_library.py interop.py parity.py)

bench: $(VENV)/ready
	for script in $(filter-out $(APART),$(wildcard bench/*.py)); do $(BIN)/python $$script || exit 1; done

proofs: $(VENV)/ready
	for script in $(PROOFS); do $(BIN)/python $$script || exit 1; done

interop: $(VENV)/ready
	$(BIN)/python bench/interop.py

parity: $(VENV)/ready
	$(BIN)/python bench/parity.py

clean:
	rm -rf $(VENV) $(WORK)
