# make demo   environment, then speech to results/SCR/acc.json
# make test   environment, then lint, format, snakemake --lint and the tests
# make test-fast  about a minute: ruff, and two cases of each test that is not marked slow, without those of benchmarks
# make resume after a crash: what was running goes on; TARGET=results/MINE/acc.json, ARGS="--profile …"
# make report report.html, afterwards: one page with what was made; ARGS="--configfile …"
# make verify every result against its checksum, schema and origin
# make faults kills, damage, full disks and hostile files by the thousand (hours); make test has a small part of it
# make env    the environment alone: .venv from requirements.lock
# make slurm-test  the DAG on a SLURM of its own, with faults, and on other storage (root, Debian; a quarter of an hour)
# make page TASK=SCR  a page in the browser that labels what you say; TASK="SCR SCR_fsdd": two tasks side by side
# make page-test  that page in a real Chromium with a fake microphone (Debian installs it as root; minutes after the demo)
# make bench  every benchmark, one after another (half an hour); make bench-decode: one of them

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
PIP := PIP_DISABLE_PIP_VERSION_CHECK=1 $(BIN)/python -m pip install --quiet --progress-bar off

BENCHMARKS := $(filter-out __init__ side_by_side table plan faults random_bundle same_labels,$(basename $(notdir $(wildcard benchmarks/*.py))))

.PHONY: demo test test-fast env lint format bench resume report verify faults slurm-test page page-test
.NOTPARALLEL: bench

demo: $(VENV)/installed
	$(BIN)/snakemake --cores all results/SCR/acc.json
	@$(BIN)/python -c "import json; r = json.load(open('results/SCR/acc.json')); print('accuracy {accuracy:.4f} [{accuracy_low:.4f}, {accuracy_high:.4f}] on {num_rows} test rows'.format(**r), r['baselines'])"

TARGET ?= results/SCR/acc.json
resume:
	$(BIN)/snakemake --unlock $(ARGS)
	$(BIN)/snakemake --cores all --rerun-incomplete $(ARGS) -- $(TARGET) missing

report:
	$(BIN)/snakemake --report report.html --report-metadata workflow/report/metadata.yaml $(ARGS)

verify: $(VENV)/installed
	$(BIN)/snakemake --cores 1 verify

faults: $(VENV)/installed
	$(BIN)/python -m benchmarks.faults

# The tests start hundreds of Python processes: let them keep compiled modules, whatever the environment says.
test test-fast: export PYTHONDONTWRITEBYTECODE =
# Two processes, each with whole files, in the order of tests/conftest.py.
PYTEST := $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

test: lint
	$(PYTEST)

test-fast: $(VENV)/installed
	$(BIN)/ruff check .
	$(PYTEST) -m "not slow" --cases 2 --ignore=tests/benchmarks

lint: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile workflow
	$(BIN)/snakemake --lint

slurm-test: $(VENV)/cluster/installed
	tests/cluster/run.sh $(VENV)/cluster/bin/python

TASK ?= SCR
KEEP ?= recordings
page: $(VENV)/page/installed
	$(BIN)/snakemake --cores all $(TASK:%=results/%/bundle)
	$(VENV)/page/bin/python -m inference page $(TASK:%=results/%/bundle) --keep $(KEEP) $(ARGS)

page-test: $(VENV)/page/installed
	$(BIN)/snakemake --cores all results/SCR/bundle
	PIP_DISABLE_PIP_VERSION_CHECK=1 $(VENV)/page/bin/python -m pip install --quiet playwright==1.65.2
	tests/page/run.sh $(VENV)/page/bin/python

format: $(VENV)/installed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/snakefmt Snakefile workflow

bench: $(BENCHMARKS:%=bench-%)
	$(BIN)/python -m benchmarks.table

bench-%: $(VENV)/installed
	$(BIN)/python -m benchmarks.$*

env: $(VENV)/installed

# An environment of its own that also sees the packages of the project's; $(1): its folder, $(2): what pip adds.
define add_environment
	$(PYTHON) -m venv --clear $(1)
	$(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))' > $(1)/base.pth
	cp $(1)/base.pth $$($(1)/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
	PIP_DISABLE_PIP_VERSION_CHECK=1 $(1)/bin/python -m pip install --quiet $(2)
	touch $(1)/installed
endef

# The plugins, which every start of Snakemake would pay for.
$(VENV)/cluster/installed: $(VENV)/installed workflow/profiles/requirements.txt
	$(call add_environment,$(VENV)/cluster,-r workflow/profiles/requirements.txt "moto[server]==5.2.5")

# The library of the page in the browser.
$(VENV)/page/installed: $(VENV)/installed inference/requirements-page.txt
	$(call add_environment,$(VENV)/page,-r inference/requirements-page.txt)

# fairseq is built from source and asks for torch while it is built: everything else comes first, and no isolation. s3prl,
# a reference of tests, asks for much that its models do not need.
# READTHEDOCS is its own switch for leaving its C++ extensions out (batching and metrics of its trainer, unused here):
# seconds instead of five minutes, and no compiler.
$(VENV)/installed: requirements.lock
	@test -n "$(PYTHON)" && $(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || \
		{ echo "make: Python 3.11 is needed and was not found; install it, or name it: make PYTHON=/path/to/python3.11"; exit 1; }
	@echo "make: installing 5.8 GB of packages into $(VENV), which takes some minutes"
	$(PYTHON) -m venv --clear $(VENV)
	grep -v '^fairseq\|^s3prl' requirements.lock > $(VENV)/first.txt
	$(PIP) -r $(VENV)/first.txt
	READTHEDOCS=1 $(PIP) --no-build-isolation --no-deps $$(grep '^fairseq\|^s3prl' requirements.lock)
	touch $@
