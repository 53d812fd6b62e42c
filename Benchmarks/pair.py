#!/usr/bin/env python3
"""Two builds side by side on W1: CPU of each, in turn, from a file and through Kafka.

usage: pair.py OLD NEW [RUNS=9] [RECORDS=500000] [file|kafka]

OLD and NEW are binaries. Which one begins changes with every pair, so that neither has the better half of a machine
that others use too. CPU is user + system of the whole process (wait4), the broker left out. Printed are the median of
each and the median of the ratios NEW / OLD of all pairs, with the quartiles. Through Kafka: the script at
TIDEMARK_TEST_KAFKA, 4 partitions, lz4, one worker, exactly once.
"""
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys

from bench import ROOT, TOPICS, make_w1, measured


def compare(name, binaries, count, run):
    """Runs both in turn, `count` times each after one that warms up, and prints what they took."""
    taken = {binary: [] for binary in binaries}
    for turn in range(-1, count):
        for binary in binaries if turn % 2 else reversed(binaries):
            cpu = run(binary, turn)["cpu"]
            if turn >= 0:
                taken[binary].append(cpu)
    old, new = (taken[binary] for binary in binaries)
    ratios = [b / a for a, b in zip(old, new)]
    low, middle, high = statistics.quantiles(ratios, n=4)
    for label, values in (("old", old), ("new", new)):
        print(f"{name}, {label}: CPU-s median {statistics.median(values):.3f} ({min(values):.3f}–{max(values):.3f})", flush=True)
    print(f"{name}: new / old, median of {count} pairs {middle:.3f} (quartiles {low:.3f}–{high:.3f}), of the medians "
          f"{statistics.median(new) / statistics.median(old):.3f}", flush=True)


def through_kafka(work, data, records, binaries, count):
    script = os.environ.get("TIDEMARK_TEST_KAFKA", str(ROOT / "../shared/kafka/kafka"))
    if not os.access(script, os.X_OK):
        sys.exit(f"no Kafka script at {script}")
    environment = dict(os.environ, KAFKA_DIR=str(work / "kafka-pair"), KAFKA_PORT="23592")

    def kafka(*args):
        return subprocess.run([script, *args], env=environment, capture_output=True, text=True)

    try:
        kafka("wipe")
        kafka("up")
        environment["TIDEMARK_BROKERS"] = brokers = kafka("bootstrap").stdout.strip()
        for topic, partitions in TOPICS.items():
            kafka("topics", "--create", "--topic", topic, "--partitions", str(partitions))
        subprocess.run(["swift", "build", "-c", "release", "--product", "kafka-bench"], cwd=ROOT, check=True, capture_output=True)
        subprocess.run([ROOT / ".build/release/kafka-bench", "load", brokers, "w1", data], check=True)

        def run(binary, turn):
            taken = measured([binary, "run", "topologies/w1.yaml", "--until-end", "--json", "--set", "run.workers=1", "--set",
                              f"app=pair-{turn}-{binaries.index(binary)}"], env=environment)
            if json.loads(taken["out"])["records"] != records:
                sys.exit(f"wrong: {taken['out']}")
            return taken
        compare("through Kafka", binaries, count, run)
    finally:
        kafka("wipe")


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    binaries = [str(pathlib.Path(binary).resolve()) for binary in sys.argv[1:3]]
    if binaries[0] == binaries[1]:
        sys.exit("pair.py compares two binaries: copy the old one before the new one is built")
    count = int(sys.argv[3]) if len(sys.argv) > 3 else 9
    records = int(sys.argv[4]) if len(sys.argv) > 4 else 500_000
    path = sys.argv[5] if len(sys.argv) > 5 else ""
    work = ROOT / f"out/bench-{records}"
    make_w1(work, records)
    data = work / "w1.ndjson"

    def run(binary, _):
        shutil.rmtree(work / "pair", ignore_errors=True)
        return measured([binary, "run", "topologies/w1.yaml", "--input", data, "--output", work / "pair", "--until-end", "--json",
                         "--set", "run.workers=1"])
    if path != "kafka":
        compare("from a file", binaries, count, run)
    if path != "file":
        through_kafka(work, data, records, binaries, count)


if __name__ == "__main__":
    main()
