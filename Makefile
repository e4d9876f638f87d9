# DPK Select. `make help` explains; every target sets up what it needs.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PORT ?= 8000
PROCESSES ?= 3
JOBS ?= 400

help: ## show this list
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-17s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo
	@echo "  First time here: make demo. Settings are environment variables (docs/reference/settings.md)."

# Every process compiles the modules it imports anew (6 s for PyTorch's) unless bytecode lies beside them.
unexport PYTHONDONTWRITEBYTECODE
export UV_COMPILE_BYTECODE := 1

$(BIN)/uv:
	@$(PYTHON) -c 'import sys; sys.exit("DPK Select needs Python 3.11 or newer; this is %s. Try: make PYTHON=python3.12 …" % sys.version.split()[0] if sys.version_info < (3, 11) else 0)'
	@echo "Creating the virtual environment $(VENV) …"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv

# Stamps: an environment is made anew only when what it is made from changes.
$(VENV)/.run: $(BIN)/uv pyproject.toml constraints.txt
	@echo "Installing (PyTorch is large; this takes a while the first time) …"
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --constraint constraints.txt --editable '.[runner]'
	@touch $@

$(VENV)/.dev: $(VENV)/.run
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --constraint constraints.txt --editable '.[runner,dev]'
	@touch $@

setup: $(VENV)/.dev ## make the environment for development

demo: $(VENV)/.run ## the main job, end to end: which teacher for a tiny student on real digits (no server needed)
	@$(BIN)/dpk demo

serve: $(VENV)/.run ## keep the API, the page and the workers up on http://127.0.0.1:$(PORT) (PORT=…)
	@$(BIN)/dpk serve --port $(PORT)

test: $(VENV)/.dev ## every test, on its own real Postgres, Redis and Chromium (TESTS=…, PROCESSES=3 side by side)
	@tests/install-chromium
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(PROCESSES) --dist loadfile --no-loadscope-reorder $(TESTS)

test-mlflow: $(VENV)/.dev ## an export to a real MLflow server, which is installed for it
	@DPK_TEST_MLFLOW=1 $(BIN)/python -m pytest tests/integration/test_mlflow_server.py

check: $(VENV)/.dev ## linters, types, import contracts, module sizes, links of the documents
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python tests/check_sizes.py
	@$(BIN)/python -m docs.site check

docs: $(VENV)/.dev ## the reference made anew from the code, and the documentation as a site in build/site
	@$(BIN)/python -m docs.site reference
	@$(BIN)/python -m docs.site check

format: $(VENV)/.dev ## mend what the linters can mend
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

catalogue: $(VENV)/.run ## read timm's and torchvision's models again into the catalogue
	@$(BIN)/python -m dpk_core.models.inventory
	@$(BIN)/python -m dpk_core.models.weight_inventory

bench-core: $(VENV)/.run ## what a training step costs under each method (milliseconds, memory)
	@$(BIN)/python -m benchmarks.core_steps
	@OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.detection_steps

bench-demo: $(VENV)/.run ## do the demo's candidates truly differ: all of them trained fully (a quarter of an hour)
	@OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.demo

bench-gpu: $(VENV)/.run ## everything on one GPU in nine minutes (checks, step costs, throughput, arms; needs DPK_DATA_ROOT; SMALL=1: tiny, on a CPU)
	@$(BIN)/python -m benchmarks.gpu $(if $(SMALL),--small)

bench-sweep: $(VENV)/.run ## one DPK step with every kind of vision model (goes on where it stopped)
	@OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.sweep_models

bench-ablation: $(VENV)/.dev ## what each part of DPK is worth (needs DPK_DATA_ROOT; hours; goes on where it stopped)
	@OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.ablation

bench-profiles: $(VENV)/.dev ## does the light profile rank teachers as the paper's sizes do (as above)
	@OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.profiles

bench-tables: $(VENV)/.dev ## train every teacher's student of every table (as above; TABLES=… some of them)
	@OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.train_tables $(TABLES)

bench-selection: $(VENV)/.dev ## replay every policy and its rivals on the tables
	@OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.selection

bench-prior: $(VENV)/.dev ## how likely the tables are when one number of the prior is changed
	@OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.prior

bench-calibration: $(VENV)/.dev ## are the verdict's intervals, sets and "take X" true? (known truth and the tables; goes on where it stopped; JOBS=400)
	@OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.calibration --jobs $(JOBS)

bench-service: $(VENV)/.dev ## how quickly finished answers are served, with 10 and 10,000 jobs in a Postgres (ten minutes)
	@$(BIN)/python -m benchmarks.service

bench-pages: $(VENV)/.dev ## how soon a job's page is painted in Chromium, and what it weighs (half a minute)
	@tests/install-chromium
	@$(BIN)/python -m benchmarks.pages

bench-claim: $(VENV)/.dev ## does the student follow its teacher? correlations from the tables
	@$(BIN)/python -m benchmarks.claim

bench-detection: $(VENV)/.dev ## is a teacher of use to a small detector? (needs DPK_DATA_ROOT with bccd; an hour and a half; goes on where it stopped)
	@OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.detection

bench-detection-job: $(VENV)/.dev ## does a job find a detector's teacher in 25 minutes? (needs DPK_DATA_ROOT with bccd, and two cores)
	@OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.detection_job

constraints: ## pin what is installed now into constraints.txt
	@$(BIN)/uv pip freeze --python $(BIN)/python --exclude-editable | grep -v -i -E '^(nvidia-|triton|cuda-|pip==|setuptools==|uv==)' > constraints.txt

clean: ## remove the environment and everything the demo made
	@rm -rf $(VENV) .dpk build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

.PHONY: help setup demo serve test check docs format catalogue bench-core bench-gpu bench-sweep bench-ablation bench-profiles bench-tables bench-selection bench-prior bench-calibration bench-claim bench-pages bench-service bench-detection bench-detection-job constraints clean
