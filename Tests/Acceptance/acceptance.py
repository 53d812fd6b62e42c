#!/usr/bin/env python3
"""What users see, held to: the built binary on files and on a real Kafka.

usage: acceptance.py [PATTERN]      (run by ops/run-tests; needs .venv of `ops/setup test`)

Tests that need a Kafka look for its script at TIDEMARK_TEST_KAFKA and say so where there is none.
"""
import collections
import csv
import hashlib
import io
import json
import math
import os
import pathlib
import random
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import threading
import time
import unittest

import jsonschema

from broker import KAFKA, ROOT, Broker

TIDEMARK = os.environ.get("TIDEMARK", str(ROOT / ".build/release/tidemark"))
PYTHON = sys.executable
WORK = pathlib.Path(tempfile.mkdtemp(prefix="tidemark-acceptance-"))
SEED = int(os.environ.get("TIDEMARK_SEED", "1"))
T0 = 1_700_000_040_000


def tidemark(*args, ok=0, **more):
    done = subprocess.run([TIDEMARK, *map(str, args)], capture_output=True, text=True, cwd=ROOT, timeout=300, **more)
    if ok is not None and done.returncode != ok:
        raise AssertionError(f"tidemark {' '.join(map(str, args))}: exit {done.returncode}, expected {ok}\n{done.stdout}{done.stderr}")
    return done


def lines(path):
    return [json.loads(line) for line in pathlib.Path(path).read_text(encoding="utf-8").split("\n") if line]


def topology(text, name="t.yaml"):
    path = WORK / name
    path.write_text(text)
    return path


SMALL = """name: t
source:
  topic: t
  clock: {clock}
  out_of_orderness: 2s
  schema: {{ ts: time_ms, model: model, x: number, c: category }}
windows: [1m]
"""


# SHA-256 of what `topologies/w1.yaml` writes of 40,000 records of W1 (seed 20240611), its clock set.
NOTHING = hashlib.sha256(b"").hexdigest()
W1_GOLDEN = {
    "w1-aggregates.ndjson": "d0f8e5666ad78c96e7a7508cd57baa06cfc72d789a383e2223b9563fe992d16a",
    "w1-aggregates-sketches.ndjson": "92961e8ed6060b7abb35e7aa7b09cfba2ea55e267e9eb92afec9a29a67d01f07",
    "w1-alerts.ndjson": NOTHING, "w1-dead-letters.ndjson": NOTHING,
}


def small(clock="2023-11-14T22:20:00Z"):
    return topology(SMALL.format(clock=clock))


def run_lines(rows, topo=None, name="rows", raw=False):
    """The summary and the outputs of a run over these lines."""
    data = WORK / f"{name}.ndjson"
    data.write_bytes(b"".join(r + b"\n" for r in rows) if raw else "".join(json.dumps(r) + "\n" for r in rows).encode())
    out = WORK / f"{name}-out"
    shutil.rmtree(out, ignore_errors=True)
    done = tidemark("run", topo or small(), "--input", data, "--output", out, "--until-end", "--json", ok=None)
    if done.returncode not in (0, 1):
        raise AssertionError(f"run: exit {done.returncode}\n{done.stdout}{done.stderr}")
    summary = json.loads(done.stdout)
    # "All is well" and "nothing was looked at" are told apart, and nothing is lost without a number.
    assert done.returncode == ("nothing_tested" in summary or "bad_rows" in summary), done.stdout
    assert adds_up(summary, summary["records"]), done.stdout
    return summary, {p.stem: lines(p) for p in out.iterdir()}


def adds_up(summary, records):
    """Every record is in a window, or set aside under a name."""
    fates = ("rows", "dead_letters", "late", "quarantined", "tombstones", "filtered", "filtered_null")
    return summary["records"] == records == summary["accounted"] == sum(summary[f] for f in fates)


def w1(records, seed):
    folder = WORK / f"w1-{records}-{seed}"
    if not folder.exists():
        folder.mkdir()
        subprocess.run([PYTHON, ROOT / "Benchmarks/w1.py", folder, str(records), str(seed)], check=True)
    return folder / "w1.ndjson"


def rewritten(path, seed):
    """The same values written otherwise: keys in another order, spaces, exponents, fields between."""
    rng = random.Random(seed)
    out = path.with_name("rewritten.ndjson")
    with open(out, "w") as f:
        for line in path.read_text().splitlines():
            row = json.loads(line)
            items = [(k, json.dumps(v)) for k, v in row.items()]
            items = [(k, f"{float(v) * 1000:.6f}e-3" if k in ("f4", "f5") and v != "null" and rng.random() < 0.3 else v) for k, v in items]
            items.append(("extra", '{"a":[1,{"f0":9}],"b":"}\\""}'))
            rng.shuffle(items)
            f.write("{ " + " , ".join(f'"{k}" :  {v}' for k, v in items) + " }\n")
    return out


def cells(value):
    histogram = value["histogram"]
    return [histogram["under"], *histogram["counts"], histogram["over"]]


def psi(now, then):
    """Population stability index with Jeffreys' rule for cells that one side lacks."""
    pairs = [(a, b) for a, b in zip(now, then) if a or b]
    n, m, k = sum(now), sum(then), len(pairs)
    shares = [(a / n if a else 0.5 / (n + k / 2), b / m if b else 0.5 / (m + k / 2)) for a, b in pairs]
    return sum((p - q) * math.log(p / q) for p, q in shares)


class Files(unittest.TestCase):
    def check_w1(self, data, same_as):
        out = WORK / "w1-out"
        shutil.rmtree(out, ignore_errors=True)
        tidemark("run", "topologies/w1.yaml", "--input", data, "--output", out, "--until-end", "--quiet")
        done = subprocess.run([PYTHON, ROOT / "Benchmarks/w1_check.py", same_as, ROOT / "Benchmarks/w1.ref.json",
                               out / "w1-aggregates.ndjson", "--sketches", out / "w1-aggregates-sketches.ndjson"],
                              capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_w1_agrees_with_the_exact_computation(self):
        self.check_w1(w1(40_000, 20240611), w1(40_000, 20240611))

    def test_w1_has_the_bytes_that_it_had(self):
        # What is written of W1 changes on purpose alone: a change of these is in the changelog.
        out = WORK / "w1-golden"
        tidemark("run", "topologies/w1.yaml", "--input", w1(40_000, 20240611), "--output", out, "--until-end", "--quiet",
                 "--set", "source.clock=2030-01-01T00:00:00Z")
        found = {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(out.iterdir())}
        self.assertEqual(found, W1_GOLDEN)

    def test_the_peak_of_memory_is_that_of_the_program_and_not_of_who_started_it(self):
        starter = ("import subprocess, sys; held = bytearray(b'x') * (400 << 20); "
                   "sys.exit(subprocess.run(sys.argv[1:]).returncode)")
        done = subprocess.run([PYTHON, "-c", starter, TIDEMARK, "run", "topologies/w1.yaml", "--input", w1(40_000, 20240611), "--output",
                               WORK / "peak", "--until-end", "--json"], cwd=ROOT, capture_output=True, text=True)
        self.assertLess(json.loads(done.stdout)["peak_memory_bytes"], 200 << 20)

    def test_w1_of_another_seed_agrees_too(self):
        self.check_w1(w1(30_000, SEED + 4), w1(30_000, SEED + 4))

    def test_w1_written_otherwise_gives_the_same(self):
        data = w1(20_000, 8)
        other = rewritten(data, 8)
        # The rewritten values are what counts: exponents move the last digit.
        self.check_w1(other, other)

    def test_drift_is_alerted_on_where_it_begins_and_nowhere_else(self):
        data = w1(400_000, 20240611)
        base = WORK / "first10.json"
        tidemark("baseline", "build", "--from", data, "--by", "model", "--windows", "10", "--output", base)
        out = WORK / "drift-out"
        tidemark("run", "topologies/w1-drift.yaml", "--input", data, "--output", out, "--until-end", "--quiet",
                 "--set", f"baselines.training.file={base}")
        done = subprocess.run([PYTHON, ROOT / "Benchmarks/w1_alerts_check.py", out / "w1-drift-alerts.ndjson"], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stdout)

    def test_learned_baselines_are_the_windows_before_and_find_a_shift(self):
        data = WORK / "learned.ndjson"
        with open(data, "w") as f:
            subprocess.run([ROOT / "topologies/baselines/churn_records.py", "60000", "8", "20"], stdout=f, check=True)
        seen = []
        for batch in (61, 4096):
            out = WORK / f"learned-{batch}"
            tidemark("run", "topologies/learned.yaml", "--input", data, "--output", out, "--until-end", "--quiet", "--set", f"run.batch_rows={batch}",
                     "--set", "baselines.initial.first=15m", "--set", "baselines.recent={ trailing: 10m, skip: 5m }",
                     "--set", "monitors.volume=off")
            seen.append({p.name: p.read_bytes() for p in out.iterdir()})
        self.assertEqual(seen[0], seen[1])
        series = collections.defaultdict(list)
        for record in lines(out / "learned-aggregates.ndjson"):
            value = record["value"]
            if value["complete"] and "column" in value:
                series[value["group"]["model"], value["column"]].append(value)
        step, compared = 300_000, 0
        # What happens while an alert is open is not learned by what is recent.
        opened = {r["value"]["group"]["model"]: r["value"]["window"]["start"] for r in lines(out / "learned-alerts.ndjson")
                  if r["value"]["monitor"] == "sudden"}
        for (model, column), windows in series.items():
            windows.sort(key=lambda v: v["window"]["start"])
            begin = windows[0]["window"]["start"]
            for value in windows:
                start = value["window"]["start"]
                spans = {"initial@first-900s": (begin, begin + 3 * step), "recent@trailing-600s": (start - 3 * step, start - step)}
                for verdict in value["verdicts"]:
                    since, until = spans[verdict["baseline"]]
                    reference = [w for w in windows if since <= w["window"]["start"] and w["window"]["end"] <= min(until, start)]
                    if verdict["baseline"].startswith("recent") and until > opened.get(model, start):
                        reference = [w for w in windows if w["window"]["start"] < opened[model]][-2:]
                    if since < begin or until > start:
                        self.assertEqual(verdict["verdict"], "learning")
                        self.assertEqual(verdict["learned"], {"windows": len(reference), "windows_needed": (until - since) // step, "rows_needed": 1000,
                                                              "rows": sum(w["rows"]["total"] for w in reference)})
                        continue
                    self.assertNotIn("learned", verdict)
                    drift = next(d for d in value["drift"] if d["baseline"] == verdict["baseline"])
                    self.assertEqual(drift["n_baseline"], sum(w["rows"]["value"] for w in reference))
                    if "histogram" in value:
                        now = cells(value)
                        then = [sum(c) for c in zip(*map(cells, reference))]
                        self.assertAlmostEqual(drift["tests"]["psi"]["value"], psi(now, then), places=9)
                        compared += 1
        self.assertGreater(compared, 50)
        # Spend moves up at 10:30, and stays: neither baseline takes it for usual while the alerts are open.
        alerts = [(r["value"]["monitor"], r["value"]["column"], r["value"]["state"], (r["value"]["window"]["end"] - 1_705_312_800_000) // 60_000)
                  for r in lines(out / "learned-alerts.ndjson")]
        self.assertEqual(sorted(set(alerts)), [("drift", "monthly_spend", "firing", 35), ("sudden", "monthly_spend", "firing", 35)])

    def test_groups_are_compared_with_another_one_and_with_all_together_exactly(self):
        rng = random.Random(23)
        minute, rows = 60_000, []
        for i in range(24_000):
            version = rng.choice(["1", "1", "1", "2", "3"])
            shift = 0.2 if version == "2" and i > 15_000 else 0
            rows.append({"ts": T0 + i * 30, "model": "m", "version": version, "x": rng.gauss(0.4 + shift, 0.15)})
        plan = topology("""name: t
source:
  topic: t
  clock: 2023-11-14T23:00:00Z
  out_of_orderness: 2s
  schema: { ts: time_ms, model: model, version: version, x: { type: number, expect: { range: [0, 1] } } }
segments: { by-model: off, by-version: { by: [model, version], limit: 10 } }
windows: [1m]
baselines: { champion: { other: { version: "1" }, min_rows: 300 }, pool: { trailing: 3m, skip: 1m, per: pooled } }
monitors: { drift: { drift: all, against: [champion, pool], min_rows: 100 }, quality: off, volume: off, freshness: off }
""", "other.yaml")
        edges = [i / 20 for i in range(21)]

        def cells(some):
            counts = [0] * 22
            for x in some:
                counts[sum(1 for e in edges if e <= x)] += 1
            return counts

        def psi(now, then):
            used = [i for i in range(22) if now[i] + then[i]]
            n, m, k = sum(now), sum(then), len(used)
            shares = [(now[i] / n if now[i] else 0.5 / (n + k / 2), then[i] / m if then[i] else 0.5 / (m + k / 2)) for i in used]
            return sum((p - q) * math.log(p / q) for p, q in shares)

        byte_sets, compared, verdicts = set(), collections.Counter(), collections.Counter()
        for workers, batch in ((1, 4096), (2, 7)):
            out = WORK / f"other-{workers}"
            data = WORK / "other.ndjson"
            data.write_text("".join(json.dumps(r) + "\n" for r in rows))
            tidemark("run", plan, "--input", data, "--output", out, "--until-end", "--quiet", "--set", f"run.workers={workers}", "--set", f"run.batch_rows={batch}")
            byte_sets.add((out / "t-aggregates.ndjson").read_bytes() + (out / "t-alerts.ndjson").read_bytes())
        self.assertEqual(len(byte_sets), 1, "the bytes depend on batches")
        per = collections.defaultdict(list)
        for r in rows:
            per[r["version"], r["ts"] // minute * minute].append(r["x"])
        for record in lines(out / "t-aggregates.ndjson"):
            value = record["value"]
            version, start = value["group"]["version"], value["window"]["start"]
            now = cells(per[version, start])
            said = {v["monitor"]: v for v in value["verdicts"]}
            drift = {d["baseline"]: d for d in value.get("drift", [])}
            for name, label in (("drift.champion", "champion@version=1"), ("drift.pool", "pool@trailing-180s")):
                if name == "drift.champion":
                    then = cells(per["1", start])
                    if version == "1":
                        self.assertNotIn(name, said, "the champion is compared with itself")
                        continue
                    is_whole = sum(then) >= 300
                else:
                    first = min(s for _, s in per)
                    spans = range(start - 4 * minute, start - minute, minute)
                    is_whole = spans[0] >= first
                    # A group is left out while its alert is open.
                    then = cells(x for (v, s), xs in per.items() for x in xs if s in spans and not (v == "2" and said[name]["verdict"] == "drift" and s > T0 + 15_000 * 30))
                verdicts[name, said[name]["verdict"]] += 1
                self.assertEqual(said[name]["verdict"] == "learning", not is_whole, record)
                if is_whole and (name == "drift.champion" or start < T0 + 15_000 * 30):
                    self.assertAlmostEqual(drift[label]["tests"]["psi"]["value"], psi(now, then), delta=1e-9)
                    self.assertEqual(drift[label]["n_baseline"], sum(then))
                    compared[name] += 1
        self.assertGreater(min(compared.values()), 10, compared)
        self.assertGreater(min(verdicts[n, w] for n in ("drift.champion", "drift.pool") for w in ("drift", "ok")), 2, verdicts)
        fired = {(a["value"]["monitor"], a["value"]["group"]["version"]) for a in lines(out / "t-alerts.ndjson") if a["value"]["state"] == "firing"}
        self.assertEqual(fired, {("drift.champion", "2"), ("drift.pool", "2")})

    def test_alerts_go_where_routes_say_and_tell_what_changed(self):
        rng = random.Random(29)
        rows = []
        for i in range(24_000):
            moved = i >= 16_000
            for model in ("a", "b"):
                x = rng.gauss(0.6 if moved and model == "a" else 0.4, 0.05)
                c = rng.choice(["app", "app", "web", "shop" if moved and model == "a" else "web"])
                rows.append({"ts": T0 + i * 30, "model": model, "x": x, "c": c})
        plan = topology("""name: t
source:
  topic: t
  clock: 2023-11-14T23:00:00Z
  out_of_orderness: 2s
  schema: { ts: time_ms, model: model, x: { type: number, expect: { range: [0, 1] } }, c: category }
windows: [1m]
baselines: { first: { first: 5m } }
monitors:
  drift: { drift: x }
  mix: { drift: c, severity: warn, summary: "{column}: {effect} of {baseline} ({severity}, {group})" }
  volume: off
  quality: off
  freshness: off
alerts:
  runbook: https://example.org/drift
  destinations: { oncall: { topic: t-oncall }, team: { topic: t-team } }
  routes: [{ severity: page, to: [oncall, team] }, { monitors: [mix], groups: { model: a* }, to: [team] }]
""", "routes.yaml")
        _, out = run_lines(rows, plan, name="routes")
        by_monitor = collections.defaultdict(list)
        for record in out["t-alerts"]:
            by_monitor[record["value"]["monitor"]].append(record)
        self.assertEqual({k: len(v) for k, v in by_monitor.items()}, {"drift": 1, "mix": 1}, out["t-alerts"])
        (page,), (warn,) = by_monitor["drift"], by_monitor["mix"]
        self.assertEqual((page["value"]["routes"], warn["value"]["routes"]), (["oncall", "team"], ["team"]))
        self.assertEqual([r["value"] for r in out["t-oncall"]], [page["value"]])
        self.assertEqual(sorted(r["value"]["monitor"] for r in out["t-team"]), ["drift", "mix"])
        self.assertEqual([r["key"] for r in out["t-oncall"]], [page["key"]])
        # The middle half, within the bins (a twentieth wide).
        for field, mean in (("usual", 0.4), ("now", 0.6)):
            low, high = (float(word) for word in page["value"][field].split(" to "))
            self.assertAlmostEqual(low, mean - 0.0337, delta=0.01)
            self.assertAlmostEqual(high, mean + 0.0337, delta=0.01)
        changes = page["value"]["changes"]
        self.assertEqual(len(changes), 5)
        self.assertIn(changes[0]["cell"], ("0.35 to 0.4", "0.4 to 0.45", "0.55 to 0.6", "0.6 to 0.65"))
        differences = [abs(c["current"] - c["baseline"]) for c in changes]
        self.assertEqual(differences, sorted(differences, reverse=True))
        start = page["value"]["window"]["start"]
        now = [r["x"] for r in rows if r["model"] == "a" and r["ts"] // 60_000 * 60_000 == start]
        for change in changes:
            low, high = (float(word) for word in change["cell"].split(" to "))
            self.assertAlmostEqual(change["current"], sum(low <= x < high for x in now) / len(now), delta=1e-9)
        self.assertRegex(page["value"]["summary"], r"^x of model=a differs from first: psi [\d.]+, over 0.05; usual: the middle half 0\.3\d+ to 0\.4\d+; now: 0\.5\d+ to 0\.6\d+; most changed: 0\.\d+ to 0\.\d+ .*% → .*%; since 2023-11-14T22:2\dZ$")
        self.assertEqual(page["value"]["runbook"], "https://example.org/drift")
        self.assertRegex(warn["value"]["summary"], r"^c: \d\.\d+ of first \(warn, model=a\)$")
        self.assertNotIn("changes", warn["value"], "cells of hashes have no names")

    def test_baselines_are_built_from_all_that_a_run_reads_and_shown_cell_by_cell(self):
        import gzip
        rng = random.Random(31)
        rows = [{"ts": T0 + i * 10, "model": rng.choice("ab"), "in": {"x": rng.choice([None, rng.gauss(5, 2), 7])}, "c": rng.choice(["u", "v", "v"])} for i in range(6000)]
        text = """name: t
source:
  file: {file}
  clock: 2023-11-14T23:00:00Z
  schema: {{ ts: time_ms, model: model, x: {{ type: number, path: in.x }}, c: category }}
"""
        whole, first, second = WORK / "whole.ndjson", WORK / "first.ndjson", WORK / "second.ndjson.gz"
        written = [json.dumps(r) + "\n" for r in rows]
        whole.write_text("".join(written))
        first.write_text("".join(written[:2500]))
        second.write_bytes(gzip.compress("".join(written[2500:]).encode()))
        plan = topology(text.format(file=whole), "built.yaml")
        table = {}

        def build(name, *args, **more):
            out = WORK / f"built-{name}.json"
            tidemark("baseline", "build", "--by", "model", "--topology", plan, *args, "--output", out, **more)
            table[name] = json.loads(out.read_text())["columns"]
        build("one", "--from", whole)
        build("parts", "--from", first, "--from", second)
        build("source")
        build("pipe", "--from", "-", input="".join(written))
        self.assertTrue(all(columns == table["one"] for columns in table.values()), table)
        shown = json.loads(tidemark("baseline", "show", WORK / "built-one.json", "--json", "--column", "x").stdout)
        self.assertEqual([c["column"] for c in shown["columns"]], ["x", "x"])
        self.assertEqual(shown["made"]["from"], "whole.ndjson")
        self.assertRegex(shown["made"]["at"], r"^20\d\d-\d\d-\d\dT")
        for column in shown["columns"]:
            values = [r["in"]["x"] for r in rows if "model=" + r["model"] == column["group"]]
            self.assertEqual(column["nulls"], values.count(None))
            self.assertEqual(column["rows"], len(values) - values.count(None))
            cells = {c["cell"]: c["rows"] for c in column["cells"]}
            self.assertEqual(sum(cells.values()), column["rows"])
            self.assertEqual(cells["7.000"], values.count(7))
            bounds = [(c.get("from", -math.inf), c.get("to", math.inf)) for c in column["cells"]]
            self.assertEqual([to for _, to in bounds[:-1]], [start for start, _ in bounds[1:]])
            for cell, (low, high) in zip(column["cells"], bounds):
                self.assertEqual(cell["rows"], sum(low <= x < high for x in values if x is not None), cell)
        drawn = tidemark("baseline", "show", WORK / "built-one.json", "--column", "c").stdout
        counts = collections.Counter(r["c"] for r in rows if r["model"] == "a")
        self.assertRegex(drawn, rf"(?m)^  v +{counts['v']:,} +6\d\.\d\d%  █{{40}}$")
        self.assertRegex(drawn, rf"(?m)^  u +{counts['u']:,} +3\d\.\d\d%  █+[▏▎▍▌▋▊▉]?$")
        wrong = tidemark("baseline", "show", WORK / "built-one.json", "--column", "y", ok=None)
        self.assertIn("has no column `y`; it has x, c", wrong.stderr)
        none = tidemark("baseline", "build", ok=None)
        self.assertIn("needs records: --from FILE, or --topology", none.stderr)

    def test_one_cause_is_one_page_with_its_members_ranked(self):
        rng = random.Random(41)
        rows = []
        for i in range(24_000):
            moved = i >= 16_000
            for model in ("a", "b"):
                shift = 1 if moved and model == "a" else 0
                late = 1 if i >= 18_000 and model == "a" else 0
                rows.append({"ts": T0 + i * 30, "model": model, "x": rng.gauss(0.4 + 0.1 * shift, 0.05), "y": rng.gauss(0.4 + 0.2 * shift, 0.05),
                             "z": rng.gauss(0.4 + 0.3 * late, 0.05)})
        text = """name: t
source:
  topic: t
  clock: 2023-11-14T23:00:00Z
  out_of_orderness: 2s
  schema: {{ ts: time_ms, model: model, x..z: {{ type: number, expect: {{ range: [0, 1] }} }} }}
windows: [1m]
baselines: {{ first: {{ first: 5m }} }}
monitors: {{ drift: {{ drift: all }}, volume: off, quality: off, freshness: off }}
alerts: {{ {group}destinations: {{ oncall: {{ topic: t-oncall }} }}, routes: [{{ to: [oncall] }}] }}
""".replace("x..z:", "x: {{ type: number, expect: {{ range: [0, 1] }} }}, y: {{ type: number, expect: {{ range: [0, 1] }} }}, z:")
        _, alone = run_lines(rows, topology(text.format(group=""), "alone.yaml"), name="alone")
        _, out = run_lines(rows, topology(text.format(group="group: model, "), "grouped.yaml"), name="grouped")
        self.assertEqual(sorted(r["value"]["column"] for r in alone["t-oncall"]), ["x", "y", "z"])
        page, = out["t-oncall"]
        self.assertEqual(page["value"]["column"], "y")
        members = page["value"]["members"]
        self.assertEqual([m["column"] for m in members], ["y", "x"])
        self.assertGreater(members[0]["times"], members[1]["times"])
        self.assertEqual(members[0]["id"], page["value"]["id"])
        self.assertAlmostEqual(members[0]["times"], page["value"]["effect"] / page["value"]["threshold"], delta=1e-9)
        others = {r["value"]["column"]: r["value"] for r in out["t-alerts"] if r["value"]["column"] != "y"}
        self.assertEqual({c: (v["muted_by"], v["lead"]) for c, v in others.items()}, {c: ("grouped", page["value"]["id"]) for c in "xz"})
        # Who fires and when is the same with and without.
        self.assertEqual(sorted(r["value"]["id"] for r in out["t-alerts"]), sorted(r["value"]["id"] for r in alone["t-alerts"]))

    def test_rows_are_expected_as_at_the_same_time_of_earlier_days(self):
        begin, hour = 1_700_006_400_000, 3_600_000    # a day begins
        counts = {(day, h): 20 if (day, h) == (4, 13) else 50 + 10 * h + day for day in range(5) for h in range(24)}
        rows = [{"ts": begin + (day * 24 + h) * hour + i * (hour // n), "model": "m", "x": 1} for (day, h), n in counts.items() for i in range(n)]
        plan = topology("""name: t
source:
  topic: t
  clock: 2023-11-21T00:00:00Z
  schema: { ts: time_ms, model: model, x: number }
windows: [1h]
monitors:
  volume: { against: { same_time: 1d, times: 3, around: 1h, skip_dates: [2023-11-16], min_rows: 50 }, drop: 50% }
  drift: off
  quality: off
  freshness: off
""", "same-time.yaml")
        _, out = run_lines(rows, plan, name="same-time")
        compared = 0
        for record in out["t-aggregates"]:
            for verdict in record["value"].get("verdicts", []):
                day, h = divmod((record["value"]["window"]["start"] - begin) // hour, 24)
                # The 16th is day 1: the day before stands in.
                days = [d for d in range(day - 1, -1, -1) if d != 1][:3]
                places = [divmod(d * 24 + h + o, 24) for d in days for o in (-1, 0, 1)]
                is_whole = len(days) == 3 and all(place in counts for place in places)
                self.assertEqual(verdict["verdict"] == "learning", not is_whole, record)
                if is_whole:
                    self.assertAlmostEqual(verdict["expected"], sum(counts[place] for place in places) / 9, delta=1e-9)
                    compared += 1
        self.assertGreaterEqual(compared, 23)
        self.assertEqual([(r["value"]["state"], r["value"]["now"]) for r in out["t-alerts"]][:1], [("firing", "20 rows")])

    def test_a_shift_is_measured_in_its_own_unit(self):
        text = SMALL.format(clock="2023-11-14T22:40:00Z").replace("x: number", "x: { type: number, expect: { range: [0, 100] } }") + """monitors:
  drift: off
  quality: off
  volume: off
  moved: { drift: x, test: wasserstein, against: { first: 1m, min_rows: 600 } }
"""
        rng = random.Random(SEED)
        values = [[rng.gauss(50 + 8 * (minute >= 3), 10) for _ in range(600)] for minute in range(6)]
        rows = [{"ts": T0 + minute * 60_000 + i * 100, "model": "m", "x": x, "c": "a"} for minute in range(6) for i, x in enumerate(values[minute])]
        _, out = run_lines(rows, topology(text, "moved.yaml"), "moved")
        records = {(r["value"]["window"]["start"] - T0) // 60_000: r["value"] for r in out["t-aggregates"] if r["value"].get("column") == "x"}
        then = sorted(values[0])
        sd = math.sqrt(sum((x - sum(then) / 600) ** 2 for x in then) / 600)
        for minute in range(1, 6):
            value = records[minute]
            measured = value["drift"][0]["tests"]["wasserstein"]
            # Of as many values on both sides: how far each moved, in order. Bins are 5 wide.
            exact = sum(abs(a - b) for a, b in zip(sorted(values[minute]), then)) / 600
            self.assertLess(abs(measured["value"] - exact), 1)
            self.assertNotIn("p", measured)
            verdict = value["verdicts"][0]
            self.assertAlmostEqual(verdict["effect"] * sd, measured["value"], delta=0.1 * measured["value"])
            self.assertEqual((verdict["verdict"], verdict["ignore_below"]), ("drift" if minute >= 3 else "ok", 0.1))
            self.assertLess(verdict["p"] if minute >= 3 else 0, 1e-6)
        alert, = (r["value"] for r in out["t-alerts"])
        jsonschema.validate(alert, json.loads((ROOT / "docs/schemas/alert.schema.json").read_text()))
        self.assertEqual((alert["monitor"], alert["column"], alert["test"], alert["state"], alert["threshold"]), ("moved", "x", "wasserstein", "firing", 0.1))
        self.assertEqual(alert["value"], records[3]["drift"][0]["tests"]["wasserstein"]["value"])
        self.assertRegex(alert["summary"], r"^x of model=m differs from \w+: wasserstein [78]\.\d+, in sd of the baseline 0\.[789]\d*, over 0\.1;")

    def test_a_trimmed_mean_is_the_exact_one_within_its_error(self):
        text = SMALL.format(clock="2030-01-01T00:00:00Z").replace("windows: [1m]", "windows: [1m, 3m every 1m]")
        text += "summaries:\n  - { columns: x, trimmed_mean: 20% }\n"
        rng = random.Random(SEED)
        # Tails that a mean follows and a trimmed mean does not; a few values are of the other sign.
        rows = [{"ts": T0 + i * 100, "model": f"m{i % 2}", "x": rng.choice((1, 1, 1, -1)) * rng.lognormvariate(0, 3), "c": "a"}
                for i in range(3000)]
        _, out = run_lines(rows, topology(text, "trimmed.yaml"), "trimmed")
        schema = json.loads((ROOT / "docs/schemas/aggregate.schema.json").read_text())
        checked = 0
        for record in (r["value"] for r in out["t-aggregates"] if r["value"].get("column") == "x"):
            jsonschema.validate(record, schema)
            window = record["window"]
            values = sorted(r["x"] for r in rows if r["model"] == record["group"]["model"] and window["start"] <= r["ts"] < window["end"])
            # What scipy.stats.trim_mean computes.
            cut = int(0.2 * len(values))
            kept = values[cut:len(values) - cut]
            size = sum(map(abs, kept)) / len(kept)
            self.assertEqual(record["trimmed_mean"]["share"], 0.2)
            self.assertAlmostEqual(record["trimmed_mean"]["mean"], sum(kept) / len(kept), delta=0.01 * size)
            self.assertNotAlmostEqual(record["mean"], sum(kept) / len(kept), delta=size)
            checked += 1
        self.assertGreater(checked, 15)
        shown = tidemark("inspect", WORK / "trimmed-out/t-aggregates.ndjson").stdout
        self.assertIn("trimmed_mean", shown)
        bad = topology(text.replace("20%", "60%"), "trimmed-bad.yaml")
        self.assertIn("trimmed_mean", tidemark("lint", bad, ok=None).stderr + tidemark("lint", bad, ok=None).stdout)

    def test_rows_that_stay_away_are_an_alert_of_their_group(self):
        topo = topology(SMALL.format(clock="2023-11-14T23:20:00Z").replace("number", "{ type: number, expect: { range: [0, 9] } }")
                        + "monitors: { drift: off, volume: { against: { trailing: 12m } }, floor: { volume: rows, below: 50, severity: warn } }\n", "volume.yaml")
        rows = [{"ts": T0 + minute * 60_000 + i * 200, "model": model, "x": i % 9, "c": "a"} for minute in range(40)
                for i in range(300) for model in ("steady", "gone") if model == "steady" or not 20 <= minute < 30]
        _, out = run_lines(rows, topo, "volume")
        whole = {(r["value"]["group"]["model"], (r["value"]["window"]["start"] - T0) // 60_000): r["value"] for r in out["t-aggregates"] if "column" not in r["value"]}
        # Its silence is published once, not in each of ten windows.
        self.assertEqual(len(whole), 71)
        self.assertEqual([whole["gone", m]["rows"]["total"] for m in (19, 20, 30)], [300, 0, 300])
        verdict = whole["gone", 20]["verdicts"][0]
        self.assertEqual((verdict["verdict"], verdict["expected"], verdict["effect"]), ("drop", 300, 1))
        self.assertLess(verdict["p"], 1e-8)
        self.assertEqual({v["verdict"] for m in range(40) for v in whole["steady", m]["verdicts"]}, {"ok", "learning"})
        alerts = [(v["monitor"], v["group"]["model"], v["state"], (v["window"]["start"] - T0) // 60_000, v["direction"]) for v in (r["value"] for r in out["t-alerts"])]
        # The floor resolves in the second minute with rows; what is usual comes back with it.
        self.assertEqual(sorted(alerts), [("floor", "gone", "firing", 20, "below"), ("floor", "gone", "resolved", 31, "below"),
                                          ("volume", "gone", "firing", 20, "below"), ("volume", "gone", "resolved", 31, "below")])

    def test_groups_and_segments_that_fall_silent_are_alerted_on(self):
        text = SMALL.format(clock="2023-11-15T02:00:00Z") + """segments: { by-model: { by: [model] }, b-alone: { by: [], where: c == 'b' } }
alerts: { max_age: 12h }
monitors:
  drift: off
  quality: off
  volume: off
  quiet: { freshness: 10m, per: group, segments: [by-model], severity: warn, summary: "{group} {value}" }
  dry: { freshness: 20m, per: segment, segments: [b-alone], severity: info }
"""
        rows = [{"ts": T0 + minute * 60_000 + i, "model": model, "x": i, "c": "a" if model == "steady" else "b"}
                for minute in range(90) for model in ("steady", "back", "gone") for i in range(3)
                if model == "steady" or minute < 5 or model == "back" and 40 <= minute < 45]
        # (monitor, group, state, since, until), in minutes: with panes of one, a row at 4:00 is one of the pane that ends at 5.
        expected = [("quiet", "back", "no_data", 5, 15), ("quiet", "gone", "no_data", 5, 15), ("dry", None, "no_data", 5, 25),
                    ("quiet", "back", "resolved", 5, 40), ("dry", None, "resolved", 5, 40),
                    ("quiet", "back", "no_data", 45, 55), ("dry", None, "no_data", 45, 65)]
        schema = json.loads((ROOT / "docs/schemas/alert.schema.json").read_text())
        seen = []
        for batch in (1, 50, 4096):
            summary, out = run_lines(rows, topology(text + f"run: {{ batch_rows: {batch} }}\n", "silent.yaml"), "silent")
            seen.append([r for r in out["t-alerts"]])
            values = [r["value"] for r in out["t-alerts"]]
            for value in values:
                jsonschema.validate(value, schema)
            self.assertEqual(summary["alerts"], 5)
            minutes = [[(v["window"][side] - T0) // 60_000 for side in ("start", "end")] for v in values]
            self.assertEqual([(v["monitor"], v["group"].get("model"), v["state"], *m) for v, m in zip(values, minutes)], expected)
            self.assertEqual([v["operator"] for v in values], ["by-model" if v["monitor"] == "quiet" else "b-alone" for v in values])
            self.assertEqual(values[0]["summary"], "model=back 600")
            # A silence and its end are one alert.
            self.assertEqual(len({v["id"] for v in values}), 5)
        self.assertEqual(seen[0], seen[1])
        self.assertEqual(seen[0], seen[2])
        # Planned silence does not count: it is told where it lasts for the limit beyond the downtime.
        at = lambda minute: time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(T0 // 1000 + minute * 60))
        mute = (f"{{ monitors: [quiet], groups: {{ model: gone }}, from: {at(3)}, to: {at(30)}, why: move }}, "
                f"{{ monitors: [dry], from: {at(3)}, to: {at(22)}, why: move }}")
        _, out = run_lines(rows, topology(text.replace("alerts: { ", f"alerts: {{ mute: [{mute}], "), "planned.yaml"), "planned")
        told = [(r["value"]["monitor"], r["value"]["group"].get("model"), r["value"]["state"],
                 *[(r["value"]["window"][side] - T0) // 60_000 for side in ("start", "end")]) for r in out["t-alerts"]]
        self.assertEqual(told, [("quiet", "back", "no_data", 5, 15), ("quiet", "gone", "no_data", 5, 40), ("quiet", "back", "resolved", 5, 40),
                                ("quiet", "back", "no_data", 45, 55), ("dry", None, "no_data", 45, 65)])

    def test_volume_is_watched_without_being_named(self):
        rows = [{"ts": T0 + minute * 60_000 + i * 200, "model": model, "x": 1, "c": "a"} for minute in range(90)
                for i in range(300) for model in ("steady", "less") if model == "steady" or minute < 75 or i % 10 == 0]
        text = SMALL.format(clock="2023-11-15T02:00:00Z") + "alerts: { max_age: 12h }\n"
        _, out = run_lines(rows, topology(text, "unnamed.yaml"), "unnamed")
        values = [r["value"] for r in out["t-alerts"]]
        self.assertEqual([(v["monitor"], v["group"]["model"], v["state"], v["severity"], (v["window"]["start"] - T0) // 60_000) for v in values],
                         [("volume", "less", "firing", "page", 75)])
        self.assertEqual(sum("column" not in r["value"] for r in out["t-aggregates"]), 2 * 90)
        _, out = run_lines(rows, topology(text + "monitors: { volume: off }\n", "off.yaml"), "off")
        self.assertEqual(out.get("t-alerts", []), [])
        self.assertTrue(all("column" in r["value"] for r in out["t-aggregates"]))

    def test_results_do_not_depend_on_batches_or_on_the_run(self):
        data = w1(20_000, 8)
        seen = []
        for batch in (1, 7, 4096, 4096):
            out = WORK / f"batch-{batch}-{len(seen)}"
            tidemark("run", "topologies/w1.yaml", "--input", data, "--output", out, "--until-end", "--quiet", "--set", f"run.batch_rows={batch}")
            seen.append({p.name: p.read_bytes() for p in out.iterdir()})
        for other in seen[1:]:
            self.assertEqual(seen[0], other)

    def test_outcomes_of_odd_values_are_counted_as_stated(self):
        base = f'"ts":{T0},"model":"m"'
        rows = [f'{{{base},"x":{v}}}' for v in ("1", "null", '"text"', "NaN", "Infinity", "-Infinity", "1e400", "true", "[1]", "12345678901234567890123", "0.50030100029945647326")]
        rows += [f"{{{base}}}", f'{{{base},"x":1,"x":5}}', f'{{{base},"\\u0078":7}}', f'{{{base},"x":2,"deep":' + "[" * 10_000 + "]" * 10_000 + "}"]
        summary, out = run_lines([r.encode() for r in rows], raw=True, name="odd")
        record = next(r["value"] for r in out["t-aggregates"] if r["value"].get("column") == "x")
        got = record["rows"]
        self.assertEqual(got["total"], len(rows))
        self.assertEqual((got["null"], got["missing"], got["wrong_type"], got["non_finite"]), (1, 1, 3, 4))
        self.assertEqual(got["value"], 6)
        self.assertEqual(record["max"], 12345678901234567890123.0)
        self.assertEqual(record["min"], 0.50030100029945647326)
        self.assertEqual(summary["dead_letters"], 0)

    def test_what_is_no_record_becomes_a_dead_letter_with_its_reason(self):
        good = json.dumps({"ts": T0, "model": "m", "x": 1}).encode()
        bad = [(b"", "empty"), (b"[1,2]", "not_an_object"), (b'"text"', "not_an_object"), (b"7", "not_an_object"), (good[:-3], "not_json"),
               (b'{"ts":1}{"ts":2}', "not_json"), (b'{"ts":tru}', "not_json"), (b'{"model":"\xff"}', "not_utf8"), (b'{"a":"x\x01"}', "not_json"),
               (b"{\"ts\":%d,\"x\":01}" % T0, "not_json"), (b"nonsense", "not_json"), (b'{"model":"m"}', "event_time_missing"),
               (b'{"ts":null}', "event_time_missing"), (b'{"ts":"soon"}', "event_time_unreadable"), (b'{"ts":0}', "event_time_out_of_range"),
               (b'{"ts":3600000}', "event_time_out_of_range"), (b'{"ts":99999999999999999}', "event_time_out_of_range")]
        summary, out = run_lines([b for b, _ in bad] + [good + b"\r"], raw=True, name="bad")
        letters = out["t-dead-letters"]
        self.assertEqual([l["headers"]["reason"] for l in letters], [reason for _, reason in bad])
        self.assertEqual([int(l["headers"]["offset"]) for l in letters], list(range(len(bad))))
        self.assertEqual(letters[4]["value"], bad[4][0].decode())
        self.assertIn("value_base64", letters[7])
        self.assertEqual((summary["records"], summary["dead_letters"]), (len(bad) + 1, len(bad)))

    def test_rows_of_csv_give_what_the_same_records_in_json_give(self):
        rng = random.Random(5)
        names = ["free", "ts", "model", "x", "n", "flag"]
        rows = [{"free": rng.choice(["plain", "a, b", 'so "it" is', "", "café"]), "ts": T0 + i * 50, "model": rng.choice(["m", "m,2"]),
                 "x": rng.choice([None, rng.gauss(0, 3), rng.gauss(0, 1)]), "n": rng.randrange(9), "flag": rng.random() < 0.5} for i in range(6000)]
        topology = WORK / "csv.yaml"
        text = """name: t
source:
  file: unused
  clock: 2023-11-15T00:00:00Z
  schema: { ts: time_ms, model: model, x: number, n: integer, flag: boolean, free: category }
windows: [1m]
"""
        topology.write_text(text)
        wanted, out = run_lines(rows, topology, name="csv-json")
        self.assertEqual(wanted["dead_letters"], 0)
        def stripped(records):
            return {r["key"]: {**r["value"], "revision": ""} for r in records}
        want = stripped(out["t-aggregates"])
        self.assertGreater(len(want), 20)
        for separator, letter in (("comma", ","), ("semicolon", ";"), ("tab", "\t")):
            buffer = io.StringIO()
            writer = csv.writer(buffer, delimiter=letter, lineterminator="\n")
            writer.writerow(names)
            for row in rows:
                # Of an empty field nobody could say whether it is a text without letters: quotes do.
                writer.writerow([row[name] for name in names])
            body = "".join(line if not line.startswith(letter) else '""' + line for line in buffer.getvalue().splitlines(keepends=True))
            topology.write_text(text.replace("  schema:", f"  decode: {{ format: csv, columns: [{', '.join(names)}], separator: {separator} }}\n  schema:"))
            summary, out = run_lines([line.encode() for line in body.splitlines()] + [b'1"2', letter.encode() * 9], topology, name="csv", raw=True)
            self.assertEqual(stripped(out["t-aggregates"]), want)
            self.assertEqual([r["headers"]["reason"] for r in out["t-dead-letters"]], ["not_csv", "not_csv"])
            self.assertEqual((summary["records"], summary["tombstones"]), (len(rows) + 3, 1))

    def test_a_clock_that_jumps_ahead_is_quarantined_and_moves_nothing(self):
        rows = [{"ts": T0 + i * 100, "model": "m", "x": i} for i in range(600)]
        rows.insert(100, {"ts": T0 + 86_400_000, "model": "m", "x": 1})
        rows.insert(200, {"ts": 9_999_999_999_999, "model": "m", "x": 1})
        summary, out = run_lines(rows, name="jump")
        self.assertEqual((summary["quarantined"], summary["late"], summary["dead_letters"]), (2, 0, 0))
        self.assertEqual(sum(r["value"]["rows"]["total"] for r in out["t-aggregates"] if r["value"].get("column") == "x"), 600)

    def test_a_line_of_a_gigabyte_is_one_dead_letter_and_little_memory(self):
        size = 1 << 30
        out = WORK / "long-out"
        process = subprocess.Popen([TIDEMARK, "run", small(), "--input", "-", "--output", out, "--json"], cwd=ROOT, stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE, text=False)

        def feed():
            process.stdin.write(b'{"x":"')
            block = b"a" * (1 << 20)
            for _ in range(size >> 20):
                process.stdin.write(block)
            process.stdin.write(b'"}\n' + json.dumps({"ts": T0, "model": "m", "x": 1}).encode() + b"\n")
            process.stdin.close()
        threading.Thread(target=feed).start()
        summary = json.loads(process.stdout.read())
        process.stdout.close()
        self.assertEqual(process.wait(), 0)
        letter, = lines(out / "t-dead-letters.ndjson")
        self.assertEqual(letter["headers"]["reason"], "too_long")
        self.assertEqual(int(letter["headers"]["length"]), size + 8)
        self.assertEqual(len(letter["value"]), 64 << 10)
        self.assertEqual(summary["records"], 2)
        self.assertLess(summary["peak_memory_bytes"], 150e6)

    def test_an_empty_file_is_no_error(self):
        summary, out = run_lines([], name="empty")
        self.assertEqual((summary["records"], summary["windows"]), (0, 0))

    def test_topologies_choose_their_sketches(self):
        from datasketches import hll_sketch, kll_doubles_sketch
        from ddsketch.pb import ddsketch_pb2
        from ddsketch.pb.proto import DDSketchProto
        rng = random.Random(SEED)
        rows = [{"ts": T0 + i * 5, "model": "a", "x": rng.lognormvariate(0, 2), "y": 1e9 + rng.random(), "c": f"v{rng.randrange(3000)}"}
                for i in range(12_000)]
        text = SMALL.format(clock="2023-11-14T22:20:00Z").replace("x: number", "x: number, y: number") + (
            "summaries:\n"
            "  - { columns: x, quantiles: { sketch: ddsketch, relative_error: 0.5%, at: [1%, 50%, 99%] } }\n"
            "  - { columns: y, quantiles: { sketch: kll_f64, at: [50%] } }\n"
            "  - { columns: c, distinct: { registers: 4 } }\n"
            "outputs: { aggregates: { topic: t-aggregates, sketches: [kll, ddsketch, hll] } }\n")
        summary, out = run_lines(rows, topology(text, "sketches.yaml"), name="sketches")
        self.assertTrue(adds_up(summary, len(rows)))
        of = {r["value"]["column"]: r["value"] for r in out["t-aggregates"] if "column" in r["value"]}
        self.assertEqual({r["value"]["window"]["start"] for r in out["t-aggregates"]}, {T0})
        x, y = (sorted(r[c] for r in rows) for c in "xy")
        n = len(x)
        for name, share in (("p01", 0.01), ("p50", 0.5), ("p99", 0.99)):
            true = x[int(share * (n - 1))]
            self.assertLessEqual(abs(of["x"]["quantiles"][name] - true), 0.005 * true * (1 + 1e-9), name)
        # f32 knows no two of these apart: only f64 has a median.
        self.assertLess(abs(sum(v <= of["y"]["quantiles"]["p50"] for v in y) / n - 0.5), 0.0133)
        import base64
        sent = {r["key"].rsplit("/", 1)[1] + "-" + r["headers"]["item"]: base64.b64decode(r["value"]) for r in out["t-aggregates-sketches"]}
        self.assertEqual(set(sent), {"ddsketch-f64", "kll-f64", "hll-string"})
        proto = ddsketch_pb2.DDSketch()
        proto.ParseFromString(sent["ddsketch-f64"])
        peer = DDSketchProto.from_proto(proto)
        self.assertEqual(peer._store.count + peer._negative_store.count + peer._zero_count, n)
        peer._count = n
        self.assertLess(abs(peer.get_quantile_value(0.5) / of["x"]["quantiles"]["p50"] - 1), 1e-9)
        self.assertEqual(kll_doubles_sketch.deserialize(sent["kll-f64"]).n, n)
        four = hll_sketch.deserialize(sent["hll-string"])
        self.assertEqual(str(four.tgt_type).split(".")[-1], "HLL_4")
        self.assertLess(abs(four.get_estimate() / len({r["c"] for r in rows}) - 1), 0.08)
        shown = tidemark("inspect", WORK / "sketches-out/t-aggregates-sketches.ndjson").stdout
        for words in ("DDSketch, 12,000 values", "quantiles within 0.500%", "KLL quantiles of f64", "HyperLogLog (HLL_4)"):
            self.assertIn(words, shown)
        refused = tidemark("lint", topology(text.replace("sketch: ddsketch, ", ""), "refused.yaml"), ok=1)
        self.assertIn("`relative_error` is for ddsketch", refused.stdout + refused.stderr)

    def test_sketches_by_the_logarithm_merge_into_what_python_makes(self):
        import base64
        from ddsketch import DDSketch
        from ddsketch.pb import ddsketch_pb2
        from ddsketch.pb.proto import DDSketchProto
        rng = random.Random(SEED + 17)
        values = [rng.choice((1, 1, -1)) * rng.lognormvariate(3, 1.5) for _ in range(9_000)] + [0.0] * 20
        # Two windows and a notebook's own values, in one sketch.
        rows = [{"ts": T0 + i * 13, "model": "a", "x": v, "c": "q"} for i, v in enumerate(values)]
        text = SMALL.format(clock="2023-11-14T22:20:00Z") + (
            "summaries: [{ columns: x, quantiles: { sketch: ddsketch, relative_error: 2%%, mapping: %s } }]\n"
            "outputs: { aggregates: { topic: t-aggregates, sketches: ddsketch } }\n")
        own = [rng.lognormvariate(3, 1.5) for _ in range(4_000)]
        exact = sorted(values + own)
        off, bytes_of = {}, {}
        for mapping in ("log", "cubic"):
            _, out = run_lines(rows, topology(text % mapping, f"{mapping}.yaml"), name=f"mapping-{mapping}")
            sent = out["t-aggregates-sketches"]
            self.assertEqual({r["headers"]["mapping"] for r in sent}, {mapping})
            self.assertGreaterEqual(len(sent), 2)
            usual = DDSketch(0.02)
            for value in own:
                usual.add(value)
            for r in sent:
                proto = ddsketch_pb2.DDSketch()
                proto.ParseFromString(base64.b64decode(r["value"]))
                usual.merge(DDSketchProto.from_proto(proto))
            self.assertEqual(usual.count, len(exact))
            off[mapping] = max(abs(usual.get_quantile_value(i / 50) - t) / abs(t)
                               for i in range(51) for t in [exact[int(i / 50 * (len(exact) - 1))]] if t)
            bytes_of[mapping] = sent
            first = sorted(r["x"] for r in rows if T0 <= r["ts"] < T0 + 60_000)
            window = next(r["value"] for r in out["t-aggregates"] if r["value"].get("column") == "x" and r["value"]["window"]["start"] == T0)
            true = first[int(0.5 * (len(first) - 1))]
            self.assertLessEqual(abs(window["quantiles"]["p50"] - true), 0.02 * abs(true) * (1 + 1e-9), mapping)
        self.assertLessEqual(off["log"], 0.02 * (1 + 1e-9))
        # What the key is there for: the other bins merge without a word, and wrongly.
        self.assertGreater(off["cubic"], 0.03)
        self.assertIn("bins by the logarithm", tidemark("inspect", WORK / "mapping-log-out/t-aggregates-sketches.ndjson").stdout)
        for wrong, why in (("mapping: log", "`mapping` is for ddsketch"), ("sketch: ddsketch, mapping: lgo", "`log`")):
            bad = text.replace("sketch: ddsketch, relative_error: 2%%, mapping: %s", wrong)
            self.assertIn(why, tidemark("lint", topology(bad.replace("%%", "%"), "mapping.yaml"), ok=1).stdout)

    def test_no_result_is_larger_than_the_plan_says(self):
        rng = random.Random(SEED + 3)
        base = SMALL.format(clock="2023-11-14T22:20:00Z").replace("x: number", "x: number, y: number, s: segment")
        text = base + (
            "summaries:\n  - { columns: [x, y], correlation: true, log_linear: true, sample: 2000, shape: true, decay: 1m }\n"
            "  - { columns: c, counts: 400, top: 100 }\n"
            "outputs: { aggregates: { topic: t-aggregates, sketches: [kll, hll, frequent, correlation, moments] } }\n")
        long = ["".join(rng.choices("äöü€abc", k=9000)) for _ in range(60)]
        rows = [{"ts": T0 + i * 10, "model": "m" * 1000, "s": "ß" * 500, "x": rng.choice((1, -1)) * 10 ** rng.uniform(-300, 300), "y": rng.random(),
                 "c": long[i % 60]} for i in range(3000)]
        path = topology(text, "largest.yaml")
        plan = json.loads(tidemark("plan", path, "--json").stdout)["largest"]
        _, out = run_lines(rows, path, name="largest")
        import base64
        sent = max(len(json.dumps(r["value"], ensure_ascii=False, separators=(",", ":")).encode()) + len(r["key"]) for r in out["t-aggregates"])
        self.assertGreater(sent, 200_000)
        self.assertLessEqual(sent, plan["aggregate_bytes"])
        sketch = max(len(base64.b64decode(r["value"])) for r in out["t-aggregates-sketches"])
        self.assertGreater(sketch, 500_000)
        self.assertLessEqual(sketch, plan["sketch_bytes"])
        self.assertIn("largest   an aggregate of", tidemark("plan", path).stdout)
        self.assertNotIn("largest ", tidemark("plan", topology(base, "usual.yaml")).stdout)

    def test_summaries_agree_with_an_exact_computation(self):
        import base64
        import numpy
        rng = numpy.random.default_rng(SEED)
        n = 24_000
        x = rng.gamma(2, 3, n) - 2
        y = 0.6 * x + rng.normal(1e6, 2, n)
        z = rng.normal(0, 1, n)
        c = rng.zipf(1.6, n) % 40
        # Two minutes and two models; times go back and forth; a value is missing here and there.
        ts = T0 + numpy.arange(n) * 5 + rng.integers(-900, 900, n)
        ts = numpy.clip(ts, T0, T0 + 119_999)
        model = rng.integers(0, 2, n)
        lacks = rng.random(n) < 0.02
        rows = []
        for i in range(n):
            row = {"ts": int(ts[i]), "model": "ab"[model[i]], "x": float(x[i]), "y": float(y[i]), "z": float(z[i]), "c": f"v{c[i]}"}
            if lacks[i]:
                del row["y"]
            rows.append(row)
        text = SMALL.format(clock="2023-11-14T22:20:00Z").replace("x: number", "x: number, y: number, z: number") + (
            "pane: 10s\n"
            "summaries:\n"
            "  - { columns: [x, y, z], shape: true, decay: 20s, log_linear: true, sample: 50, correlation: true }\n"
            "  - { columns: z, histogram: { edges: [-2, -1, 0, 0.5, 2] } }\n"
            "  - { columns: [x, z], correlation: true }\n"
            "  - { columns: c, counts: 100 }\n"
            "outputs: { aggregates: { topic: t-aggregates, sketches: [moments, correlation, decayed, log_linear, counts, sample, histogram] } }\n")
        topo = topology(text, "summaries.yaml")
        summary, out = run_lines(rows, topo, name="summaries")
        self.assertTrue(adds_up(summary, n))
        seen = 0
        value = {"x": x, "y": numpy.where(lacks, numpy.nan, y), "z": z}
        for record in (r["value"] for r in out["t-aggregates"] if "column" in r["value"]):
            start, end = record["window"]["start"], record["window"]["end"]
            at = (ts >= start) & (ts < end) & (model == "ab".index(record["group"]["model"]))
            name = record["column"]
            if name == "c":
                exact = collections.Counter(f"v{v}" for v in c[at])
                self.assertEqual({v["value"]: v["count"] for v in record["counts"]["values"]}, dict(exact))
                self.assertEqual(record["counts"]["other"], 0)
                counted = [v["count"] for v in record["counts"]["values"]]
                self.assertEqual(counted, sorted(counted, reverse=True))
                seen += 1
                continue
            kept = at & ~numpy.isnan(value[name])
            v = value[name][kept]
            centred = v - v.mean()
            second, third, fourth = ((centred**k).mean() for k in (2, 3, 4))
            self.assertLess(abs(record["skewness"] - third / second**1.5), 1e-9)
            self.assertLess(abs(record["kurtosis"] - fourth / second**2), 1e-9)
            w = numpy.exp2(-(end - ts[kept]) / 20_000)
            mean = numpy.average(v, weights=w)
            decayed = record["decayed"]
            self.assertEqual(decayed["half_life_ms"], 20_000)
            self.assertLess(abs(decayed["mean"] / mean - 1), 1e-12)
            self.assertLess(abs(decayed["sd"] / numpy.sqrt(numpy.average((v - mean) ** 2, weights=w)) - 1), 1e-9)
            rate = w.sum() * numpy.log(2) / 20 / (1 - 2 ** -3)
            self.assertLess(abs(decayed["rate"] / rate - 1), 1e-9)
            self.assertLess(abs(rate / 100 - 1), 0.2)
            bins = record["log_linear"]
            for sign, side in ((1, "positive"), (-1, "negative")):
                size = sign * v[sign * v > 0]
                exponent = numpy.floor(numpy.log2(size)).astype(int)
                code = 32 * exponent + numpy.floor((size / numpy.exp2(exponent) - 1) * 32).astype(int)
                exact = {int(b): int(k) for b, k in zip(*numpy.unique(code, return_counts=True))}
                told = {} if side not in bins else {bins[side]["first"] + i: k for i, k in enumerate(bins[side]["counts"]) if k}
                self.assertEqual(told, exact)
            # The rows it names are there, are of this group, and no row comes twice.
            self.assertEqual(len(record["sample"]), 50)
            self.assertEqual(len({r["offset"] for r in record["sample"]}), 50)
            for row in record["sample"]:
                self.assertTrue(at[row["offset"]])
                self.assertEqual((row["partition"], row["value"]), (0, value[name][row["offset"]]))
            pairs = [(p["with"], p["n"], p["covariance"], p["correlation"]) for p in record["correlation"]]
            expected = []
            for columns in (["x", "y", "z"], ["x", "z"]):
                if name not in columns:
                    continue
                whole = at & ~numpy.isnan(value["y"]) if "y" in columns else at
                for other in columns:
                    if other != name:
                        pair = [value[name][whole], value[other][whole]]
                        expected.append((other, int(whole.sum()), numpy.cov(*pair)[0, 1], numpy.corrcoef(*pair)[0, 1]))
            self.assertEqual([p[:2] for p in pairs], [e[:2] for e in expected])
            for told, exact in zip(pairs, expected):
                scale = numpy.std(value[name][kept]) * numpy.nanstd(value[told[0]])
                self.assertLess(abs(told[2] - exact[2]) / scale, 1e-9)
                self.assertLess(abs(told[3] - exact[3]), 1e-9)
            seen += 1
        self.assertEqual(seen, 2 * 2 * 4)
        # The same whatever the batches and the number of groups that fold beside it.
        for rows_at_once in (7, 4096):
            out2 = WORK / f"summaries-{rows_at_once}"
            tidemark("run", topo, "--input", WORK / "summaries.ndjson", "--output", out2, "--until-end", "--quiet", "--set", f"run.batch_rows={rows_at_once}")
            for topic in ("t-aggregates", "t-aggregates-sketches"):
                self.assertEqual((out2 / f"{topic}.ndjson").read_text(), (WORK / "summaries-out" / f"{topic}.ndjson").read_text(), topic)
        sent = out["t-aggregates-sketches"]
        self.assertEqual({r["key"].rsplit("/", 1)[1] for r in sent},
                         {"moments", "correlation", "correlation-2", "decayed", "log_linear", "counts", "sample", "histogram"})
        self.assertEqual({r["headers"]["columns"] for r in sent if "correlation" in r["key"]}, {"x,y,z", "x,z"})
        shown = tidemark("inspect", "--most", "1000", WORK / "summaries-out/t-aggregates-sketches.ndjson").stdout
        for words in ("skewness", "Covariances of 3 columns", "half-life 20s", "Log-linear histogram of", "Exact counts:", "Sample of 50 records", "values in 4 bins from -2.000 to 2.000"):
            self.assertIn(words, shown)
        shown = tidemark("inspect", "--most", "1000", WORK / "summaries-out/t-aggregates.ndjson").stdout
        for words in ("skewness", "correlation with", "half-life 20s", "sample"):
            self.assertIn(words, shown)
        done = subprocess.run([PYTHON, ROOT / "Benchmarks/validate.py", ROOT / "docs/schemas/aggregate.schema.json", WORK / "summaries-out/t-aggregates.ndjson"],
                              capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        for wrong, words in (("columns: x, correlation: true", "2 to 64 columns"), ("columns: c, shape: true", "`shape` is for numbers"),
                             ("columns: x, counts: 5", "`counts` is for categories"), ("columns: x, sample: 20000", "10000")):
            base = SMALL.format(clock="2023-11-14T22:20:00Z")
            refused = tidemark("lint", topology(base + f"summaries:\n  - {{ {wrong} }}\n", "wrong.yaml"), ok=1)
            self.assertIn(words, (refused.stdout + refused.stderr).replace(",000", "000"))

    def test_inspect_prints_the_bytes_of_every_sketch(self):
        from datasketches import PyLongsSerDe, frequent_items_sketch, frequent_strings_sketch, kll_floats_sketch
        kll, strings, integers = kll_floats_sketch(200), frequent_strings_sketch(5), frequent_items_sketch(5)
        for i in range(1_000):
            kll.update(float(i))
            strings.update(f"v{i % 3}")
            integers.update(-(i % 3))
        head = lambda family, parameter: struct.pack("<BBBBI", 1, 1, family, 0, parameter)
        cases = {
            kll.serialize(): "KLL quantiles of f32, k 200, 1,000 values",
            strings.serialize(): "v0  334",
            integers.serialize(PyLongsSerDe()): "-1  333",
            head(101, 1) + struct.pack("<Q5dd", 0, 2, 0, 0, 0, 0, 2): "Moments of 1 values, mean 2.000",
            head(102, 1) + struct.pack("<Q3d", 2, 5, 0, 8): "Covariances of 1 columns, 2 rows",
            head(103, 0) + struct.pack("<qq3d", 60_000, 1, 1, 3, 0): "half-life 60s, weight 1.000, mean 3.000",
            head(104, 5) + bytes([7, 0, 0]): "Log-linear histogram of 7 values",
            head(105, 2) + bytes([4, 5]) + struct.pack("<2d", 0, 1) + bytes([1, 2, 3]): "6 values in 1 bins from 0.000 to 1.000, 4 null, 5 other",
            head(106, 9) + struct.pack("<Q", 1) + struct.pack("<Qqid", 3, 17, 2, 0.5): "2/17  0.500",
            head(107, 9) + bytes([0, 1, 3, 2]) + b"ab": "ab  3",
        }
        for data, words in cases.items():
            path = WORK / "sketch.bin"
            path.write_bytes(data)
            self.assertIn(words, tidemark("inspect", path).stdout)
            path.write_bytes(data[:-1])
            tidemark("inspect", path, ok=1)

    def test_every_output_is_of_the_promised_shape(self):
        data = w1(400_000, 20240611)
        base = WORK / "first10.json"
        if not base.exists():
            tidemark("baseline", "build", "--from", data, "--by", "model", "--windows", "10", "--output", base)
        out = WORK / "shape-out"
        tidemark("run", "topologies/w1-drift.yaml", "--input", data, "--output", out, "--until-end", "--quiet", "--set", f"baselines.training.file={base}")
        for topic, schema in (("w1-drift-aggregates", "aggregate"), ("w1-drift-alerts", "alert")):
            done = subprocess.run([PYTHON, ROOT / "Benchmarks/validate.py", ROOT / f"docs/schemas/{schema}.schema.json", out / f"{topic}.ndjson"],
                                  capture_output=True, text=True)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        shown = tidemark("inspect", out / "w1-drift-alerts.ndjson").stdout
        self.assertIn("differs from training", shown)

def verdicts_of(out, monitor="drift"):
    return [(v["value"]["window"]["start"], w) for v in out for w in v["value"].get("verdicts", []) if w["monitor"] == monitor]


class Sight(unittest.TestCase):
    """What a verdict can be trusted with: baselines that see, groups that have one, alerts that end."""

    TOPOLOGY = """name: t
source:
  topic: t
  clock: {clock}
  out_of_orderness: 2s
  schema: {{ ts: time_ms, model: model, x: number }}
windows: [{windows}]
{more}"""

    def plan(self, more="", name="sight.yaml", windows="1m", clock="2023-11-14T22:20:00Z"):
        return topology(self.TOPOLOGY.format(more=more, windows=windows, clock=clock), name)

    def built(self, values, *flags, by="model"):
        rows = [{"ts": T0 + i, "model": m, "x": v} for m, vs in values.items() for i, v in enumerate(vs)]
        data = WORK / "reference.ndjson"
        data.write_text("".join(json.dumps(r) + "\n" for r in rows))
        done = tidemark("baseline", "build", "--from", data, "--by", by, "--topology", self.plan(name="plain.yaml"), "--output", WORK / "b.json", *flags)
        return done.stderr

    def judged(self, values, more="monitors: { volume: off }"):
        rows = [{"ts": T0 + i * 25, "model": m, "x": v} for m, vs in values.items() for i, v in enumerate(vs)]
        summary, out = run_lines(rows, self.plan(f"baselines: {{ training: {{ file: b.json }} }}\n{more}\n"), name="sight")
        return summary, out["t-aggregates"]

    SHAPES = [
        ("zeros 97%", lambda r, i: 0 if i % 33 else r.gauss(3, 1), lambda r, i: 0 if i % 6 else r.gauss(3, 1)),
        ("a constant", lambda r, i: -4.5, lambda r, i: -4.25),
        ("a constant and noise", lambda r, i: 0, lambda r, i: r.gauss(0, 1e-4)),
        ("Pareto", lambda r, i: r.paretovariate(1.1), lambda r, i: 1.6 * r.paretovariate(1.1)),
        ("Cauchy", lambda r, i: math.tan(math.pi * (r.random() - 0.5)), lambda r, i: 1.2 + math.tan(math.pi * (r.random() - 0.5))),
        ("lognormal", lambda r, i: math.exp(r.gauss(0, 2)), lambda r, i: 2 * math.exp(r.gauss(0, 2))),
        ("two sentinels", lambda r, i: [-1, 1e7][i % 2] if i % 50 < 2 else r.gauss(100, 3), lambda r, i: [-1, 1e7][i % 2] if i % 50 < 2 else r.gauss(103, 3)),
        ("few integers", lambda r, i: r.choice([0, 1, 1, 2, 5]), lambda r, i: r.choice([0, 1, 2, 2, 5])),
        ("nulls", lambda r, i: None if i % 10 < 3 else r.gauss(0, 1), lambda r, i: None if i % 10 < 3 else r.gauss(0.6, 1)),
    ]

    def test_bins_tell_values_apart_and_leave_what_is_alike_alone(self):
        r = random.Random(SEED)
        for flags in ((), ("--edges", "quantile")):
            for name, then, now in self.SHAPES:
                said = self.built({"m": [then(r, i) for i in range(6000)]}, *flags)
                self.assertNotIn("warning", said, name)
                _, out = self.judged({"m": [now(r, i) for i in range(2000)]})
                self.assertEqual(["drift"], [v["verdict"] for _, v in verdicts_of(out)], f"{name} {flags} seed {SEED}")
                _, out = self.judged({"m": [then(r, i) for i in range(2000)]})
                self.assertEqual(["ok"], [v["verdict"] for _, v in verdicts_of(out)], f"{name} {flags} seed {SEED}")

    def test_a_baseline_that_cannot_see_is_named_and_says_blind(self):
        r = random.Random(SEED)
        for name, then, now in self.SHAPES[1:2] + self.SHAPES[3:7]:
            said = self.built({"m": [then(r, i) for i in range(6000)]}, "--edges", "equal")
            self.assertIn("warning: `x` can't be told apart", said, name)
            self.assertIn("BLIND", tidemark("baseline", "show", WORK / "b.json").stdout)
            linted = tidemark("lint", self.plan("baselines: { training: { file: b.json } }\n"), ok=None)
            self.assertIn("baseline-blind", linted.stdout + linted.stderr)
            _, out = self.judged({"m": [now(r, i) for i in range(2000)]})
            self.assertIn([v["verdict"] for _, v in verdicts_of(out)], (["blind"], ["drift"]), name)
            _, out = self.judged({"m": [then(r, i) for i in range(2000)]})
            self.assertEqual(["blind"], [v["verdict"] for _, v in verdicts_of(out)], name)

    def test_a_learned_baseline_in_bins_that_the_data_miss_says_blind(self):
        r = random.Random(SEED)
        plan = self.plan("monitors: { lately: { drift: [x], against: { trailing: 10m }, windows: [1m] }, volume: off }\n".replace("x]", "x]"), name="miss.yaml")
        plan.write_text(plan.read_text().replace("x: number", "x: { type: number, expect: { range: [0, 1] } }"))
        plan.write_text(plan.read_text().replace("22:20:00Z", "22:40:00Z"))
        rows = [{"ts": T0 + i * 100, "model": "m", "x": r.gauss(500 if i < 9000 else 900, 10)} for i in range(12_000)]
        _, out = run_lines(rows, plan, name="miss")
        said = {v["verdict"] for _, v in verdicts_of(out["t-aggregates"], "lately")}
        self.assertIn("blind", said)
        self.assertFalse(said & {"ok", "drift"}, said)
        # Why, and what would be right, is said once.
        done = tidemark("run", plan, "--input", WORK / "miss.ndjson", "--output", WORK / "miss-out", "--until-end", ok=None)
        self.assertEqual(done.stderr.count("lie above the bins of a learned baseline"), 1, done.stderr)
        line, = [line for line in done.stderr.split("\n") if "above the bins" in line]
        for word in ("monitor=lately", "column=x", "share=1.0", 'bins="0.0 to 1.0"'):
            self.assertIn(word, line)
        values = re.search(r'values="([0-9.]+) to ([0-9.]+)"', line)
        self.assertTrue(450 < float(values[1]) < 490 and 510 < float(values[2]) < 550, line)
        # In bins that hold the values drift is found, and nothing is said.
        plan.write_text(plan.read_text().replace("range: [0, 1]", "range: [450, 950]"))
        done = tidemark("run", plan, "--input", WORK / "miss.ndjson", "--output", WORK / "miss-out", "--until-end", ok=None)
        self.assertNotIn("learned baseline", done.stderr)
        self.assertIn("drift", {v["verdict"] for _, v in verdicts_of(lines(WORK / "miss-out/t-aggregates.ndjson"), "lately")})

    def test_a_group_that_the_file_lacks_has_no_baseline_unless_it_falls_back(self):
        r = random.Random(SEED)
        self.built({"m": [r.gauss(0, 1) for _ in range(3000)], "n": [r.gauss(1, 1) for _ in range(3000)]}, "--pooled")
        new = {"m": [r.gauss(0, 1) for _ in range(1000)], "other": [r.gauss(9, 1) for _ in range(1000)]}
        summary, out = self.judged(new)
        by_group = {v["value"]["group"]["model"]: w["verdict"] for v in out for w in v["value"].get("verdicts", [])}
        self.assertEqual({"m": "ok", "other": "no_baseline"}, by_group)
        _, out = self.judged(new, "monitors: { volume: off, drift: { drift: all, fallback: pooled } }")
        by_group = {v["value"]["group"]["model"]: w["verdict"] for v in out for w in v["value"].get("verdicts", [])}
        self.assertEqual({"m": "ok", "other": "drift"}, by_group)
        # A segment that the file knows nothing of is named; so is a fallback that is not there.
        self.built({"m": [r.gauss(0, 1) for _ in range(3000)]})
        linted = tidemark("lint", self.plan("baselines: { training: { file: b.json } }\nsegments: { all: { by: [] }, models: { by: [model] } }\n"), ok=None)
        self.assertRegex(linted.stdout + linted.stderr, "no groups of segment `all`.*no_baseline")
        linted = tidemark("lint", self.plan("baselines: { training: { file: b.json } }\nmonitors: { drift: { drift: all, fallback: pooled } }\n"), ok=None)
        self.assertIn("fallback-missing", linted.stdout + linted.stderr)

    def test_an_outage_is_not_learned_while_its_alert_is_open(self):
        r = random.Random(SEED)
        # Five hours of rows; none of model a from the second hour to the end of the fourth.
        rows = [{"ts": T0 + i * 5000, "model": m, "x": r.gauss(0, 1)} for i in range(3600 * 5 // 5) for m in "ab" if m == "b" or not 720 <= i < 2880]
        plan = self.plan("monitors: { volume: { drop: 80%, against: { trailing: 1h } }, quality: off, freshness: off }\n", name="outage.yaml", windows="5m", clock="2023-11-15T22:20:00Z")
        _, out = run_lines(rows, plan, name="outage")
        alerts = [(v["headers"]["ce_type"].split(".")[-1], (v["value"]["window"]["end"] - T0) / 3600_000) for v in out["t-alerts"]]
        self.assertEqual(["firing", "resolved"], [a for a, _ in alerts])
        self.assertTrue(1 < alerts[0][1] < 1.3 and 4 < alerts[1][1] < 4.4, alerts)
        # It is published when it falls silent and when the verdict changes, not in each of 36 windows.
        silent = [v for v in out["t-aggregates"] if v["value"]["group"]["model"] == "a" and v["value"]["rows"]["total"] == 0]
        self.assertLess(len(silent), 4)

    def test_drift_is_not_learned_while_its_alert_is_open_but_is_after_a_while(self):
        r = random.Random(SEED)
        def run(more, hours):
            rows = [{"ts": T0 + i * 500, "model": "m", "x": r.gauss(4 if 7200 <= i < hours * 7200 else 0, 1)} for i in range(7200 * 6)]
            plan = self.plan("monitors: { lately: { drift: [x], against: { trailing: 30m }, clear_for: 1 of 1" + more + " }, quality: off, volume: off, freshness: off }\n", name="taught.yaml", windows="5m", clock="2023-11-15T22:20:00Z")
            plan.write_text(plan.read_text().replace("x: number", "x: { type: number, expect: { range: [-8, 8] } }"))
            _, out = run_lines(rows, plan, name="taught")
            return [(v["headers"]["ce_type"].split(".")[-1], (v["value"]["window"]["end"] - T0) / 3600_000, v["value"].get("reason")) for v in out["t-alerts"]]
        alerts = run("", 4)
        self.assertEqual(["firing", "resolved"], [a for a, _, _ in alerts])
        self.assertTrue(4 <= alerts[1][1] < 4.3, alerts)
        alerts = run(", resolve_after: 1h", 6)
        self.assertEqual([("firing", None), ("resolved", "learned")], [(a, w) for a, _, w in alerts])
        self.assertTrue(2 < alerts[1][1] < 3, alerts)

    def test_the_alert_of_a_group_that_is_gone_resolves_and_says_why(self):
        r = random.Random(SEED)
        self.built({m: [r.gauss(0, 1) for _ in range(3000)] for m in "mn"})
        rows = [{"ts": T0 + i * 500, "model": m, "x": r.gauss(3 if m == "m" else 0, 1)} for i in range(7200 * 4) for m in "mn" if m == "n" or i < 7200]
        for more, end in ((", resolve_after: 90m", 2.5), ("", None)):
            plan = self.plan("baselines: { training: { file: b.json } }\nmonitors: { drift: { drift: all" + more + " }, volume: off, freshness: off }\n", name="gone.yaml", windows="5m", clock="2023-11-15T22:20:00Z")
            _, out = run_lines(rows, plan, name="gone")
            alerts = [(v["headers"]["ce_type"].split(".")[-1], (v["value"]["window"]["end"] - T0) / 3600_000, v["value"].get("reason")) for v in out["t-alerts"]]
            self.assertEqual("firing", alerts[0][0])
            if end:
                self.assertEqual(("resolved", "expired"), (alerts[1][0], alerts[1][2]))
                # From the last window that had rows enough for a verdict.
                self.assertTrue(end - 0.1 <= alerts[1][1] < end + 0.1, alerts)
            self.assertEqual(2 if end else 1, len(alerts))

    def test_quantiles_lie_between_the_least_and_the_greatest_value(self):
        r = random.Random(SEED)
        columns = {
            "constant": lambda i: 0.7, "large": lambda i: 123456789 + i % 2, "wide": lambda i: 1e300 * r.random(),
            "tiny": lambda i: 1e-60 * (1 + i % 3), "mixed": lambda i: r.gauss(0, 1), "negative": lambda i: -0.3,
            "far": lambda i: 1.7e308 if i % 2 else -1.7e308,
        }
        for sketch in ("kll", "kll_f64", "ddsketch"):
            plan = topology(f"""name: t
source: {{ topic: t, clock: 2023-11-14T22:20:00Z, out_of_orderness: 2s, schema: {{ ts: time_ms, model: model, {", ".join(f"{c}: number" for c in columns)} }} }}
windows: [1m]
summaries: [ {{ columns: numbers, quantiles: {{ sketch: {sketch} }} }} ]
monitors: {{ drift: off, quality: off, volume: off, freshness: off }}
""", "between.yaml")
            rows = [{"ts": T0 + i, "model": "m", **{c: f(i) for c, f in columns.items()}} for i in range(2000)]
            _, out = run_lines(rows, plan, name="between")
            schema = json.loads((ROOT / "docs/schemas/aggregate.schema.json").read_text())
            for line in out["t-aggregates"]:
                v = line["value"]
                jsonschema.validate(v, schema)
                self.assertEqual(7, len(v["quantiles"]), f"{sketch} {v['column']}")
                for q in v["quantiles"].values():
                    self.assertTrue(v["min"] <= q <= v["max"], f"{sketch} {v['column']}: {q}")
                self.assertEqual(sketch == "kll" and v["column"] in ("wide", "far"), v.get("quantiles_overflow", False), v["column"])
        raw = (WORK / "between-out" / "t-aggregates.ndjson").read_text()
        self.assertNotIn("0.10000000149011612", raw)

    def test_f32_quantiles_are_written_by_their_shortest_digits(self):
        rows = [{"ts": T0 + i, "model": "m", "x": i / 10, "c": "a"} for i in range(200)]
        run_lines(rows, name="digits")
        raw = (WORK / "digits-out" / "t-aggregates.ndjson").read_text()
        quantiles = re.search('"quantiles":{([^}]*)}', raw).group(1)
        self.assertTrue(all(len(q.split(":")[1]) <= 4 for q in quantiles.split(",")), quantiles)

    def test_groups_that_come_and_go_cost_what_they_hold_and_are_said(self):
        # 5 new names a minute for eight hours, seen once each.
        rows = [{"ts": T0 + m * 60000 + j * 2000, "model": f"g{m}-{j % 5}", "x": j} for m in range(480) for j in range(30)]
        plan = self.plan(name="passing.yaml", clock="2023-11-15T22:20:00Z")
        data = WORK / "passing.ndjson"
        data.write_text("".join(json.dumps(r) + "\n" for r in rows))
        shutil.rmtree(WORK / "passing-out", ignore_errors=True)
        done = tidemark("run", plan, "--input", data, "--output", WORK / "passing-out", "--until-end", "--json", ok=None)
        summary = json.loads(done.stdout)
        # A column, the group as a whole, and one record when it falls silent.
        self.assertLess(summary["aggregates"], 3.1 * 2400 + 100)
        self.assertLess(summary["peak_memory_bytes"], 200 << 20)
        self.assertIn("do not come back", done.stderr)


class Messages(unittest.TestCase):
    def refuses(self, code, args, *words):
        done = tidemark(*args, ok=None)
        said = done.stdout + done.stderr
        self.assertEqual(done.returncode, code, said)
        for word in words:
            self.assertIn(word, said)

    def lint(self, text, *words):
        self.refuses(1, ["lint", topology(text, "bad.yaml")], *words)

    def test_usage(self):
        self.refuses(2, ["rum"], "no verb `rum`", "tidemark run")
        self.refuses(2, ["run"], "needs TOPOLOGY")
        self.refuses(2, ["run", "t.yaml", "--untl-end"], "--until-end")
        self.refuses(2, ["run", "t.yaml", "--input"], "needs a value")
        self.refuses(2, ["baseline", "bild"], "build")
        # What only `baseline` has, and what `init` takes once.
        self.refuses(2, ["init", "--from", "a.ndjson", "--column", "x"], "--column")
        self.refuses(2, ["init", "--from", "a.ndjson", "--from", "b.ndjson"], "given twice")

    def test_files(self):
        self.refuses(3, ["run", WORK / "none.yaml"], "none.yaml", "No such file")
        self.refuses(3, ["run", WORK], "irectory")
        self.refuses(4, ["run", small(), "--input", WORK, "--output", WORK / "o", "--until-end"], "is a directory")
        self.refuses(4, ["run", small(), "--input", WORK / "none", "--output", WORK / "o", "--until-end"], "No such file")
        (WORK / "plain").write_text("x")
        data = WORK / "one.ndjson"
        data.write_text("{}\n")
        self.refuses(4, ["run", small(), "--input", data, "--output", WORK / "plain/o", "--until-end"], "cannot make the directory")
        self.refuses(3, ["lint", topology("", "empty.yaml")][:1] and ["run", topology("", "empty.yaml")], "empty.yaml")

    def test_topologies(self):
        base = SMALL.format(clock="2023-11-14T22:20:00Z")
        self.lint(base + "monitors: &a { quality: off }\nlabels: *a\n", "anchor")
        self.lint(base.replace("windows: [1m]", "windows: [5m every 2m]"), "5m is not a multiple of 2m")
        self.lint(base + "segmens: 1\n", "`segmens` is not a key", "segments")
        self.lint(base + "windows: [2m]\n", "is already there")
        self.lint(base + "monitors: { m: { drfit: all } }\n", "drift")
        self.lint(base + "monitors: { m: { detect: x } }\n", "later version")
        self.lint(base + "baselines: { b: { file: none.json } }\n", "none.json", "No such file")
        (WORK / "other.json").write_text('{"format":"something-else"}')
        self.lint(base + "baselines: { b: { file: other.json } }\n", "is not a baseline")
        self.lint(base + "run: { delivery: exactly_onec }\n", "exactly_once")
        self.lint("a: " + "[" * 10_000, "bad.yaml:1:")
        self.lint(base + "kafka: { sasl: { mechanism: PLAIN, username: u, password: hunter2 } }\n", "secret")
        self.assertNotIn("hunter2", tidemark("lint", WORK / "bad.yaml", ok=1).stdout)

    def test_shipped_topologies_lint_and_plan(self):
        for path in sorted((ROOT / "topologies").glob("*.yaml")):
            tidemark("lint", path)
            self.assertIn("reads", tidemark("plan", path).stdout)

    def test_unreachable_broker(self):
        started = time.monotonic()
        self.refuses(4, ["run", small(), "--set", "kafka.brokers=127.0.0.1:1"], "127.0.0.1:1")
        self.assertLess(time.monotonic() - started, 20)


@unittest.skipUnless(os.access(KAFKA, os.X_OK), f"no Kafka script at {KAFKA}")
class Kafka(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.broker = Broker(WORK / "kafka")
        cls.environment, cls.brokers = cls.broker.environment, cls.broker.address
        cls.data = w1(200_000, 20240611)
        cls.kafka("topics", "--create", "--topic", "w1", "--partitions", "4")
        subprocess.run([ROOT / ".build/release/kafka-bench", "load", cls.brokers, "w1", cls.data], check=True, stdout=subprocess.DEVNULL)

    @classmethod
    def tearDownClass(cls):
        cls.broker.wipe()

    @classmethod
    def kafka(cls, *args):
        return cls.broker.kafka(*args, check=False)

    def arguments(self, tag, *more, make=True, topology="w1"):
        topics = {"aggregates": f"{tag}-aggregates", "alerts": f"{tag}-alerts", "dead_letters": f"{tag}-dead"}
        if make:
            for topic in topics.values():
                self.kafka("topics", "--create", "--topic", topic, "--partitions", "2")
            self.kafka("topics", "--create", "--topic", f"{tag}-state", "--partitions", "1", "--config", "cleanup.policy=compact")
        outputs = f"{{ aggregates: {{ topic: {topics['aggregates']}, sketches: [] }}, alerts: {topics['alerts']}, dead_letters: {topics['dead_letters']} }}"
        return ["run", f"topologies/{topology}.yaml", "--set", f"app={tag}", "--set", f"outputs={outputs}", "--set", "run.commit=100ms",
                "--set", "source.alignment=10s", *more]

    def read(self, topic):
        """What a read_committed reader sees: values by key, in order. What differs in the revision alone is the same."""
        found = collections.defaultdict(list)
        for line in self.kafka("consume", "--topic", topic, "--from-beginning", "--timeout-ms", "4000", "--property", "print.key=true",
                               "--isolation-level", "read_committed").split("\n"):
            if "\t" in line:
                key, value = line.split("\t", 1)
                found[key].append(re.sub(r'"revision":"[0-9a-f]*"', "", value))
        return found

    def test_from_kafka_to_files_w1_agrees(self):
        for workers in (1, 2):
            out = WORK / f"kafka-out-{workers}"
            # Partitions wait for one another all the time: none may lose a row by it.
            run = tidemark("run", "topologies/w1.yaml", "--output", out, "--until-end", "--json", "--set", f"app=files-{workers}",
                           "--set", f"run.workers={workers}", "--set", "source.alignment=2s", env=self.environment)
            # A late row would mean that the topic is out of order, an offset without a record that one was lost.
            summary = json.loads(run.stdout)
            self.assertEqual([summary[name] for name in ("records", "late", "dead_letters", "offsets_without_record", "late_partials")],
                             [200_000, 0, 0, 0, 0])
            done = subprocess.run([PYTHON, ROOT / "Benchmarks/w1_check.py", self.data, ROOT / "Benchmarks/w1.ref.json", out / "w1-aggregates.ndjson",
                                   "--sketches", out / "w1-aggregates-sketches.ndjson"], capture_output=True, text=True)
            self.assertEqual(done.returncode, 0, done.stdout)
        # Which partition held a window back depends on the process, and stands in a header.
        one, two = (re.sub(r'"revision":"[0-9a-f]*"|,"held_by":"[^"]*"', "", (WORK / f"kafka-out-{n}/w1-aggregates.ndjson").read_text()) for n in (1, 2))
        # The last ones close when every partition has ended.
        self.assertGreater((WORK / "kafka-out-2/w1-aggregates.ndjson").read_text().count('"held_by":"w1['), 50 * 3 * 16)
        self.assertEqual(one, two, "1 and 2 workers")

    def state(self, topic):
        """What a compacted topic of one partition holds: the newest value of each key."""
        import confluent_kafka
        consumer = confluent_kafka.Consumer({"bootstrap.servers": self.brokers, "group.id": "state-check", "isolation.level": "read_committed",
                                             "enable.partition.eof": True})
        consumer.assign([confluent_kafka.TopicPartition(topic, 0, 0)])
        held = {}
        while True:
            message = consumer.poll(10)
            self.assertIsNotNone(message, f"{topic} was not read to its end")
            if message.error():
                self.assertEqual(message.error().code(), confluent_kafka.KafkaError._PARTITION_EOF)
                break
            held[message.key()] = message.value()
        consumer.close()
        return {key: value for key, value in held.items() if value is not None}

    def await_work(self, process):
        """Until it is at work, not only starting: it has used some CPU."""
        for _ in range(400):
            fields = pathlib.Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
            if int(fields[11]) + int(fields[12]) > 0.3 * os.sysconf("SC_CLK_TCK"):
                return
            time.sleep(0.02)
        self.fail("the process does nothing")

    def killed(self, tag, turns, *more, seconds=1.6 * 60):
        """Runs w1-drift, killed at random moments, to its end; low-water stays within so many seconds of event time."""
        rng = random.Random(SEED)
        resumed = 0
        for turn in range(turns):
            process = subprocess.Popen([TIDEMARK, *self.arguments(tag, *more, make=turn == 0, topology="w1-drift")], cwd=ROOT,
                                       env=self.environment, stderr=subprocess.PIPE, text=True)
            time.sleep(rng.uniform(0.15, 0.9))
            process.kill()
            _, said = process.communicate()
            for low, at in re.findall(r"event=resumed .*low_water=(\d+) next=(\d+)", said):
                resumed += 1
                # A window of W1 is a sixtieth of a partition, the bound a thousandth; partitions may
                # be the alignment (here 10 s) and some fetches apart, each of up to 1,500 records.
                self.assertLess(int(at) - int(low), 200_000 / 4 / 3600 * seconds + 3 * 4096, f"seed {SEED}")
        done = tidemark(*self.arguments(tag, *more, "--until-end", make=False, topology="w1-drift"), env=self.environment)
        self.assertGreater(resumed, 0, f"seed {SEED}: no start found a commit\n{done.stderr}")

    def test_killed_at_random_moments_it_publishes_what_an_undisturbed_run_does_exactly_once(self):
        tidemark(*self.arguments("calm", "--until-end", "--quiet", topology="w1-drift"), env=self.environment)
        calm = {name: self.read(f"calm-{name}") for name in ("aggregates", "alerts", "dead")}
        self.assertEqual(len(calm["aggregates"]), 61 * 3 * 16, f"seed {SEED}")
        self.assertEqual(len(calm["alerts"]), 9, f"seed {SEED}")
        held = self.state("calm-state")
        # Nine, and whose state it is.
        self.assertEqual(len(held), 10)
        for value in (value for key, value in held.items() if key != b"topology"):
            (WORK / "entry").write_bytes(value)
            self.assertIn("state entry: alert, firing, opened 2023-11-14T22:44:00.000Z", tidemark("inspect", WORK / "entry").stdout)
        self.killed("killed", 8)
        self.assertEqual(held, self.state("killed-state"), f"seed {SEED}")
        for name, want in calm.items():
            self.assertEqual(want, self.read(f"killed-{name}"), f"seed {SEED}: {name}")
        self.killed("once", 3, "--set", "run.delivery=at_least_once")
        for name, want in calm.items():
            seen = self.read(f"once-{name}")
            self.assertEqual(want.keys(), seen.keys(), f"seed {SEED}: {name}")
            for key, values in want.items():
                self.assertEqual(set(values), set(seen[key]), f"seed {SEED}: {name} {key}: repeats never differ")

    def test_killed_in_long_windows_it_goes_on_from_their_snapshots(self):
        long = ["--set", "windows=[30m]", "--set", "pane=10s", "--set", "limits.max_reread=30s"]
        calm = tidemark(*self.arguments("calm-long", "--until-end", "--json", *long, topology="w1-drift"), env=self.environment)
        self.assertGreater(json.loads(calm.stdout)["snapshots"], 0)
        self.killed("long", 6, *long, seconds=120)
        for name in ("aggregates", "alerts"):
            want = self.read(f"calm-long-{name}")
            self.assertEqual(want, self.read(f"long-{name}"), f"seed {SEED}: {name}")
            self.assertTrue(want or name == "alerts")
        held = [key for key in self.state("long-state") if key.startswith(b"windows/")]
        self.assertLessEqual(len(held), 2)

    def test_partitions_that_are_added_are_read_without_a_restart(self):
        import confluent_kafka
        from confluent_kafka.admin import AdminClient, NewPartitions
        for name in ("grow", "grow-aggregates", "grow-alerts", "grow-dead"):
            self.kafka("topics", "--create", "--topic", name, "--partitions", "1")
        self.kafka("topics", "--create", "--topic", "grow-state", "--partitions", "1", "--config", "cleanup.policy=compact")
        plan = topology("""name: grow
source: { topic: grow, start: earliest, out_of_orderness: 500ms, idle: 2s, schema: { ts: time_ms, model: model, x: number } }
windows: [1s]
outputs: { aggregates: { topic: grow-aggregates, sketches: [] }, alerts: grow-alerts, dead_letters: grow-dead }
""", "grow.yaml")
        process = subprocess.Popen([TIDEMARK, "run", plan, "--json"], cwd=ROOT, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            producer = confluent_kafka.Producer({"bootstrap.servers": self.brokers, "linger.ms": 1, "topic.metadata.refresh.interval.ms": 500,
                                                 "enable.idempotence": True})
            admin = AdminClient({"bootstrap.servers": self.brokers})
            partitions, produced, started = 1, 0, time.monotonic()
            while time.monotonic() - started < 12:
                if partitions == 1 and time.monotonic() - started > 4:
                    admin.create_partitions([NewPartitions("grow", 3)])["grow"].result()
                    partitions = 3
                    time.sleep(1)
                for partition in range(partitions):
                    producer.produce("grow", json.dumps({"ts": int(time.time() * 1000), "model": "m", "x": 1.5}), partition=partition)
                    produced += 1
                producer.poll(0)
                time.sleep(0.01)
            self.assertEqual(producer.flush(30), 0)
            time.sleep(1)
            process.terminate()
            out, said = process.communicate(timeout=60)
        finally:
            process.kill()
        self.assertEqual(process.returncode, 0, said)
        self.assertIn("the input has new partitions", said)
        rest = json.loads(tidemark("run", plan, "--until-end", "--json", env=self.environment, ok=None).stdout)
        self.assertEqual(json.loads(out)["records"] + rest["records"], produced)
        rows = {}
        for values in self.read("grow-aggregates").values():
            value = json.loads(values[-1].replace(",,", ","))
            rows[value["window"]["start"]] = value["rows"]["total"] + value["rows"]["late"]
        # Windows that came out before the new partitions were known keep what they said: those rows are late, and counted.
        self.assertEqual(sum(rows.values()), produced)

    def test_the_newest_process_fences_the_older_one_which_ends_and_says_so(self):
        older = subprocess.Popen([TIDEMARK, *self.arguments("twice", "--set", "run.batch_rows=1")], cwd=ROOT, env=self.environment,
                                 stderr=subprocess.PIPE, text=True)
        try:
            self.await_work(older)
            done = tidemark(*self.arguments("twice", "--until-end", "--json", make=False), env=self.environment)
            _, said = older.communicate(timeout=30)
        finally:
            older.kill()
        self.assertEqual(older.returncode, 4, said)
        self.assertIn("another process of this application has taken over", said)
        twice = self.read("twice-aggregates")
        self.assertEqual(len(twice), 61 * 3 * 16, done.stderr)
        self.assertTrue(all(len(values) == 1 for values in twice.values()))

    def test_sigterm_commits_and_publishes_nothing_early(self):
        process = subprocess.Popen([TIDEMARK, *self.arguments("term", "--json")], cwd=ROOT, env=self.environment, stdout=subprocess.PIPE, text=True)
        time.sleep(2.5)
        process.terminate()
        out, _ = process.communicate(timeout=30)
        self.assertEqual(process.returncode, 0)
        self.assertEqual(json.loads(out)["records"], 200_000)
        for values in self.read("term-aggregates").values():
            self.assertEqual(len(values), 1)
            for value in values:
                self.assertTrue(json.loads(value.replace('"w1",,', '"w1",'))["complete"])

    def test_a_broker_that_stands_still_holds_back_and_loses_nothing(self):
        seconds = 60 if os.environ.get("TIDEMARK_LONG") else 10
        # One record a batch: it is still at work when the broker stops.
        process = subprocess.Popen([TIDEMARK, *self.arguments("still", "--until-end", "--json", "--set", "run.batch_rows=1")], cwd=ROOT,
                                   env=self.environment, stdout=subprocess.PIPE, text=True)
        self.await_work(process)
        self.kafka("pause", "1")
        time.sleep(seconds)
        self.kafka("resume", "1")
        out, _ = process.communicate(timeout=200)
        self.assertEqual(process.returncode, 0)
        summary = json.loads(out)
        self.assertEqual((summary["records"], summary["aggregates"]), (200_000, 61 * 3 * 16))
        self.assertLess(summary["peak_memory_bytes"], 126 << 20)

    def test_a_silent_source_is_alerted_on_once_and_resolved(self):
        text = """name: quiet
app: quiet
source: { topic: quiet, start: earliest, schema: { ts: time_ms, model: model, x: number } }
windows: [1m]
monitors: { drift: off, quality: off, volume: off, silent: { freshness: 1s, severity: warn } }
run: { commit: 100ms }
"""
        path = topology(text, "quiet.yaml")
        self.kafka("topics", "--create", "--topic", "quiet", "--partitions", "2")
        tidemark("topics", "create", path, env=self.environment)
        rows = WORK / "quiet.ndjson"
        rows.write_text("".join(f'{{"ts":{T0 + i},"model":"m","x":{i}}}\n' for i in range(100)))

        def load():
            subprocess.run([ROOT / ".build/release/kafka-bench", "load", self.brokers, "quiet", rows], check=True, stdout=subprocess.DEVNULL)

        def run(seconds):
            process = subprocess.Popen([TIDEMARK, "run", path, "--quiet"], cwd=ROOT, env=self.environment, stderr=subprocess.DEVNULL)
            time.sleep(seconds)
            return process
        load()
        # One beside it has a planned downtime.
        planned = topology(text.replace("name: quiet\napp: quiet", "name: planned\napp: planned")
                           + "alerts: { mute: [{ monitors: silent, from: 2020-01-01T00:00:00Z, to: 2100-01-01T00:00:00Z, why: move }] }\n", "planned.yaml")
        tidemark("topics", "create", planned, env=self.environment)
        beside = subprocess.Popen([TIDEMARK, "run", planned, "--quiet"], cwd=ROOT, env=self.environment, stderr=subprocess.DEVNULL)
        process = run(3.5)
        process.kill()
        process.wait()
        beside.kill()
        beside.wait()
        self.assertEqual([value for values in self.read("planned-alerts").values() for value in values], [])
        # The next process knows that it was said.
        process = run(2.5)
        load()
        time.sleep(0.8)
        process.kill()
        process.wait()
        events = [json.loads(value.replace(",,", ",")) for values in self.read("quiet-alerts").values() for value in values]
        self.assertEqual([event["state"] for event in events], ["no_data", "resolved"], events)
        self.assertEqual(len({event["id"] for event in events}), 1)
        for event in events:
            jsonschema.validate({**event, "revision": "0"}, json.loads((ROOT / "docs/schemas/alert.schema.json").read_text()))

    def test_a_silent_group_is_said_once_though_processes_are_killed(self):
        text = """name: absent
app: absent
source: { topic: absent, start: earliest, clock: 2023-11-15T02:00:00Z, out_of_orderness: 1s, schema: { ts: time_ms, model: model, x: number } }
windows: [1m]
alerts: { max_age: 12h }
monitors: { drift: off, quality: off, volume: off, freshness: off, quiet: { freshness: 10m, per: group } }
run: { commit: 100ms }
"""
        path = topology(text, "absent.yaml")
        self.kafka("topics", "--create", "--topic", "absent", "--partitions", "1")
        tidemark("topics", "create", path, env=self.environment)

        def load(minutes, models):
            rows = WORK / "absent.ndjson"
            rows.write_text("".join(f'{{"ts":{T0 + m * 60_000 + i},"model":"{model}","x":1}}\n' for m in minutes for model in models for i in range(3)))
            subprocess.run([ROOT / ".build/release/kafka-bench", "load", self.brokers, "absent", rows], check=True, stdout=subprocess.DEVNULL)

        def events():
            return [json.loads(value.replace(",,", ",")) for values in self.read("absent-alerts").values() for value in values]

        def run():
            """A process that reads what there is, and is killed."""
            process = subprocess.Popen([TIDEMARK, "run", path, "--quiet"], cwd=ROOT, env=self.environment, stderr=subprocess.DEVNULL)
            time.sleep(5)
            process.kill()
            process.wait()
        load(range(6), ["steady", "gone"])
        run()
        load(range(6, 20), ["steady"])
        run()
        # Known from the state topic alone: its last row is not read again.
        load(range(20, 30), ["steady"])
        run()
        self.assertEqual([event["state"] for event in events()], ["no_data"])
        load([30, 31, 32], ["steady", "gone"])
        run()
        # Nobody is expected after that.
        tidemark("reset", path, "--yes", env=self.environment)
        load(range(33, 60), ["steady"])
        run()
        found = events()
        self.assertEqual([(e["state"], e["group"], (e["window"]["start"] - T0) // 60_000, (e["window"]["end"] - T0) // 60_000) for e in found],
                         [("no_data", {"model": "gone"}, 6, 16), ("resolved", {"model": "gone"}, 6, 30)])
        self.assertEqual(len({e["id"] for e in found}), 1)

    def test_a_baseline_is_built_from_a_topic_to_where_it_ends(self):
        import confluent_kafka
        self.kafka("topics", "--create", "--topic", "learn", "--partitions", "3")
        rng = random.Random(37)
        rows = [{"ts": T0 + i, "model": rng.choice("ab"), "x": rng.gauss(0, 1), "c": rng.choice("uvw")} for i in range(9000)]
        producer = confluent_kafka.Producer({"bootstrap.servers": self.brokers})
        for i, row in enumerate(rows):
            producer.produce("learn", json.dumps(row).encode(), partition=i % 3)
            producer.poll(0)
        producer.flush()
        plan = topology("""name: learn
source: { topic: learn, schema: { ts: time_ms, model: model, x: number, c: category } }
""", "learn.yaml")
        data = WORK / "learn.ndjson"
        data.write_text("".join(json.dumps(r) + "\n" for r in rows))
        built = {}
        for name, args in (("source", []), ("topic", ["--from-topic", "learn"]), ("file", ["--from", data]), ("windows", ["--windows", "1"])):
            out = WORK / f"learn-{name}.json"
            tidemark("baseline", "build", "--topology", plan, "--by", "model", *args, "--output", out, env=self.environment)
            built[name] = json.loads(out.read_text())
        for name in ("source", "topic", "windows"):
            self.assertEqual(built[name]["columns"], built["file"]["columns"], name)
        self.assertEqual((built["topic"]["made"]["from"], built["topic"]["made"]["rows"]), ("learn", "9000"))
        done = tidemark("baseline", "build", "--topology", plan, "--from-topic", "nowhere", ok=4, env=self.environment)
        self.assertIn("there is no topic `nowhere`", done.stderr)

    def test_a_baseline_of_a_topic_is_swapped_at_one_event_time_though_processes_are_killed(self):
        path = topology("""name: swap
app: swap
source: { topic: swap, start: earliest, clock: 2023-11-15T02:00:00Z, out_of_orderness: 1s, schema: { ts: time_ms, model: model, x: number, c: category } }
windows: [1m]
alerts: { max_age: 12h }
baselines: { rolling: { topic: swap-baselines, key: swap } }
monitors: { drift: { drift: all, against: rolling, min_rows: 50 }, quality: off, volume: off, freshness: off }
run: { commit: 100ms }
""", "swap.yaml")
        self.kafka("topics", "--create", "--topic", "swap", "--partitions", "2")
        tidemark("topics", "create", path, env=self.environment)
        rng = random.Random(5)
        values = [f"v{i}" for i in range(40)]

        def rows(minutes, mean):
            return [{"ts": T0 + m * 60_000 + i * 500, "model": model, "x": rng.gauss(mean, 1), "c": values[min(39, int(rng.expovariate(0.1)))]}
                    for m in minutes for i in range(100) for model in ("a", "b")]

        def build(name, mean, *more):
            data, out = WORK / f"{name}.ndjson", WORK / f"{name}.json"
            data.write_text("".join(json.dumps(r) + "\n" for r in rows(range(10), mean)))
            tidemark("baseline", "build", "--topology", path, "--by", "model", "--from", data, *(more or ("--edges", "topology")), "--output", out,
                     env=self.environment)
            return out

        def publish(out, **how):
            return tidemark("baseline", "publish", out, "--topology", path, env=self.environment, **how)

        def load(minutes, mean):
            data = WORK / "swap.ndjson"
            data.write_text("".join(json.dumps(r) + "\n" for r in rows(minutes, mean)))
            subprocess.run([ROOT / ".build/release/kafka-bench", "load", self.brokers, "swap", data], check=True, stdout=subprocess.DEVNULL)

        def run(seconds=5):
            process = subprocess.Popen([TIDEMARK, "run", path, "--quiet"], cwd=ROOT, env=self.environment, stderr=subprocess.DEVNULL)
            time.sleep(seconds)
            return process

        def end(process):
            process.kill()
            process.wait()
        old, new = build("swap-old", 0), build("swap-new", 3)
        label = {file: "rolling@" + hashlib.sha256(file.read_bytes()).hexdigest()[:12] for file in (old, new)}
        refused = publish(build("swap-other", 0, "--edges", "equal"), ok=4)
        self.assertIn("counted in other bins than the topology's", refused.stderr)
        publish(old)
        load(range(20), 0)
        end(run())
        # The old one is in force in what is open; the new one comes while nobody runs, and another process dies on it.
        publish(new)
        end(run(3))
        load(range(20, 40), 3)
        process = run()
        end(process)
        said = collections.defaultdict(list)
        for published in self.read("swap-aggregates").values():
            self.assertEqual(len(set(published)), 1)
            record = json.loads(published[0].replace(",,", ","))
            for verdict in record["verdicts"] if record.get("complete") else []:
                said[record["group"]["model"], record["column"]].append(
                    ((record["window"]["start"] - T0) // 60_000, verdict["baseline"], verdict["verdict"]))
        self.assertEqual(set(said), {(m, c) for m in "ab" for c in "xc"})
        swaps = set()
        for key, found in said.items():
            found.sort()
            names = [name for _, name, _ in found]
            swaps.add(names.index(label[new]))
            self.assertEqual(names, [label[old]] * names.index(label[new]) + [label[new]] * names.count(label[new]), key)
            # Nothing drifted from what it was compared with.
            self.assertEqual({verdict for *_, verdict in found}, {"ok"}, key)
        self.assertEqual(len(swaps), 1, "one event time for all groups and columns")
        # From a file a file stands in, and what it says is the same.
        data = WORK / "swap-all.ndjson"
        data.write_text("".join(json.dumps(r) + "\n" for r in rows(range(5), 3)))
        out = WORK / "swap-file"
        missing = tidemark("run", path, "--input", data, "--output", out, "--until-end", ok=4)
        self.assertIn("--baseline rolling=FILE", missing.stderr)
        tidemark("run", path, "--input", data, "--output", out, "--until-end", "--baseline", f"rolling={old}")
        verdicts = [v["verdict"] for r in lines(out / "swap-aggregates.ndjson") if r["value"]["column"] == "x" for v in r["value"]["verdicts"]]
        self.assertIn("drift", verdicts)
        self.assertNotIn("ok", verdicts)

    def test_missing_topics_and_tombstones(self):
        done = tidemark("run", "topologies/w1.yaml", "--set", "outputs.aggregates=nowhere", ok=4, env=self.environment)
        self.assertIn("'nowhere'", done.stderr)
        self.assertIn("tidemark topics create topologies/w1.yaml", done.stderr)
        done = tidemark("run", small(), "--output", WORK / "no-topic", ok=4, env=self.environment)
        self.assertIn("input topic 't'", done.stderr)
        self.assertIn("does not exist", done.stderr)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        sys.argv = [sys.argv[0], "-v", "-k", sys.argv[1]]
    else:
        sys.argv.append("-v")
    try:
        unittest.main()
    finally:
        shutil.rmtree(WORK, ignore_errors=True)
