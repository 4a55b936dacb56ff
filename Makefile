# Two commands matter: `make serve` and `make test`. Everything else is a part of them.
# Each sets up what it needs first; finished work is never done again, interrupted work is taken up where it stopped.

PYTHON   ?= $(shell for p in python3 python3.11 python3.12 python3.13 python3.14; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done || true)
REGISTRY ?= model_registry.yaml
PORT     ?= 8000
ARGS     ?=
PEERS    ?=
FAKE     ?=
MINUTES  ?= 30
GOAL     ?=
SCALE    ?= 1
TARGET   ?= gateway

BIN    := .venv/bin
SETUP  := $(or $(PYTHON),python3) -I engines/environments/bootstrap.py
PYTEST := $(BIN)/python -m pytest
MAKEFLAGS += --no-print-directory

.PHONY: help setup develop serve test light stories check lint types unit prepare installs weights layouts bench bench-routing bench-adapters bench-bounds loadtest faults-report soak image clean

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 22

setup: ## make .venv, the gateway's light environment, and .venv/bin/enginehouse
	@$(SETUP) gateway

develop: ## the same with the tests' tools
	@$(SETUP) develop

serve: setup ## serve REGISTRY on 127.0.0.1:PORT, setting up engines and weights first
	@exec $(BIN)/enginehouse serve --registry "$(REGISTRY)" --port "$(PORT)" $(ARGS)

test: develop ## everything, with the real engine and the real model
	@$(MAKE) --jobs=4 layouts installs light stories
	@# Alone from here: a real engine wants the machine for itself.
	$(PYTEST) --durations=30 tests $(addprefix --ignore=tests/,unit test_architecture.py faults stories deploy)

# What needs no engine; it has the time in which they are installed and weights are quantized. Most of it waits.
light: develop
	@$(MAKE) check
	@$(MAKE) faults-report

stories: develop
	$(PYTEST) -q tests/stories tests/deploy

check: develop ## lint, types and unit tests: under a minute
	@$(MAKE) lint types unit

lint: develop
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: develop
	$(BIN)/mypy

unit: develop
	$(PYTEST) -q tests/unit tests/test_architecture.py

# The tests then find all of it. What a story wants is installed first; tests that run meanwhile go before it.
prepare: installs weights

installs: develop
	@nice $(BIN)/python -m loadtests.drive --install
	@nice $(BIN)/enginehouse engines install ray fetcher sglang-parser lmdeploy-parser

# The engine is installed side by side with fetching and quantizing the weights.
weights: develop
	@nice $(BIN)/enginehouse pull --registry model_registry.yaml

# Minutes of two cores: better while tests that wait have the machine than while a real engine wants it.
layouts: weights
	@nice $(BIN)/enginehouse quantize smollm2-135m --to w8a8 --registry model_registry.yaml
	@nice $(BIN)/enginehouse quantize smollm2-135m --to gptq --registry model_registry.yaml

bench: develop ## the gateway benchmark; PEERS=1 measures other gateways too
	PEERS=$(PEERS) $(BIN)/python -m loadtests.gateway_bench

bench-routing: prepare ## what a policy is worth: two real workers, shared prefixes, each policy by turns; minutes
	$(BIN)/python -m loadtests.routing

bench-adapters: prepare ## what placing adapters is worth: twelve for four slots on two real workers; minutes. FAKE=1: on fakes
	$(BIN)/python -m loadtests.adapters $(if $(FAKE),--fake)

bench-bounds: develop ## what the worst bodies cost before they are refused or let through; a minute of one core
	$(BIN)/python -m loadtests.bounds

loadtest: export REGISTRY := $(REGISTRY)
loadtest: export ARGS := $(ARGS)
loadtest: setup ## Locust for RUN_TIME with USERS, on a house of its own or on HOST=https://…; docs/load-testing.md
	@exec $(BIN)/python -m loadtests.drive

faults-report: develop ## the fault matrix, with the measured times
	$(PYTEST) -q tests/faults

soak: develop ## load for MINUTES while workers are killed, every failure explained; or GOAL=name, docs/faults.md
	$(BIN)/python -m loadtests.soak --minutes $(MINUTES) $(if $(GOAL),--goal $(GOAL) --scale $(SCALE))

image: develop ## make TARGET of deploy/Dockerfile in a clean Debian, without a container engine, and run it; as root
	$(BIN)/python -m deploy.check $(TARGET)

clean: ## remove .venv and what the tools left; the shared cache and the state folder stay
	rm -rf .venv build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
