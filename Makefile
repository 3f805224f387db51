# duobiao: make demo, make test
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.installed
DEMO_OUT ?= runs/demo
export PIP_DISABLE_PIP_VERSION_CHECK = 1

.DEFAULT_GOAL := help
.PHONY: help install demo test docs links lint format types unit lock clean

help:  ## List the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1|/' | column -t -s '|' 2>/dev/null || grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST)

install: $(READY)  ## Make .venv with pinned dependencies

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "duobiao needs Python 3.11 or newer: make PYTHON=/path/to/python3.11 ..."; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -r requirements.lock
	$(BIN)/python -m pip install --no-deps --no-build-isolation --editable .
	@touch $(READY)

demo: $(READY)  ## Train, distil and compare all systems on the built-in data (a few minutes; can be interrupted and resumed)
	$(BIN)/duobiao demo --out $(DEMO_OUT)

test: lint types unit  ## The whole test suite: lint, types, tests

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY)
	$(BIN)/mypy

unit: $(READY)
	$(BIN)/python -m pytest

docs: $(READY)  ## Build the documentation in build/site, both languages
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict -f mkdocs.yml
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict -f mkdocs.zh.yml
	@echo "build/site: python -m http.server -d build/site"

links: $(READY)  ## Ask whether links to other places still lead somewhere (needs the network)
	$(BIN)/python tools/links.py

format: $(READY)  ## Format the code and mend what can be mended
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock: $(READY)  ## Pin what is installed now
	{ sed -n '1{/^#/p}' requirements.lock; $(BIN)/python -m pip freeze --exclude-editable | sed 's/+cpu//'; } > requirements.lock.part
	mv requirements.lock.part requirements.lock

clean:  ## Remove .venv and caches (bundles under runs/ stay)
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist
