# Two commands do everything on a fresh machine: `make demo` and `make test`. Both make the environment first.

PYTHON ?= $(shell command -v python3.11 || echo python3)
VENV := .venv
RUN := $(VENV)/bin/python
# A log on a pipe is read later: no colours, no half lines.
export PYTHONUNBUFFERED = 1

.PHONY: demo test fuzz test-clients test-micro test-notebooks test-page page docs lint report clean

demo: $(VENV)/ready  ## train, export and measure Micro-ACDNet on sounds that the project makes
	$(RUN) -m recipes.micro_acdnet --dataset synth10 --epochs 80 --overwrite

test: lint
	$(RUN) -m pytest

fuzz: $(VENV)/ready  ## 10,000 damaged models and recordings, where `make test` has 500
	FUZZ_CASES=10000 $(RUN) -m pytest tests/runtime/test_fuzz.py

# MediaPipe's environment, and that of a Pi; files that the code exports as it is now. Beside them stands whatever is in exported/.
CLIENTS := .venv-clients
LIGHT := .venv-light
FRESH := runs/clients

test-clients: $(VENV)/ready $(CLIENTS)/ready $(LIGHT)/ready $(FRESH)/ready  ## MediaPipe hears what we hear, and a Pi does
	$(RUN) tests/clients/compare.py --client $(CLIENTS)/bin/python exported $(FRESH)
	$(LIGHT)/bin/python tests/clients/light.py exported $(FRESH)

# On 50 sounds: enough for scores that move from sound to sound.
EXPORT_FRESH = --dataset synth10 --data-dir $(FRESH)/sounds --quick --epochs 80 --out $(FRESH) --overwrite

$(FRESH)/ready: $(FRESH)/sounds $(wildcard recipes/*.py zoo/*.py zoo/datasets/*.py zoo/export/*.py zoo/models/*.py)
	$(RUN) -m recipes.micro_acdnet $(EXPORT_FRESH) --forms fp16,dynamic,int16x8,naive_int8,edgetpu
	$(RUN) -m recipes.micro_acdnet $(EXPORT_FRESH) --forms fp16,dynamic --front-end mel
	$(RUN) -m recipes.ds_cnn $(EXPORT_FRESH) --front-end mel_20 --reject 2
	touch $@

$(FRESH)/sounds: $(VENV)/ready
	rm -rf $@ $@.part
	$(RUN) -c "from zoo.datasets import synth10; synth10.write('$@.part', clips_per_class=5)"
	mv $@.part $@

$(CLIENTS)/ready: tests/clients/requirements.txt
	$(PYTHON) -m venv $(CLIENTS)
	$(CLIENTS)/bin/pip install --quiet --disable-pip-version-check -r $<
	touch $@

$(LIGHT)/ready: setup.cfg $(shell find zoo -name '*.py')
	rm -rf $(LIGHT)
	$(PYTHON) -m venv $(LIGHT)
	$(LIGHT)/bin/pip install --quiet --disable-pip-version-check '.[audio]'
	rm -rf build
	touch $@

SITE := .venv-docs

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

test-notebooks: $(VENV)/ready-for-notebooks  ## each of notebooks/ from its first cell to its last: runs/notebooks/
	$(RUN) tests/notebooks/run.py

$(VENV)/ready-for-notebooks: $(VENV)/ready
	$(RUN) -m pip install --quiet --disable-pip-version-check nbclient ipykernel
	touch $@

docs: $(SITE)/ready  ## docs/ as a site, in runs/site; a broken link or a docstring that is not there is an error
	NO_MKDOCS_2_WARNING=1 $(SITE)/bin/mkdocs build --quiet --strict

# A page that hears in the browser, with a shipped model; it stands in the site, and may lie on any server.
PAGE := runs/site/listen
HEARS := exported/yamnet_256_mel_20ms_taught-esc10
MODULES := runs/web/node_modules

page: docs $(MODULES)/ready  ## a page that hears a file or the microphone: runs/site/listen/
	mkdir -p $(PAGE)/wasm
	cp web/index.html web/listen.js web/taker.js $(HEARS)/model_int8.tflite $(MODULES)/@mediapipe/tasks-audio/audio_bundle.mjs $(PAGE)
	cp $(MODULES)/@mediapipe/tasks-audio/wasm/* $(PAGE)/wasm

test-page: page  ## that page in headless Chromium, on real clips
	$(RUN) tests/web/page.py $(PAGE) $(HEARS) $(MODULES)

$(MODULES)/ready: web/package.json
	mkdir -p runs/web
	cp web/package.json runs/web
	npm install --prefix runs/web --no-package-lock --no-audit --no-fund --silent
	touch $@

$(SITE)/ready: setup.cfg
	$(PYTHON) -m venv $(SITE)
	$(SITE)/bin/pip install --quiet --disable-pip-version-check '.[docs]'
	rm -rf build
	touch $@

lint: $(VENV)/ready
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .

report: $(VENV)/ready  ## remake docs/results/ from its csv
	$(RUN) -m zoo report

clean:
	rm -rf $(VENV) $(CLIENTS) $(LIGHT) $(SITE) runs

$(VENV)/ready: requirements.txt setup.cfg
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11) and "the reference environment needs Python 3.11: make PYTHON=/path/to/python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet --disable-pip-version-check -r requirements.txt
	$(RUN) -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@
