# `make demo` and `make test` are the two commands of the README: each sets up what it needs.

SWIFT  ?= swift
FLAGS  := -c release --explicit-target-dependency-import-check error
BIN    := .build/release/tidemark
SEED   ?= 1
ONLY   ?=
export TIDEMARK_TEST_KAFKA ?= $(CURDIR)/../shared/kafka/kafka

.PHONY: help setup build demo test test-long chaos fuzz bench bench-hot bench-live bench-scaling bench-start bench-sketches
.PHONY: bench-peers bench-kafka bench-quality bench-null profile lint format clean

help:
	@echo "make demo     set up, build, and watch an hour of three models in about a minute (SEED=n)"
	@echo "make test     set up, build, and run all tests (ONLY=pattern for some)"
	@echo "make chaos    W1 under kill -9, broker failures and a bad network, for about half an hour (SEED=n)"
	@echo "make bench    workload W1 from a file and through Kafka, with checks"
	@echo "make setup | build | lint | format | test-long | fuzz | bench-hot | bench-live | bench-kafka | bench-scaling | bench-start |"
	@echo "     bench-sketches | bench-peers | bench-quality | bench-null | profile | clean"

setup:
	@ops/setup build

build: setup
	$(SWIFT) build $(FLAGS) --product tidemark

demo: build
	$(BIN) demo --seed $(SEED)

test:
	@ops/setup build test
	@ops/run-tests $(ONLY)

test-long:
	@ops/setup build test
	TIDEMARK_LONG=1 TIDEMARK_SEEDS=5000 ops/run-tests $(ONLY)

chaos: build
	@ops/setup test
	.venv/bin/python Tests/Acceptance/chaos.py --brokers 1 $(if $(filter command line,$(origin SEED)),--seed $(SEED))
	.venv/bin/python Tests/Acceptance/chaos.py --brokers 3 $(if $(filter command line,$(origin SEED)),--seed $(SEED))

# A million mutated sketches (COUNT=n), and ten million records through the layout reader in every
# instruction tier, against the walk; short forms run in the tests.
fuzz:
	@ops/setup build
	TIDEMARK_FUZZ=$(or $(COUNT),1000000) ops/run-tests 'FuzzTests|LawTests'
	TIDEMARK_LONG=1 ops/run-tests LayoutTests

bench: build
	@ops/setup bench
	Benchmarks/run

# How soon a result can be read, and how soon after kill -9: a real Kafka, exactly once.
bench-live: build
	@ops/setup test
	.venv/bin/python Benchmarks/live.py

# The cost of a record, one axis at a time: size, groups, columns, slices, workers; JSON and a picture.
bench-scaling: build
	@ops/setup test bench
	$(SWIFT) build $(FLAGS) --product kafka-bench
	.venv/bin/python Benchmarks/scaling.py

# W1 with the default checks of quality beside the same without.
bench-quality: build
	@ops/setup bench
	.venv/bin/python Benchmarks/quality.py

# A week of 20 quiet models with 20 columns each: false alerts of drift, quality and volume against their budgets.
bench-null:
	@ops/setup build
	TIDEMARK_LONG=1 ops/run-tests NullStreamTests

# From exec to the first record, and the size of the binary with what it links.
bench-start: build
	@ops/setup bench
	.venv/bin/python Benchmarks/start.py

# W1 by partitions and workers, and how long entry state takes to come back: a real Kafka.
bench-kafka: build
	@ops/setup test
	.venv/bin/python Benchmarks/kafka.py

# Each tier and the pinned peers in one run; then the peers read what we wrote.
bench-sketches:
	@ops/setup build bench
	$(SWIFT) build $(FLAGS) --product sketches-bench
	.venv/bin/python Benchmarks/sketches.py
	rm -rf out/peer && mkdir -p out/peer
	TIDEMARK_EXPORT=$(CURDIR)/out/peer $(SWIFT) test $(FLAGS) --disable-testable-imports --filter ExportTests >/dev/null
	.venv/bin/python Tests/TidemarkSketchesTests/check_peer.py out/peer

# W1 beside DuckDB, chDB, Bytewax and whylogs, which are installed for it (RECORDS=n): results first.
bench-peers: build
	@ops/setup bench
	.venv/bin/python Benchmarks/peers.py $(RECORDS)

# The file path beside the limit (Benchmarks/limit) and in harder forms: medians of five, interleaved.
bench-hot: build
	@ops/setup bench
	.venv/bin/python Benchmarks/hot.py

# Where the CPU goes: samples by stage, and by function.
profile: build
	ops/profile

lint:
	@ops/setup build
	$(SWIFT) format lint --strict --recursive --parallel Sources Tests Benchmarks Package.swift
	ops/tidy

format:
	@ops/setup build
	$(SWIFT) format --in-place --recursive --parallel Sources Tests Benchmarks Package.swift

clean:
	rm -rf .build .venv .kafka out
