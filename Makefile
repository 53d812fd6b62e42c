# `make demo` and `make test` are the two commands of the README: each sets up what it needs.

SWIFT  ?= swift
FLAGS  := -c release --explicit-target-dependency-import-check error
BIN    := .build/release/tidemark
SEED   ?= 1
ONLY   ?=
export TIDEMARK_TEST_KAFKA ?= $(CURDIR)/../shared/kafka/kafka

.PHONY: help setup build demo test test-long fuzz bench bench-hot profile lint format goldens clean

help:
	@echo "make demo     set up, build, and watch an hour of three models in about a minute (SEED=n)"
	@echo "make test     set up, build, and run all tests (ONLY=pattern for some)"
	@echo "make bench    workload W1 from a file and through Kafka, with checks"
	@echo "make setup | build | lint | format | test-long | fuzz | clean"

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

# Ten million records through the layout reader, in every instruction tier, against the walk.
fuzz:
	@ops/setup build
	TIDEMARK_LONG=1 ops/run-tests LayoutTests

bench: build
	@ops/setup bench
	Benchmarks/run

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
