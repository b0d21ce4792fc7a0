# make demo: environment, embedded data, train with attention, validate, detect.
# make test: environment, lint, types, all tests of seconds and whole runs of the scripts; make test-all adds the long walks.
# LOCKED=1 installs exactly the packages of requirements.lock, hashes checked.
# The same without make stands in README.md.

PYTHON ?= python3
VENV := .venv
DEVELOPMENT := $(if $(LOCKED),--require-hashes -r requirements.lock,-r requirements-dev.txt)
ifeq ($(OS),Windows_NT)
BIN := $(VENV)/Scripts
else
BIN := $(VENV)/bin
endif

.PHONY: demo test test-all lint fast setup setup-dev clean

demo: $(VENV)/.installed
	$(BIN)/python examples/demo.py

# A process for each core, each with one thread: threads of several processes would only wait for each other.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist worksteal

test: lint
	$(PYTEST) -m "not slow"
	$(BIN)/python -m pytest tests/integration/e2e

test-all: lint
	$(PYTEST)

fast: $(VENV)/.installed-dev
	$(PYTEST) -m "not slow"

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy .

setup: $(VENV)/.installed

setup-dev: $(VENV)/.installed-dev

$(VENV)/.installed: requirements.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check -r requirements.txt
	touch $@

$(VENV)/.installed-dev: requirements.txt requirements-dev.txt requirements.lock
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check $(DEVELOPMENT)
	touch $@ $(VENV)/.installed

clean:
	rm -rf $(VENV) runs datasets
