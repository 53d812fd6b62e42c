#!/usr/bin/env python3
"""W1 flows, and everything that can be disturbed is: the process, the brokers, the network between.

usage: chaos.py [--short] [--seed N] [--turns N] [--records N] [--brokers 1|3] [--delivery exactly_once|at_least_once]
                [--fold-repeats] [--calm-network]

One application is disturbed while records come in, another runs undisturbed over the same topic
afterwards. What a read_committed reader finds of both must be the same: byte for byte, key by key,
each once. `--fold-repeats` lets a value come again, never differ: what at_least_once promises.
Prints its seed and a tally; the same seed disturbs in the same order, though not at the same record.

Needs .venv of `ops/setup test`. Skips, and says why, where there is no Kafka script
(TIDEMARK_TEST_KAFKA); leaves the network alone where there is no toxiproxy-server beside it.
"""
import argparse
import collections
import json
import os
import pathlib
import random
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request

from broker import KAFKA as KAFKA_SCRIPT, ROOT, free_port

TIDEMARK = str(ROOT / ".build/release/tidemark")
KAFKA = pathlib.Path(KAFKA_SCRIPT).resolve()
TOXIPROXY = KAFKA.parent.parent / "tools/toxiproxy-server"
WORK = pathlib.Path(tempfile.mkdtemp(prefix="tidemark-chaos-"))
# What disturbed brokers may bring about.
SOURCE_CONDITIONS = {"partition_held", "watermark_still"}


class Toxiproxy:
    """The proxies between clients and brokers, by the server's HTTP API."""

    def __init__(self, proxies):
        self.proxies = proxies
        self.port = free_port(1, 28_500, 29_500)
        self.names = [name for name, _, _ in proxies]
        self.start()

    def start(self):
        self.process = subprocess.Popen([TOXIPROXY, "-host", "127.0.0.1", "-port", str(self.port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 10
        while True:
            try:
                self.call("GET", "/version")
                break
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
        for name, listen, upstream in self.proxies:
            self.call("POST", "/proxies", {"name": name, "listen": listen, "upstream": upstream, "enabled": True})

    def call(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data, {"Content-Type": "application/json"}, method=method)
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.read()

    def add(self, name, kind, stream, **attributes):
        self.call("POST", f"/proxies/{name}/toxics", {"name": f"{kind}-{stream}", "type": kind, "stream": stream, "toxicity": 1.0, "attributes": attributes})

    def heal(self):
        """Every proxy on, every toxic gone."""
        try:
            self.call("POST", "/reset")
        except OSError:
            # The server waits for links that its own toxics hold: a new one, and every connection is cut.
            self.close()
            self.start()

    def disturb(self, rng, name):
        """One bad network, and what it is called; `heal` ends it."""
        kind = rng.choice(["latency", "reset", "cut", "bandwidth", "slicer"])
        stream = rng.choice(["upstream", "downstream"])
        if kind == "latency":
            self.add(name, "latency", stream, latency=rng.randint(50, 400), jitter=rng.randint(0, 100))
        elif kind == "reset":
            self.add(name, "reset_peer", stream, timeout=rng.randint(0, 50))
        elif kind == "bandwidth":
            self.add(name, "bandwidth", stream, rate=rng.randint(50, 500))
        elif kind == "slicer":
            self.add(name, "slicer", stream, average_size=200, size_variation=100, delay=200)
        else:
            self.call("POST", f"/proxies/{name}", {"enabled": False})
        return kind

    def close(self):
        self.process.kill()
        self.process.wait()


class Chaos:
    def __init__(self, options):
        self.options = options
        self.rng = random.Random(options.seed)
        self.tally = collections.Counter()
        self.environment = dict(os.environ, KAFKA_DIR=str(WORK / "kafka"), KAFKA_PORT=str(free_port(10 * options.brokers, 27_000, 28_400)))
        self.has_network = not options.calm_network and os.access(TOXIPROXY, os.X_OK)
        if not self.has_network:
            print(f"chaos: the network is left alone: {'asked for' if options.calm_network else f'no {TOXIPROXY.name} beside the Kafka script'}")
        self.toxiproxy = None
        self.process = None
        self.deck = []
        self.said = WORK / "said.log"
        self.kafka("up", "--brokers", str(options.brokers), *(["--proxied"] if self.has_network else []))
        self.direct = self.kafka("bootstrap").strip()
        self.through = self.direct
        if self.has_network:
            proxies = [line.split() for line in self.kafka("proxies").splitlines() if line]
            self.toxiproxy = Toxiproxy(proxies)
            self.through = ",".join(listen for _, listen, _ in proxies)

    def kafka(self, *args):
        done = subprocess.run([KAFKA, *args], env=self.environment, capture_output=True, text=True, timeout=180)
        if done.returncode != 0:
            raise RuntimeError(f"kafka {' '.join(args)}: {done.stdout}{done.stderr}")
        return done.stdout

    # What flows.

    def prepare(self):
        subprocess.run([sys.executable, ROOT / "Benchmarks/w1.py", WORK, str(self.options.records), str(self.options.seed)], check=True)
        self.data = (WORK / "w1.ndjson").read_bytes().splitlines()
        subprocess.run([TIDEMARK, "baseline", "build", "--from", WORK / "w1.ndjson", "--by", "model", "--windows", "10", "--output", WORK / "base.json"],
                       check=True, capture_output=True, cwd=ROOT)
        from confluent_kafka.admin import AdminClient, NewTopic
        admin = AdminClient({"bootstrap.servers": self.direct})
        for future in admin.create_topics([NewTopic("w1", 4, min(3, self.options.brokers))]).values():
            future.result(30)
        for tag in ("disturbed", "calm"):
            deadline = time.monotonic() + 30
            while subprocess.run([TIDEMARK, "topics", "create", *self.settings(tag), "--replication", str(min(3, self.options.brokers))], cwd=ROOT,
                                 env=dict(os.environ, TIDEMARK_BROKERS=self.direct), capture_output=True).returncode != 0:
                if time.monotonic() > deadline:
                    raise RuntimeError("the topics could not be made")
                time.sleep(0.5)

    def settings(self, tag):
        outputs = (f"{{ aggregates: {{ topic: {tag}-aggregates, sketches: [] }}, alerts: {tag}-alerts, dead_letters: {tag}-dead, late: {tag}-late }}")
        words = [f"app={tag}", f"outputs={outputs}", f"baselines.training.file={WORK}/base.json", "run.commit=100ms", "source.topic=w1",
                 f"run.delivery={self.options.delivery}"]
        return ["topologies/w1-drift.yaml", *(word for setting in words for word in ("--set", setting))]

    def feed(self, seconds):
        """All records, spread over so many seconds; straight to the brokers, acknowledged by all."""
        from confluent_kafka import Producer
        producer = Producer({"bootstrap.servers": self.direct, "linger.ms": 20, "enable.idempotence": True, "message.timeout.ms": 300_000})
        started = time.monotonic()
        for index, line in enumerate(self.data):
            while True:
                try:
                    producer.produce("w1", line, partition=index % 4)
                    break
                except BufferError:
                    producer.poll(0.1)
            if index % 500 == 0:
                producer.poll(0)
                ahead = index / len(self.data) * seconds - (time.monotonic() - started)
                if ahead > 0:
                    time.sleep(ahead)
        left = producer.flush(300)
        if left:
            raise RuntimeError(f"{left} records were not taken")

    # What disturbs.

    def start(self):
        with open(self.said, "ab") as log:
            self.process = subprocess.Popen([TIDEMARK, "run", *self.settings("disturbed"), "--quiet"], cwd=ROOT, stdout=log, stderr=log,
                                            env=dict(os.environ, TIDEMARK_BROKERS=self.through))
        self.tally["starts"] += 1

    def turn(self):
        rng = self.rng
        if self.process is None:
            self.start()
        time.sleep(rng.uniform(0.2, 2.0))
        if not self.deck:
            # Dealt like cards, so that few turns hold some of everything.
            self.deck = ["process"] * 3 + ["network"] * (3 if self.toxiproxy else 0) + ["second", "pause"] + ["broker"] * (2 if self.options.brokers > 1 else 0)
            rng.shuffle(self.deck)
        what = self.deck.pop()
        broker = rng.randint(1, self.options.brokers)
        seconds = rng.uniform(0.3, 3.0)
        if what == "network":
            kind = self.toxiproxy.disturb(rng, rng.choice(self.toxiproxy.names))
            self.tally[f"network {kind}"] += 1
            time.sleep(seconds)
            if rng.random() < 0.5:
                self.end_process()
            self.toxiproxy.heal()
        elif what == "pause":
            self.tally["broker pauses"] += 1
            self.kafka("pause", str(broker))
            time.sleep(seconds)
            self.kafka("resume", str(broker))
        elif what == "broker":
            way = rng.choice(["kill", "stop"])
            self.tally[f"broker {way}s"] += 1
            self.kafka(way, str(broker))
            time.sleep(seconds)
            self.kafka("start", str(broker))
        elif what == "second":
            # Started by mistake: whoever takes the transactional id last fences the other, which goes away by itself.
            if self.options.delivery == "exactly_once":
                self.tally["second processes"] += 1
                older = self.process
                self.start()
                newer = self.process
                deadline = time.monotonic() + 60
                while older.poll() is None and newer.poll() is None:
                    if time.monotonic() > deadline:
                        older.kill()
                        raise AssertionError(f"two processes at work for a minute:\n{self.last_words()}")
                    time.sleep(0.05)
                if older.poll() is None:
                    self.process, ended = older, newer
                else:
                    ended = older
                if ended.returncode not in (0, 4):
                    raise AssertionError(f"the fenced process ended with {ended.returncode}:\n{self.last_words()}")
        else:
            self.end_process()
        if self.process and self.process.poll() is not None:
            if self.process.returncode not in (0, 4):
                raise AssertionError(f"the process ended by itself with {self.process.returncode}:\n{self.last_words()}")
            self.tally["ended by itself"] += 1
            print(f"the process ended by itself with {self.process.returncode}: {' '.join(self.last_words().split())[-400:]}", flush=True)
            self.process = None

    def end_process(self):
        if self.process is None:
            return
        self.process.kill()
        self.process.wait()
        self.process = None
        self.tally["kill -9"] += 1

    def last_words(self):
        return self.said.read_text(errors="replace")[-3000:]

    # What is compared.

    def finish(self, tag, brokers):
        done = subprocess.run([TIDEMARK, "run", *self.settings(tag), "--until-end", "--quiet", "--json"], cwd=ROOT, capture_output=True, text=True, timeout=600,
                              env=dict(os.environ, TIDEMARK_BROKERS=brokers))
        # What is left for it may be too little to test anything: that is said, and no fault.
        isCalm = done.returncode == 1 and "nothing_tested" in json.loads(done.stdout)
        if done.returncode != 0 and not isCalm:
            raise AssertionError(f"the last run of {tag}: exit {done.returncode}\n{done.stderr[-3000:]}")
        return json.loads(done.stdout)

    def read(self, topic):
        """What a read_committed reader finds: by key, in order."""
        from confluent_kafka import Consumer, TopicPartition
        consumer = Consumer({"bootstrap.servers": self.direct, "group.id": "chaos-reader", "isolation.level": "read_committed",
                             "enable.partition.eof": True, "enable.auto.commit": False})
        partitions = consumer.list_topics(topic, 30).topics[topic].partitions
        consumer.assign([TopicPartition(topic, p, 0) for p in partitions])
        found, ended = collections.defaultdict(list), set()
        deadline = time.monotonic() + 180
        while len(ended) < len(partitions):
            if time.monotonic() > deadline:
                raise AssertionError(f"{topic}: the end is not reached, {len(ended)} of {len(partitions)} partitions: a transaction hangs")
            message = consumer.poll(1)
            if message is None:
                continue
            if message.error():
                ended.add(message.partition())
                continue
            events = tuple(sorted((name, value) for name, value in message.headers() or [] if name.startswith("ce_")))
            found[message.key()].append((re.sub(rb'"revision":"[0-9a-f]*"', b"", message.value() or b""), events))
        consumer.close()
        return dict(found)

    def take_out_source_alerts(self, told):
        """A leader that does not answer is no part of the data, and pages are right to say so: once, then at most that it is over."""
        for key in list(told):
            alerts = [json.loads(value.replace(b",,", b",").replace(b"{,", b"{")) for value, _ in told[key]]
            if any(alert["monitor"] not in SOURCE_CONDITIONS or alert["operator"] for alert in alerts):
                continue
            states = [alert["state"] for alert in alerts]
            if states not in (["firing"], ["firing", "resolved"]) and not self.options.fold_repeats:
                raise AssertionError(f"alerts: {key}: {states} of {alerts[0]['monitor']}")
            self.tally[f"pages of {alerts[0]['monitor']}"] += 1
            del told[key]

    def compare(self):
        folds = self.options.fold_repeats
        keys = 0
        for kind in ("aggregates", "alerts", "dead", "late"):
            calm, disturbed = self.read(f"calm-{kind}"), self.read(f"disturbed-{kind}")
            if kind == "alerts":
                for told in (calm, disturbed):
                    self.take_out_source_alerts(told)
            if folds:
                for key, values in disturbed.items():
                    once = list(dict.fromkeys(values))
                    self.tally["repeats folded"] += len(values) - len(once)
                    disturbed[key] = once
            for key in sorted(set(calm) | set(disturbed), key=str):
                if calm.get(key) != disturbed.get(key):
                    raise AssertionError(f"{kind}: {key}\n  undisturbed: {calm.get(key)}\n  disturbed:   {disturbed.get(key)}")
            keys += len(calm)
            self.tally[f"records of {kind}"] = sum(map(len, calm.values()))
            if kind == "aggregates":
                rows = sum(json.loads(value.replace(b",,", b",").replace(b"{,", b"{"))["rows"]["total"]
                           for key, values in disturbed.items() if b"/f0/" in key for value, _ in values[-1:])
        late = self.tally["records of late"]
        if rows + late != len(self.data):
            raise AssertionError(f"{rows} rows in windows and {late} late are not the {len(self.data)} that were produced")
        self.tally["keys that agree"] = keys

    def run(self):
        self.prepare()
        # About 2 s a turn; records come in all the while.
        feeder = threading.Thread(target=self.feed, args=(2.0 * self.options.turns,), daemon=True)
        feeder.start()
        for _ in range(self.options.turns):
            self.turn()
        # The long form promises a hundred.
        while not self.options.short and self.tally["kill -9"] < 100:
            self.turn()
        if self.toxiproxy:
            self.toxiproxy.heal()
        feeder.join(600)
        if feeder.is_alive():
            raise AssertionError("the records could not be produced")
        self.end_process()
        self.finish("disturbed", self.through)
        summary = self.finish("calm", self.direct)
        if summary["records"] != len(self.data):
            raise AssertionError(f"the undisturbed run read {summary['records']} of {len(self.data)}")
        self.compare()

    def close(self):
        self.end_process()
        if self.toxiproxy:
            self.toxiproxy.close()
        for broker in range(1, self.options.brokers + 1):
            try:
                self.kafka("resume", str(broker))
            except (RuntimeError, subprocess.SubprocessError):
                pass
        self.kafka("wipe")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--seed", type=int, default=int(os.environ.get("TIDEMARK_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 31))
    parser.add_argument("--turns", type=int)
    parser.add_argument("--records", type=int)
    parser.add_argument("--brokers", type=int, choices=[1, 3], default=1)
    parser.add_argument("--delivery", choices=["exactly_once", "at_least_once"], default="exactly_once")
    parser.add_argument("--fold-repeats", action="store_true")
    parser.add_argument("--calm-network", action="store_true")
    options = parser.parse_args()
    options.turns = options.turns or (8 if options.short else 200)
    options.records = options.records or (60_000 if options.short else 1_000_000)
    if not os.access(KAFKA, os.X_OK):
        print(f"chaos: skipped: no Kafka script at {KAFKA}")
        return 0
    print(f"chaos: seed {options.seed}, {options.turns} turns, {options.records:,} records, {options.brokers} broker(s), {options.delivery}", flush=True)
    started = time.monotonic()
    chaos = None
    try:
        chaos = Chaos(options)
        chaos.run()
    except AssertionError as error:
        print(f"chaos: seed {options.seed}: FAILED: {str(error)[:4000]}")
        return 1
    finally:
        if chaos:
            print("chaos: " + ", ".join(f"{count:,} {name}" for name, count in sorted(chaos.tally.items())))
            chaos.close()
        shutil.rmtree(WORK, ignore_errors=True)
    print(f"chaos: seed {options.seed}: the same as undisturbed, in {time.monotonic() - started:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
