# What a person can do here. `make` alone lists it.

SHELL := /bin/bash
.DEFAULT_GOAL := help
CARGO ?= cargo
WEB_SOURCES := $(shell find web -path web/node_modules -prune -o -path web/dist -prune -o -type f -print 2>/dev/null)

.PHONY: help
help: ## lists the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-15s  %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: run
run: setup-run web/dist/index.html ## builds all it needs and serves the chat page on 127.0.0.1:3000 in dev mode
	$(CARGO) run --release -p roomful -- serve --dev

.PHONY: test
test: setup-test web/dist/index.html ## installs what the tests need, and runs every test
	$(CARGO) build -p roomful
	@node scripts/test.mjs

# Repeat a run with SEED=…; ROUNDS and MESSAGES make it longer or shorter.
ROUNDS ?= 200
MESSAGES ?= 1000000

.PHONY: torture
torture: ## kills, cuts and starves a server for long, and checks that nothing is lost or doubled
	$(CARGO) build --release -p roomful -p roomful-torture
	$(CARGO) run --release -p roomful-torture -- --rounds $(ROUNDS) --messages $(MESSAGES) $(if $(SEED),--seed $(SEED))

# STORM clients are dropped all at once at the end. SKEW=30 sets two clocks wrong by so many seconds, with libfaketime.
# NAMESPACES=1 gives each node a network namespace, and cuts nodes off by dropping packets; it takes root or user namespaces.
# WATCH=5 looks at who is shown as online after every fifth kill alone. MARKS=1 holds the figures to the project's marks, too,
# on a machine that does nothing else.
CLUSTER_ROUNDS ?= 300
STORM ?= 500
WATCH ?= 1

.PHONY: torture-cluster
torture-cluster: setup-test ## does the same to three nodes with PostgreSQL and Redis, and to what stands behind and between them
	$(CARGO) build --release -p roomful -p roomful-torture
	$(CARGO) run --release -p roomful-torture -- --nodes 3 --rounds $(CLUSTER_ROUNDS) --messages $(MESSAGES) --storm $(STORM) \
		--watch-every $(WATCH) $(if $(MARKS),--marks) \
		$(if $(SKEW),--skew $(SKEW)) $(if $(NAMESPACES),--namespaces) $(if $(SEED),--seed $(SEED))

# QUICK=1 gives a first impression within five minutes, the build of Roomful aside. WORKLOAD=a,b ONLY=c,d BENCH_ROUNDS=n run a
# part. What is not a full run is kept apart from the report that the README tells of.
BENCH_PART := $(QUICK)$(ONLY)$(BENCH_ROUNDS)
BENCH_RESULTS := $(if $(BENCH_PART),bench/results/quick,bench/results)

.PHONY: bench
bench: ## measures Roomful beside other servers; the report is bench/results/report.md
	@started=$$(date +%s) && $(CARGO) build --release -p roomful -p roomful-bench --bins --examples && \
	target/release/roomful-bench run --results $(BENCH_RESULTS) $(if $(WORKLOAD),--workload $(WORKLOAD)) \
		$(if $(ONLY),--only $(ONLY)) $(if $(BENCH_ROUNDS),--rounds $(BENCH_ROUNDS)) \
		$(if $(QUICK),--quick --budget $$((left = 270 + started - $$(date +%s), left > 180 ? left : 270)))
	@$(if $(BENCH_PART),,target/release/roomful-bench report --summary docs/performance.md)

.PHONY: instructions
instructions: setup-instructions ## counts what encoding and decoding cost, beside scripts/instructions.json; STORE=1 stores it
	$(CARGO) build --release -p roomful-socket --example instructions
	@node scripts/instructions.mjs $(if $(STORE),--store)

.PHONY: lint
lint: setup-lint ## checks format, lints, types and what comes in from outside
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	cd web && npm run --silent check
	@if command -v cargo-deny >/dev/null; then $(CARGO) deny check bans licenses sources; \
	else echo "cargo-deny is not installed, so dependencies are not checked; cargo install --locked cargo-deny"; fi

.PHONY: fmt
fmt: ## formats the Rust code
	$(CARGO) fmt --all

.PHONY: setup
setup: setup-test setup-lint ## installs what is missing for all of the above

.PHONY: setup-run setup-lint setup-test setup-instructions
setup-run setup-lint setup-test setup-instructions: setup-%:
	@scripts/setup.sh $*

# The page is built again only when its sources have changed.
web/dist/index.html: $(WEB_SOURCES) | setup-run
	cd web && npm run --silent build
	@touch $@
