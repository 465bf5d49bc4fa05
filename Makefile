PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: setup demo test consistency lint bench clean lock

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
	$(BIN)/python -m pytest

# The crash and mutation tests at the sizes that we promise (about 20 minutes); `make test` has a short form.
consistency: setup
	GRADSTREAM_LONG=1 $(BIN)/python -m pytest tests/integration/test_worker.py tests/integration/test_bad_input.py

bench: setup
	$(BIN)/python -m benchmarks.run

# Three locks that agree: all extras for developers; what a worker needs, and what builds it, for the image.
COMPILE := $(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --python-version 3.11

lock: setup
	$(COMPILE) pyproject.toml --all-extras -o requirements.lock
	$(COMPILE) pyproject.toml --no-annotate -c requirements.lock -o requirements-runtime.lock
	echo 'hatchling>=1.27,<2' | $(COMPILE) - --no-annotate -c requirements.lock -o requirements-build.lock

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache
