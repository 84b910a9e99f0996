# The two commands of the README are `make demo` and `make test`; CI and the pre-commit hooks call these same targets.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
  --no-annotate --upgrade --custom-compile-command "make lock"
DEV_EXTRAS := bedrock dev entra gateway images local metrics mlflow postgres ray serve similarity vertex wandb

# Every command and test starts processes: without compiled files each of them would compile Pilothouse anew.
unexport PYTHONDONTWRITEBYTECODE

CHECKS := check-types check-imports check-lint check-format
SYNC := $(if $(filter output-sync,$(.FEATURES)),--output-sync=target)

.PHONY: demo test check $(CHECKS) format docs bench simulate conformance-diff lock clean

demo: $(VENV)/.demo ## the main job, on a local model, in demo/
	@$(BIN)/pilothouse demo demo $(ARGS)

test: $(VENV)/.dev ## every test, with coverage of branches
	@$(BIN)/python -m pytest --numprocesses=auto --maxprocesses=4 --dist=loadfile --cov --cov-report=term:skip-covered $(ARGS)

check: $(VENV)/.dev ## format, lint, types, import contracts, side by side
	@$(MAKE) --no-print-directory --jobs=2 --keep-going $(SYNC) $(CHECKS)

check-types: $(VENV)/.dev
	@$(BIN)/basedpyright

check-imports: $(VENV)/.dev
	@$(BIN)/lint-imports

check-lint: $(VENV)/.dev
	@$(BIN)/ruff check .

check-format: $(VENV)/.dev
	@$(BIN)/ruff format --check .

format: $(VENV)/.dev
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

docs: $(VENV)/.dev ## run every code block of the documentation
	@$(BIN)/python -m pytest tests/docs $(ARGS)

bench: $(VENV)/.dev ## figures, reported and never asserted
	@for script in benchmarks/*.py; do echo "== $$script"; $(BIN)/python $$script || exit 1; done

simulate: $(VENV)/.dev ## coverage, false alarms and power, at full size (minutes)
	@$(BIN)/python -m tests.evaluation.simulations 20
	@$(BIN)/python -m tests.evaluation.slices.simulations 20
	@$(BIN)/python -m tests.evaluation.sequential.simulations 20
	@$(BIN)/python -m tests.experiments.gates.simulations 20

conformance-diff: $(VENV)/.dev ## the conformance cases by prompt flow too; writes the page of differences (15 minutes)
ifndef PROMPTFLOW_PYTHON
	@echo "conformance-diff needs an interpreter with prompt flow. To make one and use it:"
	@echo "  python3.11 -m venv ../pf && ../pf/bin/pip install promptflow==1.18.5 promptflow-tools==1.6.1"
	@echo "  make conformance-diff PROMPTFLOW_PYTHON=../pf/bin/python"
	@exit 2
else
	@$(BIN)/python -m tests.conformance.differential --promptflow-python $(PROMPTFLOW_PYTHON) $(ARGS)
endif

lock: $(VENV)/.dev ## write the lock files anew
	@$(PIP) install uv
	@$(LOCK) --extra local --extra serve --output-file requirements/demo.txt pyproject.toml requirements/build.in
	@$(LOCK) $(foreach extra,$(DEV_EXTRAS),--extra $(extra)) --output-file requirements/dev.txt pyproject.toml requirements/build.in

clean:
	rm -rf $(VENV) demo .pytest_cache .ruff_cache .import_linter_cache .hypothesis .coverage dist

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Pilothouse needs Python 3.11 or newer; $(PYTHON) is older. To mend: make PYTHON=python3.12 ..."; exit 2; }
	@echo "Making a virtual environment in $(VENV) ..."
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: $(BIN)/python requirements/demo.txt pyproject.toml
	@echo "Installing Pilothouse and what it needs ..."
	@$(PIP) install --require-hashes --requirement requirements/demo.txt
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.dev: $(BIN)/python requirements/dev.txt pyproject.toml
	@echo "Installing Pilothouse and its development tools ..."
	@$(PIP) install --require-hashes --requirement requirements/dev.txt
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@ $(VENV)/.demo
