# `make demo` and `make test` need nothing but Python 3.11, pip and make.
# TORCH_INDEX: a wheel index for torch, e.g. the CPU one of your mirror; unset takes the default index.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
TORCH_INDEX ?=
# Where the demo's workspace goes.
DEMO ?= demo
PIP := $(BIN)/pip install --quiet --disable-pip-version-check

.PHONY: demo serve test check lint slow clean

demo: $(VENV)/.ready
	$(BIN)/afrel demo $(DEMO)

# The review app on the demo's workspace. Its people share one password, made by the demo.
serve: $(VENV)/.ready
	test -f $(DEMO)/afrel.toml || $(BIN)/afrel demo $(DEMO)
	@home="$${AFREL_HOME:-$$HOME/.afrel}/demo"; \
	echo "Log in as ana, bo or chen (reviewers), dora (adjudicator), cleo (curator), eli (engineer) or root (admin)."; \
	echo "All share the password that lies in $$home/password"; \
	AFREL_HOME="$$home" exec $(BIN)/afrel -w $(DEMO) serve

test: $(VENV)/.ready
	@if [ -z "$$(command -v chromium)" ]; then echo "no Chromium found: browser tests are left out"; fi
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n 3 --dist loadfile -m "not slow and not gpu and not argilla and not vllm"

slow: $(VENV)/.ready
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n 2 -m slow

lint: $(VENV)/.ready
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/mypy --explicit-package-bases --follow-imports=silent benchmarks

check: lint test

# Every script of benchmarks/ by its name: make bench-review-latency runs benchmarks/review_latency.py. Some take
# AFREL_DATA, a folder of real judgements (docs/benchmarks.md).
bench-%: $(VENV)/.ready
	$(BIN)/python benchmarks/$(subst -,_,$*).py

# torch first and alone: asked for later, pip would take the newest CUDA build.
$(VENV)/.ready: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit("afrel needs Python 3.11 or newer") if sys.version_info < (3, 11) else None'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) torch==2.13.0 -c constraints.txt
	$(PIP) -c constraints.txt -e ".[train,dev]"
	touch $@

clean:
	rm -rf $(VENV) demo .mypy_cache .pytest_cache .ruff_cache
