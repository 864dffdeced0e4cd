# masu: `make demo` and `make test` are all a fresh machine needs (Python 3.11 or later).

PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin

CLIENTS = everyday research fiftyone serving deeplabcut labelstudio labelling
CLIENTS_VENV ?= .venv-clients

.PHONY: demo test site coverage test-faults test-bulk test-clients test-torchvision lint parity bench clean

demo: $(VENV)/.installed
	rm -rf demo
	$(BIN)/masu demo --out demo

test: $(VENV)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/zensical build --config-file mkdocs.yml --clean --strict
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist loadfile

# The pages of docs/ as a site, to be read in a browser: site/index.html.
site: $(VENV)/.installed
	$(BIN)/zensical build --config-file mkdocs.yml --clean --strict

# Which lines no test reaches; the suite takes a third longer.
coverage: $(VENV)/.installed
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist loadfile --cov --cov-report=term:skip-covered

# Kills, full disks, damaged files: the figures of docs/reliability.md. As root, since it mounts a small disk.
test-faults: $(VENV)/.installed
	$(BIN)/pytest tests/faults --figures docs/reliability.json

# Bulk detection over Ray and a local S3 server, with processes killed at random; brings a gigabyte of packages.
test-bulk: $(VENV)/.installed
	$(BIN)/pip install --quiet --editable ".[bulktest]"
	$(BIN)/pytest tests/cluster

# Real programs that take a detector (docs/clients.md); a virtual environment for each group of them.
test-clients: $(CLIENTS:%=test-clients-%)

test-clients-%: $(CLIENTS_VENV)/%/.installed
	OMP_NUM_THREADS=1 $(CLIENTS_VENV)/$*/bin/pytest tests/clients/$*

$(CLIENTS_VENV)/%/.installed: tests/clients/requirements-%.txt pyproject.toml
	$(PYTHON) -m venv $(CLIENTS_VENV)/$*
	$(CLIENTS_VENV)/$*/bin/pip install --quiet --editable ".[demo,label]" pytest scikit-image pycocotools \
		--requirement $< --constraint tests/clients/constraints.txt
	touch $@

.PRECIOUS: $(CLIENTS_VENV)/%/.installed

# torchvision's own tests, fetched from its repository, on masu: the table of docs/from-torchvision.md.
test-torchvision: $(VENV)/.installed
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.torchvision_own

lint: $(VENV)/.installed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/mypy

# The table of docs/parity.md.
parity: $(VENV)/.installed
	$(BIN)/python -m benchmarks.torchvision_oracle

# The table and the chart of docs/benchmarks.md; on an idle machine.
bench: $(VENV)/.installed
	$(BIN)/python -m benchmarks --json docs/benchmarks.json --chart docs/benchmarks.png

$(VENV)/.installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --editable ".[test,bench]"
	touch $@

clean:
	rm -rf $(VENV) $(CLIENTS_VENV) demo .coverage .mypy_cache .pytest_cache .ruff_cache .hypothesis
