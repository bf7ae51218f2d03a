# Everything runs in a virtual environment of the project, .venv. Each step is left out when nothing it depends on has changed.
# PYTHON=... chooses the interpreter the environment is made with; PYTEST_ARGS=... adds to pytest's command line.

VENV := .venv
BIN := $(CURDIR)/$(VENV)/bin
VERSIONED := pyproject.toml ansible_collections/standalone/python/galaxy.yml scripts/venv
WINDOWS := $(if $(STANDALONE_PYTHON_WINDOWS),windows-)
PACKAGES := tests/packages.txt $(wildcard tests/tools/hosts/packages.txt) $(if $(WINDOWS),tests/windows-packages.txt)
PYTEST_ARGS ?=
# Two more than the processors of the smallest machine that runs all tests: many tests wait for hosts and servers. With three workers
# its processors are idle for 40 % of the time.
WORKERS ?= 4
# Of `nox --list`: tags or names of sessions; all where it is empty.
MATRIX ?=
# Format of the report of `make coverage`: text, markdown or total.
COVERAGE ?= text

.PHONY: demo test coverage matrix lint dist docs linkcheck clean

demo: $(VENV)/.ready-to-run
	@$(BIN)/python demo/run.py

# Tests start thousands of processes. Where PYTHONDONTWRITEBYTECODE is set, each would compile the project anew.
test: $(VENV)/.ready-to-test $(VENV)/.$(WINDOWS)packages
	@$(BIN)/python -m compileall -q ansible_collections standalone_python pyinfra_ops
	@PATH="$(BIN):$$PATH" $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(PYTEST_ARGS)

matrix: $(VENV)/.ready-to-test
	@$(BIN)/nox $(if $(MATRIX),$(if $(filter oldest newest,$(MATRIX)),--tags,--sessions) $(MATRIX))

# What the tests of the core run of it, by lines and branches.
coverage: $(VENV)/.ready-to-test
	@$(BIN)/python -m pytest -n 2 --dist loadfile -q --cov --cov-report= tests/core tests/store tests/finisher >&2
	@$(BIN)/coverage report --format=$(COVERAGE)

lint: $(VENV)/.ready-to-test
	@PATH="$(BIN):$$PATH" scripts/lint

# What is published. Galaxy wants to know where the collection is developed: REPOSITORY=...
dist: $(VENV)/.ready-to-test
	@$(BIN)/python scripts/release.py dist --sbom $(if $(REPOSITORY),--repository $(REPOSITORY))

.github/publish.txt: .github/publish.in
	@$(BIN)/uv pip compile --quiet --generate-hashes --no-header --python-version 3.13 --python-platform x86_64-manylinux_2_28 $< --output-file $@

# Warnings are errors. A link that leads nowhere within the documentation is one; `make linkcheck` asks other servers.
docs: $(VENV)/.ready-to-test
	@$(BIN)/sphinx-build --quiet --fail-on-warning --keep-going --builder html --doctree-dir build/doctrees docs build/docs

linkcheck: $(VENV)/.ready-to-test
	@$(BIN)/sphinx-build --quiet --builder linkcheck --doctree-dir build/doctrees docs build/linkcheck

clean:
	rm -rf $(VENV) .demo .nox .ansible .hypothesis .mypy_cache .pytest_cache .ruff_cache build dist
	find . -path ./.git -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.ready-to-run: $(VERSIONED)
	@scripts/venv $(VENV) ansible
	@touch $@

$(VENV)/.ready-to-test: $(VERSIONED)
	@scripts/venv $(VENV) dev
	@touch $@ $(VENV)/.ready-to-run

$(VENV)/.$(WINDOWS)packages: $(PACKAGES) | $(VENV)/.ready-to-test
	@scripts/packages $@ $(PACKAGES)
