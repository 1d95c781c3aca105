# `make train` and `make test` from nothing but Python 3.11 or newer.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
MATERIAL ?= graphene
SECONDS ?= 300
OPTIONS ?=
# What pip is told to install first; the CPU build is far smaller.
TORCH ?= torch==2.13.0
TRITON ?= triton==3.9.0

export OMP_NUM_THREADS ?= 1
export OMP_WAIT_POLICY ?= PASSIVE
export TF_CPP_MIN_LOG_LEVEL ?= 3

.PHONY: help train test test-quick test-torch test-others test-jax \
	test-tensorflow test-kernels fuzz notebooks docs clean

help:
	@echo "make train   trains on recipes/data/graphene.h5; results in runs/"
	@echo "             MATERIAL=mos2 SECONDS=600 OPTIONS=--again"
	@echo "make test    all tests on torch, the network's on jax and tensorflow"
	@echo "make test-quick   on torch, without trainings and whole recipes"
	@echo "make test-kernels   the GPU kernels, in Triton's interpreter on the CPU"
	@echo "make fuzz    damaged files of every format: NUMBER=10000 SEED=0"
	@echo "make notebooks   runs those of the tutorials and stores what they show"
	@echo "make docs    the site, in site/"
	@echo "make clean   removes $(VENV); runs/ stays"

train: $(VENV)/.installed
	KERAS_BACKEND=torch $(BIN)/keras-hamiltonian train \
		recipes/data/$(MATERIAL).h5 --seconds $(SECONDS) $(OPTIONS)

BACKEND_TESTS := $(wildcard tests/ops tests/layers tests/models tests/losses \
	tests/optimizers \
	tests/callbacks tests/explain)

# Two processes at a time: first torch, which has all tests, then the others.
# What they say is shown when they are done, so that it does not mix.
test: $(VENV)/.installed-test
	$(MAKE) -k test-torch test-others

test-others: $(VENV)/.installed-test
	$(MAKE) -k -j2 test-jax test-tensorflow $(KERNELS)

# Each process takes whole files: their fixtures are made once.
IN_TWO := -n 2 --dist loadfile

test-torch: $(VENV)/.installed-test
	KERAS_BACKEND=torch $(BIN)/python -m pytest $(IN_TWO)

test-quick: $(VENV)/.installed-test
	KERAS_BACKEND=torch $(BIN)/python -m pytest -m "not slow" $(IN_TWO)

test-jax test-tensorflow: test-%: $(VENV)/.installed-test
	@KERAS_BACKEND=$* $(BIN)/python -m pytest $(BACKEND_TESTS) \
		> $(VENV)/$@.log 2>&1; \
	status=$$?; echo "KERAS_BACKEND=$*"; cat $(VENV)/$@.log; exit $$status

# Triton has packages for Linux alone.
KERNELS := $(if $(filter Linux-x86_64,$(shell uname -s)-$(shell uname -m)),test-kernels)

# First the numbers, in Triton's interpreter, then the compiler. Triton is kept
# out of the environment: with TensorFlow in one process it aborts it.
KERNEL_TESTS := tests/ops/backend
WITH_TRITON := KERAS_BACKEND=torch PYTHONPATH=$(VENV)/triton

test-kernels: $(VENV)/.installed-test $(VENV)/.triton
	@(TRITON_INTERPRET=1 $(WITH_TRITON) $(BIN)/python -m pytest $(KERNEL_TESTS) \
		&& $(WITH_TRITON) $(BIN)/python -m pytest $(KERNEL_TESTS)) \
		> $(VENV)/$@.log 2>&1; \
	status=$$?; echo "GPU kernels"; cat $(VENV)/$@.log; exit $$status

# Every damaged file is read or refused by one message. Linux alone.
NUMBER ?= 10000
SEED ?= 0

fuzz: $(VENV)/.installed-test
	$(BIN)/python tests/robustness/fuzz.py --number $(NUMBER) --seed $(SEED)

# Runs the notebooks and stores what they print and draw.
NOTEBOOKS := $(wildcard docs/notebooks/*.ipynb)
NBCONVERT = PATH="$(abspath $(BIN)):$$PATH" KERAS_BACKEND=torch \
	$(BIN)/jupyter-nbconvert --to notebook --inplace

notebooks: $(VENV)/.installed-test $(VENV)/.installed-docs
	rm -rf docs/notebooks/runs
	$(NBCONVERT) --execute --ExecutePreprocessor.record_timing=False $(NOTEBOOKS)
	$(NBCONVERT) --coalesce-streams $(NOTEBOOKS)

# The site; a broken link is an error.
docs: $(VENV)/.installed-docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

$(VENV)/.triton: | $(BIN)/python
	$(BIN)/python -m pip install --no-deps --target $(VENV)/triton $(TRITON)
	@touch $@

# Stamps: installed once, and again when pyproject.toml changes.
$(BIN)/python:
	@$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11))" || \
		{ echo "Python 3.11 or newer is needed: make PYTHON=..."; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.torch: | $(BIN)/python
	$(BIN)/python -m pip install $(TORCH)
	@touch $@

$(VENV)/.installed: pyproject.toml $(VENV)/.torch
	$(BIN)/python -m pip install -e .
	@touch $@

$(VENV)/.installed-test: pyproject.toml $(VENV)/.installed
	$(BIN)/python -m pip install -e ".[test,jax,tensorflow,explain,siesta]"
	@touch $@

$(VENV)/.installed-docs: pyproject.toml $(VENV)/.installed
	$(BIN)/python -m pip install -e ".[docs]"
	@touch $@

clean:
	rm -rf $(VENV)
