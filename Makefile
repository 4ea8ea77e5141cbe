# Two commands do it: `make run` and `make test`. Everything lands in .venv, .boxoffice and artifacts.
.DEFAULT_GOAL := help
SHELL := /bin/bash
VENV := .venv
BIN := $(VENV)/bin
PORT ?= 8000
DATA ?= .boxoffice
WORKERS ?= 2
ONLY ?=

.PHONY: help setup setup-dev run full check lint test replay bench evidence machine soak docs format clean

help: ## List what can be done
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(VENV)/.runs: pyproject.toml uv.lock scripts/setup.sh
	@scripts/setup.sh run

$(VENV)/.develops: pyproject.toml uv.lock scripts/setup.sh
	@scripts/setup.sh develop

setup: $(VENV)/.runs ## Install what the shop needs, into .venv

setup-dev: $(VENV)/.develops ## Install what tests and checks need too (with a browser, nginx, Varnish, Prometheus, Kafka, Zipkin and search servers)
	@scripts/browser.sh
	@scripts/servers.sh
	@$(BIN)/python -m boxoffice.runtime.engines || [ -z "$$CI" ] # elsewhere their tests say what they lack

run: $(VENV)/.runs ## Start the whole shop with the demo (PORT=8000 DATA=.boxoffice)
	@exec $(BIN)/boxoffice up --demo --port $(PORT) --data-dir $(DATA)

full: $(VENV)/.runs ## Start the demo as many processes, with every engine (needs Java 21; PORT=8000 DATA=.boxoffice-full)
	@exec $(BIN)/boxoffice full --port $(PORT) --data-dir $(if $(filter file,$(origin DATA)),.boxoffice-full,$(DATA))

lint: $(VENV)/.develops ## Format, lint, types, import contracts: check only
	@$(BIN)/ruff format --check --quiet . && $(BIN)/ruff check --quiet . && echo "ruff: clean"
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo 2>/dev/null | tail -n 3

check: lint ## Everything that is quick: lint and all but the most thorough unit tests, under a minute
	@$(BIN)/pytest tests/unit -q -n $(WORKERS) -m "not thorough"

test: setup-dev lint ## Every test, on real engines that it starts itself; at the end ten minutes of chaos
	@scripts/in_memory.sh $(BIN)/pytest -n $(WORKERS) --dist loadgroup --ignore=tests/chaos
	@$(BIN)/pytest tests/chaos -p no:randomly # alone: it runs the whole shop and breaks it for ten minutes

replay: $(VENV)/.develops ## Show the history of one seed of the simulation (SEED=4711 MUTANT=guards-left-out MOOD=stubborn)
	@$(BIN)/python -m tests.simulation --replay $(SEED) --mutant "$(MUTANT)" --mood "$(MOOD)"

bench: setup-dev ## Measure, as ratios against what could be picked instead; writes artifacts/bench.json (ONLY=holds,race LONGER=2)
	@$(BIN)/python -W ignore::DeprecationWarning -m bench --only "$(ONLY)" --longer $(or $(LONGER),1)

evidence: setup-dev ## Prove it: hammer, chaos, mutants, pairs, then the full machine; writes docs/evidence (CHAOS_MINUTES=10 ATTEMPTS=1000000 SEED=n ONLY=hammer,chaos)
	@status=0; \
	$(BIN)/python -m tests.evidence --minutes $(or $(CHAOS_MINUTES),10) --attempts $(or $(ATTEMPTS),1000000) $(if $(SEED),--seed $(SEED)) $(if $(ONLY),--only $(ONLY)) || status=1; \
	$(if $(ONLY),,$(BIN)/python -m tests.machine $(if $(SEED),--seed $(SEED)) || status=1;) exit $$status

machine: setup-dev ## Prove the full machine on real engines; writes docs/evidence/machine.md (needs Java 21; ONLY=carrying SEED=n)
	@$(BIN)/python -m tests.machine $(if $(ONLY),--only $(ONLY)) $(if $(SEED),--seed $(SEED))

soak: setup-dev ## An hour of chaos on the real processes (CHAOS_MINUTES=60 SEED=n runs a schedule again)
	@$(BIN)/python -m tests.chaos --minutes $(or $(CHAOS_MINUTES),60) $(if $(SEED),--seed $(SEED))

docs: $(VENV)/.develops ## Write the generated pages again: settings, errors, states, OpenAPI, message schemas
	@$(BIN)/python scripts/write_docs.py

format: $(VENV)/.develops ## Format and fix what can be fixed by itself
	@$(BIN)/ruff format . && $(BIN)/ruff check --fix .

clean: ## Remove .venv, caches and artifacts; the shop's data (.boxoffice) stays
	@rm -rf $(VENV) artifacts .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
