# Everything runs in a virtual environment of the project, .venv. Each step is left out when nothing it depends on has changed.
# PYTHON=... chooses the interpreter the environment is made with; PYTEST_ARGS=... adds to pytest's command line.

VENV := .venv
BIN := $(CURDIR)/$(VENV)/bin
VERSIONED := pyproject.toml ansible_collections/standalone/python/galaxy.yml scripts/venv
PACKAGES := tests/packages.txt $(wildcard tests/tools/hosts/packages.txt)
PYTEST_ARGS ?=
# Of `nox --list`: tags or names of sessions; all where it is empty.
MATRIX ?=

.PHONY: demo test matrix lint clean

demo: $(VENV)/.ready-to-run
	@$(BIN)/python demo/run.py

test: $(VENV)/.ready-to-test $(VENV)/.packages
	@PATH="$(BIN):$$PATH" $(BIN)/python -m pytest -n 2 --dist loadfile $(PYTEST_ARGS)

matrix: $(VENV)/.ready-to-test
	@$(BIN)/nox $(if $(MATRIX),$(if $(filter oldest newest,$(MATRIX)),--tags,--sessions) $(MATRIX))

lint: $(VENV)/.ready-to-test
	@PATH="$(BIN):$$PATH" scripts/lint

clean:
	rm -rf $(VENV) .demo .nox .ansible .hypothesis .mypy_cache .pytest_cache .ruff_cache build dist
	find . -path ./.git -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.ready-to-run: $(VERSIONED)
	@scripts/venv $(VENV) ansible
	@touch $@

$(VENV)/.ready-to-test: $(VERSIONED)
	@scripts/venv $(VENV) dev
	@touch $@ $(VENV)/.ready-to-run

$(VENV)/.packages: $(PACKAGES) | $(VENV)/.ready-to-test
	@scripts/packages $@ $(PACKAGES)
