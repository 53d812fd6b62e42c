#!/usr/bin/env python3
"""What a source does to a run on a real Kafka: clocks that are wrong, transactions that stay open, offsets that are gone or foreign, texts and
results that are too long, one `app` twice, no more threads."""
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import unittest

from acceptance import ROOT, TIDEMARK, WORK, tidemark, topology
from broker import Broker

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AlterConfigOpType, ConfigEntry, ConfigResource


def now():
    return int(time.time() * 1000)


class Run:
    """A tidemark process; its words are in `log`."""

    def __init__(self, path, environment, *more, **popen):
        self.file = WORK / f"source-{time.monotonic_ns()}.log"
        self.out = open(self.file, "wb")
        self.process = subprocess.Popen([TIDEMARK, "run", path, *more], cwd=ROOT, env=environment, stdout=self.out, stderr=self.out, **popen)

    def log(self):
        return self.file.read_text(errors="replace")

    def says(self, word, seconds):
        """Waits until the log has the word, or the process has ended."""
        end = time.monotonic() + seconds
        while word not in self.log() and self.process.poll() is None and time.monotonic() < end:
            time.sleep(0.2)
        return word in self.log()

    def stop(self, how=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(how)
        code = self.process.wait(60)
        self.out.close()
        return code


class Source(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.broker = Broker(WORK / "kafka-source")
        cls.environment, cls.brokers, cls.admin = cls.broker.environment, cls.broker.address, cls.broker.client("admin")

    @classmethod
    def tearDownClass(cls):
        cls.broker.wipe()

    def make(self, name, more="", source="", partitions=1, schema="ts: time_ms, model: model, x: number", windows="[1s]", **settings):
        """A topology with its topics."""
        path = topology(f"""name: {name}
source: {{ topic: {name}, start: earliest, out_of_orderness: 0s, schema: {{ {schema} }}{source} }}
windows: {windows}
monitors: {{ drift: off, quality: off, volume: off, freshness: {{ freshness: 1h }} }}
{more}""", f"{name}.yaml")
        self.broker.create(name, partitions=partitions, **settings)
        made = tidemark("topics", "create", path, env=self.environment)
        self.assertEqual(made.returncode, 0, made.stdout + made.stderr)
        return path

    def put(self, topic, rows, partition=0, timestamp=None):
        self.broker.put(topic, rows, partition=partition, timestamp=timestamp or 0)

    def live(self, topic, seconds, row, partition=0, timestamp=None):
        """20 rows a fifth of a second, event times now; returns how many."""
        count, end = 0, time.monotonic() + seconds
        while time.monotonic() < end:
            start = now()
            self.put(topic, [row(start - 20 + i) for i in range(20)], partition, timestamp)
            count += 20
            time.sleep(0.2)
        return count

    def read(self, topic):
        return self.broker.read(topic)

    def values(self, topic):
        return [json.loads(m.value()) for m in self.read(topic)]

    def counted(self, name):
        """Rows in windows, by the newest publication of each."""
        newest = {}
        for m in self.read(name + "-aggregates"):
            value = json.loads(m.value())
            if value.get("column") == "x":
                newest[m.key()] = value["rows"]["total"]
        return sum(newest.values())

    def test_rows_two_hours_ahead_are_said_had_and_page(self):
        path = self.make("zones", "outputs: { quarantined: zones-quarantined }\n")
        run = Run(path, self.environment)
        time.sleep(2)
        sent = self.live("zones", 8, lambda t: {"ts": t + 7_200_000, "model": "m", "x": 1})
        self.assertTrue(run.says("quarantined_rows", 10), run.log())
        self.assertEqual(run.stop(), 0)
        alerts = [a for a in self.values("zones-alerts") if a["monitor"] == "quarantined_rows"]
        self.assertEqual([a["state"] for a in alerts], ["firing"])
        self.assertIn("1 h 59 min ahead" if "1 h 59" in alerts[0]["summary"] else "2 h 0 min ahead", alerts[0]["summary"])
        letters = self.read("zones-quarantined")
        self.assertEqual(len(letters), sent)
        self.assertEqual(dict(letters[0].headers())["reason"], b"quarantined")
        self.assertAlmostEqual(int(dict(letters[0].headers())["ahead_ms"]), 7_200_000, delta=5_000)

    def test_a_batch_of_a_clock_that_is_ahead_makes_nobody_late(self):
        path = self.make("ahead")
        run = Run(path, self.environment)
        time.sleep(2)
        row = lambda t: {"ts": t, "model": "m", "x": 1}
        sent = self.live("ahead", 4, row)
        later = now() + 40 * 60_000
        self.put("ahead", [{"ts": later + i, "model": "m", "x": 2} for i in range(100)], timestamp=lambda r: r["ts"])
        sent += self.live("ahead", 6, row)
        self.assertTrue(run.says("record_times", 5), run.log())
        self.assertEqual(run.stop(), 0)
        self.assertNotIn(" late", run.log().split("read =")[1].splitlines()[0])
        windows = [a for a in self.values("ahead-aggregates") if a.get("column") == "x"]
        self.assertGreaterEqual(len(windows), 8)
        self.assertEqual({a["max"] for a in windows}, {1}, "what is ahead is in no window")

    def test_a_topic_that_was_silent_for_a_day_goes_on(self):
        path = self.make("silent")
        day = now() - 86_400_000
        self.put("silent", [{"ts": day + i * 20, "model": "m", "x": 1} for i in range(200)], timestamp=lambda r: r["ts"])
        run = Run(path, self.environment)
        time.sleep(3)
        self.live("silent", 8, lambda t: {"ts": t, "model": "m", "x": 1})
        time.sleep(1)
        self.assertEqual(run.stop(), 0)
        windows = [a for a in self.values("silent-aggregates") if a.get("column") == "x"]
        fresh = [a for a in windows if a["window"]["start"] > day + 3_600_000]
        self.assertEqual(sum(a["rows"]["total"] for a in windows if a not in fresh), 200)
        self.assertGreaterEqual(len(fresh), 5)

    def test_rows_behind_an_open_transaction_are_waited_for(self):
        path = self.make("open", source=", idle: 2s", partitions=2)
        run = Run(path, self.environment)
        time.sleep(2)
        going, sent = True, [0]

        def feed():
            while going:
                start = now()
                for partition in (0, 1):
                    self.put("open", [{"ts": start + i, "model": "m", "x": partition} for i in range(10)], partition)
                    sent[0] += 10
                time.sleep(0.2)
        thread = threading.Thread(target=feed)
        thread.start()
        time.sleep(4)
        holder = Producer({"bootstrap.servers": self.brokers, "transactional.id": "holds", "transaction.timeout.ms": 60_000})
        holder.init_transactions(10)
        holder.begin_transaction()
        holder.produce("open", b'{"ts":1}', partition=0)
        holder.flush(5)
        time.sleep(12)
        said = run.says("partition_held", 5)
        shown = tidemark("offsets", "show", path, "--json", env=self.environment)
        holder.abort_transaction(10)
        time.sleep(3)
        going = False
        thread.join()
        time.sleep(2)
        self.assertTrue(said, run.log())
        self.assertEqual(run.stop(), 0)
        held = json.loads(shown.stdout)["partitions"][0]
        self.assertGreater(held["log_end"], held["end"])
        ended = subprocess.run([TIDEMARK, "run", path, "--until-end", "--json"], cwd=ROOT, env=self.environment, capture_output=True, text=True)
        self.assertEqual(self.counted("open"), sent[0], ended.stdout + ended.stderr)

    def test_deleted_offsets_and_records_that_are_gone_are_said(self):
        path = self.make("gone", source="").read_text().replace("start: earliest, ", "")
        path = topology(path, "gone.yaml")
        run = Run(path, self.environment)
        time.sleep(2)
        self.live("gone", 3, lambda t: {"ts": t, "model": "m", "x": 1})
        self.assertEqual(run.stop(), 0)
        for future in self.admin.delete_consumer_groups(["gone"]).values():
            future.result(10)
        self.put("gone", [{"ts": now(), "model": "m", "x": 2} for _ in range(300)])
        run = Run(path, self.environment)
        self.assertTrue(run.says("earlier records are not read", 10), run.log())
        time.sleep(2)
        self.assertEqual(run.stop(), 0)
        # Now the records beyond what was committed go.
        self.put("gone", [{"ts": now(), "model": "m", "x": 3} for _ in range(250)])
        end = self.admin_end("gone")
        for future in self.admin.delete_records([TopicPartition("gone", 0, end)]).values():
            future.result(10)
        self.put("gone", [{"ts": now(), "model": "m", "x": 4} for _ in range(10)])
        run = Run(path, self.environment, "--json")
        self.assertTrue(run.says("250 records are no longer in the log", 10), run.log())
        time.sleep(2)
        self.assertEqual(run.stop(), 0)
        summary = json.loads(run.log().strip().splitlines()[-1])
        self.assertEqual((summary["lost"], summary["passed_over"]), (250, 0))

    def test_offsets_that_are_gone_while_state_is_there_page(self):
        text = self.make("expired").read_text().replace("start: earliest, ", "").replace("volume: off, ", "")
        path = topology(text, "expired.yaml")
        tidemark("topics", "create", path, env=self.environment)
        run = Run(path, self.environment)
        time.sleep(2)
        self.live("expired", 4, lambda t: {"ts": t, "model": "m", "x": 1})
        self.assertEqual(run.stop(), 0)
        self.assertTrue(self.read("expired-state"))
        # As after offsets.retention.minutes: nothing is left of the group.
        for future in self.admin.delete_consumer_groups(["expired"]).values():
            future.result(10)
        self.put("expired", [{"ts": now(), "model": "m", "x": 2} for _ in range(700)])
        end = self.admin_end("expired")
        run = Run(path, self.environment)
        self.assertTrue(run.says("earlier records are not read", 15), run.log())
        self.assertTrue(run.says("records_skipped", 15), run.log())
        time.sleep(2)
        self.assertEqual(run.stop(), 0)
        alert, = [json.loads(m.value()) for m in self.read("expired-alerts") if b'"records_skipped"' in m.value()]
        self.assertEqual((alert["state"], alert["severity"]), ("firing", "page"))
        self.assertEqual(alert["value"], end)
        self.assertIn("the group's offsets are gone", alert["summary"])
        # Whoever is new begins where it likes: said, and no page.
        fresh = topology(text.replace("name: expired", "name: fresh\napp: fresh"), "fresh.yaml")
        tidemark("topics", "create", fresh, env=self.environment)
        run = Run(fresh, self.environment)
        self.assertTrue(run.says("earlier records are not read", 15), run.log())
        time.sleep(1)
        self.assertEqual(run.stop(), 0)
        self.assertNotIn("records_skipped", run.log())

    def admin_end(self, topic):
        consumer = Consumer({"bootstrap.servers": self.brokers, "group.id": "ends"})
        _, high = consumer.get_watermark_offsets(TopicPartition(topic, 0), 10)
        consumer.close()
        return high

    def test_members_and_offsets_of_another_program_are_said(self):
        path = self.make("foreign")
        self.put("foreign", [{"ts": now() - 60_000 + i * 10, "model": "m", "x": 1} for i in range(2000)])
        run = Run(path, self.environment)
        time.sleep(3)
        other = Consumer({"bootstrap.servers": self.brokers, "group.id": "foreign", "auto.offset.reset": "earliest", "enable.auto.commit": False})
        other.subscribe(["foreign"])
        for _ in range(10):
            other.poll(1)
        self.assertTrue(run.says("foreign_members", 10), run.log())
        run.stop(signal.SIGKILL)
        other.commit(offsets=[TopicPartition("foreign", 0, 1500)], asynchronous=False)
        other.close()
        run = Run(path, self.environment)
        self.assertTrue(run.says("another program set this offset", 45), run.log())
        self.assertTrue(run.says("foreign_offsets", 10), run.log())
        self.assertEqual(run.stop(), 0)

    def test_a_burst_of_dead_letters_pages_at_once_and_reading_stops(self):
        path = self.make("burst")
        self.put("burst", [{"ts": now(), "model": "m", "x": 1} for _ in range(50)] + [b"ts,model,x\n"] * 130_000)
        run = Run(path, self.environment)
        # Long before the minute is over.
        self.assertTrue(run.says("reading has stopped", 30), run.log())
        self.assertTrue(run.says("monitor=bad_rows", 10), run.log())
        time.sleep(1)
        self.assertEqual(run.stop(), 0)
        page, = [json.loads(m.value()) for m in self.read("burst-alerts") if b'"bad_rows"' in m.value()]
        self.assertEqual((page["state"], page["severity"]), ("firing", "page"))
        self.assertGreater(page["value"], 0.9)
        letters = self.read("burst-dead-letters")
        self.assertEqual({dict(m.headers())["reason"] for m in letters}, {b"not_json"})
        self.assertLessEqual(100_000 - 4_096, len(letters))

    def test_what_is_too_long_stops_nothing(self):
        path = self.make("long", max_message_bytes=8_000_000)
        rows = [{"ts": now() - 60_000 + i * 10, "model": "m", "x": 1} for i in range(1000)]
        self.put("long", rows[:500] + [{"ts": rows[500]["ts"], "model": os.urandom(350_000).hex(), "x": 1}] + rows[500:])
        producer = Producer({"bootstrap.servers": self.brokers, "message.max.bytes": 20_000_000})
        producer.produce("long", b"no json", key=os.urandom(3_000_000))
        producer.flush(20)
        run = Run(path, self.environment, "--until-end")
        self.assertEqual(run.process.wait(60), 0, run.log())
        self.assertEqual(self.counted("long"), 1000)
        letters = {dict(m.headers())["reason"]: m for m in self.read("long-dead-letters")}
        self.assertEqual(set(letters), {b"text_too_long", b"not_json"})
        self.assertEqual(len(letters[b"not_json"].key()), 16 << 10)
        self.assertEqual(dict(letters[b"not_json"].headers())["key_length"], b"3000000")

    def test_a_result_that_its_topic_refuses_is_replaced_by_one_that_says_so(self):
        path = self.make("large", "summaries: [ { columns: categories, counts: 2000 } ]\n", schema="ts: time_ms, model: model, c: category",
                         windows="[10s]")
        noted = tidemark("topics", "check", path, env=self.environment)
        self.assertIn("a result of long texts, or of numbers of all sizes, may have up to", noted.stdout + noted.stderr)
        self.assertEqual(noted.returncode, 0)
        start = (now() - 60_000) // 10_000 * 10_000
        self.put("large", [{"ts": start + i, "model": "m", "c": os.urandom(500).hex()} for i in range(2000)]
                 + [{"ts": start + 20_000 + i, "model": "m", "c": "a"} for i in range(10)])
        run = Run(path, self.environment)
        self.assertTrue(run.says("too large for its topic", 20), run.log())
        time.sleep(2)
        self.put("large", [{"ts": start + 40_000, "model": "m", "c": "a"}])
        time.sleep(2)
        self.assertEqual(run.stop(), 0)
        found = self.values("large-aggregates")
        self.assertEqual(len([v for v in found if v.get("error") == "too_large"]), 1)
        self.assertTrue(any(v.get("rows", {}).get("total") == 10 for v in found))

    def test_sketches_that_never_fit_are_refused_before_anything_is_read(self):
        path = self.make("never", "summaries: [ { columns: categories, distinct: { lg_k: 21 } } ]\noutputs: { aggregates: { topic: never-aggregates, sketches: [hll] } }\n",
                         schema="ts: time_ms, model: model, c: category")
        tidemark("topics", "check", path, env=self.environment)
        small = ConfigResource("topic", "never-aggregates-sketches", incremental_configs=[
            ConfigEntry("max.message.bytes", "1048588", incremental_operation=AlterConfigOpType.SET)])
        for future in self.admin.incremental_alter_configs([small]).values():
            future.result(10)
        checked = tidemark("topics", "check", path, env=self.environment, ok=1)
        self.assertIn("max.message.bytes", checked.stdout)

    def test_a_second_topology_with_the_same_app_is_refused(self):
        path = self.make("mine", "app: shared\n")
        rows = [{"ts": now() - 60_000 + i * 10, "model": "m", "x": 1} for i in range(1000)]
        volume = topology(path.read_text().replace("volume: off, ", ""), "mine.yaml")
        tidemark("topics", "create", volume, env=self.environment)
        self.put("mine", rows)
        run = Run(volume, self.environment)
        time.sleep(4)
        self.assertEqual(run.stop(), 0)
        other = topology(volume.read_text().replace("name: mine", "name: other"), "other.yaml")
        tidemark("topics", "create", other, env=self.environment)
        second = Run(other, self.environment)
        self.assertEqual(second.process.wait(30), 4)
        self.assertIn("belongs to topology 'mine'", second.log())
        linted = tidemark("lint", volume, other, ok=1)
        self.assertIn("shared-app", linted.stdout)

    @unittest.skipUnless(os.geteuid() == 0 and shutil.which("prlimit") and shutil.which("setpriv"), "takes another user's limits")
    def test_without_threads_it_ends_and_says_so(self):
        folder = WORK / "threads"
        folder.mkdir()
        binary = folder / "tidemark"
        shutil.copy(TIDEMARK, binary)
        (folder / "t.yaml").write_text("""name: threads
source: { topic: threads, schema: { ts: time_ms, model: model, x: number } }
windows: [1m]
run: { workers: 4 }
""")
        for parent in (folder, WORK):
            parent.chmod(0o755)
        binary.chmod(0o755)
        said = 0
        for count in range(2, 12):
            environment = dict(self.environment, TIDEMARK_BROKERS="127.0.0.1:1")
            done = subprocess.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "prlimit", f"--nproc={count}:{count}", binary, "run",
                                   folder / "t.yaml"], env=environment, capture_output=True, text=True, cwd="/", timeout=60)
            self.assertEqual(done.returncode, 4, f"{count}: {done.stderr}")
            said += "no thread could be started" in done.stderr
        self.assertGreater(said, 2)

    def test_a_clock_is_put_right_by_hand(self):
        path = self.make("byhand")
        run = Run(path, self.environment)
        time.sleep(2)
        self.live("byhand", 3, lambda t: {"ts": t, "model": "m", "x": 1})
        self.assertEqual(run.stop(), 0)
        before = json.loads(tidemark("offsets", "show", path, "--json", env=self.environment).stdout)["partitions"][0]
        done = tidemark("offsets", "clock", path, "--to", "2026-01-01T00:00:00Z", "--yes", env=self.environment)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        after = json.loads(tidemark("offsets", "show", path, "--json", env=self.environment).stdout)["partitions"][0]
        self.assertEqual(after["reference_clock"], 1_767_225_600_000)
        for same in ("next", "low_water", "state_epoch", "metadata", "published_through"):
            self.assertEqual(after[same], before[same], same)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        sys.argv = [sys.argv[0], "-v", "-k", sys.argv[1]]
    else:
        sys.argv.append("-v")
    try:
        unittest.main()
    finally:
        shutil.rmtree(WORK, ignore_errors=True)
