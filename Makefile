# Two commands do everything on a fresh machine: `make demo` and `make test`. Both make the environment first.

PYTHON ?= $(shell command -v python3.11 || echo python3)
VENV := .venv
RUN := $(VENV)/bin/python
# A log on a pipe is read later: no colours, no half lines.
export PYTHONUNBUFFERED = 1

.PHONY: demo test lint report clean

demo: $(VENV)/ready  ## train, export and measure Micro-ACDNet on sounds that the project makes
	$(RUN) -m recipes.micro_acdnet --dataset synth10 --epochs 80 --overwrite

test: lint
	$(RUN) -m pytest

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
