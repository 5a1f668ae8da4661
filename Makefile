# Two commands do everything on a fresh machine: `make demo` and `make test`. Both make the environment first.

PYTHON ?= $(shell command -v python3.11 || echo python3)
VENV := .venv
RUN := $(VENV)/bin/python
# A log on a pipe is read later: no colours, no half lines.
export PYTHONUNBUFFERED = 1

.PHONY: demo test test-micro lint report clean

demo: $(VENV)/ready  ## train, export and measure Micro-ACDNet on sounds that the project makes
	$(RUN) -m recipes.micro_acdnet --dataset synth10 --epochs 80 --overwrite

test: lint
	$(RUN) -m pytest

# What test-micro builds, and the root of a tflite-micro in which `make microlite` has run.
FOLDER ?= exported/micro_acdnet-synth10/micro
TFLM ?=

test-micro:  ## the self-test of an exported micro/, with your TFLM: make test-micro TFLM=PATH [FOLDER=exported/NAME/micro]
ifeq ($(TFLM),)
	@echo "test-micro: skipped, because it needs TFLM's library: make test-micro TFLM=path/to/tflite-micro"
else
	cmake --fresh -S $(FOLDER) -B runs/test-micro -DTFLM=$(abspath $(TFLM))
	cmake --build runs/test-micro
	runs/test-micro/self_test
endif

lint: $(VENV)/ready
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .

report: $(VENV)/ready  ## remake docs/results/ from its csv
	$(RUN) -m zoo report

clean:
	rm -rf $(VENV) runs

$(VENV)/ready: requirements.txt setup.cfg
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11) and "the reference environment needs Python 3.11: make PYTHON=/path/to/python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet --disable-pip-version-check -r requirements.txt
	$(RUN) -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@
