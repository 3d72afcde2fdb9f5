# make run      the whole way on the current params.yaml (default: the embedded world), then the table
# make test     the tests
# make preset NAME=tiny      another params.yaml; FORCE=1 overwrites hand edits
# make data NAME=camvid FROM=path      bring a data set to data/raw/NAME and check its layout
# make doctor   what this machine has, what params.yaml will cost on it, and what would fail
# make mlflow   the MLflow UI on this machine; make lint
# make audit    licences and known vulnerabilities of the lock; make lock, with UPGRADE=1 of the newest versions (both need uv)

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
export PATH := $(CURDIR)/$(BIN):$(PATH)
export DVC_NO_ANALYTICS := true
export DO_NOT_TRACK := true
export MLFLOW_DISABLE_TELEMETRY := true

.PHONY: run test setup doctor preset data mlflow lint audit lock scm
.DEFAULT_GOAL := run

run: setup scm
	@python -m pipeline.mend
	@python -m stages.validate --check
	@dvc repro --all-pipelines
	@python -m pipeline.tracking sync
	@python -m stages.report --show

test: setup
	@OMP_NUM_THREADS=1 python -m pytest -q -n 2 --dist loadfile --no-loadscope-reorder

# made anew where the lock's content differs from what was installed; times of files mean nothing in a fresh clone
setup:
	@test "$$(cat requirements.in constraints.txt | cksum)" = "$$(cat $(READY) 2>/dev/null)" || $(MAKE) --no-print-directory .venv

.PHONY: .venv
.venv:
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else f"Python 3.11 or newer is needed, {sys.executable} is {sys.version.split()[0]}; name another: make PYTHON=python3.12")'
	@echo "making the environment in .venv (a few minutes, 6 GB; once)"
	@$(PYTHON) -m venv .venv
	@pip install --quiet --disable-pip-version-check -r requirements.in -c constraints.txt
	@cat requirements.in constraints.txt | cksum > $(READY)

# an unpacked archive has no git history: DVC is told so in its local settings
scm:
	@git rev-parse --is-inside-work-tree >/dev/null 2>&1 || dvc config --local core.no_scm true

doctor: setup
	@python -m pipeline.doctor

preset: setup
	@python -m pipeline.presets -- "$(NAME)"

data: setup
	@python -m pipeline.bring -- "$(NAME)" "$(FROM)"

mlflow: setup
	@python -m pipeline.tracking ui

lint: setup
	@ruff check . && ruff format --check . && mypy

# --strict: without it a package that cannot be looked up counts as one without vulnerabilities
audit: setup
	@uvx pip-licenses --python $(BIN)/python --from mixed --with-system --order license
	@uvx pip-audit --strict --no-deps --disable-pip --progress-spinner off -r constraints.txt

lock:
	uv pip compile $(if $(UPGRADE),--upgrade) --universal --python-version 3.11 --no-header --no-annotate --no-emit-index-url requirements.in -o constraints.txt
