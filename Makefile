# Needs python3 (3.11 or newer) and make. `make demo` and `make test` install what they need into .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
DEV_STAMP := $(VENV)/.installed-dev
SHELL := /bin/bash
# The tests start mralab some 200 times. Without bytecode files, every start would compile all its modules.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test soak fuzz bench bench-quick profile check picture clean

demo: $(STAMP)
	@$(BIN)/mralab demo

# Four processes on two cores: many tests wait for time to pass. tests/conftest.py decides the order.
test: $(DEV_STAMP)
	@$(BIN)/python -m pytest -n 4 --dist loadscope --no-loadscope-reorder -q

# Mixed traffic and random faults from both sides, for SECONDS=120; then the books: clients, log and servers must agree.
# SEED=N does the same again. FULL=1 adds every row of docs/faults.md at its full size (about half an hour).
soak: $(DEV_STAMP)
	@$(BIN)/python -m tests.soak --seconds $(or $(SECONDS),120) $(if $(SEED),--seed $(SEED))
ifdef FULL
	@MRALAB_FAULTS=full $(BIN)/python -m pytest -q tests/faults
endif

check: $(DEV_STAMP)
	$(BIN)/ruff check proxy tests examples benchmarks
	$(BIN)/ruff format --check proxy tests examples benchmarks
	$(BIN)/mypy
	$(BIN)/lint-imports

# The grammars under libFuzzer (atheris, Linux), then how the time of each parser grows: make fuzz SECONDS=600; each has its
# share
SECONDS_OF_FUZZ := $(or $(SECONDS),80)
fuzz: $(DEV_STAMP)
	@$(BIN)/python -c 'import atheris' 2>/dev/null || $(BIN)/python -m pip install -q --disable-pip-version-check atheris
	@$(BIN)/python -m tests.fuzz.run $(SECONDS_OF_FUZZ)

# Compared with the real Traffic Server, nginx and HAProxy; says which Debian packages it lacks. BENCH adds options.
bench: $(DEV_STAMP)
	@$(BIN)/python -m benchmarks.compare $(BENCH)

bench-quick: $(DEV_STAMP)
	@$(BIN)/python -m benchmarks.compare --quick

# Where a request's CPU goes, by part: kernel, OpenSSL, interpreter... (needs linux-perf as well)
profile: $(DEV_STAMP)
	@$(BIN)/python -m benchmarks.profile

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "mralab needs Python 3.11 or newer: make PYTHON=python3.12 ..."; exit 1; }
	@$(PYTHON) -m venv $(VENV)

$(STAMP): pyproject.toml | $(BIN)/python
	@echo "installing mralab into $(VENV) (once)"
	@$(BIN)/python -m pip install -q --disable-pip-version-check -e .
	@touch $@

$(DEV_STAMP): $(STAMP)
	@echo "installing the development tools into $(VENV) (once)"
	@$(BIN)/python -m pip install -q --disable-pip-version-check \
	  $$($(BIN)/python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["dependency-groups"]["dev"])')
	@touch $@

clean:
	rm -rf $(VENV) demo-out dist .mypy_cache .ruff_cache .pytest_cache .hypothesis

picture: $(STAMP)
	@$(BIN)/python -m mralab.show.picture docs/demo.svg
