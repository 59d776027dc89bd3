# Every target sets up what it needs, once: a virtual environment, the locked
# requirements of that target, an editable install of this repository.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PORT ?= 8000
# One more than there are processors: some tests wait for a real server.
WORKERS ?= $(shell $(PYTHON) -c 'import os; print((os.cpu_count() or 1) + 1)')

# The two site tools each print a notice of their own at start; both are known
# (see CONTRIBUTING.md) and would drown the build's own lines.
export NO_MKDOCS_2_WARNING := 1
export DISABLE_MKDOCS_2_WARNING := true

.DEFAULT_GOAL := help

.PHONY: help
help: ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: serve
serve: $(VENV)/.site ## build the site and serve it on http://127.0.0.1:8000 (PORT=... changes it)
	$(BIN)/mkdocs serve --livereload --dev-addr 127.0.0.1:$(PORT)

.PHONY: site
site: $(VENV)/.site ## build the site, strictly, into site/
	$(BIN)/mkdocs build --strict

.PHONY: test
test: $(VENV)/.test ## run every test: pages, notebooks, modules, the press
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(ARGS)

.PHONY: check
check: $(VENV)/.test ## lint, formats, types, the ledger of the pages, their holes
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/python -m literate check --holes

.PHONY: notebook
notebook: $(VENV)/.notebook ## open JupyterLab on the chapters' notebooks
	$(BIN)/python -m literate build build/pages
	$(BIN)/jupyter lab --notebook-dir=build/pages

.PHONY: bench
bench: $(VENV)/.test ## measure the press, discovery, the manager and its API, each beside an alternative
	$(BIN)/python -m benchmarks

.PHONY: lock
lock: $(VENV)/.lock ## resolve the requirements anew into requirements/*.txt
	sh requirements/lock.sh $(BIN)/uv

.PHONY: clean
clean: ## remove the environment and everything that was built
	rm -rf $(VENV) .cache build site

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; set PYTHON=...")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.lock: | $(BIN)/python
	$(BIN)/python -m pip install --quiet uv
	touch $@

# One recipe for each set of requirements: site, test, notebook; go is a current Go toolchain.
$(VENV)/.site $(VENV)/.test $(VENV)/.notebook $(VENV)/.go: $(VENV)/.%: requirements/%.txt pyproject.toml | $(BIN)/python
	@echo "Setting up $(VENV) for 'make $*', once; this takes a minute or two"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@
