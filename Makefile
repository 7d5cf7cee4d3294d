# Needs python3 (3.11 or newer) and make. Targets install what they need into .venv. `make` alone lists them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
DEV_STAMP := $(VENV)/.installed-dev
SHELL := /bin/bash
# The tests start mralab some 200 times. Without bytecode files, every start would compile all its modules.
unexport PYTHONDONTWRITEBYTECODE
DEV := import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["dependency-groups"]["dev"])

PIP := -m pip --disable-pip-version-check --retries 1
NOT_INSTALLED := { echo "The packages could not be installed. Without a network, on a machine that has one: make wheelhouse;"; \
  echo "then copy the folder here and set PIP_NO_INDEX=1 PIP_FIND_LINKS=$(CURDIR)/wheelhouse"; exit 1; } >&2

.PHONY: help demo test test-oldest soak fuzz bench bench-quick profile check pictures wheel wheelhouse image clean

help: ## list these targets
	@awk -F ': .*## ' '/^[a-z-]+: .*## /{printf "make %-12s %s\n", $$1, $$2}' Makefile

demo: $(STAMP) ## the article's login before and after X14.2, then each remedy
	@$(BIN)/mralab demo

# Four processes on two cores: many tests wait for time to pass. tests/conftest.py decides the order.
test: $(DEV_STAMP) ## the test suite
	@$(BIN)/python -m pytest -n 4 --dist loadscope --no-loadscope-reorder -q

# Mixed traffic and random faults from clients and servers, for SECONDS=120; then the records of clients, log and servers
# must agree. SEED=N repeats a run. FULL=1 adds every row of docs/faults.md at its full size (about half an hour).
soak: $(DEV_STAMP) ## mixed traffic and faults for two minutes
	@$(BIN)/python -m tests.soak --seconds $(or $(SECONDS),120) $(if $(SEED),--seed $(SEED))
ifdef FULL
	@MRALAB_FAULTS=full $(BIN)/python -m pytest -q tests/faults
endif

check: $(DEV_STAMP) ## ruff, mypy, import-linter
	$(BIN)/ruff check proxy tests examples benchmarks hatch_build.py
	$(BIN)/ruff format --check proxy tests examples benchmarks hatch_build.py
	$(BIN)/mypy
	$(BIN)/lint-imports

# The fuzz targets under libFuzzer (atheris, Linux), then the growth of each parser's time: make fuzz SECONDS=600, shared
# by all. Then HEADS=1000000 mutated heads and SCRIPTS=10000 interleavings of callbacks, with plans and without.
SECONDS_OF_FUZZ := $(or $(SECONDS),80)
fuzz: $(DEV_STAMP) ## random input for each parser
	@$(BIN)/python -c 'import atheris' 2>/dev/null || $(BIN)/python -m pip install -q --disable-pip-version-check atheris
	@$(BIN)/python -m tests.fuzz.run $(SECONDS_OF_FUZZ)
	@$(BIN)/python -m tests.fuzz.plans $(or $(HEADS),1000000)
	@$(BIN)/python -m tests.fuzz.interleavings $(or $(SCRIPTS),10000)

# Compares with the real Traffic Server, nginx and HAProxy; lists missing Debian packages. BENCH adds options.
bench: $(DEV_STAMP) ## CPU and memory against nginx, HAProxy and Traffic Server
	@$(BIN)/python -m benchmarks.compare $(BENCH)

bench-quick: $(DEV_STAMP) ## only the CPU ratios
	@$(BIN)/python -m benchmarks.compare --quick

# CPU by part: kernel, OpenSSL, interpreter... (needs linux-perf as well)
profile: $(DEV_STAMP) ## CPU of a request by part
	@$(BIN)/python -m benchmarks.profile

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "mralab needs Python 3.11 or newer: make PYTHON=python3.12 ..."; exit 1; }
	@$(PYTHON) -m venv $(VENV)

$(STAMP): pyproject.toml | $(BIN)/python
	@echo "installing mralab into $(VENV) (once)"
	@$(BIN)/python $(PIP) install -q -e . || $(NOT_INSTALLED)
	@touch $@

$(DEV_STAMP): $(STAMP)
	@echo "installing the development tools into $(VENV) (once)"
	@$(BIN)/python $(PIP) install -q $$($(BIN)/python -c '$(DEV)') || $(NOT_INSTALLED)
	@touch $@

wheel: | $(BIN)/python ## dist/mralab-VERSION-py3-none-any.whl
	@rm -f dist/mralab-*.whl
	@$(BIN)/python $(PIP) wheel -q --no-deps --wheel-dir dist . || $(NOT_INSTALLED)
	@ls dist/mralab-*.whl

# All packages that `make demo` and `make test` install, for a machine with the same Python and platform but no network
wheelhouse: | $(BIN)/python ## wheelhouse/: every package, for a machine without a network
	@$(BIN)/python $(PIP) download -q -d wheelhouse . "hatchling>=1.25" editables $$($(BIN)/python -c '$(DEV)') || $(NOT_INSTALLED)
	@echo "on the other machine: export PIP_NO_INDEX=1 PIP_FIND_LINKS=FOLDER/wheelhouse"

# DOCKER=podman or buildah: the default format of these has no health check. BASE=IMAGE: instead of python:3.13-slim
image: wheel ## the container image mralab (needs docker, or DOCKER=podman)
	@$(or $(DOCKER),docker) build $(if $(findstring docker,$(or $(DOCKER),docker)),,--format docker) \
	  $(if $(BASE),--build-arg BASE=$(BASE)) -t mralab .

# With the oldest versions that pyproject.toml allows; `make test` has the newest. Also with the system's Python if it is a
# 3.11: Debian 12 has 3.11.2, whose `re` and `tarfile` differ from those of later 3.11s.
OLDEST := .venv-oldest
OLDEST_PYTHON ?= $(or $(shell /usr/bin/python3 -c 'import ensurepip, sys; print(sys.executable * (sys.version_info[:2] == (3, 11)))' \
  2>/dev/null),$(PYTHON))
test-oldest: | $(BIN)/python ## the tests of TLS, logs and commands with the oldest Python and packages allowed
	@test -x $(OLDEST)/bin/python || $(OLDEST_PYTHON) -m venv $(OLDEST)
	@$(BIN)/python -m tests.oldest >$(OLDEST)/constraints.txt
	@$(OLDEST)/bin/python $(PIP) install -q -c $(OLDEST)/constraints.txt -e . $$($(BIN)/python -m tests.oldest --tools) || $(NOT_INSTALLED)
	@$(OLDEST)/bin/python -m pytest -q -n 4 --dist loadscope -p no:cacheprovider tests/tls tests/net/test_tls.py \
	  tests/net/test_verification.py tests/net/test_trust.py tests/net/test_identity.py tests/net/test_unauthenticated.py \
	  tests/lab/test_demo.py tests/cli/test_schema.py tests/web/test_api.py tests/web/test_json_schema.py tests/test_config.py \
	  tests/test_patterns.py tests/test_references.py \
	  tests/core/log/test_envelope.py tests/core/log/test_neighbours.py tests/diagnose/test_field.py \
	  tests/diagnose/test_partial_logs.py

clean: ## remove what the other targets made
	rm -rf $(VENV) $(OLDEST) wheelhouse demo-out dist .mypy_cache .ruff_cache .pytest_cache .hypothesis

# The live page needs the Debian package chromium.
pictures: $(DEV_STAMP) ## the pictures in docs/ anew: the demo, the live page
	@$(BIN)/python -m mralab.show.picture docs/demo.svg
	@$(BIN)/python -m tests.web.browser.pictures docs
