#!/usr/bin/env python3
"""How soon a result can be read, and how soon after kill -9 the next one: exactly once, on a real Kafka.

usage: live.py [SECONDS=100] [RECORDS_PER_SECOND=20000] [OUT_OF_ORDERNESS=0s] [TICK_MS=1]

Records with event time = now go to 4 partitions, as many at each tick; a read_committed reader notes when
it sees the rows of each one-second window, and how long that is after the window's end. CPU is user +
system of the whole process. A broker that was just started is slow while it compiles itself: load and
process run for half a minute before anything is measured. In the same run a bare consumer of the client
library, which counts bytes and no more, reads the same load: with its defaults, which fetch as soon as
there is a record.

Then the process is killed and started again, with 1, 4 and 16 partitions: the time from its start to the
first row of a window that it had not published.
"""
import json
import multiprocessing
import os
import pathlib
import random
import subprocess
import sys
import time

import confluent_kafka

ROOT = pathlib.Path(__file__).resolve().parent.parent
TIDEMARK = str(ROOT / ".build/release/tidemark")
SCRIPT = os.environ.get("TIDEMARK_TEST_KAFKA", str(ROOT / "../shared/kafka/kafka"))
WORK = ROOT / "out/live"
WARM_SECONDS = 30


def produce(brokers, topic, partitions, rate, stop, tick_ms=1):
    """So many records a second, those that are due at each tick."""
    producer = confluent_kafka.Producer({"bootstrap.servers": brokers, "linger.ms": 1, "compression.codec": "lz4",
                                         "enable.idempotence": True})
    rng = random.Random(1)
    rows = [f'"model":"m{i % 3}","x0":{rng.gauss(0, 1):.6f},"x1":{rng.gauss(5, 2):.6f},"x2":{rng.random():.6f},"x3":{rng.gauss(0, 9):.6f},"c":"k{i % 17}"}}'.encode()
            for i in range(1000)]
    started, sent = time.time(), 0
    while not stop.is_set():
        due = int((time.time() - started) * rate)
        now = b'{"ts":%d,' % int(time.time() * 1000)
        while sent < due:
            try:
                producer.produce(topic, now + rows[sent % 1000], partition=sent % partitions)
            except BufferError:
                producer.poll(0.01)
                continue
            sent += 1
        producer.poll(0)
        time.sleep(tick_ms / 1000)
    producer.flush(5)


class Reader:
    """A read_committed reader from the end of the aggregates topic on."""

    def __init__(self, brokers, topic):
        self.consumer = confluent_kafka.Consumer({
            "bootstrap.servers": brokers, "group.id": f"live-reader-{time.time()}", "isolation.level": "read_committed",
            "auto.offset.reset": "latest", "fetch.wait.max.ms": 500, "enable.auto.commit": False})
        parts = self.consumer.list_topics(topic, timeout=10).topics[topic].partitions
        ends = [self.consumer.get_watermark_offsets(confluent_kafka.TopicPartition(topic, p), timeout=10)[1] for p in parts]
        self.consumer.assign([confluent_kafka.TopicPartition(topic, p, end) for p, end in zip(parts, ends)])

    def windows(self, until):
        """(end of window, when its first row was seen, in seconds since 1970)"""
        seen = set()
        while time.time() < until:
            message = self.consumer.poll(0.1)
            if message is None or message.error():
                continue
            now = time.time()
            end = int(message.key().rsplit(b"/", 1)[1]) / 1000 + 1
            if end not in seen:
                seen.add(end)
                yield end, now


def main():
    seconds = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    rate = int(sys.argv[2]) if len(sys.argv) > 2 else 20_000
    bound = sys.argv[3] if len(sys.argv) > 3 else "0s"
    tick_ms = float(sys.argv[4]) if len(sys.argv) > 4 else 1
    if not os.access(SCRIPT, os.X_OK):
        sys.exit(f"live.py needs a real Kafka; there is no script at {SCRIPT}")
    WORK.mkdir(parents=True, exist_ok=True)
    subprocess.run([ROOT / "Benchmarks/limit/make", WORK], check=True)
    environment = dict(os.environ, KAFKA_DIR=str(WORK / "kafka"), KAFKA_PORT="23292")

    def kafka(*args):
        return subprocess.run([SCRIPT, *args], env=environment, capture_output=True, text=True).stdout

    def start(app, topic):
        return subprocess.Popen(
            [TIDEMARK, "run", "Benchmarks/live.yaml", "--set", f"app={app}", "--set", f"source.topic={topic}", "--set",
             f"source.out_of_orderness={bound}", "--set", "run.workers=1", "--quiet"], cwd=ROOT, env=environment,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    try:
        kafka("wipe")
        kafka("up")
        environment["TIDEMARK_BROKERS"] = brokers = kafka("bootstrap").strip()
        for topic in ("live-alerts", "live-dead", "live-aggregates"):
            kafka("topics", "--create", "--topic", topic, "--partitions", "1")
        for partitions in (4, 1, 16):
            topic, app = f"live{partitions}", f"live{partitions}"
            kafka("topics", "--create", "--topic", topic, "--partitions", str(partitions))
            stop = multiprocessing.Event()
            producer = multiprocessing.Process(target=produce, args=(brokers, topic, partitions, rate, stop, tick_ms), daemon=True)
            producer.start()
            process = start(app, topic)
            time.sleep(WARM_SECONDS if partitions == 4 else 4)
            reader = Reader(brokers, "live-aggregates")
            if partitions == 4:
                ticks = os.sysconf("SC_CLK_TCK")
                def cpu():
                    fields = pathlib.Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
                    return (int(fields[11]) + int(fields[12])) / ticks
                before, began = cpu(), time.time()
                delays = sorted(seen - end for end, seen in reader.windows(time.time() + seconds))[1:]
                used, took = cpu() - before, time.time() - began
                print(f"{rate:,} records/s, {tick_ms:g} ms apart, {partitions} partitions, out-of-orderness {bound}, {len(delays)} windows: delay from a window's end to "
                      f"its rows, median {1000 * delays[len(delays) // 2]:.0f} ms, p99 {1000 * delays[min(len(delays) - 1, len(delays) * 99 // 100)]:.0f} ms; "
                      f"{1e6 * used / (took * rate):.2f} CPU-s per million records", flush=True)
                bare = subprocess.run([WORK / "consume", brokers, topic, str(partitions), "10"], capture_output=True, text=True, check=True)
                print(f"a bare consumer over the same load: {bare.stdout.strip()}", flush=True)
            times = []
            for _ in range(5):
                time.sleep(random.uniform(1.5, 3))
                process.kill()
                process.wait()
                known = max([end for end, _ in reader.windows(time.time() + 0.7)], default=0)
                started = time.time()
                process = start(app, topic)
                for end, seen in reader.windows(started + 30):
                    if end > known:
                        times.append(seen - started)
                        break
            print(f"kill -9, {partitions} partitions: from start to the first new row {', '.join(f'{t:.2f}' for t in sorted(times))} s", flush=True)
            process.terminate()
            process.wait()
            stop.set()
            producer.join()
    finally:
        kafka("wipe")


if __name__ == "__main__":
    main()
