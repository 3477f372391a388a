# The project's commands. `make` alone lists them.

SHELL := /bin/bash
.DEFAULT_GOAL := help
CARGO ?= cargo
# The sources of an app in apps/, for a page that the server embeds.
SOURCES = $(shell find apps/$(1) apps/shared packages/client/src packages/react/src \
	-path apps/$(1)/node_modules -prune -o -path apps/$(1)/dist -prune -o -type f -print 2>/dev/null)
PAGES := apps/web/dist/index.html apps/console/dist/index.html

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-15s  %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: run
run: setup-run $(PAGES) ## build and serve the chat page on 127.0.0.1:3000 in dev mode
	@CARGO="$(CARGO)" scripts/run.sh

.PHONY: test
test: setup-test $(PAGES) ## install what the tests need, and run all tests
	$(CARGO) build -p roomful -p roomful-testkit
	@node scripts/test.mjs

.PHONY: docs
docs: setup-docs ## build the documentation site in site/dist, and check its links
	npm run --silent --workspace site build

.PHONY: dist
dist: setup-test $(PAGES) ## pack binary, Debian, npm and Python packages and an SBOM into target/dist
	@scripts/dist.sh

# SEED=… repeats a run, ROUNDS and MESSAGES set its length. PACKAGE_DEVICES run the client package.
ROUNDS ?= 200
MESSAGES ?= 1000000
PACKAGE_DEVICES ?= 4

.PHONY: torture
torture: setup-test ## kill, cut off and starve a server, and check that nothing is lost or duplicated
	$(CARGO) build --release -p roomful -p roomful-torture --bin roomful --bin roomful-torture
	npm run --silent --workspace @roomful/client --workspace @roomful/server build
	$(CARGO) run --release -p roomful-torture -- --rounds $(ROUNDS) --messages $(MESSAGES) \
		--package-devices $(PACKAGE_DEVICES) $(if $(SEED),--seed $(SEED))

# STORM clients are dropped all at once at the end. SKEW=30 sets two clocks off by 30 seconds, with libfaketime.
# NAMESPACES=1 gives each node a network namespace and partitions nodes by dropping packets; it needs root or user
# namespaces. WATCH=5 checks presence after every fifth kill only. TARGETS=1 also checks the targets, which need an idle
# machine.
CLUSTER_ROUNDS ?= 300
STORM ?= 500
WATCH ?= 1

.PHONY: torture-cluster
torture-cluster: setup-test ## do the same to three nodes, PostgreSQL, Redis and the network between them
	$(CARGO) build --release -p roomful -p roomful-torture --bin roomful --bin roomful-torture
	$(CARGO) run --release -p roomful-torture -- --nodes 3 --rounds $(CLUSTER_ROUNDS) --messages $(MESSAGES) --storm $(STORM) \
		--watch-every $(WATCH) $(if $(TARGETS),--targets) \
		$(if $(SKEW),--skew $(SKEW)) $(if $(NAMESPACES),--namespaces) $(if $(SEED),--seed $(SEED))

# ATTACK=name runs one kind of attack, SECONDS_EACH sets its length. It needs two idle cores.
SECONDS_EACH ?= 10

.PHONY: torture-overload
torture-overload: ## attack a server beside honest users, and print what they see of it
	$(CARGO) build --release -p roomful -p roomful-torture --bin roomful --bin roomful-torture
	$(CARGO) run --release -p roomful-torture -- --overload --seconds $(SECONDS_EACH) $(if $(ATTACK),--attack $(ATTACK))

# TARGET=name fuzzes one target, FUZZ_SECONDS sets the time of each. fuzz/README.md lists them.
FUZZ_SECONDS ?= 600

.PHONY: fuzz
fuzz: ## fuzz each parser for ten minutes, with nightly Rust and cargo-fuzz
	@FUZZ_SECONDS=$(FUZZ_SECONDS) TARGET=$(TARGET) scripts/fuzz.sh

# SOCKET_IO names a clone of github.com/socketio/socket.io; without it, the script clones it. It needs ports 3000 and
# 3210.
.PHONY: client-suites
client-suites: ## run the unmodified test suites of engine.io-client and socket.io-client against our server
	$(CARGO) build --release -p roomful-socket --example client_suites
	@SOCKET_IO=$(SOCKET_IO) scripts/client-suites.sh

# QUICK=1 gives a first impression within five minutes after the build. WORKLOAD=a,b ONLY=c,d BENCH_ROUNDS=n run a part.
# Only full runs update the report that the documentation cites.
BENCH_PART := $(QUICK)$(ONLY)$(BENCH_ROUNDS)
BENCH_RESULTS := $(if $(BENCH_PART),bench/results/quick,bench/results)

.PHONY: bench
bench: ## measure Roomful beside other servers; writes bench/results/report.md
	@started=$$(date +%s) && $(CARGO) build --release -p roomful -p roomful-bench --bins --examples && \
	target/release/roomful-bench run --results $(BENCH_RESULTS) $(if $(WORKLOAD),--workload $(WORKLOAD)) \
		$(if $(ONLY),--only $(ONLY)) $(if $(BENCH_ROUNDS),--rounds $(BENCH_ROUNDS)) \
		$(if $(QUICK),--quick --budget $$((left = 270 + started - $$(date +%s), left > 180 ? left : 270)))
	@$(if $(BENCH_PART),,target/release/roomful-bench report --summary docs/performance.md)

.PHONY: instructions
instructions: setup-instructions ## compare instruction counts with scripts/instructions.json; STORE=1 stores new ones
	$(CARGO) build --release -p roomful-socket --example instructions
	@node scripts/instructions.mjs $(if $(STORE),--store)

.PHONY: lint
lint: setup-lint ## check format, lints, types and dependencies
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	$(CARGO) clippy -p roomful-socket -p roomful-bus --lib -- -D warnings
	CARGO="$(CARGO)" scripts/check-fuzz.sh
	node scripts/import-cycles.mjs
	node scripts/published-crates.mjs
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --quiet --no-deps --all-features -p roomful-wire -p roomful-bus -p roomful-socket
	npm run --silent --workspaces --if-present check
	npm run --silent --workspaces --if-present size
	@if command -v cargo-deny >/dev/null; then $(CARGO) deny check bans licenses sources; \
	else echo "cargo-deny is not installed, so dependencies are not checked; cargo install --locked cargo-deny"; fi

.PHONY: fmt
fmt: ## format the Rust code
	$(CARGO) fmt --all

.PHONY: setup
setup: setup-test setup-lint ## install everything that the targets above need

.PHONY: setup-run setup-lint setup-test setup-docs setup-instructions
setup-run setup-lint setup-test setup-docs setup-instructions: setup-%:
	@scripts/setup.sh $*

# Rebuilds a page only when its sources have changed.
apps/web/dist/index.html: $(call SOURCES,web) | setup-run
	npm run --silent --workspace apps/web build
	@touch $@

apps/console/dist/index.html: $(call SOURCES,console) | setup-run
	npm run --silent --workspace apps/console build
	@touch $@
