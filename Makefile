# What this house can do. `make help` lists it.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTEST_ARGS ?=
BENCH_ARGS ?=
SCALE_ARGS ?=
CHAOS_ARGS ?=
MINUTES ?= 20
SEED ?= 7
SEEDS ?=
ORDERS ?= 2000
bin := .venv/bin

.PHONY: help
help: ## This list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sort -u | awk -F ':.*## ' '{ printf "  make %-16s %s\n", $$1, $$2 }'

.PHONY: setup
setup: ## Make .venv and install everything pinned (returns at once when up to date)
	@scripts/bootstrap

.PHONY: gen
gen: setup ## Write the contract's Python code (gen/) from proto/
	@scripts/generate

.PHONY: lock
lock: setup ## Pin the dependencies again; LOCK_ARGS=--upgrade moves them to current releases
	@scripts/lock $(LOCK_ARGS)

.PHONY: format
format: setup ## Format the code and put right what ruff can
	@$(bin)/ruff check --fix --quiet . || true
	@$(bin)/ruff format --quiet .

.PHONY: check
check: setup ## All that can be said without running it: style, types, arrows, contract, gen
	$(bin)/ruff format --check --quiet .
	$(bin)/ruff check --quiet .
	$(bin)/mypy
	$(bin)/lint-imports --no-logo
	$(bin)/buf lint
	@scripts/check-breaking
	@scripts/check-generated
	@scripts/check-tracked
	@echo "check: all good"

.PHONY: rabbitmq node protoc
rabbitmq node protoc:
	@scripts/install-packages $@

WORKERS ?= 0
.PHONY: test
test: setup rabbitmq node ## Every test, on private RabbitMQ and Postgres servers; WORKERS=2 runs it in two processes
	$(bin)/pytest --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder $(PYTEST_ARGS)

.PHONY: polyglot
polyglot: setup node protoc ## The programs of docs/without-sdk: all whose tools are here, or LANGUAGES="go java"
	$(bin)/pytest tests/polyglot --timeout 1800 --languages "$(or $(LANGUAGES),all)" $(PYTEST_ARGS)

.PHONY: test-long
test-long: setup rabbitmq ## The end-to-end tests in their long form: more load, more rounds of faults
	$(bin)/pytest tests/e2e --long $(PYTEST_ARGS)

.PHONY: chaos
chaos: setup rabbitmq ## A whole system under load and seeded faults, then checked; MINUTES=20 SEED=7, or SEEDS=1-50
	$(bin)/python -m chaos --minutes $(MINUTES) $(if $(SEEDS),--seeds $(SEEDS),--seed $(SEED)) $(CHAOS_ARGS)

.PHONY: soak
soak: setup rabbitmq ## The same load without faults, at half the rate: growth of memory, descriptors, connections
	$(bin)/python -m chaos --soak --minutes $(MINUTES) --seed $(SEED) $(CHAOS_ARGS)

M ?=
J ?= 1
.PHONY: mutants
mutants: setup rabbitmq ## The engine with one rule broken at a time: some test must notice; M=name for one, J=2 at once
	$(bin)/python -m mutants --jobs $(J) $(M)

.PHONY: fuzz-input
fuzz-input: setup rabbitmq ## Generated bad input at every door of a whole system; N=100000 SEED=7
	$(bin)/python -m fuzz_input --count $(or $(N),100000) --seed $(SEED)

.PHONY: fuzz
fuzz: setup ## Properties with many examples, then random lives for long: MINUTES=60 or EXAMPLES=5000; AGAIN=3 repeats round 3
	$(if $(AGAIN),,HYPOTHESIS_PROFILE=nightly $(bin)/pytest tests -m hypothesis --timeout 0 $(PYTEST_ARGS))
	FUZZ_MINUTES=$(if $(EXAMPLES),0,$(MINUTES)) FUZZ_EXAMPLES=$(EXAMPLES) FUZZ_ORDERS=$(ORDERS) \
		FUZZ_AGAIN=$(AGAIN) $(bin)/pytest tests/model --timeout 0 -x \
		$(if $(AGAIN),-k random_lives) $(PYTEST_ARGS)

.PHONY: bench
bench: setup rabbitmq ## Workflows per second and latency; BENCH_ARGS="--seconds 3 --repeats 1" is the short form
	$(bin)/python -m bench $(BENCH_ARGS)

.PHONY: scale
scale: setup rabbitmq ## 300,000 of one thing and the like, each with its bound; SCALE_ARGS="--case parked" is one case
	$(bin)/python -m scale $(SCALE_ARGS)

.PHONY: demo
demo: setup ## 28 insurance claims through an embedded Waystation and a handler service, watched live
	@$(bin)/python scripts/demo $(DEMO_ARGS)

.PHONY: demo-agent
demo-agent: setup ## A question to the research agent: an embedded Waystation, the agent, its tools, and you
	@$(bin)/python scripts/demo research_agent $(DEMO_ARGS)

.PHONY: up
up: setup rabbitmq ## The production shape on this machine: RabbitMQ, Postgres, API, two routers, handlers
	@$(bin)/python scripts/production up

.PHONY: down
down: ## End what `make up` started; its data stays
	@$(bin)/python scripts/production down

.PHONY: demo-rabbitmq
demo-rabbitmq: setup rabbitmq ## The insurance example on RabbitMQ and Postgres: up, run, down
	@$(bin)/python scripts/production demo

.PHONY: ci
ci: ## What the build machine runs: a new environment, check, test
	@.ci/run

.PHONY: clean
clean: ## Remove what was installed and cached (not the data of `waystation dev`)
	rm -rf .venv .venv-gen .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
