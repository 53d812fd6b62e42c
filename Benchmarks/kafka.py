#!/usr/bin/env python3
"""What partitions and workers cost, and how long entry state takes to come back: a real Kafka, exactly once.

usage: kafka.py [RECORDS=1000000] [RUNS=3] [GROUPS=2000]

W1 in 1, 2 and 4 partitions, read by 1 and 2 workers, interleaved; CPU is user + system of the whole process.
Then a topology learns GROUPS groups for 60 windows, and is started again with nothing to read: the time that takes
less that of a start without state, over the bytes of the state topic as a reader gets them.
"""
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

import confluent_kafka

from bench import ROOT, TIDEMARK, make_w1, measured

WORK = ROOT / "out/bench"
SCRIPT = os.environ.get("TIDEMARK_TEST_KAFKA", str(ROOT / "../shared/kafka/kafka"))
LEARNS = """
name: restore
source:
  topic: restore
  start: earliest
  out_of_orderness: 0s
  schema: { ts: time_ms, who: segment, x: { type: number, expect: { range: [0, 100] } }, y: { type: number, expect: { range: [0, 100] } } }
segments: { by-who: { by: [who], limit: %d } }
windows: [1m]
baselines: { recent: { trailing: 1h, skip: 1m } }
monitors: { drift: { against: recent, severity: info }, volume: { against: recent }, quality: off, freshness: off }
outputs: { aggregates: off }
limits: { memory: 4GiB }
"""


def learn(brokers, groups):
    """A minute after another, so many rows of each group that its window has a handful of bins."""
    producer = confluent_kafka.Producer({"bootstrap.servers": brokers, "linger.ms": 50, "compression.codec": "lz4"})
    start = 1_700_000_040_000
    for minute in range(62):
        for group in range(groups):
            for row in range(3):
                number = (group * 7 + minute * 13 + row * 31) % 100
                value = (f'{{"ts":{start + minute * 60_000 + row * 1000},"who":"customer-{group}","x":{number}.5,"y":{99 - number}.25}}').encode()
                while True:
                    try:
                        producer.produce("restore", value, partition=0)
                        break
                    except BufferError:
                        producer.poll(0.05)
        producer.poll(0)
    producer.flush(60)


def topic_bytes(brokers, topic):
    """Keys and values of a topic as they are, and how many there are."""
    consumer = confluent_kafka.Consumer({"bootstrap.servers": brokers, "group.id": "sizes", "isolation.level": "read_committed",
                                         "enable.auto.commit": False, "enable.partition.eof": True})
    consumer.assign([confluent_kafka.TopicPartition(topic, 0, 0)])
    size = count = 0
    while True:
        for message in consumer.consume(10_000, timeout=10):
            if message.error():
                return size, count
            size += len(message.key() or b"") + len(message.value() or b"")
            count += 1


def main():
    records = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    groups = int(sys.argv[3]) if len(sys.argv) > 3 else 2000
    if not os.access(SCRIPT, os.X_OK):
        sys.exit(f"kafka.py needs a real Kafka; there is no script at {SCRIPT}")
    data = WORK / "w1.ndjson"
    make_w1(WORK, records)
    environment = dict(os.environ, KAFKA_DIR=str(WORK / "kafka"), KAFKA_PORT="23492")

    def kafka(*args):
        return subprocess.run([SCRIPT, *args], env=environment, capture_output=True, text=True).stdout

    try:
        print("starting Kafka …", flush=True)
        kafka("wipe")
        kafka("up")
        environment["TIDEMARK_BROKERS"] = brokers = kafka("bootstrap").strip()
        outputs = {"w1-aggregates": 4, "w1-aggregates-sketches": 4, "w1-alerts": 1, "w1-dead-letters": 1}
        inputs = {f"w1-{n}": n for n in (1, 2, 4)}
        for topic, partitions in {**outputs, **inputs, "restore": 1, "restore-alerts": 1, "restore-dead-letters": 1}.items():
            kafka("topics", "--create", "--topic", topic, "--partitions", str(partitions))
        subprocess.run(["swift", "build", "-c", "release", "--product", "kafka-bench"], cwd=ROOT, check=True, capture_output=True)
        for topic in inputs:
            subprocess.run([ROOT / ".build/release/kafka-bench", "load", brokers, topic, data], check=True)
        kinds = [(topic, workers) for topic in inputs for workers in (1, 2) if workers <= inputs[topic]]
        runs = {kind: [] for kind in kinds}
        for turn in range(count):
            for topic, workers in kinds:
                run = measured([TIDEMARK, "run", "topologies/w1.yaml", "--until-end", "--json", "--set", f"app=k{turn}{topic}{workers}",
                                "--set", f"source.topic={topic}", "--set", f"run.workers={workers}"], env=environment)
                if json.loads(run["out"])["records"] != records:
                    sys.exit(f"wrong: {run['out']}")
                runs[topic, workers].append(run)
        for (topic, workers), list_ in runs.items():
            cpus = sorted(r["cpu"] * 1e6 / records for r in list_)
            seconds = statistics.median(r["seconds"] for r in list_)
            print(f"{inputs[topic]} partition(s), {workers} worker(s): {records / seconds:>10,.0f} records/s, CPU-s per million, median "
                  f"{statistics.median(cpus):.2f} ({cpus[0]:.2f}–{cpus[-1]:.2f}), peak {max(r['mb'] for r in list_):.0f} MB", flush=True)

        topology = WORK / "restore.yaml"
        topology.write_text(LEARNS % groups)
        print(f"learning {groups:,} groups …", flush=True)
        learn(brokers, groups)

        for app in ("restore", "bare"):
            subprocess.run([TIDEMARK, "topics", "create", topology, "--set", f"app={app}"], env=environment, check=True, capture_output=True)

        def start(app):
            return measured([TIDEMARK, "run", topology, "--until-end", "--json", "--set", f"app={app}"], env=environment)
        start("restore")
        size, entries = topic_bytes(brokers, "restore-state")
        # Nothing is left to read for either: the second one has no state, and begins at the end.
        full = [start("restore") for _ in range(count)]
        bare = [measured([TIDEMARK, "run", topology, "--until-end", "--json", "--set", "app=bare", "--set", "source.start=latest"], env=environment) for _ in range(count)]
        def median(list_, key):
            return statistics.median(r[key] for r in list_)
        seconds, cpu = (median(full, key) - median(bare, key) for key in ("seconds", "cpu"))
        gigabytes = size / 1e9
        print(f"entry state: {entries:,} entries, {size / 1e6:,.1f} MB: {seconds:.2f} s, {cpu:.2f} CPU-s, that is {seconds / gigabytes:.1f} s and "
              f"{cpu / gigabytes:.1f} CPU-s per GB; peak {median(full, 'mb'):.0f} MB (without state {median(bare, 'mb'):.0f})", flush=True)
    finally:
        kafka("wipe")


if __name__ == "__main__":
    main()
