# make demo: environment, embedded data, train with attention, validate, detect.
# make test: environment, lint, types, all tests of seconds and whole runs of the scripts; make test-all adds the long walks.
# make test-floor: tests of seconds in an environment with the oldest packages that requirements.txt admits (.venv-floor).
# make site: the documents as a site in runs/site, English and Chinese, in an environment of its own (.venv-site); a warning is an error.
# LOCKED=1 installs exactly the packages of requirements.lock, hashes checked.
# TORCH=cpu, cu118, cu126, cu128, cu130 takes PyTorch from its own index of that name (docs/install.md); PyPI's otherwise.
# VENV=FOLDER installs into an environment that exists, where only what is missing is fetched.
# The same without make stands in README.md.

PYTHON ?= python3
VENV := .venv
FLOOR := .venv-floor
SITE := .venv-site
DEVELOPMENT := $(if $(LOCKED),--require-hashes -r requirements.lock,-r requirements-dev.txt)
ifeq ($(OS),Windows_NT)
SCRIPTS := Scripts
else
SCRIPTS := bin
endif
BIN := $(VENV)/$(SCRIPTS)
INSTALL := $(BIN)/python -m pip install --disable-pip-version-check
INDEXED := $(if $(TORCH),$(INSTALL) torch torchvision -c requirements.txt --index-url https://download.pytorch.org/whl/$(TORCH))

.PHONY: demo test test-all test-floor lint fast setup setup-dev site clean

demo: $(VENV)/.installed
	$(BIN)/python examples/demo.py

# A process for each core, each with one thread: threads of several processes would only wait for each other.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist

test: lint
	$(PYTEST) worksteal -m "not slow"
	$(PYTEST) loadfile tests/integration/e2e

test-all: lint
	$(PYTEST) worksteal

test-floor: $(FLOOR)/.installed
	OMP_NUM_THREADS=1 $(FLOOR)/$(SCRIPTS)/python -m pytest -n auto --dist worksteal -m "not slow"

fast: $(VENV)/.installed-dev
	$(PYTEST) worksteal -m "not slow"

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy .

site: $(SITE)/.installed
	$(SITE)/$(SCRIPTS)/python -m mkdocs build --strict

setup: $(VENV)/.installed

setup-dev: $(VENV)/.installed-dev

$(VENV)/.installed: requirements.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(INDEXED)
	$(INSTALL) -r requirements.txt
	touch $@

$(VENV)/.installed-dev: requirements.txt requirements-dev.txt requirements.lock
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(INDEXED)
	$(INSTALL) $(DEVELOPMENT)
	touch $@ $(VENV)/.installed

$(FLOOR)/.installed: requirements.txt requirements-dev.txt scripts/oldest_requirements.py
	test -x $(FLOOR)/$(SCRIPTS)/python || $(PYTHON) -m venv $(FLOOR)
	$(FLOOR)/$(SCRIPTS)/python scripts/oldest_requirements.py > $(FLOOR)/oldest.txt
	$(FLOOR)/$(SCRIPTS)/python -m pip install --disable-pip-version-check -r requirements-dev.txt -c $(FLOOR)/oldest.txt
	touch $@

$(SITE)/.installed: requirements-docs.txt
	test -x $(SITE)/$(SCRIPTS)/python || $(PYTHON) -m venv $(SITE)
	$(SITE)/$(SCRIPTS)/python -m pip install --disable-pip-version-check -r requirements-docs.txt
	touch $@

clean:
	rm -rf .venv .venv-floor .venv-site runs datasets
