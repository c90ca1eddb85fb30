# Two commands do everything on a machine with Python 3.11 or later, git and make:
#   make demo    the example fleet checked, compiled, and booted by a virtual phone
#   make test    style, types and tests
PYTHON ?= python3
VENV := .venv
STAMP := $(VENV)/installed

.PHONY: demo test bench clean

demo: $(STAMP)
	@PATH="$(CURDIR)/$(VENV)/bin:$$PATH" $(VENV)/bin/python docs/demo.py

test: $(STAMP)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	PATH="$(CURDIR)/$(VENV)/bin:$$PATH" $(VENV)/bin/pytest -n auto -m "not long" --ignore=tests/bench
	PATH="$(CURDIR)/$(VENV)/bin:$$PATH" $(VENV)/bin/pytest -m "not long" tests/bench

bench: $(STAMP)
	$(VENV)/bin/python tests/bench/run.py

$(STAMP): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check -e ".[test]"
	@touch $@

clean:
	rm -rf $(VENV)
