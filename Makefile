PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: setup demo test consistency consistency-more endurance lint bench clean lock

# The stamp is newer than the lock once everything in it is installed.
$(VENV)/.installed: requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

setup: $(VENV)/.installed

demo: setup
	$(BIN)/gradstream demo

lint: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: setup lint
	$(BIN)/python -m tests.compile_kernels
	$(BIN)/python -m pytest -n auto $(SIDE_BY_SIDE)
	$(BIN)/python -m pytest -n 2 --dist loadfile $(addprefix --ignore=,$(SIDE_BY_SIDE))

# Tests that need no servers run on all cores at once, the others in two rows, each with servers of its own.
SIDE_BY_SIDE := tests/models tests/infra tests/streams tests/benchmarks

# The fault table of tests/consistency with all its seeds, on real servers: half an hour; `make test` has a short form.
# One row alone: make consistency ROW=zombie
consistency: setup
	$(BIN)/python -m tests.compile_kernels linear
	GRADSTREAM_LONG=1 GRADSTREAM_ROW=$(ROW) $(BIN)/python -m pytest tests/consistency/test_faults.py

# What else has a long form: broken variants that the table must find, fifty crashes on one partition, larger bounds
# of the model check and of the state machine. A quarter of an hour.
consistency-more: setup
	$(BIN)/python -m tests.compile_kernels
	GRADSTREAM_LONG=1 $(BIN)/python -m pytest tests/consistency tests/streams/test_machine.py tests/streams/labels/test_machine.py \
	    tests/models tests/integration/test_worker.py tests/integration/test_bad_input.py --ignore tests/consistency/test_faults.py

# Three workers, one of them killed every 20 seconds, for ten minutes.
endurance: setup
	$(BIN)/python -m tests.compile_kernels linear
	$(BIN)/python -m tests.consistency.endurance

# The suite: the stream beside its peers, and each goal of speed; half an hour. Then the learners without Kafka. PyTorch is compared with where it is installed: name
# a source of its CPU build (the usual one brings gigabytes of CUDA): make bench TORCH_INDEX_URL=…
bench: setup
ifdef TORCH_INDEX_URL
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation \
	    --index-url "$(TORCH_INDEX_URL)" -e '.[peers]'
endif
	$(BIN)/python -m benchmarks.suite
	$(BIN)/python -m benchmarks.kernels

# Three locks that agree: all extras but `peers` for developers; what a worker needs, and what builds it, for the image.
COMPILE := $(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --python-version 3.11

lock: setup
	$(COMPILE) pyproject.toml --extra dev -o requirements.lock
	$(COMPILE) pyproject.toml --no-annotate -c requirements.lock -o requirements-runtime.lock
	echo 'hatchling>=1.27,<2' | $(COMPILE) - --no-annotate -c requirements.lock -o requirements-build.lock

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache
