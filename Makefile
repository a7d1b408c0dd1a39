# Everything runs in .venv, which `make setup` builds from the exact versions in constraints.txt.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

# Two processes that spin on two cores, and page faults of large buffers, each cost a factor in speed; see docs/performance.md.
export OMP_WAIT_POLICY ?= PASSIVE
export OPENBLAS_NUM_THREADS ?= 1
export MALLOC_MMAP_THRESHOLD_ ?= 4294967296
export MALLOC_TRIM_THRESHOLD_ ?= 8589934592
export MALLOC_TOP_PAD_ ?= 268435456
export NO_ALBUMENTATIONS_UPDATE ?= 1
export HF_HUB_OFFLINE ?= 1
# One test process per core; a file stays in one process, so that its fixtures are made once. The
# order is that of tests/conftest.py.
PYTEST_OPTIONS ?= -n auto --dist loadfile --no-loadscope-reorder --durations=40

.DEFAULT_GOAL := help
.PHONY: help setup server demo scan test tests test-fast check lock lint types docs clean

help: ## Say what each target does
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' Makefile

setup: $(STAMP) ## Install everything into .venv

# milvus-lite asks for faiss-cpu, which would overwrite faiss-gpu's folder; faiss-gpu serves it as well.
$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed, this is " + sys.version)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev]'
	$(BIN)/python -m pip install --quiet -c constraints.txt --no-deps milvus-lite
	touch $(STAMP)

# The packages bring the programs of the servers; the client that Milvus asks for is an older one.
server: $(STAMP) ## Install Milvus and PostgreSQL for the tests marked `server` (Linux; 75 MB)
	$(BIN)/python -m pip install --quiet --no-deps milvus==2.3.5 pgserver==0.1.4 psycopg==3.3.9 psycopg-binary==3.3.9

demo: $(STAMP) ## Train on a generated set, index, search in the right direction, score, write a report
	$(BIN)/python -m asl.train

scan: $(STAMP) ## Find the copies in a folder of yours: make scan PHOTOS=folder
	@test -n "$(PHOTOS)" || { echo "make scan PHOTOS=folder: name a folder of images"; exit 2; }
	$(BIN)/asl scan "$(PHOTOS)"

# Types are checked beside the tests: mypy uses one core.
test: $(STAMP) lint ## Lint, types and all tests
	@$(MAKE) --no-print-directory --jobs=2 types tests

tests: $(STAMP)
	$(BIN)/python -m pytest -q $(PYTEST_OPTIONS)

test-fast: $(STAMP) ## The tests that take under two minutes together
	$(BIN)/python -m pytest -q $(PYTEST_OPTIONS) -m 'not slow'

check: lint types ## Lint and types

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP)
	$(BIN)/mypy

lock: $(STAMP) ## Write requirements.lock (needs uv and the network)
	$(BIN)/python scripts/write_lock.py

docs: $(STAMP) ## Build the documentation into site/
	$(BIN)/mkdocs build --strict

clean: ## Remove what is built (not the cache of generated data)
	rm -rf $(VENV) site dist build
