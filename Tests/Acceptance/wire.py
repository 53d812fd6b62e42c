#!/usr/bin/env python3
"""The wire and the hand: security of the listener, topics, offsets, dead letters, on a real Kafka.

usage: wire.py [PATTERN]      (run by ops/run-tests; needs .venv of `ops/setup test`)

One broker with TLS and SASL, and a listener more that asks for a client certificate. Tests that need
it look for its script at TIDEMARK_TEST_KAFKA and say so where there is none.
"""
import base64
import concurrent.futures
import io
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest

import broker
from broker import KAFKA, ROOT

TIDEMARK = str(ROOT / ".build/release/tidemark")
NEWER = ROOT / ".venv/librdkafka"
WORK = pathlib.Path(tempfile.mkdtemp(prefix="tidemark-wire-"))
T0 = 1_700_000_040_000


class Broker(broker.Broker):
    """One broker of all listeners, started with the first test that needs it."""
    current = None
    lock = threading.Lock()

    @classmethod
    def get(cls):
        with cls.lock:
            cls.current = cls.current or Broker()
        return cls.current

    def __init__(self):
        super().__init__(WORK / "kafka", "--secure", "--proxied", ports=10)
        # A listener that takes nobody without a certificate: TLS says who we are, no SASL.
        self.kafka("stop", "1")
        path = self.directory / "1/server.properties"
        lines = []
        for line in path.read_text().splitlines():
            name = line.split("=", 1)[0]
            more = {"listeners": f",SSL://127.0.0.1:{self.port + 5}", "advertised.listeners": f",SSL://127.0.0.1:{self.port + 5}",
                    "listener.security.protocol.map": ",SSL:SSL"}.get(name, "")
            lines.append(line + more)
        path.write_text("\n".join(lines + ["listener.name.ssl.ssl.client.auth=required", ""]))
        self.kafka("start", "1")
        self.plain, self.secure, self.mutual = (f"127.0.0.1:{self.port + n}" for n in (0, 1, 5))
        # Where a proxy listens that the broker names, and where it leads.
        self.behind, self.proxy = self.port + 3, self.port + 4
        self.tls = self.directory / "tls"

    def deny(self, *args):
        self.kafka("acls", "--add", "--deny-principal", "User:alice", *args)

    def produce(self, topic, records):
        """Records are (partition, key, value, headers)."""
        producer = self.client("producer", **{"linger.ms": 5})
        for partition, key, value, headers in records:
            producer.produce(topic, value, key, partition=partition, headers=headers)
        if producer.flush(20):
            raise RuntimeError("records were not taken")


class SlowAnswers:
    """A way to the broker on which answers to requests of some kinds, and what is behind them, come so many seconds late."""

    def __init__(self, broker, keys, seconds):
        self.broker, self.keys, self.seconds = broker, keys, seconds
        self.held = 0
        self.ended = threading.Event()

    def __enter__(self):
        # The broker names this place to whoever came by it.
        listener = socket.create_server(("127.0.0.1", self.broker.proxy))
        self.listener = listener
        self.address = f"127.0.0.1:{self.broker.proxy}"

        def accept():
            while True:
                try:
                    client, _ = listener.accept()
                except OSError:
                    return
                server = socket.create_connection(("127.0.0.1", self.broker.behind))
                until = [0.0]
                threading.Thread(target=self.ask, args=(client, server, until), daemon=True).start()
                threading.Thread(target=self.answer, args=(server, client, until), daemon=True).start()
        threading.Thread(target=accept, daemon=True).start()
        return self

    def ask(self, client, server, until):
        def exactly(count):
            found = b""
            while len(found) < count:
                part = client.recv(count - len(found))
                if not part:
                    raise OSError
                found += part
            return found
        try:
            while True:
                head = exactly(4)
                body = exactly(int.from_bytes(head, "big"))
                if int.from_bytes(body[:2], "big") in self.keys:
                    self.held += 1
                    until[0] = time.monotonic() + self.seconds
                server.sendall(head + body)
        except OSError:
            server.close()

    def answer(self, server, client, until):
        try:
            while data := server.recv(65536):
                self.ended.wait(max(0, until[0] - time.monotonic()))
                client.sendall(data)
        except OSError:
            pass
        client.close()

    def __exit__(self, *_):
        self.ended.set()
        # A thread that waits in it keeps it open.
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


TOPOLOGY = """name: {name}
source:
  topic: {name}
  start: earliest
  out_of_orderness: 2s
  schema: {{ ts: time_ms, model: model, x: number, c: category }}
windows: [1m]
baselines: {{ training: {{ file: training.json }} }}
outputs: {{ aggregates: {name}-aggregates, alerts: {name}-alerts, dead_letters: {name}-dead-letters, late: {name}-late }}
"""


def make_baseline():
    """What the topologies compare with: so that alerts, and a state topic, are asked for."""
    plain = WORK / "plain.yaml"
    plain.write_text(TOPOLOGY.format(name="plain").replace("baselines: { training: { file: training.json } }\n", ""))
    data = WORK / "training.ndjson"
    data.write_bytes(b"\n".join(rows(3000)) + b"\n")
    subprocess.run([TIDEMARK, "baseline", "build", "--from", data, "--by", "model", "--topology", plain, "--output", WORK / "training.json"],
                   check=True, capture_output=True)


def topology(name, extra=""):
    path = WORK / f"{name}.yaml"
    path.write_text(TOPOLOGY.format(name=name) + extra)
    return path


def rows(count, start=T0, step=100):
    return [json.dumps({"ts": start + i * step, "model": "m", "x": i % 7, "c": "a"}).encode() for i in range(count)]


def token(seconds, subject="admin"):
    def part(value):
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")
    now = time.time()
    return f"{part({'alg': 'none'})}.{part({'sub': subject, 'iat': now - 60, 'exp': now + seconds})}."


@unittest.skipUnless(os.access(KAFKA, os.X_OK), f"no Kafka script at {KAFKA}")
class OnKafka(unittest.TestCase):
    #: A librdkafka to be put in front of the system's.
    library = None

    @classmethod
    def setUpClass(cls):
        cls.broker = Broker.get()

    def tidemark(self, *args, ok=0, seconds=60, brokers=None, more={}):
        environment = dict(os.environ, TIDEMARK_BROKERS=brokers or self.broker.plain, PASSWORD="alice-secret", WRONG="wrong-horse-battery", **more)
        if self.library:
            environment["LD_LIBRARY_PATH"] = str(self.library)
        started = time.monotonic()
        done = subprocess.run([TIDEMARK, *map(str, args)], capture_output=True, text=True, cwd=ROOT, timeout=120, env=environment)
        said = done.stdout + done.stderr
        for secret in ("alice-secret", "wrong-horse"):
            self.assertNotIn(secret, said)
        if ok is not None:
            # A few records test nothing, which is said and is exit code 1: what is looked at here is something else.
            codes = (0, 1) if ok == 0 and args[0] == "run" and "--until-end" in args else (ok,)
            self.assertIn(done.returncode, codes, f"tidemark {' '.join(map(str, args))}\n{said}")
        self.assertLess(time.monotonic() - started, seconds, said)
        return done


class Security(OnKafka):
    """Every way to be known to a broker, and every way to be refused."""
    topic = "secured"

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        name = cls.topic
        cls.path = topology(name)
        cls.broker.create(name, f"{name}-aggregates", f"{name}-alerts", f"{name}-dead-letters", f"{name}-late")
        cls.broker.create(f"{name}-state", cleanup_policy="compact")
        cls.broker.produce(name, [(0, None, value, None) for value in rows(1300)])
        cls.other = WORK / f"{name}-other.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=other", "-keyout",
                        WORK / f"{name}-other.key", "-out", cls.other], check=True, capture_output=True)

    def run_as(self, listener, *settings, ok=0, **more):
        sets = [word for setting in settings for word in ("--set", setting)]
        app = f"{self.topic}-{self.id().rsplit('.', 1)[1]}"
        return self.tidemark("run", self.path, "--until-end", "--json", "--set", f"app={app}", *sets, ok=ok, brokers=listener, **more)

    def reads(self, listener, *settings, **more):
        name = self.id().rsplit(".", 1)[1]
        self.broker.create(f"{self.topic}-{name}-state", cleanup_policy="compact")
        done = self.run_as(listener, *settings, **more)
        self.assertEqual(json.loads(done.stdout)["records"], 1300)
        return done

    def is_refused(self, listener, *settings, words, seconds=15, **more):
        done = self.run_as(listener, *settings, ok=4, seconds=seconds, **more)
        said = "\n".join(line for line in done.stderr.splitlines() if not line.startswith("ts="))
        for word in words:
            self.assertIn(word, said)
        return done

    @property
    def ca(self):
        return f"kafka.tls.ca={self.broker.tls}/ca.pem"

    def sasl(self, mechanism, password="PASSWORD", user="alice"):
        return f'kafka.sasl={{ mechanism: {mechanism}, username: {user}, password: "${{env:{password}}}" }}'

    def token_file(self, text):
        path = WORK / f"{self.topic}.token"
        path.write_text(text + "\n")
        return f'kafka.sasl={{ mechanism: OAUTHBEARER, token: "${{file:{path}}}" }}'

    def test_plain_over_tls(self):
        self.reads(self.broker.secure, self.ca, self.sasl("PLAIN"))

    def test_a_client_certificate(self):
        self.reads(self.broker.mutual, self.ca, f"kafka.tls.cert={self.broker.tls}/client.pem", f'kafka.tls.key="${{file:{self.broker.tls}/client.pk8}}"')

    def test_a_certificate_and_a_password(self):
        self.reads(self.broker.secure, self.ca, self.sasl("PLAIN"), f"kafka.tls.cert={self.broker.tls}/client.pem",
                   f'kafka.tls.key="${{file:{self.broker.tls}/client.pk8}}"')

    def test_a_token_from_a_file(self):
        self.reads(self.broker.secure, self.ca, self.token_file(token(300)))

    def test_a_token_of_the_librarys_own_making(self):
        self.reads(self.broker.secure, self.ca, "kafka.sasl={ mechanism: OAUTHBEARER }",
                   'kafka.properties={ enable.sasl.oauthbearer.unsecure.jwt: "true", sasl.oauthbearer.config: "${env:JWT}" }',
                   more={"JWT": "principal=admin"})

    def test_scram(self):
        for bits in (256, 512):
            # Every librdkafka before 2.6.1 sends a wrong nonce, which brokers check since 3.8.1.
            if self.library is None and "librdkafka 2.0." in subprocess.run([TIDEMARK, "version"], capture_output=True, text=True).stdout:
                done = self.is_refused(self.broker.secure, self.ca, self.sasl(f"SCRAM-SHA-{bits}"),
                                       words=["refused the connection", "librdkafka 2.0.", f"cannot do SCRAM-SHA-{bits}", "2.6.1", "LD_LIBRARY_PATH"])
                # At start, before anybody refused anything.
                first = next(line for line in done.stderr.splitlines() if "level=warning" in line)
                self.assertIn("wrong nonce", first)
            else:
                app = f"{self.topic}-scram{bits}"
                self.broker.create(f"{app}-state", cleanup_policy="compact")
                done = self.tidemark("run", self.path, "--until-end", "--json", "--set", f"app={app}", "--set", self.ca, "--set",
                                     self.sasl(f"SCRAM-SHA-{bits}"), brokers=self.broker.secure)
                self.assertEqual(json.loads(done.stdout)["records"], 1300)
                self.assertNotIn("nonce", done.stderr)

    def test_a_wrong_password(self):
        for mechanism in ("PLAIN",) if self.library is None else ("PLAIN", "SCRAM-SHA-256"):
            self.is_refused(self.broker.secure, self.ca, self.sasl(mechanism, "WRONG"), words=["refused the connection", "uthentication failed", "kafka.sasl"])

    def test_a_secret_that_is_not_there(self):
        self.is_refused(self.broker.secure, self.ca, self.sasl("PLAIN", "NOT_SET"), words=["${env:NOT_SET} has no value"])

    def test_an_authority_that_nobody_knows(self):
        self.is_refused(self.broker.secure, f"kafka.tls.ca={self.other}", self.sasl("PLAIN"), words=["certificate verify failed", "kafka.tls.ca"])

    def test_a_certificate_that_is_wanted_and_not_there(self):
        self.is_refused(self.broker.mutual, self.ca, words=["refused the connection", "asks for a certificate of ours", "kafka.tls.cert"])

    def test_a_certificate_of_a_stranger(self):
        self.is_refused(self.broker.mutual, self.ca, f"kafka.tls.cert={self.other}", f'kafka.tls.key="${{file:{WORK}/{self.topic}-other.key}}"',
                        words=["refused the connection", "authority that the broker trusts"])

    def test_a_token_that_expired(self):
        self.is_refused(self.broker.secure, self.ca, self.token_file(token(-5)), words=["no token", "unexpired", "kafka.sasl.token"])

    def test_a_token_that_is_none(self):
        self.is_refused(self.broker.secure, self.ca, self.token_file("nonsense"), words=["no token", "holds no JSON web token"])

    def test_a_listener_taken_for_another_kind(self):
        self.is_refused(self.broker.secure, words=["kafka.tls: {}"], seconds=25)
        if self.library:
            return
        self.is_refused(self.broker.plain, self.ca, words=["kafka.tls: off"], seconds=25)
        self.is_refused(self.broker.secure, self.ca, words=["kafka.sasl: the listener may ask for a login"], seconds=25)

    def test_topics_that_are_denied(self):
        name = f"{self.topic}-denied"
        path = topology(name)
        self.broker.create(name, f"{name}-aggregates", f"{name}-alerts", f"{name}-dead-letters", f"{name}-late")
        self.broker.create(f"{name}-state", cleanup_policy="compact")
        self.broker.produce(name, [(0, None, value, None) for value in rows(1300)])
        as_alice = ["--set", self.ca, "--set", self.sasl("PLAIN")]

        def refused(*words, more=()):
            done = self.tidemark("run", path, "--until-end", "--quiet", *as_alice, *more, ok=4, seconds=30, brokers=self.broker.secure)
            for word in words:
                self.assertIn(word, done.stderr)
        # May be seen, may not be written: the broker says so when the first window is sent.
        self.broker.kafka("acls", "--add", "--allow-principal", "User:alice", "--operation", "Describe", "--operation", "DescribeConfigs", "--topic",
                          f"{name}-aggregates")
        refused(f"{name}-aggregates", "uthorization failed", "kafka-acls.sh")
        # A group that may not be used: nobody answers then, which is told apart from silence.
        self.broker.deny("--operation", "All", "--group", f"{name}-group")
        refused("does not let us use the group", "--group APP", more=["--set", f"app={name}-group", "--output", WORK / f"{name}-out"])
        self.broker.deny("--operation", "All", "--transactional-id", f"{name}-id")
        self.broker.create(f"{name}-id-state", cleanup_policy="compact")
        refused("ransactional Id authorization failed", more=["--set", f"app={name}-id", "--set", f"outputs.aggregates={self.topic}-aggregates"])
        # May not be read, nor seen.
        self.broker.deny("--operation", "All", "--topic", name)
        refused(f"'{name}'", "uthorization failed", f"--operation Describe --operation Read --topic {name}")


class SecurityOnNewer(Security):
    """The same through a newer librdkafka, put in front of the system's."""
    topic = "newer"
    library = NEWER

    @classmethod
    def setUpClass(cls):
        if not (NEWER / "librdkafka.so.1").exists():
            raise unittest.SkipTest(f"no newer librdkafka in {NEWER}: ops/setup test")
        super().setUpClass()
        said = subprocess.run([TIDEMARK, "version"], capture_output=True, text=True, env=dict(os.environ, LD_LIBRARY_PATH=str(NEWER))).stdout
        if "librdkafka 2.16." not in said:
            raise RuntimeError(f"the newer library is not the one that is used: {said}")


class Topics(OnKafka):
    def check(self, path, *args, ok=0):
        done = self.tidemark("topics", "check", path, "--json", *args, ok=ok)
        return {topic["name"]: topic for topic in json.loads(done.stdout)["topics"]}

    def test_missing_ones_are_named_and_made_and_a_second_make_changes_nothing(self):
        path = topology("made")
        self.broker.create("made", partitions=3)
        needed = {f"made-{tail}" for tail in ("aggregates", "alerts", "dead-letters", "late", "state")}
        found = self.check(path, ok=1)
        self.assertEqual({name for name, topic in found.items() if topic["problems"] == ["it does not exist"]}, needed)
        done = self.tidemark("run", path, "--until-end", "--quiet", ok=4, seconds=20)
        for name in needed:
            self.assertIn(f"'{name}'", done.stderr)
        self.assertIn(f"tidemark topics create {path}", done.stderr)
        self.tidemark("topics", "create", path, "--dry-run")
        self.assertEqual(self.check(path, ok=1), found)
        self.assertEqual(self.tidemark("topics", "create", path, "--partitions", 6).stdout.count(" made\n"), 5)
        found = self.check(path)
        self.assertIn("6 partitions × 1, cleanup.policy=delete", found["made-aggregates"]["there"])
        self.assertIn("1 partition × 1, cleanup.policy=compact", found["made-state"]["there"])
        self.assertEqual(self.tidemark("topics", "create", path).stdout.count(" ok\n"), 6)
        self.assertEqual(self.check(path), found)
        self.tidemark("run", path, "--until-end", "--quiet")

    def test_what_is_wrong_with_a_topic_is_said_and_refused(self):
        path = topology("wrong")
        self.broker.create("wrong", cleanup_policy="compact", retention_ms="60000")
        self.broker.create("wrong-aggregates", cleanup_policy="compact")
        self.broker.create("wrong-alerts", min_insync_replicas="2")
        self.broker.create("wrong-dead-letters", max_message_bytes="100000")
        self.broker.create("wrong-late")
        self.broker.create("wrong-state", cleanup_policy="compact,delete", partitions=65)
        found = self.check(path, ok=1)
        expected = {"wrong": ["it is compacted", "retention.ms is 60000, and a restart may read 152000 ms again"],
                    "wrong-aggregates": ["cleanup.policy is compact"], "wrong-alerts": ["min.insync.replicas is 2 and it has 1 replicas"],
                    "wrong-dead-letters": ["max.message.bytes is 100000"], "wrong-late": [],
                    "wrong-state": ["it has 65 partitions; at most 64", "cleanup.policy is compact,delete"]}
        for name, words in expected.items():
            self.assertEqual(len(found[name]["problems"]), len(words), found[name])
            for word in words:
                self.assertTrue(any(word in problem for problem in found[name]["problems"]), found[name])
        said = self.tidemark("topics", "check", path, ok=1).stdout
        self.assertIn("--entity-name wrong --add-config cleanup.policy=delete", said)
        done = self.tidemark("run", path, "--until-end", "--quiet", ok=4, seconds=20)
        self.assertIn("it is compacted", done.stderr)
        self.assertIn("tidemark topics check", done.stderr)
        # Files in place of topics need no topic.
        data = WORK / "wrong.ndjson"
        data.write_bytes(b"\n".join(rows(10)) + b"\n")
        self.tidemark("run", path, "--input", data, "--output", WORK / "wrong-out", "--until-end", "--quiet")

    def test_what_leaves_little_room_is_a_note_and_stops_nothing(self):
        path = topology("tight")
        self.broker.create("tight", retention_ms="200000", message_timestamp_after_max_ms="9223372036854775807")
        self.broker.create("tight-aggregates", "tight-alerts", "tight-dead-letters", "tight-late")
        self.broker.create("tight-state", cleanup_policy="compact")
        notes = self.check(path)["tight"]["notes"]
        self.assertEqual(len(notes), 2, notes)
        self.assertIn("rows are lost if the process is down", notes[0])
        self.assertIn("reference clock", notes[1])
        self.tidemark("run", path, "--until-end", "--quiet")

    def test_what_its_topic_keeps_for_too_short_is_noted(self):
        path = topology("kept", "monitors: { volume: { volume: rows, below: 3, resolve_after: 20d } }\n")
        self.broker.create("kept", retention_ms="86400000")
        self.broker.create("kept-aggregates", retention_ms="3600000")
        self.broker.create("kept-alerts", retention_ms="864000000")
        self.broker.create("kept-dead-letters", retention_ms="-1")
        self.broker.create("kept-late")
        self.broker.create("kept-state", cleanup_policy="compact")

        def notes():
            found = self.check(path)
            return {name: " ".join(topic["notes"]) for name, topic in found.items() if topic["notes"]}
        said = notes()
        # Results carry the time of writing: how short they are kept is their readers' business.
        self.assertEqual(set(said), {"kept-alerts", "kept-dead-letters"}, said)
        self.assertIn("retention.ms is 864000000, and an alert may be open for 1728000000 ms", said["kept-alerts"])
        self.assertIn("retention.ms is -1, and that of kept 86400000: a record is replayed with its own time", said["kept-dead-letters"])
        text = self.tidemark("topics", "check", path).stdout
        self.assertIn("--entity-name kept-dead-letters --add-config retention.ms=86400000", text)
        self.assertIn("--entity-name kept-alerts --add-config cleanup.policy=compact", text)
        self.broker.kafka("configs", "--alter", "--entity-type", "topics", "--entity-name", "kept-alerts", "--add-config", "cleanup.policy=compact")
        # Where the broker sets the time, what is replayed is new.
        self.broker.kafka("configs", "--alter", "--entity-type", "topics", "--entity-name", "kept", "--add-config", "message.timestamp.type=LogAppendTime")
        time.sleep(1)
        self.assertEqual(notes(), {})
        said = self.tidemark("lint", path).stdout
        self.assertIn("note[retention]: an alert may be open for 20d", said)
        self.assertIn("retention.ms from 1728000000, on `kept-alerts`", said)

    def test_a_topic_that_may_not_be_seen_is_no_missing_topic(self):
        path = topology("hidden")
        self.broker.create("hidden", "hidden-aggregates", "hidden-alerts", "hidden-dead-letters", "hidden-late")
        self.broker.create("hidden-state", cleanup_policy="compact")
        self.broker.deny("--operation", "All", "--topic", "hidden-alerts")
        done = self.tidemark("topics", "check", path, "--json", "--set", f"kafka.tls.ca={self.broker.tls}/ca.pem", "--set",
                             'kafka.sasl={ mechanism: PLAIN, username: alice, password: "${env:PASSWORD}" }', ok=1, brokers=self.broker.secure)
        found = {topic["name"]: topic for topic in json.loads(done.stdout)["topics"]}
        self.assertIn("uthorization failed", found["hidden-alerts"]["problems"][0])
        self.assertEqual([name for name, topic in found.items() if topic["problems"]], ["hidden-alerts"])

    def test_usage(self):
        self.assertIn("try: tidemark topics check", self.tidemark("topics", "chekc", topology("usage"), ok=2).stderr)
        self.tidemark("topics", "create", topology("usage"), "--replication", "none", ok=2)
        self.tidemark("topics", "check", WORK / "no-such.yaml", ok=3)
        self.assertIn("127.0.0.1:1", self.tidemark("topics", "check", topology("usage"), ok=4, brokers="127.0.0.1:1", seconds=15).stderr)


class ByHand(OnKafka):
    def prepare(self, name, count=3000, partitions=2, extra="run: { commit: 100ms }\n"):
        path = topology(name, extra)
        self.broker.create(name, partitions=partitions)
        self.tidemark("topics", "create", path)
        self.broker.produce(name, [(i % partitions, None, value, None) for i, value in enumerate(rows(count))])
        return path

    def positions(self, path, **more):
        done = self.tidemark("offsets", "show", path, "--json", **more)
        return json.loads(done.stdout)["partitions"]

    def running(self, path, *args):
        process = subprocess.Popen([TIDEMARK, "run", path, "--quiet", "--json", *args], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                   env=dict(os.environ, TIDEMARK_BROKERS=self.broker.plain))
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.stderr.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def wait_for(self, what, condition, seconds=20):
        deadline = time.monotonic() + seconds
        while not condition():
            self.assertLess(time.monotonic(), deadline, what)
            time.sleep(0.2)

    def test_offsets_show_what_a_commit_says(self):
        path = self.prepare("shown")
        for position in self.positions(path):
            self.assertNotIn("next", position)
            self.assertEqual((position["beginning"], position["end"]), (0, 1500))
        self.tidemark("run", path, "--until-end", "--quiet")
        for position in self.positions(path):
            self.assertEqual((position["next"], position["lag"], position["metadata"]), (1500, 0, "valid"))
            self.assertIn("state_epoch", position)
            # 300 s of rows: five windows, the last published as incomplete; low-water lies before its first row.
            self.assertIn(position["published_through"], range(T0 + 240_000, T0 + 300_000))
            self.assertEqual(position["incomplete_through"], T0 + 300_000)
            self.assertEqual(position["low_water"], 1200)
        said = self.tidemark("offsets", "show", path).stdout
        self.assertIn("valid", said)
        self.assertIn("incomplete through", said)
        self.broker.produce("shown", [(0, None, value, None) for value in rows(7, start=T0 + 300_000)])
        self.assertEqual([p["lag"] for p in self.positions(path)], [7, 0])
        # The same positions mean nothing to a topology of another shape.
        other = self.positions(topology("shown", "summaries: [ { columns: x, quantiles: off } ]\n"))
        self.assertEqual([p["metadata"] for p in other], ["of another topology"] * 2)
        self.assertEqual([p["low_water"] for p in other], [1200] * 2)

    def test_offsets_set_begins_a_new_epoch_where_it_says(self):
        path = self.prepare("moved")
        self.tidemark("run", path, "--until-end", "--quiet")
        before = self.positions(path)
        epoch = max(p["state_epoch"] for p in before)
        self.tidemark("offsets", "set", path, "--to", "100", "--dry-run")
        self.assertIn("--yes", self.tidemark("offsets", "set", path, "--to", "100", ok=4, more={}).stderr)
        self.assertEqual(self.positions(path), before)
        self.tidemark("offsets", "set", path, "--to", "100", "--partition", "1", "--yes")
        self.tidemark("offsets", "set", path, "--to", "2023-11-14T22:15:00Z", "--partition", "moved/0", "--yes")
        zero, one = self.positions(path)
        self.assertEqual((one["next"], one["metadata"], one["state_epoch"]), (100, "set by hand", epoch + 1))
        # Records carry the time of their making: that of 2023 is before them all.
        self.assertEqual((zero["next"], zero["state_epoch"]), (0, epoch + 2))
        done = self.tidemark("run", path, "--until-end", "--json")
        self.assertEqual(json.loads(done.stdout)["records"], 1500 + 1400)
        self.assertEqual(done.stderr.count("new state epoch"), 2)
        self.assertEqual([p["metadata"] for p in self.positions(path)], ["valid"] * 2)
        self.assertGreaterEqual(min(p["state_epoch"] for p in self.positions(path)), epoch + 2)
        self.assertIn("0 to 1500", self.tidemark("offsets", "set", path, "--to", "1501", "--yes", ok=4).stderr)
        self.assertIn("--to", self.tidemark("offsets", "set", path, ok=2).stderr)
        self.tidemark("offsets", "set", path, "--to", "yesterday", ok=2)
        self.assertIn("no partition `5`", self.tidemark("offsets", "set", path, "--to", "latest", "--partition", "5", "--yes", ok=4).stderr)

    def test_reset_takes_state_away_and_begins_a_new_epoch(self):
        path = self.prepare("again")
        self.tidemark("run", path, "--until-end", "--quiet")
        epoch = max(p["state_epoch"] for p in self.positions(path))
        own = {m.key() for m in self.broker.read("again-state") if m.value() is not None}
        count = len(self.broker.read("again-state"))
        self.broker.produce("again-state", [(0, b"a", b"1", None), (0, b"b", b"1", None), (0, b"c", b"1", None), (0, b"b", None, None)])
        self.assertIn("there is no terminal to ask", self.tidemark("reset", path, ok=4).stderr)
        self.assertIn(f"{len(own) + 2} entries", self.tidemark("reset", path, "--dry-run").stdout)
        self.assertEqual(len(self.broker.read("again-state")), count + 4)
        self.tidemark("reset", path, "--yes")
        last = {message.key(): message.value() for message in self.broker.read("again-state")}
        self.assertEqual(last, dict.fromkeys([b"a", b"b", b"c", *own]))
        self.assertEqual([(p["next"], p["metadata"], p["state_epoch"]) for p in self.positions(path)], [(1500, "set by hand", epoch + 1)] * 2)
        self.tidemark("reset", path, "--to", "earliest", "--yes")
        self.assertEqual([(p["next"], p["state_epoch"]) for p in self.positions(path)], [(0, epoch + 2)] * 2)
        done = self.tidemark("run", path, "--until-end", "--json")
        self.assertEqual(json.loads(done.stdout)["records"], 3000)

    def test_reset_refuses_while_somebody_is_at_work(self):
        path = self.prepare("busy", extra="run: { commit: 200ms }\n")
        process = self.running(path)
        stop = time.monotonic() + 30
        self.wait_for("a first commit", lambda: all("next" in p for p in self.positions(path)))
        feeding = threading.Event()

        def feed():
            start = T0 + 300_000
            while not feeding.is_set() and time.monotonic() < stop:
                self.broker.produce("busy", [(i % 2, None, value, None) for i, value in enumerate(rows(50, start=start))])
                start += 5_000
                time.sleep(0.1)
        thread = threading.Thread(target=feed)
        thread.start()
        try:
            self.assertIn("positions move", self.tidemark("reset", path, "--yes", ok=4).stderr)
            self.assertIn("positions move", self.tidemark("offsets", "set", path, "--to", "earliest", "--yes", ok=4).stderr)
        finally:
            feeding.set()
            thread.join()
        process.terminate()
        process.communicate(timeout=30)
        self.assertEqual(process.returncode, 0)
        # A member of the group, whoever it is.
        consumer = self.broker.client("consumer", **{"group.id": "busy", "auto.offset.reset": "earliest", "enable.auto.commit": False})
        consumer.subscribe(["busy"])
        self.wait_for("a member", lambda: consumer.poll(0.2) or consumer.assignment())
        self.assertIn("1 member", self.tidemark("reset", path, "--yes", ok=4).stderr)
        consumer.close()
        self.tidemark("reset", path, "--yes")

    def test_a_question_that_is_answered_too_late_ends_nothing(self):
        """Whether anybody is a member of the group is answered after the client gave up, and after a few seconds."""
        path = self.prepare("slow")
        self.tidemark("run", path, "--until-end", "--quiet")
        before = self.positions(path)
        with SlowAnswers(self.broker, keys=(15, 16), seconds=14) as broker:
            done = self.tidemark("reset", path, "--yes", ok=4, seconds=40, brokers=broker.address)
            self.assertIn("cannot look up group 'slow'", done.stderr)
            self.assertGreater(broker.held, 0)
        self.assertEqual(self.positions(path), before)
        # Settings of topics, asked by the admin interface, may come too late as well: what is known without them is done.
        with SlowAnswers(self.broker, keys=(32,), seconds=13) as broker:
            self.tidemark("run", path, "--until-end", "--quiet", seconds=60, brokers=broker.address)
            self.assertGreater(broker.held, 0)
        with SlowAnswers(self.broker, keys=(15, 16), seconds=2) as broker:
            self.tidemark("offsets", "set", path, "--to", "100", "--yes", seconds=40, brokers=broker.address)
            self.assertGreater(broker.held, 0)
        self.assertEqual([p["next"] for p in self.positions(path)], [100, 100])

    def test_reset_fences_a_transaction_that_an_older_owner_left_open(self):
        path = self.prepare("owned")
        self.tidemark("run", path, "--until-end", "--quiet")
        before = [(m.key(), m.value()) for m in self.broker.read("owned-state")]
        import confluent_kafka
        older = self.broker.client("producer", **{"transactional.id": "owned"})
        older.init_transactions(20)
        older.begin_transaction()
        older.produce("owned-state", b"late", b"a", partition=0)
        older.flush(10)
        self.tidemark("reset", path, "--yes")
        with self.assertRaises(confluent_kafka.KafkaException) as caught:
            older.commit_transaction(10)
        self.assertTrue(caught.exception.args[0].fatal(), caught.exception)
        after = [(m.key(), m.value()) for m in self.broker.read("owned-state")]
        self.assertNotIn((b"a", b"late"), after)
        self.assertEqual(after[:len(before)], before)

    def test_a_shadow_disturbs_nothing_of_the_live_one(self):
        path = self.prepare("live")
        ended = {}

        def ends():
            consumer = self.broker.client("consumer", **{"group.id": "looker"})
            from confluent_kafka import TopicPartition
            found = {}
            for tail in ("aggregates", "alerts", "dead-letters", "late", "state"):
                for p in consumer.list_topics(f"live-{tail}", 10).topics[f"live-{tail}"].partitions:
                    found[tail, p] = consumer.get_watermark_offsets(TopicPartition(f"live-{tail}", p), timeout=10)[1]
            consumer.close()
            return found
        self.broker.produce("live", [(0, None, b"nonsense", None)])
        self.tidemark("run", path, "--until-end", "--quiet")
        before, ended = self.positions(path), ends()
        self.assertGreater(ended["dead-letters", 0], 0)
        # Nothing anywhere, files, topics of another name.
        done = self.tidemark("run", path, "--until-end", "--json", "--no-alerts")
        self.assertEqual(json.loads(done.stdout)["records"], 3001)
        out = WORK / "live-shadow"
        self.tidemark("run", path, "--until-end", "--quiet", "--no-alerts", "--output", out)
        self.assertEqual(sorted(p.name for p in out.iterdir()), ["live-aggregates.ndjson"])
        self.assertIn(f"tidemark topics create {path} --suffix .shadow",
                      self.tidemark("run", path, "--until-end", "--no-alerts", "--suffix", ".shadow", ok=4).stderr)
        self.tidemark("topics", "create", path, "--suffix", ".shadow")
        self.tidemark("run", path, "--until-end", "--quiet", "--no-alerts", "--suffix", ".shadow")
        self.assertEqual((self.positions(path), ends()), (before, ended))

        def published(topic):
            return sorted((m.key(), m.value()) for m in self.broker.read(topic))
        self.assertEqual(published("live-aggregates.shadow"), published("live-aggregates"))
        self.assertEqual(len(published("live-aggregates")), len((out / "live-aggregates.ndjson").read_text().splitlines()))
        self.tidemark("run", path, "--suffix", ".x", ok=2)

    def test_a_shadow_beside_a_process_that_is_at_work(self):
        path = self.prepare("both", extra="run: { commit: 200ms }\n")
        live = self.running(path)
        shadow = self.running(path, "--no-alerts")
        self.wait_for("a commit", lambda: all(p.get("lag") == 0 for p in self.positions(path)))
        self.broker.produce("both", [(i % 2, None, value, None) for i, value in enumerate(rows(1000, start=T0 + 300_000))])
        self.wait_for("another", lambda: all(p["next"] == 2000 and p["lag"] == 0 for p in self.positions(path)))
        for process in (shadow, live):
            process.terminate()
            out, said = process.communicate(timeout=30)
            self.assertEqual(process.returncode, 0, said)
            self.assertEqual(json.loads(out)["records"], 4000)
        self.assertEqual([p["metadata"] for p in self.positions(path)], ["valid"] * 2)


class DeadLetters(OnKafka):
    BAD = [(b"k1", b"nonsense"), (None, b"[1]"), (b"k2", b""), (b"k3", b'{"model":"m"}'), (b"k4", b"\xff\xfe")]

    def prepare(self, name, bad, **config):
        path = topology(name, "limits: { record: 64KiB }\n" if config.pop("short", False) else "")
        self.broker.create(name, partitions=2)
        self.tidemark("topics", "create", path)
        good = [(i % 2, None, value, None) for i, value in enumerate(rows(100))]
        self.broker.produce(name, good + [(i % 2, key, value, None) for i, (key, value) in enumerate(bad)])
        self.tidemark("run", path, "--until-end", "--quiet")
        return path

    def replay(self, path, *args, **more):
        return json.loads(self.tidemark("dlq", "replay", path, "--json", *args, **more).stdout)

    def replayed(self, topic):
        found = []
        for message in self.broker.read(topic):
            headers = dict(message.headers() or [])
            if "tidemark-replay" in headers:
                found.append((message.partition(), message.key(), message.value(), headers["tidemark-replay-of"].decode(),
                              headers["tidemark-replay-reason"].decode()))
        return found

    def test_list_counts_letters_and_samples_their_coordinates(self):
        path = self.prepare("listed", self.BAD * 3)
        found = json.loads(self.tidemark("dlq", "list", path, "--json").stdout)
        self.assertEqual((found["letters"], found["foreign"]), (15, 0))
        by_reason = {}
        for count in found["counts"]:
            self.assertEqual((count["operator"], count["topic"]), ("listed", "listed"))
            by_reason[count["reason"]] = by_reason.get(count["reason"], 0) + count["count"]
        self.assertEqual(by_reason, {"not_json": 3, "not_an_object": 3, "empty": 3, "event_time_missing": 3, "not_utf8": 3})
        self.assertEqual(sum(c["count"] for c in found["counts"] if c["partition"] == 0), 8)
        places = [sample["place"] for sample in found["samples"] if sample["reason"] == "not_json"]
        # The first bad record of each turn: rows 0, 5, 10 after 50 good ones a partition.
        self.assertEqual(sorted(places), ["listed/0/50", "listed/0/55", "listed/1/52"])
        said = self.tidemark("dlq", "list", path, "--reason", "empty", "--samples", 1).stdout
        self.assertIn("3 letters", said)
        self.assertNotIn("not_json", said)
        self.assertIn("0 letters", self.tidemark("dlq", "list", path, "--since", "2100-01-01").stdout)
        # Values are shown by nobody.
        self.assertNotIn("nonsense", self.tidemark("dlq", "list", path).stdout)

    def test_replay_sends_the_original_bytes_back_once(self):
        path = self.prepare("sent", self.BAD)
        end = len(self.broker.read("sent"))
        dry = self.replay(path, "--dry-run")
        self.assertEqual((dry["letters"], dry["replayed"], dry["dry_run"]), (5, 5, True))
        self.assertEqual(len(self.broker.read("sent")), end)
        self.assertEqual(self.replay(path)["replayed"], 5)
        reasons = ["not_json", "not_an_object", "empty", "event_time_missing", "not_utf8"]
        expected = [(i % 2, key, value, f"sent/{i % 2}/{50 + i // 2}", reasons[i]) for i, (key, value) in enumerate(self.BAD)]
        self.assertEqual(sorted(self.replayed("sent"), key=str), sorted(expected, key=str))
        again = self.replay(path)
        self.assertEqual((again["replayed"], again["already_replayed"]), (0, 5))
        self.assertEqual(len(self.replayed("sent")), 5)
        # Time of the original, so that what is decided by it is decided alike.
        times = {m.offset(): m.timestamp()[1] for m in self.broker.read("sent") if m.partition() == 0}
        replayed = [m for m in self.broker.read("sent") if m.partition() == 0 and m.headers()]
        for message in replayed:
            of = dict(message.headers())["tidemark-replay-of"].decode()
            self.assertEqual(times[message.offset()], times[int(of.rsplit("/", 1)[1])])
        # They are dead again, under coordinates of their own: five new letters.
        self.tidemark("run", path, "--until-end", "--quiet")
        self.assertEqual(self.replay(path, "--dry-run")["replayed"], 5)

    def test_replay_in_parts_remembers_each(self):
        path = self.prepare("parts", self.BAD * 4)
        self.assertEqual(self.replay(path, "--reason", "empty")["replayed"], 4)
        self.assertEqual(self.replay(path, "--reason", "empty", "--reason", "not_json")["replayed"], 4)
        first = self.replay(path, "--limit", 3)
        self.assertEqual((first["replayed"], first["already_replayed"]), (3, 8))
        self.assertEqual(self.replay(path, "--since", "2100-01-01")["replayed"], 0)
        self.assertEqual(self.replay(path)["replayed"], 9)
        self.assertEqual(self.replay(path)["replayed"], 0)
        found = self.replayed("parts")
        self.assertEqual(len(found), 20)
        self.assertEqual(len({of for _, _, _, of, _ in found}), 20)

    def test_replay_elsewhere_keeps_keys_together_and_leaves_out_what_was_cut(self):
        path = self.prepare("cut", self.BAD + [(b"long", b"x" * 100_000)], short=True)
        self.broker.create("repair", partitions=3)
        done = self.replay(path, "--to", "repair")
        self.assertEqual((done["letters"], done["cut"], done["replayed"]), (6, 1, 5))
        self.assertEqual(sorted((key, value) for _, key, value, _, _ in self.replayed("repair") if key),
                         sorted((key, value) for key, value in self.BAD if key))
        again = self.replay(path)
        self.assertEqual((again["replayed"], again["already_replayed"], again["cut"]), (0, 5, 1))

    def test_what_is_no_letter_or_of_no_source_is_left_alone(self):
        path = self.prepare("odd", self.BAD[:1])
        self.broker.produce("odd-dead-letters", [(0, None, b"hello", None), (0, None, b"x", [
            ("reason", b"not_json"), ("topic", b"elsewhere"), ("partition", b"0"), ("offset", b"3")])])
        done = self.replay(path)
        self.assertEqual((done["letters"], done["foreign"], done["other_topic"], done["replayed"]), (2, 1, 1, 1))
        self.assertIn("of topics that are no source", self.tidemark("dlq", "replay", path).stdout)

    def test_two_replays_at_once_send_nothing_twice(self):
        path = self.prepare("race", self.BAD * 40)
        command = [TIDEMARK, "dlq", "replay", path, "--json"]
        environment = dict(os.environ, TIDEMARK_BROKERS=self.broker.plain)
        both = [subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
        said = [process.communicate(timeout=60) for process in both]
        self.assertIn(0, [process.returncode for process in both], said)
        self.replay(path)
        found = self.replayed("race")
        self.assertEqual((len(found), len({of for _, _, _, of, _ in found})), (200, 200), said)

    def test_usage(self):
        path = topology("dlq-usage")
        self.tidemark("dlq", "lst", path, ok=2)
        self.tidemark("dlq", "replay", path, "--since", "yesterday", ok=2)
        self.assertIn("does not exist", self.tidemark("dlq", "list", path, ok=4).stderr)


def main():
    """Runs the classes side by side: most of what they do is to wait for a broker."""
    loader = unittest.TestLoader()
    loader.testNamePatterns = [f"*{sys.argv[1]}*"] if len(sys.argv) > 1 else None
    module = sys.modules[__name__]
    classes = [c for c in vars(module).values() if isinstance(c, type) and issubclass(c, unittest.TestCase) and c is not OnKafka]
    suites = [suite for suite in map(loader.loadTestsFromTestCase, classes) if suite.countTestCases()]
    started = time.monotonic()
    make_baseline()

    def run(suite):
        stream = io.StringIO()
        return unittest.TextTestRunner(stream=stream, verbosity=2).run(suite), stream
    with concurrent.futures.ThreadPoolExecutor(len(classes)) as pool:
        done = list(pool.map(run, suites))
    for result, stream in done:
        print(stream.getvalue().split("\n" + "-" * 70 + "\nRan ")[0])
    good = all(result.wasSuccessful() for result, _ in done)
    skipped = sum(len(result.skipped) for result, _ in done)
    print(f"Ran {sum(result.testsRun for result, _ in done)} tests in {time.monotonic() - started:.0f} s")
    print(("OK" if good else "FAILED") + (f" (skipped={skipped})" if skipped else ""))
    return 0 if good else 1


if __name__ == "__main__":
    try:
        code = main()
    finally:
        if Broker.current:
            Broker.current.kafka("wipe")
        shutil.rmtree(WORK, ignore_errors=True)
    sys.exit(code)
