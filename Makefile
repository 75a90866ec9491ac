# The commands of this repository. `make help` lists them.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTEST_ARGS ?=
BENCH_ARGS ?=
PEERS_ARGS ?=
SCALE_ARGS ?=
CHAOS_ARGS ?=
MINUTES ?= 20
SEED ?= 7
SEEDS ?=
ORDERS ?= 2000
bin := .venv/bin

.PHONY: help
help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sort -u | awk -F ':.*## ' '{ printf "  make %-16s %s\n", $$1, $$2 }'

.PHONY: setup
setup: ## Create .venv and install everything pinned (returns immediately if up to date)
	@scripts/bootstrap

.PHONY: gen
gen: setup ## Write the contract's Python code (gen/) from proto/
	@scripts/generate

.PHONY: lock
lock: setup ## Update the pinned dependencies; LOCK_ARGS=--upgrade moves them to current releases
	@scripts/lock $(LOCK_ARGS)

.PHONY: format
format: setup ## Format the code and fix what ruff can fix
	@$(bin)/ruff check --fix --quiet . || true
	@$(bin)/ruff format --quiet .

.PHONY: check
check: setup ## Static checks: style, types, import rules, contract, generated code
	$(bin)/ruff format --check --quiet .
	$(bin)/ruff check --quiet .
	$(bin)/mypy
	$(bin)/lint-imports --no-logo
	$(bin)/buf lint
	@scripts/check-breaking
	@scripts/check-generated
	@scripts/check-tracked
	@echo "check: all good"

.PHONY: rabbitmq node protoc prometheus pgbouncer
rabbitmq node protoc prometheus pgbouncer:
	@scripts/install-packages $@

.PHONY: helm
helm: ## Build helm with Go, for the tests of the chart (some minutes, once)
	@scripts/install-packages helm

# Processes, each with servers of its own.
# Two more than there are cores: tests wait for timers and servers.
WORKERS ?= $(shell expr $$(nproc) + 2)
MOST_WORKERS ?= 4
.PHONY: test
test: setup rabbitmq node prometheus pgbouncer ## Every test, on private RabbitMQ and Postgres servers; WORKERS=0 runs it in one process
	$(bin)/pytest --numprocesses $(WORKERS) --maxprocesses $(MOST_WORKERS) --dist loadfile \
		--no-loadscope-reorder $(PYTEST_ARGS)

.PHONY: polyglot
polyglot: setup node protoc ## Run the programs of docs/without-sdk: all whose tools are installed, or LANGUAGES="go java"
	$(bin)/pytest tests/polyglot --timeout 1800 --languages "$(or $(LANGUAGES),all)" $(PYTEST_ARGS)

.PHONY: test-long
test-long: setup rabbitmq ## Run the end-to-end tests with more load and more rounds of faults
	$(bin)/pytest tests/e2e --long $(PYTEST_ARGS)

.PHONY: chaos
chaos: setup rabbitmq ## Test a whole system under load and seeded faults; MINUTES=20 SEED=7, or SEEDS=1-50
	$(bin)/python -m chaos --minutes $(MINUTES) $(if $(SEEDS),--seeds $(SEEDS),--seed $(SEED)) $(CHAOS_ARGS)

.PHONY: soak
soak: setup rabbitmq ## Measure the growth of memory, descriptors and connections under load without faults
	$(bin)/python -m chaos --soak --minutes $(MINUTES) --seed $(SEED) $(CHAOS_ARGS)

M ?=
J ?= 1
.PHONY: mutants
mutants: setup rabbitmq ## Break one rule of the engine at a time: some test must fail; M=name for one, J=2 in parallel
	$(bin)/python -m mutants --jobs $(J) $(M)

.PHONY: fuzz-input
fuzz-input: setup rabbitmq ## Send generated bad input to every interface of a whole system; N=100000 SEED=7
	$(bin)/python -m fuzz_input --count $(or $(N),100000) --seed $(SEED)

.PHONY: fuzz
fuzz: setup ## Run property tests with many examples, then random runs of the engine: MINUTES=60 or EXAMPLES=5000; AGAIN=3 repeats round 3
	$(if $(AGAIN),,HYPOTHESIS_PROFILE=nightly $(bin)/pytest tests -m hypothesis --timeout 0 $(PYTEST_ARGS))
	FUZZ_MINUTES=$(if $(EXAMPLES),0,$(MINUTES)) FUZZ_EXAMPLES=$(EXAMPLES) FUZZ_ORDERS=$(ORDERS) \
		FUZZ_AGAIN=$(AGAIN) $(bin)/pytest tests/model --timeout 0 -x \
		$(if $(AGAIN),-k random_lives) $(PYTEST_ARGS)

.PHONY: bench
bench: setup rabbitmq ## Measure workflows per second and latency; BENCH_ARGS="--concurrency 8 --profile" is one case
	$(bin)/python -m bench $(BENCH_ARGS)

.PHONY: bench-peers
bench-peers: setup rabbitmq node ## The same work by Restate beside it, in turns; PEERS_ARGS="--rounds 1 --seconds 3 --row 1"
	$(bin)/python -m bench.peers $(PEERS_ARGS)

.PHONY: scale
scale: setup rabbitmq ## Test very large numbers of one thing, each with its bound; SCALE_ARGS="--case parked" is one case
	$(bin)/python -m scale $(SCALE_ARGS)

.PHONY: demo
demo: setup ## Run 28 insurance claims on an embedded Waystation, with a live view; STAY=1 leaves it running
	@$(bin)/python scripts/demo $(if $(STAY),--stay) $(DEMO_ARGS)

.PHONY: demo-agent
demo-agent: setup ## Ask the research agent a question, on an embedded Waystation; STAY=1 leaves it running
	@$(bin)/python scripts/demo $(if $(STAY),--stay) research_agent $(DEMO_ARGS)

.PHONY: up
up: setup rabbitmq ## Start the production setup on this machine: RabbitMQ, Postgres, API, two routers, handlers, and Prometheus if it is installed
	@$(bin)/python scripts/production up

.PHONY: down
down: ## Stop what `make up` started; the data is kept
	@$(bin)/python scripts/production down

.PHONY: demo-rabbitmq
demo-rabbitmq: setup rabbitmq ## Run the insurance example on RabbitMQ and Postgres: up, run, down
	@$(bin)/python scripts/production demo

.PHONY: ci
ci: ## Run what CI runs: a new environment, check, test
	@.ci/run

.PHONY: clean
clean: ## Remove installed and cached files (not the data of `waystation dev`)
	rm -rf .venv .venv-gen .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
