# Needs Python >= 3.11 with pip and venv, and make. Everything else goes into .venv; the second call finds it there.

.DEFAULT_GOAL := help
.PHONY: help demo test test-collector lint format bench bench-pipeline gate wheel collector up down needs clean
.DELETE_ON_ERROR:

PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python; do \
	"$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$p" && break; done)
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet
ARGS ?=

help: ## Show the targets, a sentence each.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(VENV)/example.stamp ## Set up and run examples/orders.py, the main job from end to end.
	$(BIN)/python examples/orders.py $(ARGS)

test: $(VENV)/dev.stamp needs ## Set up and run every test, with branch coverage; ARGS="-k queue --no-cov" picks some.
	$(BIN)/python -m pytest --numprocesses=auto --cov --ignore=tests/collector $(ARGS)

# What the tests need besides Python packages: a browser, Graphviz, npm packages. All of it is kept. Where something cannot be had, its
# tests are skipped, and fail where CI is set.
needs: $(VENV)/dev.stamp
	-@.ci/need.sh drawing

test-collector: needs ## Build the servers and test collector, rules and dashboards against them; a quarter of an hour the first time.
	$(BIN)/python collector/native/build.py collector victoriametrics prometheus compose
	$(BIN)/python -m pytest tests/collector $(ARGS)

collector: $(VENV)/dev.stamp ## Build collector, Prometheus and VictoriaMetrics from Go modules, once, into .cache.
	$(BIN)/python collector/native/build.py

up: $(VENV)/dev.stamp ## Start collector, Prometheus, VictoriaMetrics and the orders example on loopback, and say where everything is.
	$(BIN)/python collector/native/up.py up

down: $(VENV)/dev.stamp ## Stop what `make up` started.
	$(BIN)/python collector/native/up.py down

lint: $(VENV)/dev.stamp ## Check format, rules, types (mypy and pyright, both strict), floors and written pages.
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/lint-imports
	$(BIN)/python .ci/reference.py --check
	$(BIN)/python .ci/semconv.py --check
	$(BIN)/python collector/dashboards/make.py --check

format: $(VENV)/dev.stamp ## Format the code and apply the fixes that ruff is sure of.
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/bench.stamp ## Measure against the floor and other libraries; writes docs/performance.md.
	$(BIN)/python -m tests.bench $(ARGS)
	$(BIN)/python -m tests.bench.proofs

bench-pipeline: $(VENV)/bench.stamp ## Measure telemetry through the collector, 2,000 visits a second; writes its table of docs/performance.md.
	$(BIN)/python -m tests.bench.pipeline --write $(ARGS)

gate: $(VENV)/dev.stamp ## Count machine instructions (valgrind) and compare them with the committed figures.
	$(BIN)/python -m tests.bench.gate $(ARGS)

wheel: $(VENV)/dev.stamp ## Build the wheel and run the tests against it, installed, without src.
	$(BIN)/nox --session wheel -- $(ARGS)

clean: ## Remove everything that make and its tools have made.
	rm -rf $(VENV) .cache .run build dist out .nox .coverage .coverage.* .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find src tests examples -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/pyvenv.cfg:
	@test -n "$(PYTHON)" || { echo "Septum needs Python 3.11 or newer; call make PYTHON=/path/to/python3" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }

# A stamp stands for a set of installed packages; pyproject.toml names them.
$(VENV)/example.stamp: pyproject.toml | $(VENV)/pyvenv.cfg
	$(PIP) --editable '.[example]'
	@touch $@

$(VENV)/dev.stamp: pyproject.toml | $(VENV)/pyvenv.cfg
	$(PIP) --editable '.[dev]'
	@touch $@ $(VENV)/example.stamp

$(VENV)/bench.stamp: $(VENV)/dev.stamp
	$(PIP) --editable '.[dev,bench]'
	@touch $@
