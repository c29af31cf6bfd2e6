# `make demo` and `make test` need nothing but Python 3.11, pip and make.
# TORCH_INDEX: a wheel index for torch, e.g. the CPU one of your mirror; unset takes the default index.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
TORCH_INDEX ?=
# Where the demo's workspace goes.
DEMO ?= demo
PIP := $(BIN)/pip install --quiet --disable-pip-version-check

.PHONY: demo test check lint slow bench-cycle bench-store bench-scale bench-published bench-crash clean

demo: $(VENV)/.ready
	$(BIN)/afrel demo $(DEMO)

test: $(VENV)/.ready
	@if [ -z "$$(command -v chromium)" ]; then echo "no Chromium found: browser tests are left out"; fi
	$(BIN)/python -m pytest -q -m "not slow and not gpu and not argilla and not vllm"

slow: $(VENV)/.ready
	$(BIN)/python -m pytest -q -m slow

lint: $(VENV)/.ready
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

check: lint test

# AFREL_DATA names a folder of real judgements (see docs/benchmarks.md).
bench-cycle: $(VENV)/.ready
	$(BIN)/python benchmarks/cycle.py

# The store: under load, at five million candidates, its published copy, and under kill -9 (docs/benchmarks.md).
bench-store bench-scale bench-published bench-crash: $(VENV)/.ready
	$(BIN)/python benchmarks/$(patsubst bench-%,%,$(subst bench-store,bench-store,$(subst bench-scale,bench-store_scale,$@))).py

# torch first and alone: asked for later, pip would take the newest CUDA build.
$(VENV)/.ready: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit("afrel needs Python 3.11 or newer") if sys.version_info < (3, 11) else None'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) torch==2.13.0 -c constraints.txt
	$(PIP) -c constraints.txt -e ".[train,dev]"
	touch $@

clean:
	rm -rf $(VENV) demo .mypy_cache .pytest_cache .ruff_cache
