#!/usr/bin/env python3
"""What a run says of itself: its summary, exit code, alerts, metrics and probes; and what it does to files and with hostile numbers."""
import http.client
import json
import math
import os
import pathlib
import random
import re
import shutil
import signal
import subprocess
import sys
import time
import unittest
import uuid
import zlib

from acceptance import ROOT, SMALL, T0, TIDEMARK, WORK, lines, run_lines, small, tidemark, topology
from broker import KAFKA, Broker, free_port


def row(ms, **more):
    return {"ts": T0 + ms, "model": "m", "x": 1, "c": "a", **more}


def write(name, text):
    path = WORK / name
    path.write_text(text)
    return path


class Told(unittest.TestCase):
    def test_every_record_is_accounted_for_with_an_example_of_each_reason(self):
        path = topology(SMALL.format(clock="2023-11-14T22:20:00Z") + "filter: \"x < 100\"\n", "told.yaml")
        # The watermark of a file is its own: a minute later the first window is closed.
        rows = [row(i * 100) for i in range(700)] + [row(200, x=2)] + [row(71_000, x=500), row(71_000, x=None), row(40_000_000)]
        text = [json.dumps(r).encode() for r in rows] + [b"", b"{broken", b"[1]", b'{"model":"m","x":1}', b'{"ts":"tomorrow","x":1}']
        random.Random(3).shuffle(text[:50])
        summary, _ = run_lines(text, path, "told", raw=True)
        self.assertEqual((summary["records"], summary["rows"], summary["late"], summary["quarantined"], summary["dead_letters"]),
                         (709, 700, 1, 1, 5), summary)
        self.assertEqual((summary["filtered"], summary["filtered_null"], summary["tombstones"]), (1, 1, 0))
        aside = {entry["reason"]: entry for entry in summary["set_aside"]}
        self.assertEqual({reason: entry["count"] for reason, entry in aside.items()},
                         {"late": 1, "quarantined": 1, "empty": 1, "not_json": 1, "not_an_object": 1, "event_time_missing": 1, "event_time_unreadable": 1})
        for reason, place in (("late", 700), ("quarantined", 703), ("empty", 704), ("not_json", 705), ("not_an_object", 706), ("event_time_missing", 707),
                              ("event_time_unreadable", 708)):
            self.assertIn(f"told.ndjson:{place + 1}: ", aside[reason]["example"], aside)
        done = tidemark("run", path, "--input", WORK / "told.ndjson", "--output", WORK / "told-out", "--until-end")
        self.assertIn("709 read = 700 in windows + 5 dead letters + 1 late + 1 quarantined + 2 filtered out\n", done.stdout)
        self.assertIn("set aside: 1 late, for example ", done.stdout)

    def test_a_run_that_tested_nothing_says_why_and_ends_with_1(self):
        cases = {
            "empty": ([], "nothing was read"),
            "letters": ([b"{"] * 50, "no record is in a window"),
            "young": ([json.dumps(row(i)).encode() for i in range(50)], "1 learning"),
        }
        # What is watched without being named fails no run by itself.
        path = topology(SMALL.format(clock="2023-11-14T22:20:00Z") + "monitors: { volume: { volume: rows } }\n", "watched.yaml")
        for name, (text, why) in cases.items():
            data = WORK / f"{name}.ndjson"
            data.write_bytes(b"".join(line + b"\n" for line in text))
            done = tidemark("run", path, "--input", data, "--output", WORK / "nothing", "--until-end", ok=1)
            self.assertIn(why, done.stdout, name)
        # Who watches nothing has tested all that was asked for.
        tidemark("run", small(), "--input", WORK / "young.ndjson", "--output", WORK / "nothing", "--until-end")
        quiet = topology(SMALL.format(clock="2023-11-14T22:20:00Z") + "monitors: { drift: off, quality: off, volume: off, freshness: off }\n", "quiet.yaml")
        tidemark("run", quiet, "--input", WORK / "young.ndjson", "--output", WORK / "nothing", "--until-end", ok=0)

    def test_columns_of_which_no_value_could_be_read_are_named(self):
        path = topology(SMALL.format(clock="2023-11-14T22:20:00Z").replace("x: number", "x: { type: number, path: inputs.x }"), "path.yaml")
        data = write("path.ndjson", "".join(json.dumps({**row(i * 100), "inputs": {"X": 1}}) + "\n" for i in range(1300)))
        done = tidemark("run", path, "--input", data, "--output", WORK / "path-out", "--until-end", "--json", ok=None)
        missing, = json.loads(done.stdout)["columns_without_value"]
        self.assertEqual((missing["column"], missing["windows"], missing["rows"], missing["values"], missing["missing"]), ("x", 3, 1300, 0, 1300))
        self.assertEqual(done.stderr.count("a column had no value in any row of a window"), 1, done.stderr)
        self.assertIn("column=x", done.stderr)

    def drifting(self, name, back):
        """A topology with a baseline, and records in which `x` moves away for five minutes, and back or not."""
        rng = random.Random(7)
        plain = topology(SMALL.format(clock="2023-11-14T22:20:00Z"), f"{name}-plain.yaml")
        reference = write(f"{name}-reference.ndjson", "".join(json.dumps(row(i * 10, x=rng.gauss(0, 1))) + "\n" for i in range(6000)))
        tidemark("baseline", "build", "--from", reference, "--by", "model", "--topology", plain, "--output", WORK / f"{name}.json")
        path = topology(SMALL.format(clock="2023-11-14T22:40:00Z") + f"baselines: {{ training: {{ file: {name}.json }} }}\n", f"{name}.yaml")
        rows = [row(i * 60, x=rng.gauss(4 if 4000 <= i < 9000 or i >= 9000 and not back else 0, 1)) for i in range(16_000)]
        return path, write(f"{name}.ndjson", "".join(json.dumps(r) + "\n" for r in rows))

    def test_alerts_are_told_as_they_go_out_and_the_open_ones_are_listed(self):
        for back in (False, True):
            path, data = self.drifting("away" if not back else "back", back)
            out = WORK / f"alerts-{back}"
            done = tidemark("run", path, "--input", data, "--output", out, "--until-end")
            told = [line for line in done.stderr.splitlines() if "event=alert" in line]
            self.assertEqual(len(told), len(lines(out / "t-alerts.ndjson")), done.stderr)
            self.assertTrue(any("state=firing severity=page monitor=drift" in line and "column=x" in line for line in told), told)
            self.assertIn("verdicts of drift:", done.stdout)
            listed = json.loads(tidemark("alerts", path, "--from", out, "--json").stdout)
            self.assertEqual([(a["state"], a["monitor"], a["column"], a["group"]) for a in listed],
                             [] if back else [("firing", "drift", "x", "model=m")])
            shown = tidemark("alerts", path, "--from", out).stdout
            self.assertIn("0 open" if back else "1 open", shown)
            ended = json.loads(tidemark("alerts", path, "--from", out, "--json", "--all").stdout)
            self.assertEqual([a["state"] for a in ended], ["resolved"] if back else ["firing"])
        self.assertIn("none", tidemark("alerts", path, "--from", WORK / "none", ok=4).stderr)

    def test_alerts_are_inspected_as_files_and_consoles_have_them(self):
        path, data = self.drifting("seen", False)
        out = WORK / "seen-out"
        tidemark("run", path, "--input", data, "--output", out, "--until-end", "--quiet")
        event = lines(out / "t-alerts.ndjson")[0]
        value = json.dumps(event["value"])
        printed = write("console.txt", f"{event['key']}\t{value}\n" + ",".join(f"{k}:{v}" for k, v in event["headers"].items()) + f"\t{event['key']}\t{value}\n{value}\n")
        shown = tidemark("inspect", printed).stdout
        self.assertEqual(shown.count("differs from training"), 3, shown)
        self.assertIn("  then\n", shown)
        event["value"].update(muted=True, muted_by="backfill")
        self.assertIn("muted: backfill", tidemark("inspect", write("muted.ndjson", json.dumps(event) + "\n")).stdout)
        # An alert about rows has no bins to draw.
        event["value"].update(column="", test="rows", value=3, threshold=60.5, direction="below", histogram={"current": [], "baseline": []})
        shown = tidemark("inspect", write("rows.ndjson", json.dumps(event) + "\n")).stdout
        self.assertIn("rows 3.000  below 60.500", shown)
        self.assertNotIn("then", shown)

    def test_log_linear_bins_are_inspected(self):
        path = topology(SMALL.format(clock="2023-11-14T22:20:00Z") + "summaries: [ { columns: [x], log_linear: true } ]\n", "bins.yaml")
        rows = [row(i, x=x) for i, x in enumerate([0, 0, 1, 2, 4, -8])]
        run_lines(rows, path, "bins")
        shown = tidemark("inspect", WORK / "bins-out/t-aggregates.ndjson").stdout
        self.assertIn("log-linear bins: 2 at zero", shown)
        self.assertIn("3 positive", shown)
        self.assertIn("1 negative", shown)

    def test_what_an_author_says_of_a_topology_is_carried_in_its_alerts(self):
        path, data = self.drifting("words", False)
        text = path.read_text() + "description: churn of the web shop\nmonitors: { volume: off }\n"
        for more, said in (("", "churn of the web shop"), ("monitors: { volume: off, drift: { description: the inputs } }\n", "the inputs")):
            topo = topology(text.replace("monitors: { volume: off }\n", more) if more else text, "words2.yaml")
            out = WORK / "words-out"
            tidemark("run", topo, "--input", data, "--output", out, "--until-end", "--quiet")
            self.assertEqual({e["value"].get("description") for e in lines(out / "t-alerts.ndjson")}, {said})

    def test_standard_input_without_a_clock_is_said(self):
        row = json.dumps({"ts": T0 + 86_400_000 * 365, "model": "m", "x": 1}) + "\n"
        plan = SMALL.replace("  clock: {clock}\n", "").format()
        self.assertNotIn("clock", plan)
        out = WORK / "piped"
        said = subprocess.run([TIDEMARK, "run", topology(plan, "piped.yaml"), "--input", "-", "--output", out], input=row, capture_output=True, text=True)
        self.assertIn("1 read = 1 in windows", said.stdout)
        self.assertIn("no reference clock: standard input has none", said.stdout)
        named = subprocess.run([TIDEMARK, "run", small(), "--input", "-", "--output", out], input=row, capture_output=True, text=True)
        self.assertIn("1 read = 1 quarantined", named.stdout)
        self.assertNotIn("no reference clock", named.stdout)

    def test_control_characters_of_records_do_not_reach_the_terminal(self):
        rows = [json.dumps(row(i, c="\x1b[2Jclear\u202e")).encode() for i in range(5)]
        run_lines(rows, name="control", raw=True)
        shown = tidemark("inspect", WORK / "control-out/t-aggregates.ndjson").stdout
        self.assertIn("\\u{1b}[2Jclear\\u{202e}", shown)
        self.assertNotIn("\x1b", shown)


class Waiting(unittest.TestCase):
    """Input that is not there yet costs nothing, and holds nothing back."""

    QUIET = SMALL.format(clock="2023-11-14T22:40:00Z") + "monitors: { drift: off, quality: off, volume: off, freshness: off }\n"

    def rows(self, first, last):
        return "".join(json.dumps(row(i * 1000)) + "\n" for i in range(first, last))

    def cpu(self, process):
        fields = pathlib.Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def published(self, out):
        path = out / "t-aggregates.ndjson"
        return len(path.read_text().splitlines()) if path.exists() else 0

    def until(self, what):
        end = time.monotonic() + 10
        while not what():
            self.assertLess(time.monotonic(), end)
            time.sleep(0.05)

    def test_a_file_that_grows_is_followed_at_no_cost(self):
        last = json.dumps(row(200_000))
        data = write("grows.ndjson", self.rows(0, 200) + last[:10])
        out = WORK / "grows-out"
        process = subprocess.Popen([TIDEMARK, "run", topology(self.QUIET, "grows.yaml"), "--input", data, "--output", out, "--json"], cwd=ROOT,
                                   stdout=subprocess.PIPE, text=True)
        self.until(lambda: self.published(out) == 6)
        before = self.cpu(process)
        time.sleep(3)
        self.assertLess(self.cpu(process) - before, 0.3)
        with open(data, "a") as file:
            file.write(last[10:] + "\n" + self.rows(201, 400))
        self.until(lambda: self.published(out) == 12)
        process.send_signal(signal.SIGTERM)
        summary = json.loads(process.communicate(timeout=10)[0])
        self.assertEqual((process.returncode, summary["records"], summary["dead_letters"]), (0, 400, 0))

    def test_an_idle_pipe_holds_back_neither_windows_nor_a_stop(self):
        for packed in (False, True):
            out = WORK / f"idle-{packed}"
            process = subprocess.Popen([TIDEMARK, "run", topology(self.QUIET, "idle.yaml"), "--input", "-", "--output", out, "--json"], cwd=ROOT,
                                       stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            text = self.rows(0, 200).encode()
            if packed:
                packer = zlib.compressobj(wbits=31)
                text = packer.compress(text) + packer.flush(zlib.Z_SYNC_FLUSH)
            process.stdin.write(text)
            process.stdin.flush()
            self.until(lambda: self.published(out) == 6)
            process.send_signal(signal.SIGTERM)
            self.assertEqual(process.wait(10), 0)
            self.assertEqual(json.loads(process.stdout.read())["records"], 200)
            process.stdin.close()
            process.stdout.close()


class Demo(unittest.TestCase):
    def test_the_demo_shows_what_the_readme_says(self):
        readme = (ROOT / "README.md").read_text()
        shown = re.search(r"## What the demo shows\n.*?\n\n((?:    [^\n]*\n|\n)+)", readme, re.S)[1]
        wanted = [" ".join(line.split()) for line in shown.splitlines() if line.strip()]
        self.assertEqual(len(wanted), 7)
        done = tidemark("demo", "--seconds", "12")
        got = [" ".join(line.replace("\x1b[K", "").split()) for line in done.stdout.splitlines()]
        for line in wanted:
            # The README cuts long lines.
            found = [one for one in got if one == line or line.endswith("…") and one.startswith(line[:-1].strip())]
            self.assertEqual(len(found), 1, f"{line}\n{done.stdout}")


class Served(unittest.TestCase):
    """Metrics and probes of a run that waits for its input."""

    def setUp(self):
        self.pipe = WORK / "served.pipe"
        if not self.pipe.exists():
            os.mkfifo(self.pipe)
        self.port = free_port(1)
        self.process = subprocess.Popen([TIDEMARK, "run", small(), "--input", self.pipe, "--output", WORK / "served-out", "--http", str(self.port)],
                                        cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.writer = open(self.pipe, "w")

    def tearDown(self):
        self.writer.close()
        self.process.kill()
        self.process.wait()

    def get(self, path, method="GET"):
        end = time.monotonic() + 10
        while True:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
            try:
                connection.request(method, path)
                answer = connection.getresponse()
                return answer.status, answer.read().decode(), answer.headers
            except ConnectionError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.05)
            finally:
                connection.close()

    def until(self, what):
        end = time.monotonic() + 10
        while not what():
            self.assertLess(time.monotonic(), end)
            time.sleep(0.05)

    def test_metrics_are_those_that_are_documented_and_prometheus_reads_them(self):
        for i in range(130):
            self.writer.write(json.dumps(row(i * 1000)) + "\n")
        self.writer.write("{broken\n")
        self.writer.flush()
        self.until(lambda: "tidemark_verdicts_total" in self.get("/metrics")[1])
        status, text, headers = self.get("/metrics")
        self.assertEqual((status, headers["Content-Type"]), (200, "text/plain; version=0.0.4; charset=utf-8"))
        self.assertIn('tidemark_records_total{fate="in_window"} 130\n', text)
        self.assertIn('tidemark_records_set_aside_total{reason="not_json"} 1\n', text)
        self.assertIn('tidemark_verdicts_total{monitor="volume",verdict="learning"} ', text)
        documented = set(re.findall(r"`(tidemark_\w+)", (ROOT / "docs/metrics.md").read_text()))
        served = set(re.findall(r"^# TYPE (\w+) ", text, re.M))
        self.assertLessEqual(served, documented, "metrics without a line in docs/metrics.md")
        made = set(re.findall(r'"(tidemark_\w+)"', "".join(p.read_text() for p in (ROOT / "Sources").rglob("*.swift"))))
        self.assertEqual(documented, made, "docs/metrics.md and the sources name other metrics")
        promtool = ROOT / ".venv/promtool"
        self.assertTrue(promtool.exists(), "ops/setup test puts promtool there")
        checked = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True, text=True)
        self.assertEqual((checked.returncode, checked.stdout + checked.stderr), (0, ""))

    def test_probes_answer_and_other_pages_do_not(self):
        self.until(lambda: self.get("/startupz")[0] == 200)
        for path in ("/livez", "/readyz", "/startupz"):
            self.assertEqual(self.get(path)[:2], (200, "ok\n"), path)
        self.assertIn("/metrics", self.get("/")[1])
        self.assertEqual(self.get("/none")[0], 404)
        self.assertEqual(self.get("/../etc/passwd")[0], 404)
        self.assertEqual(self.get("/metrics", "POST")[0], 405)

    def test_a_port_that_is_taken_ends_the_start(self):
        self.until(lambda: self.get("/livez")[0] == 200)
        done = tidemark("run", small(), "--input", "/dev/null", "--output", WORK / "o", "--http", str(self.port), ok=4)
        self.assertIn("in use", done.stderr)
        done = tidemark("run", small(), "--http", "nowhere", ok=2)
        self.assertIn("--http 127.0.0.1:9464", done.stderr)


class SafeFiles(unittest.TestCase):
    def test_an_output_never_overwrites_what_is_read(self):
        out = WORK / "over"
        out.mkdir(exist_ok=True)
        text = "".join(json.dumps(row(i)) + "\n" for i in range(20))
        for name in ("t-aggregates", "t-dead-letters"):
            data = out / f"{name}.ndjson"
            data.write_text(text)
            link = WORK / "another-name.ndjson"
            link.unlink(missing_ok=True)
            link.symlink_to(data)
            for read in (data, link):
                done = tidemark("run", small(), "--input", read, "--output", out, "--until-end", ok=4)
                self.assertIn("what the run reads", done.stderr)
                self.assertEqual(data.read_text(), text)
            data.unlink()

    def test_what_cannot_be_printed_is_no_success(self):
        data = write("print.ndjson", "".join(json.dumps(row(i)) + "\n" for i in range(20)))
        for arguments in (["schema"], ["list", "operators"], ["help"], ["version"], ["plan", small()], ["lint", small()],
                          ["baseline", "build", "--from", data], ["run", small(), "--input", data, "--output", WORK / "p", "--until-end"]):
            with open("/dev/full", "w") as full:
                done = subprocess.run([TIDEMARK, *map(str, arguments)], stdout=full, stderr=subprocess.PIPE, text=True, cwd=ROOT)
            self.assertEqual(done.returncode, 4, arguments)
            self.assertIn("standard output cannot be written: No space left on device", done.stderr)

    def test_a_process_without_standard_streams_keeps_its_files_clean(self):
        data = write("streams.ndjson", "".join(json.dumps(row(i * 100)) + "\n" for i in range(2000)) + "{broken\n")
        for closed in ("<&-", ">&-", "2>&-", "<&- >&- 2>&-"):
            out = WORK / "streams-out"
            shutil.rmtree(out, ignore_errors=True)
            subprocess.run(["bash", "-c", f'exec "$@" {closed}', "-", TIDEMARK, "run", small(), "--input", data, "--output", out, "--until-end"],
                           cwd=ROOT, capture_output=True)
            files = sorted(out.iterdir())
            self.assertTrue(files)
            for path in files:
                for line in path.read_text().splitlines():
                    self.assertEqual(sorted(json.loads(line)), ["headers", "key", "value"], path)

    def test_a_baseline_is_replaced_whole_or_not_at_all(self):
        data = write("replaced.ndjson", "".join(json.dumps(row(i, x=i)) + "\n" for i in range(500)))
        path = WORK / "replaced.json"
        path.write_text("before")
        path.chmod(0o640)
        tidemark("baseline", "build", "--from", data, "--output", path)
        self.assertEqual(json.loads(path.read_text())["format"], "tidemark-baseline")
        self.assertEqual(path.stat().st_mode & 0o777, 0o640)
        link = WORK / "replaced-link.json"
        link.symlink_to(path)
        tidemark("baseline", "build", "--from", data, "--bins", "7", "--output", link)
        self.assertTrue(link.is_symlink())
        self.assertIn('"bins":"7"', path.read_text())
        done = tidemark("baseline", "build", "--from", data, "--output", WORK / "no-folder/b.json", ok=4)
        self.assertIn("No such file", done.stderr)
        self.assertEqual([p.name for p in WORK.iterdir() if p.name.endswith(".tmp")], [])

    def test_numbers_at_the_edges_of_64_bits_are_errors(self):
        data = write("edges.ndjson", "".join(json.dumps(row(i * 10, x=i)) + "\n" for i in range(2000)))
        good = WORK / "edges-good.json"
        tidemark("baseline", "build", "--from", data, "--by", "model", "--output", good)
        topo = topology(SMALL.format(clock="2023-11-14T22:20:00Z") + "baselines: { training: { file: edges.json } }\n", "edges.yaml")
        for big in (2**63 - 1, 2**62, -1, -2**63, 2**64, 1e300):
            for field in ('"counts":[', '"under":', '"over":', '"other":', '"n":', '"nulls":'):
                text = re.sub(re.escape(field) + r"-?\d+", lambda _: f"{field}{json.dumps(big)}", good.read_text(), count=1)
                (WORK / "edges.json").write_text(text)
                for arguments in (["baseline", "show", WORK / "edges.json"], ["plan", topo], ["inspect", WORK / "edges.json"],
                                  ["run", topo, "--input", data, "--output", WORK / "e", "--until-end"]):
                    done = tidemark(*arguments, ok=None)
                    self.assertIn(done.returncode, range(0, 5), (arguments, field, big, done.stderr))
                    if field == '"n":' and -2**63 <= big < 2**63:
                        self.assertIn("`n`", tidemark("baseline", "show", WORK / "edges.json", ok=4).stderr)
        out = WORK / "e2"
        tidemark("run", small(), "--input", data, "--output", out, "--until-end")
        text = (out / "t-aggregates.ndjson").read_text().splitlines()[0]
        for field in ("start", "end", "total", "null", "mean", "min"):
            for big in (2**63 - 1, -2**63, 1e300):
                hostile = write("hostile.ndjson", re.sub(rf'"{field}":[^,}}]+', f'"{field}":{json.dumps(big)}', text, count=1) + "\n")
                self.assertIn(tidemark("inspect", hostile, ok=None).returncode, range(0, 5), (field, big))
        for flags in (["--windows", 2**63 - 1], ["--bins", 10**9], ["--bins", 0], ["--window", f"{2**63 - 1}h"]):
            self.assertIn(tidemark("baseline", "build", "--from", data, *flags, ok=None).returncode, (2, 4), flags)
        for flags in (["--seconds", 2**62], ["--records", 2**62], ["--seed", -1]):
            self.assertEqual(tidemark("demo", *flags, ok=None).returncode, 2, flags)


@unittest.skipUnless(os.access(KAFKA, os.X_OK), f"no Kafka script at {KAFKA}")
class FromKafka(unittest.TestCase):
    """From Kafka to files: what outlives a window is kept beside the outputs."""

    @classmethod
    def setUpClass(cls):
        cls.broker = Broker(WORK / "kafka-told")
        cls.environment = cls.broker.environment

    @classmethod
    def tearDownClass(cls):
        cls.broker.wipe()

    def topic(self, name):
        self.broker.create(name)

    def put(self, topic, rows, **more):
        self.broker.put(topic, rows, **more)

    def read(self, topic):
        """[(headers in their order, value)] of what is committed."""
        return [(message.headers() or [], message.value()) for message in self.broker.read(topic)]

    def run_once(self, path, out):
        """A process that reads what is there and is then stopped."""
        process = subprocess.Popen([TIDEMARK, "run", path, "--output", out, "--json"], cwd=ROOT, env=self.environment,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        time.sleep(4)
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=30)
        self.assertEqual(process.returncode, 0, err)
        return json.loads(out.strip().splitlines()[-1]), err

    def test_an_alert_goes_on_through_a_restart_and_half_a_line_is_cut_off(self):
        start = int(time.time() * 1000) // 60_000 * 60_000 - 3_600_000
        rng = random.Random(5)
        reference = write("restart-reference.ndjson", "".join(json.dumps({"ts": T0 + i, "model": "m", "x": rng.gauss(0, 1)}) + "\n" for i in range(5000)))
        base = """name: restart
source: { topic: restart, start: earliest, out_of_orderness: 0s, schema: { ts: time_ms, model: model, x: number } }
windows: [1m]
"""
        tidemark("baseline", "build", "--from", reference, "--by", "model", "--topology", topology(base, "restart-plain.yaml"),
                 "--output", WORK / "restart.json")
        path = topology(base + "monitors: { volume: off, drift: { drift: all, max_age: 7d } }\nbaselines: { training: { file: restart.json } }\n",
                        "restart.yaml")
        self.topic("restart")
        out = WORK / "restart-out"

        def minutes(first, last, mean):
            return [{"ts": start + m * 60_000 + i * 60, "model": "m", "x": rng.gauss(mean, 1)} for m in range(first, last) for i in range(1000)]
        self.put("restart", minutes(0, 3, 0) + minutes(3, 6, 4))
        self.run_once(path, out)
        self.assertEqual([e["value"]["state"] for e in lines(out / "restart-alerts.ndjson")], ["firing"])
        self.assertTrue((out / "restart-state.ndjson").exists())
        # As a full disk leaves it.
        aggregates = out / "restart-aggregates.ndjson"
        whole = aggregates.read_text()
        aggregates.write_text(whole + '{"key":"by-model/model=m/x/60s/1","headers":{},"val')
        self.put("restart", minutes(6, 8, 4) + minutes(8, 13, 0))
        summary, err = self.run_once(path, out)
        self.assertIn("half a line", err)
        events = lines(out / "restart-alerts.ndjson")
        self.assertEqual([(e["value"]["state"], e["value"]["id"]) for e in events],
                         [("firing", events[0]["value"]["id"]), ("resolved", events[0]["value"]["id"])])
        self.assertTrue(aggregates.read_text().startswith(whole))
        self.assertEqual(json.loads(tidemark("alerts", path, "--from", out, "--json").stdout), [])
        counts = {}
        for line in lines(aggregates):
            counts[line["key"]] = line["value"]["rows"]["total"]
        self.assertEqual(sorted(set(counts.values())), [1000])

    HEADERS = [("traceparent", b"00-abc"), ("content-type", b"application/json"), ("topic", b"theirs"), ("original-topic", b"older"),
               ("twice", b"1"), ("twice", b"2"), ("bytes", bytes(range(250, 256)) + b"\0"), ("empty", b"")]

    def letters(self, name, more=""):
        path = topology(f"""name: {name}
source: {{ topic: {name}, start: earliest, schema: {{ ts: time_ms, model: model, x: number }} }}
windows: [1s]
monitors: {{ drift: off, quality: off, volume: off, freshness: off }}
{more}""", f"{name}.yaml")
        self.topic(name)
        tidemark("topics", "create", path, env=self.environment)
        return path

    def run_for(self, path, seconds=4):
        process = subprocess.Popen([TIDEMARK, "run", path], cwd=ROOT, env=self.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(seconds)
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(30), 0)

    def test_headers_of_a_record_go_through_its_letter_and_back(self):
        path = self.letters("headed", "outputs: { late: headed-late }\n")
        now = int(time.time() * 1000)
        self.put("headed", [b"{broken"], headers=self.HEADERS)
        self.put("headed", [{"ts": now - 50_000, "model": "m", "x": 1}, {"ts": now, "model": "m", "x": 1}])
        self.put("headed", [{"ts": now - 50_000, "model": "m", "x": 1}], headers=self.HEADERS)
        self.run_for(path)
        carried = [("original-topic", b"theirs") if n == "topic" else ("original-original-topic", v) if n == "original-topic" else (n, v)
                   for n, v in self.HEADERS]
        for topic, reason in (("headed-dead-letters", b"not_json"), ("headed-late", b"late")):
            (headers, _), = self.read(topic)
            self.assertEqual(headers[0], ("reason", reason))
            self.assertEqual(headers[-len(carried):], carried, topic)
            self.assertEqual(dict(headers)["topic"], b"headed")
        tidemark("dlq", "replay", path, env=self.environment)
        headers, value = self.read("headed")[-1]
        self.assertEqual(value, b"{broken")
        self.assertEqual(headers[:len(self.HEADERS)], self.HEADERS)
        self.assertEqual([name for name, _ in headers[len(self.HEADERS):]], ["tidemark-replay", "tidemark-replay-of", "tidemark-replay-reason"])
        # It is broken still: the letter of the replay carries both, and a second replay says only where it comes from now.
        self.run_for(path)
        tidemark("dlq", "replay", path, env=self.environment)
        headers, _ = self.read("headed")[-1]
        self.assertEqual(headers[:len(self.HEADERS)], self.HEADERS)
        self.assertEqual(len(headers), len(self.HEADERS) + 3)
        # In a file bytes that are no text are base64, and several of a name a list.
        out = WORK / "headed-out"
        tidemark("run", path, "--output", out, "--until-end", "--set", "app=headed-files", env=self.environment, ok=None)
        letter = lines(out / "headed-dead-letters.ndjson")[0]
        self.assertEqual(letter["headers"]["twice"], ["1", "2"])
        self.assertEqual(letter["headers"]["bytes_base64"], "+vv8/f7/AA==")

    def test_headers_of_the_one_record_that_has_them_in_a_burst(self):
        now = int(time.time() * 1000)

        def row(ahead):
            return json.dumps({"ts": now + ahead, "model": "m", "x": 1}).encode()
        bad = [("dead-letters", b"not_json", b"{broken"), ("late", b"late", row(-200_000)), ("quarantined", b"quarantined", row(7_200_000))]
        for codec in ("none", "lz4", "gzip"):
            name = f"burst-{codec}"
            path = self.letters(name, f"outputs: {{ late: {name}-late, quarantined: {name}-quarantined }}\n")
            producer = self.broker.client("producer", **{"enable.idempotence": True, "linger.ms": 100, "compression.codec": codec})
            for number in range(10_000):
                if number % 1000 == 500:
                    # Nine of each kind without headers, one with.
                    for _, _, value in bad:
                        producer.produce(name, value, headers=self.HEADERS if number == 5500 else None)
                producer.produce(name, row(0))
            self.assertEqual(producer.flush(20), 0)
            tidemark("run", path, "--until-end", env=self.environment, ok=None)
            for output, reason, value in bad:
                letters = self.read(f"{name}-{output}")
                self.assertEqual([(dict(headers)["reason"], v) for headers, v in letters], [(reason, value)] * 10, (name, output))
                carried = [[pair for pair in headers if pair[0] in ("traceparent", "twice", "empty")] for headers, _ in letters]
                wanted = [pair for pair in self.HEADERS if pair[0] in ("traceparent", "twice", "empty")]
                self.assertEqual(carried, [[]] * 5 + [wanted] + [[]] * 4, (name, output))

    def test_letters_that_the_cluster_refuses_are_left_out_by_name(self):
        path = self.letters("refuses")
        now = int(time.time() * 1000)
        old, wide = now - 7_200_000, b"{" + random.Random(1).randbytes(60_000).hex().encode()
        bad = [(b"{1", old), (b"{2", now), (wide, now), (b"{3", now), (b"{4", old)]
        for value, timestamp in bad:
            self.put("refuses", [value], timestamp=timestamp)
        self.run_for(path)
        self.broker.configure("refuses", "message.timestamp.before.max.ms=3600000,max.message.bytes=30000,compression.type=uncompressed")
        done = tidemark("dlq", "replay", path, "--json", env=self.environment, ok=1)
        summary = json.loads(done.stdout)
        self.assertEqual((summary["letters"], summary["replayed"], len(summary["refused"])), (5, 2, 3), summary)
        self.assertEqual(sorted(one["place"] for one in summary["refused"]), ["refuses/0/0", "refuses/0/2", "refuses/0/4"])
        self.assertEqual([value for headers, value in self.read("refuses") if headers], [b"{2", b"{3"])
        self.assertEqual(summary["older_than_retention"], 0)
        self.broker.configure("refuses", "retention.ms=3600000")
        aged = json.loads(tidemark("dlq", "replay", path, "--dry-run", "--json", "--set", "source.topic=refuses", env=self.environment, ok=None).stdout)
        self.assertEqual((aged["older_than_retention"], len(aged["refused"])), (0, 2), aged)
        # What was sent is remembered, what was refused is not.
        self.broker.configure("refuses", "message.timestamp.before.max.ms=9223372036854775807,max.message.bytes=1000000")
        summary = json.loads(tidemark("dlq", "replay", path, "--json", env=self.environment).stdout)
        self.assertEqual((summary["already_replayed"], summary["replayed"], summary["refused"]), (2, 3, []))
        self.assertEqual(summary["older_than_retention"], 2)

    def test_a_stop_is_through_in_time_though_no_broker_answers(self):
        path = self.letters("stops", "run: { stop_within: 3s }\n")
        process = subprocess.Popen([TIDEMARK, "run", path], cwd=ROOT, env=self.environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        try:
            for _ in range(15):
                self.put("stops", [{"ts": int(time.time() * 1000), "model": "m", "x": 1}])
                time.sleep(0.2)
            self.broker.kafka("pause", "1")
            time.sleep(0.5)
            process.send_signal(signal.SIGTERM)
            started = time.monotonic()
            said = process.communicate(timeout=60)[1]
            self.assertLess(time.monotonic() - started, 10)
            self.assertIn(process.returncode, (0, 4))
            if process.returncode:
                self.assertIn("the next start repeats it", said)
        finally:
            process.kill()
            self.broker.kafka("resume", "1")

    def test_open_alerts_are_listed_from_their_topic(self):
        path = topology("""name: listed
source: { topic: listed, start: earliest, out_of_orderness: 0s, schema: { ts: time_ms, model: model, x: number } }
windows: [1s]
monitors: { drift: off, quality: off, freshness: off, volume: { volume: rows, drop: off, below: 5, for: 1 of 1, clear_for: 1 of 1, max_age: 7d } }
""", "listed.yaml")
        self.topic("listed")
        tidemark("topics", "create", path, env=self.environment)
        start = int(time.time() * 1000) // 1000 * 1000 - 60_000
        self.put("listed", [{"ts": start + s * 1000 + i, "model": m, "x": 1} for s in range(10) for m, n in (("few", 2 if s > 3 else 9), ("many", 9))
                            for i in range(n)])
        process = subprocess.Popen([TIDEMARK, "run", path], cwd=ROOT, env=self.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            end = time.monotonic() + 20
            while True:
                listed = json.loads(tidemark("alerts", path, "--json", env=self.environment).stdout)
                if listed or time.monotonic() > end:
                    break
                time.sleep(0.3)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)
        self.assertEqual([(a["state"], a["monitor"], a["group"]) for a in listed], [("firing", "volume", "model=few")])


class Quality(unittest.TestCase):
    """Rows of columns that should not be so: beside what `expect` promises, what the monitor allows, or the baseline."""
    CHECKS = "monitors: { drift: off, quality: off, volume: off, freshness: off, q: { quality: all, checks: { null: %s, unseen: %s }, clear_for: 1 of 1%s } }\n"

    def minute(self, minute, rows=600, nulls=0, missing=0, unseen=0, **more):
        found = []
        for i in range(rows):
            one = row(minute * 60_000 + i * (54_000 // rows), x=i % 7, c="new" if i < unseen else ("a", "b")[i % 2])
            if i < nulls:
                one["x"] = None
            elif i < nulls + missing:
                del one["x"]
            for name, value in more.items():
                one[name] = value(i) if callable(value) else value
                if one[name] is Ellipsis:
                    del one[name]
            found.append(one)
        return found

    def baseline(self, minutes, base=SMALL.format(clock="2023-11-15T22:20:00Z")):
        """Builds `usual.json` of these minutes."""
        data = WORK / "usual.ndjson"
        data.write_text("".join(json.dumps(one) + "\n" for m, kind in enumerate(minutes) for one in self.minute(m, **kind)))
        tidemark("baseline", "build", "--from", data, "--by", "model", "--topology", topology(base, "usual.yaml"), "--output", WORK / "usual.json")
        return base + "baselines: { usual: { file: usual.json } }\n"

    def told(self, path, minutes):
        """Verdicts by minute, monitor and column, and alerts."""
        _, out = run_lines([one for m, kind in enumerate(minutes) for one in self.minute(m, **kind)], path, "quality")
        said = {}
        for record in out["t-aggregates"]:
            for verdict in record["value"].get("verdicts", []):
                minute = (record["value"]["window"]["start"] - T0) // 60_000
                said[minute, verdict["monitor"], record["value"]["column"]] = verdict
        return said, [alert["value"] for alert in out["t-alerts"]]

    def judged(self, checks, minutes, more=""):
        """Beside a baseline with 1% rows without a value, and no category but a and b."""
        path = topology(self.baseline([{"nulls": 6}] * 20) + self.CHECKS % (*checks, more), "quality.yaml")
        return *self.told(path, minutes), path

    def test_shares_are_held_to_what_is_allowed_and_to_the_baseline(self):
        minutes = [{}, {"nulls": 20, "missing": 20}, {"nulls": 60, "missing": 60}, {"unseen": 12}, {"unseen": 3}, {}, {"rows": 40, "nulls": 40}, {}]
        said, alerts, path = self.judged(("10%", "auto"), minutes)
        words = {key: verdict["verdict"] for key, verdict in said.items() if key[0] < 7}
        for minute in range(7):
            few = "too_few" if minute == 6 else "ok"
            self.assertEqual(words[minute, "q.null", "x"], "excess" if minute == 2 else few, words)
            self.assertEqual(words[minute, "q.unseen", "c"], "excess" if minute == 3 else few, words)
            self.assertNotIn((minute, "q.unseen", "x"), words)
        # A share that is given is compared with itself, and `auto` with the share of the baseline.
        self.assertAlmostEqual(said[2, "q.null", "x"]["effect"], 0.2)
        self.assertEqual(said[2, "q.null", "x"]["ignore_below"], 0.1)
        self.assertLess(said[2, "q.null", "x"]["p"], 1e-9)
        self.assertAlmostEqual(said[3, "q.unseen", "c"]["effect"], 0.02)
        self.assertLess(said[3, "q.unseen", "c"]["p"], 1e-9)
        self.assertEqual([(a["monitor"], a["column"], a["state"], a["severity"]) for a in alerts],
                         [("q.null", "x", "firing", "warn"), ("q.null", "x", "resolved", "warn"),
                          ("q.unseen", "c", "firing", "warn"), ("q.unseen", "c", "resolved", "warn")])
        self.assertEqual(alerts[0]["summary"], "x of model=m: 20% of the rows have no value, 10% may be so")
        self.assertEqual(alerts[2]["summary"], "c of model=m: 2% of the values are not known, 0% in the baseline")
        plan = tidemark("plan", path).stdout
        self.assertRegex(plan, r"q\.null +null +2 .*most 10%")
        self.assertRegex(plan, r"q\.unseen +unseen +1 .*auto 1%")

    def test_nulls_beside_the_baseline(self):
        # The baseline has 1% of them: 4% is more, 1.5% is not by enough.
        said, _, _ = self.judged(("auto", "off"), [{"nulls": 24}, {"nulls": 9}, {}])
        words = {key: verdict["verdict"] for key, verdict in said.items() if key[0] < 2}
        self.assertEqual((words[0, "q.null", "x"], words[1, "q.null", "x"], words[0, "q.null", "c"]), ("excess", "ok", "ok"))
        self.assertNotIn((0, "q.unseen", "c"), words)

    def test_quality_is_there_without_being_mentioned(self):
        # 1% of nulls become 3%, a category of 2% is new, a column is gone, another has one value: in windows of 2,000 rows.
        usual = {"rows": 2000, "x": lambda i: None if i % 100 == 0 else i % 9}
        path = topology(self.baseline([usual] * 6) + "monitors: { drift: off, volume: off, freshness: off }\n", "default.yaml")
        minutes = [usual, usual, {**usual, "x": lambda i: None if i % 100 < 3 else i % 9}, usual, {**usual, "unseen": 40}, usual,
                   {**usual, "x": ...}, usual, {**usual, "x": "7"}, usual, {**usual, "x": 5}, usual]
        said, alerts = self.told(path, minutes)
        self.assertEqual({key: verdict["verdict"] for key, verdict in said.items()},
                         {(2, "quality.null", "x"): "excess", (4, "quality.unseen", "c"): "excess",
                          (6, "quality.null", "x"): "excess", (6, "quality.columns", "x"): "excess",
                          (8, "quality.wrong_type", "x"): "excess", (8, "quality.columns", "x"): "excess",
                          (10, "quality.constant", "x"): "excess"})
        fired = {a["monitor"]: a["severity"] for a in alerts if a["state"] == "firing"}
        self.assertEqual(fired, {"quality.null": "warn", "quality.unseen": "warn", "quality.columns": "page", "quality.wrong_type": "warn",
                                 "quality.constant": "warn"})
        gone = next(a for a in alerts if a["monitor"] == "quality.columns")
        self.assertEqual(gone["summary"], "x of model=m: rows come, and none of them has a value that could be read, "
                                          "99% of those in the baseline have one")
        self.assertEqual(self.told(topology(path.read_text().replace("{ drift", "{ quality: off, drift"), "off.yaml"), minutes)[1], [])

    def test_a_column_that_cannot_be_read_pages_without_a_baseline(self):
        path = topology(SMALL.format(clock="2023-11-15T22:20:00Z") + "monitors: { volume: off, freshness: off }\n", "blind.yaml")
        _, alerts = self.told(path, [{}, {"x": "gone"}, {}, {}, {}])
        self.assertEqual([(a["monitor"], a["column"], a["state"], a["severity"]) for a in alerts],
                         [("quality.columns", "x", "firing", "page"), ("quality.columns", "x", "resolved", "page")])
        plan = tidemark("plan", path).stdout
        self.assertRegex(plan, r"silent +quality: no `expect` and no baseline from a file says what is usual: null of x c")

    def test_contracts_of_columns(self):
        base = SMALL.format(clock="2023-11-15T22:20:00Z")
        base = re.sub(r"x: number", "x: { type: number, expect: { null: 5%, range: [0, 8] } }", base)
        base = re.sub(r"c: category", "c: { type: category, expect: { values: [a, b], length: [1, 3] } }, "
                      "id: { role: id, expect: { null: 0%, length: [4, 4] } }, t: { type: text, expect: { distinct: [100, 400] } }", base)
        path = topology(base + "monitors: { drift: off, volume: off, freshness: off, quality: { checks: { out_of_range: 1%, duplicates: 1% }, "
                        "clear_for: 1 of 1 } }\n", "contract.yaml")
        usual = {"id": lambda i: f"{i:04}", "t": lambda i: f"t{i % 200}"}
        minutes = [usual, {**usual, "x": lambda i: 9 if i < 40 else i % 9}, {**usual, "x": lambda i: 9 if i < 7 else i % 9},
                   {**usual, "unseen": 1}, {**usual, "c": lambda i: "aé€" if i else "aé€x"}, {**usual, "id": lambda i: f"{i:05}"},
                   {**usual, "id": lambda i: f"{i % 500:04}"}, {**usual, "t": lambda i: f"t{i % 20}"}, {**usual, "nulls": 32},
                   {**usual, "nulls": 90}, usual]
        said, alerts = self.told(path, minutes)
        broken = {key for key, verdict in said.items() if verdict["verdict"] == "excess"}
        self.assertEqual(broken, {(1, "quality.out_of_range", "x"), (3, "quality.unseen", "c"), (4, "quality.unseen", "c"),
                                  (4, "quality.length", "c"), (5, "quality.length", "id"), (6, "quality.duplicates", "id"),
                                  (7, "quality.distinct", "t"), (9, "quality.null", "x")})
        self.assertAlmostEqual(said[6, "quality.duplicates", "id"]["effect"], 100 / 600)
        self.assertAlmostEqual(said[1, "quality.out_of_range", "x"]["effect"], 40 / 600)
        self.assertAlmostEqual(said[4, "quality.length", "c"]["effect"], 1 / 600)
        self.assertEqual(next(a["summary"] for a in alerts if a["monitor"] == "quality.length" and a["column"] == "c"),
                         "c of model=m: 0.2% of the values are shorter or longer than expected, none may be so")
        # The same for two workers and any batch.
        again = {key for key, verdict in self.told(topology(path.read_text() + "run: { workers: 2, batch_rows: 64 }\n", "again.yaml"), minutes)[0].items()
                 if verdict["verdict"] == "excess"}
        self.assertEqual(again, broken)

    def test_texts_have_the_pattern_that_is_expected(self):
        base = SMALL.format(clock="2023-11-15T22:20:00Z")
        base = re.sub(r"c: category", "c: { type: category, expect: { pattern: '^[a-zé]+$' } }, "
                      "t: { type: text, expect: { pattern: 'gold' } }, id: { role: id, expect: { pattern: '^[0-9a-f]{4}$' } }", base)
        path = topology(base + "monitors: { drift: off, volume: off, freshness: off, quality: { checks: { null: off }, clear_for: 1 of 1 } }\n",
                        "pattern.yaml")
        usual = {"t": lambda i: f"a gold of {i}", "id": lambda i: f"{i:04x}"}
        minutes = [usual, {**usual, "c": lambda i: "aé" if i else "a1"}, {**usual, "t": lambda i: "golds" if i > 5 else "Gold"},
                   {**usual, "id": lambda i: f"{i:05x}" if i < 60 else f"{i:04x}"}, usual]
        said, alerts = self.told(path, minutes)
        self.assertEqual({key for key, verdict in said.items() if verdict["verdict"] == "excess"},
                         {(1, "quality.pattern", "c"), (2, "quality.pattern", "t"), (3, "quality.pattern", "id")})
        self.assertAlmostEqual(said[2, "quality.pattern", "t"]["effect"], 6 / 600)
        self.assertEqual(next(a["summary"] for a in alerts if a["column"] == "id"),
                         "id of model=m: 10% of the values do not have the pattern that is expected, none may be so")
        done = tidemark("lint", topology(path.read_text().replace("^[0-9a-f]{4}$", "[0-9"), "pattern.yaml"), ok=None)
        self.assertIn("bad-pattern", done.stdout + done.stderr)
        self.assertIn("`[0-9` is not a regular expression", done.stdout + done.stderr)

    def learned(self, against, minutes, more=""):
        """Verdicts of checks that are compared with what the stream itself says."""
        base = SMALL.format(clock="2023-11-15T22:20:00Z") + f"baselines: {{ usual: {against} }}\n"
        path = topology(base + "monitors: { drift: off, volume: off, freshness: off, quality: { clear_for: 1 of 1, severity: warn } }\n" + more, "learned.yaml")
        return self.told(path, minutes)

    def test_rows_beside_what_was_learned(self):
        usual = {"nulls": 6}
        minutes = [usual, usual, usual, {"nulls": 48}, {"nulls": 9}, {"x": lambda i: "seven" if i < 24 else i % 7}, {"x": 5}, {"x": ...}, usual]
        said, alerts = self.learned("{ first: 3m }", minutes)
        checks = ("null", "wrong_type", "non_finite", "constant", "columns")
        words = {minute: {check: said[minute, f"quality.{check}", "x"]["verdict"] for check in checks} for minute in range(9)}
        calm = dict.fromkeys(checks, "ok")
        self.assertEqual(words[2], {**dict.fromkeys(checks, "learning"), "columns": "ok"})
        self.assertEqual(said[2, "quality.null", "x"]["learned"]["rows"], 1200)
        self.assertEqual([words[m] for m in (3, 4, 5, 6, 8)], [{**calm, "null": "excess"}, calm, {**calm, "wrong_type": "excess"},
                                                              {**calm, "constant": "excess"}, calm])
        self.assertEqual((words[7]["null"], words[7]["columns"]), ("excess", "excess"))
        # Fisher's exact test: 48 of 600 beside 18 of 1,800.
        total = math.comb(2400, 600)
        p = sum(math.comb(66, k) * math.comb(2400 - 66, 600 - k) for k in range(48, 67)) / total
        self.assertAlmostEqual(said[3, "quality.null", "x"]["p"] / p, 1, 9)
        self.assertEqual(said[3, "quality.null", "x"]["baseline"], "usual@first-180s")
        self.assertNotIn((3, "quality.unseen", "c"), said)
        self.assertEqual(next(a["summary"] for a in alerts if a["monitor"] == "quality.null"),
                         "x of model=m: 8% of the rows have no value, 1% in the baseline")
        # The same from windows that slide away, and for any workers and batches.
        later, _ = self.learned("{ trailing: 3m }", minutes[:5])
        self.assertEqual(later[3, "quality.null", "x"]["p"], said[3, "quality.null", "x"]["p"])
        self.assertEqual(self.learned("{ first: 3m }", minutes, "run: { workers: 2, batch_rows: 64 }\n")[0], said)

    def test_rows_beside_another_group(self):
        kind = {"rows": 1200, "model": lambda i: "nm"[i % 2], "x": lambda i: None if i % 2 == 0 and i < 80 else i % 7}
        said, alerts = self.learned("{ other: { model: m }, min_rows: 500 }", [{**kind, "x": lambda i: i % 7}, kind, kind])
        # Of a group beside itself nothing is said.
        self.assertEqual([(a["group"], a["monitor"], a["state"]) for a in alerts], [({"model": "n"}, "quality.null", "firing")])
        self.assertEqual(said[1, "quality.null", "x"]["effect"], 40 / 600)

    UNSEEN = "monitors: { drift: off, volume: off, freshness: off, quality: { checks: { unseen: auto }, clear_for: 1 of 1 } }\n"

    def test_values_that_the_windows_before_have_not_seen(self):
        base = SMALL.format(clock="2023-11-15T22:20:00Z")
        minutes = [{}, {}, {}, {}, {"unseen": 42}, {"unseen": 3}, {"unseen": 60}, {}]
        for against in ("{ first: 3m }", "{ trailing: 3m }", "{ trailing: 3m, per: pooled }"):
            path = topology(base + f"baselines: {{ usual: {against} }}\n" + self.UNSEEN, "unseen.yaml")
            said, alerts = self.told(path, minutes)
            words = [said[m, "quality.unseen", "c"]["verdict"] for m in range(8)]
            # Three rows are under 1%. What an alert is open about is not learned; what a quiet window has is known from then on.
            self.assertEqual(words, ["learning"] * 3 + ["ok", "excess", "ok", "excess" if "first" in against else "ok", "ok"], against)
            verdict = said[4, "quality.unseen", "c"]
            self.assertAlmostEqual(verdict["effect"], 42 / 600 - 1 / 900, 12)
            # Fisher's exact test: 42 of 600 beside one (rounded up) of half the 1,800 rows of the baseline.
            p = sum(math.comb(43, k) * math.comb(1500 - 43, 600 - k) for k in (42, 43)) / math.comb(1500, 600)
            self.assertAlmostEqual(verdict["p"] / p, 1, 9)
            self.assertEqual([(a["state"], a["monitor"]) for a in alerts][:2], [("firing", "quality.unseen"), ("resolved", "quality.unseen")])
            self.assertEqual(alerts[0]["summary"], "c of model=m: 7% of the values are not known, 0.1% in the baseline")
            again = topology(base + f"baselines: {{ usual: {against} }}\n" + self.UNSEEN + "run: { workers: 2, batch_rows: 7 }\n", "unseen-again.yaml")
            self.assertEqual(self.told(again, minutes), (said, alerts))

    def test_values_beside_those_of_another_group(self):
        path = topology(SMALL.format(clock="2023-11-15T22:20:00Z") + "baselines: { usual: { other: { model: m }, min_rows: 500 } }\n" + self.UNSEEN, "other.yaml")
        kind = {"rows": 1200, "model": lambda i: "nm"[i % 2], "c": lambda i: "new" if i % 2 == 0 and i < 240 else "ab"[i // 2 % 2]}
        said, alerts = self.told(path, [{**kind, "c": lambda i: "ab"[i // 2 % 2]}, kind, kind])
        self.assertEqual([(a["group"], a["monitor"], a["state"]) for a in alerts], [({"model": "n"}, "quality.unseen", "firing")])
        self.assertAlmostEqual(said[1, "quality.unseen", "c"]["effect"], 120 / 600 - 1 / 300, 12)

    def test_long_tails_that_are_learned_stay_quiet(self):
        base = SMALL.format(clock="2023-11-15T22:20:00Z")
        for number, (power, against) in enumerate([(0.5, "{ trailing: 5m }"), (0.5, "{ first: 5m }"), (0.8, "{ trailing: 5m }"), (1.5, "{ trailing: 5m }"), (0.3, "{ first: 5m }")]):
            draw = random.Random(90 + number)
            tail = lambda i: f"v{int(min(1e12, draw.paretovariate(power)))}"
            usual = {"rows": 2000, "c": tail}
            path = topology(base + f"baselines: {{ usual: {against} }}\n" + self.UNSEEN, "zipf.yaml")
            minutes = [usual] * 24 + [{**usual, "c": lambda i: "brand new" if i % 40 == 0 else tail(i)}, usual, usual]
            said, alerts = self.told(path, minutes)
            words = [said[m, "quality.unseen", "c"]["verdict"] for m in range(27)]
            # A new value of 2.5% is found in its own window, whether or not it is in the sample of values.
            self.assertEqual(words[5:], ["ok"] * 19 + ["excess", "ok", "ok"], (power, against))

    def test_the_contract_that_is_shipped_is_kept(self):
        draw = random.Random(11)
        rows, wanted = [], {}
        for window in range(12):
            for i in range(400):
                score = round(draw.uniform(0, 1), 3)
                one = {"ts": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(T0 // 300_000 * 300 + window * 300 + i // 2)),
                       "request_id": str(uuid.UUID(int=draw.getrandbits(128))), "age": draw.randint(18, 90), "postcode": f"{draw.randint(1000, 9999)}AB",
                       "applicant": {"income": draw.choice([-1, 20_000, 30_000]) if i % 30 == 0 else 25_000}, "purpose": draw.choice(["car", "study", "other"]),
                       "score": score, "approved": score >= 0.35}
                # One kind of harm a window, in a few of its rows.
                if i in (17, 230) or window == 11 and i % 10 == 3:
                    one.update([{}, {"age": None}, {"age": "old"}, {"age": 17.5}, {"score": 1.5}, {"purpose": "boat"}, {"postcode": "ab"},
                                {"request_id": rows[-1]["request_id"] if rows else "x"}, {"score": 0.1, "approved": True}, {"approved": "maybe"},
                                {"request_id": "7"}, {"purpose": "home", "applicant": {"income": -1}}][window])
                rows.append(one)
            # What allows a share is not broken by two rows of 400.
            wanted[window] = [set(), {"quality.null age"}, {"quality.wrong_type age"}, {"quality.wrong_type age"}, set(), {"quality.unseen purpose"},
                              {"quality.pattern postcode"}, set(), {"no-approval-below-cutoff"}, {"quality.unseen approved"},
                              {"quality.pattern request_id"}, {"income-for-homes"}][window]
        _, out = run_lines(rows, ROOT / "topologies/contract.yaml", "contract")
        found = {window: set() for window in wanted}
        for record in out["loan-contract-aggregates"]:
            value = record["value"]
            for verdict in value.get("verdicts", []):
                if verdict["verdict"] == "excess":
                    column = "" if value["column"].startswith(verdict["monitor"]) else " " + value["column"]
                    found[(value["window"]["start"] - T0 // 300_000 * 300_000) // 300_000].add(verdict["monitor"] + column)
        self.assertEqual(found, wanted)

    def test_a_model_that_serves_for_too_long_is_told(self):
        base = SMALL.format(clock="2023-11-26T22:20:00Z")
        old = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(T0 // 1000 - 3600))
        text = base + ("monitors: { drift: off, volume: off, freshness: off, quality: off, stale: { age: 3m, clear_for: 1 of 1, max_age: 7d, "
                       "overrides: [{ groups: { model: n }, since: %s, age: 2h }, { groups: { model: o }, since: %s }] } }\n" % (old, old))
        path = topology(text, "age.yaml")
        kind = {"model": lambda i: "mno"[i % 3]}
        minutes = [kind] * 62
        rows = [one for m, kind in enumerate(minutes) for one in self.minute(m, rows=30, **kind)]
        # A week later it is new.
        rows += self.minute(9 * 1440, rows=30, **kind) + self.minute(9 * 1440 + 1, rows=30, model="m")
        _, out = run_lines(rows, path, "age")
        verdicts = {((r["value"]["window"]["start"] - T0) // 60_000, r["value"]["group"]["model"]): v
                    for r in out["t-aggregates"] for v in r["value"].get("verdicts", [])}
        self.assertEqual([verdicts[minute, "m"]["effect"] for minute in (0, 2, 3, 9 * 1440)], [60, 180, 240, 60])
        self.assertEqual([verdicts[minute, "m"]["verdict"] for minute in (0, 2, 3, 9 * 1440)], ["ok", "ok", "excess", "ok"])
        self.assertEqual((verdicts[0, "n"]["effect"], verdicts[59, "n"]["verdict"], verdicts[60, "n"]["verdict"]), (3660, "ok", "excess"))
        alerts = [a["value"] for a in out["t-alerts"]]
        told = [((a["window"]["start"] - T0) // 60_000, a["group"]["model"], a["state"], a["severity"]) for a in alerts]
        self.assertEqual(told[:3], [(0, "o", "firing", "warn"), (3, "m", "firing", "warn"), (60, "n", "firing", "warn")])
        self.assertIn((9 * 1440, "m", "resolved", "warn"), told)
        began = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(T0 // 1000))
        self.assertEqual((alerts[1]["summary"], alerts[1]["usual"], alerts[1]["now"]),
                         (f"model=m serves since {began}, for longer than 3m", "at most 3m", "4m"))
        again = topology(text + "run: { workers: 2, batch_rows: 7 }\n", "again.yaml")
        self.assertEqual([a["value"]["id"] for a in run_lines(rows, again, "again")[1]["t-alerts"]], [a["id"] for a in alerts])
        done = tidemark("lint", topology(base + "monitors: { stale: { age: 3m, since: yesterday } }\n", "wrong.yaml"), ok=None)
        self.assertIn("bad-time", done.stdout + done.stderr)

    def test_overrides_hold_for_groups_and_columns(self):
        base = self.baseline([{"nulls": 6}] * 10)
        def firing(overrides):
            text = ("monitors: { drift: off, volume: off, freshness: off, quality: { checks: { null: 2%%, columns: off }, overrides: [%s] } }\n"
                    % overrides)
            _, alerts = self.told(topology(base + text, "overrides.yaml"), [{"nulls": 60}, {"nulls": 60}, {}])
            return [(a["monitor"], a["severity"], a["window"]["start"] - T0) for a in alerts if a["state"] == "firing"]
        self.assertEqual(firing(""), [("quality.null", "warn", 0)])
        self.assertEqual(firing("{ groups: { model: m }, severity: page }, { columns: x, severity: info }"), [("quality.null", "info", 0)])
        self.assertEqual(firing("{ groups: { model: 'm*' }, columns: x, for: 2 of 2 }, { columns: c, severity: page }"),
                         [("quality.null", "warn", 60_000)])
        self.assertEqual(firing("{ groups: { model: other }, severity: page }"), [("quality.null", "warn", 0)])
        self.assertEqual(firing("{ columns: x, alert: off }"), [])
        for wrong, what in (("{ columns: x }", "override-empty"), ("{ groups: { modl: m }, severity: page }", "unknown-dimension"),
                            ("{ columns: y, severity: page }", "unknown-column"), ("{ checks: { null: 1% } }", "unknown-key")):
            done = tidemark("lint", topology(base + "monitors: { quality: { overrides: [%s] } }\n" % wrong, "wrong.yaml"), ok=None)
            self.assertIn(what, done.stdout + done.stderr)

    def test_planned_downtime_mutes_and_what_outlasts_it_is_told(self):
        base = SMALL.format(clock="2023-11-14T22:20:00Z")
        text = ("monitors: { drift: off, volume: off, freshness: off, quality: { checks: { null: 2%% }, clear_for: 1 of 1, cool_down: 0s } }\n"
                "alerts: { max_age: 7d, mute: [{ monitors: [%s], groups: { model: m }, from: 2023-11-14T22:00:00Z, to: %s, why: works }] }\n")
        minutes = [{"nulls": 60}, {}, {"nulls": 60}, {"nulls": 60}, {"nulls": 60}, {}, {}]
        def told(monitors, to):
            _, alerts = self.told(topology(base + text % (monitors, to), "mute.yaml"), minutes)
            return [(a["state"], (a["window"]["start"] - T0) // 60_000, a.get("muted_by")) for a in alerts]
        start = T0 // 1000
        at = lambda minute: time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(start + 60 * minute))
        self.assertEqual(told("quality", at(4)), [("firing", 0, "planned"), ("resolved", 1, "planned"), ("firing", 2, "planned"),
                                                  ("firing", 4, None), ("resolved", 5, None)])
        self.assertEqual(told("quality.columns", at(4))[0], ("firing", 0, None))

    def test_long_tails_stay_quiet(self):
        draw = random.Random(5)
        tail = lambda i: f"v{int(1.3 ** draw.uniform(0, 30))}"
        usual = {"rows": 2000, "c": tail}
        path = topology(self.baseline([usual] * 6) + "monitors: { drift: off, volume: off, freshness: off }\n", "tail.yaml")
        said, _ = self.told(path, [usual] * 8 + [{**usual, "c": lambda i: "brand new" if i < 40 else tail(i)}] + [usual])
        self.assertEqual({key for key in said}, {(8, "quality.unseen", "c")})

    def test_what_is_wrong_is_said(self):
        base = SMALL.format(clock="2023-11-15T22:20:00Z")
        for monitors, what in (("{ quality: all, checks: { nul: 5% } }", "`nul`"),
                               ("{ quality: all, checks: { null: 5 } }", "5"), ("{ quality: all, checks: { unseen: 0% } }", "matches-nothing"),
                               ("{ quality: all, checks: { constant: 5% } }", "no-share"), ("{ quality: x, checks: { unseen: auto } }", "not-testable")):
            path = topology(base + "monitors: { q: %s }\n" % monitors, "wrong.yaml")
            done = tidemark("lint", path, ok=None)
            self.assertIn(what, done.stdout + done.stderr, monitors)
            self.assertNotEqual(done.returncode, 0, monitors)
        tidemark("lint", topology(base + "monitors: { q: { quality: all, checks: { null: 5%, unseen: off } } }\n", "right.yaml"))


if __name__ == "__main__":
    if len(sys.argv) > 1:
        sys.argv = [sys.argv[0], "-v", "-k", sys.argv[1]]
    else:
        sys.argv.append("-v")
    try:
        unittest.main()
    finally:
        shutil.rmtree(WORK, ignore_errors=True)
