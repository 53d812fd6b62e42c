#!/usr/bin/env python3
"""How files, records and topologies are read by the binary: CSV, packed files, times, names of findings, what reaches a terminal."""
import csv
import gzip
import io
import json
import math
import random
import re
import shutil
import subprocess
import sys
import unittest
from fractions import Fraction

from acceptance import T0, TIDEMARK, WORK, lines, tidemark, topology

CSV = """name: rows
source:
  topic: rows
  clock: 2023-11-14T22:20:00Z
  decode: { format: csv, columns: [ts, model, note, age] }
  schema: { ts: time_ms, model: model, note: category, age: number }
windows: [1m]
monitors: { drift: off, quality: off, volume: off, freshness: off }
"""


def run(path, data, name, ok=0, more=()):
    """Runs a topology over bytes; the JSON summary, and the folder of results."""
    file = WORK / name
    file.write_bytes(data)
    out = WORK / (name + "-out")
    done = tidemark("run", path, "--input", file, "--output", out, "--until-end", "--quiet", "--json", *more, ok=ok)
    return (json.loads(done.stdout) if done.stdout.strip() else None), out, done


def written(rows, head, **how):
    text = io.StringIO()
    writer = csv.writer(text, **how)
    writer.writerow(head)
    writer.writerows(rows)
    return text.getvalue().encode()


class Reading(unittest.TestCase):
    rows = [[T0 + i, "m", "two\nlines" if i % 3 else 'a "quote", a comma', 20 + i % 7] for i in range(300)]

    def values(self, out):
        return {r["value"]["column"]: r["value"] for r in lines(out / "rows-aggregates.ndjson")}

    def test_a_header_is_obeyed_in_any_order_and_rows_may_span_lines(self):
        path = topology(CSV, "rows.yaml")
        _, out, _ = run(path, written(self.rows, ["ts", "model", "note", "age"]), "plain.csv")
        want = self.values(out)
        self.assertEqual(want["age"]["rows"]["value"], 300)
        self.assertEqual({t["value"] for t in want["note"]["top"]}, {"two\nlines", 'a "quote", a comma'})
        turned = [[r[3], "more", r[2], r[0], r[1]] for r in self.rows]
        for name, data in {
            "turned": written(turned, ["age", "extra", "note", "ts", "model"]),
            "quoted": written(turned, ["age", "extra", "note", "ts", "model"], quoting=csv.QUOTE_ALL),
            "unix": written(turned, ["age", " extra", " note", " ts", "model"], lineterminator="\n"),
            "bom": b"\xef\xbb\xbf" + written(turned, ["age", "extra", "note", "ts", "model"]),
            "packed": gzip.compress(written(turned, ["age", "extra", "note", "ts", "model"])),
        }.items():
            summary, out, _ = run(path, data, name + ".csv")
            self.assertEqual((summary["headers"], summary["tombstones"], summary["dead_letters"]), (1, 1, 0), name)
            self.assertEqual(self.values(out), want, name)

    def test_a_header_that_lacks_a_column_is_refused_with_both_orders(self):
        path = topology(CSV, "rows.yaml")
        for head in (["ts", "model", "age"], ["time", "name", "text", "years"], ["ts", "model", "note", "age", "ts"]):
            _, _, done = run(path, written([r[:len(head)] for r in self.rows], head), "refused.csv", ok=4)
            self.assertIn("refused.csv:1: the header ", done.stderr)
        self.assertIn("`ts` twice", done.stderr)
        _, _, done = run(path, written(self.rows, ["time", "name", "text", "years"]), "refused.csv", ok=4)
        self.assertIn("it is time,name,text,years, the columns are ts,model,note,age", done.stderr)
        # A first row of values is a row, and so is a broken one.
        summary, _, _ = run(path, b"%d,m,n,1\n" % T0, "headless.csv")
        self.assertEqual((summary["headers"], summary["rows"]), (0, 1))

    def test_late_rows_count_in_windows_that_are_open(self):
        late = "name: rows\nsource:\n  topic: rows\n  schema: { ts: time_ms, model: model, x: number }\nwindows: %s\noutputs: { late: rows-late }\n"
        t = 1705276800000

        def sums(windows, rows):
            data = "".join(json.dumps({"ts": t + ms, "model": "a", "x": x}) + "\n" for ms, x in rows)
            # The volume monitor is there by itself and learns: nothing is tested, and that is said.
            summary, out, _ = run(topology(late % windows, "late.yaml"), data.encode(), "late.ndjson", ok=None)
            found = {}
            for r in lines(out / "rows-aggregates.ndjson"):
                v = r["value"]
                if v.get("column") == "x":
                    span = v["window"]["end"] - v["window"]["start"]
                    found[span // 60000, (v["window"]["start"] - t) // 60000] = (
                        round(v.get("mean", 0) * v["rows"]["value"]), v["rows"]["total"], v["rows"]["late"])
            return summary, found, [r["headers"]["offset"] for r in lines(out / "rows-late.ndjson")]

        five = [(0, 1), (70000, 2), (1, 4), (59999, 8), (60000, 16)]
        summary, found, letters = sums("[5m]", five)
        self.assertEqual((found, letters), ({(5, 0): (31, 5, 0)}, []))
        self.assertEqual((summary["late"], summary["late_for_some"]), (0, 0))
        # Of a length whose window is over they are late.
        summary, found, letters = sums("[1m, 5m]", five)
        self.assertEqual(found, {(5, 0): (31, 5, 0), (1, 0): (1, 1, 0), (1, 1): (18, 2, 2)})
        self.assertEqual((summary["late"], summary["late_for_some"], letters), (0, 2, []))
        rows = list(zip([0, 59999, 60000, 69999, 59998, 70000, 59999, 60000, 200000, 190000, 179999, 189999],
                        [2 ** n for n in range(12)]))
        summary, found, letters = sums("[3m every 1m]", rows)
        self.assertEqual(found, {
            (3, -2): (19, 3, 0), (3, -1): (255, 8, 0), (3, 0): (255, 8, 0),
            (3, 1): (4012, 8, 0), (3, 2): (3840, 4, 0), (3, 3): (2816, 3, 0)})
        self.assertEqual((summary["late"], summary["late_for_some"], letters), (0, 2, []))
        # Late for every window there is.
        summary, found, letters = sums("[1m]", rows)
        self.assertEqual(found, {(1, 0): (19, 3, 0), (1, 1): (172, 4, 1), (1, 3): (2816, 3, 1)})
        self.assertEqual((summary["late"], summary["late_for_some"], letters), (2, 0, ["6", "10"]))

    def test_a_length_that_no_segment_has_is_no_window_of_a_row(self):
        plan = ("name: rows\nsource:\n  topic: rows\n  schema: { ts: time_ms, model: model, x: number }\nwindows: [1h, 1m]\n"
                "segments: { by-model: { by: [model], windows: [1m] } }\noutputs: { late: rows-late }\n")
        t = 1705276800000
        data = "".join(json.dumps({"ts": t + ms, "model": "a", "x": 1}) + "\n" for ms in (600_000, 30_000))
        summary, out, _ = run(topology(plan, "unused.yaml"), data.encode(), "unused.ndjson", ok=None)
        self.assertEqual((summary["rows"], summary["late"], summary["late_for_some"]), (1, 1, 0))
        self.assertEqual(summary["windows"], len({r["value"]["window"]["start"] for r in lines(out / "rows-aggregates.ndjson")}))
        self.assertEqual(len(lines(out / "rows-late.ndjson")), 1)

    def test_letters_of_a_file_name_it_and_the_line(self):
        path = topology(CSV, "rows.yaml")
        data = written(self.rows[:2], ["ts", "model", "note", "age"]) + b"yesterday,m,n,1\r\n"
        summary, out, _ = run(path, data, "letters.csv")
        letter, = lines(out / "rows-dead-letters.ndjson")
        self.assertEqual((letter["headers"]["file"], letter["headers"]["line"]), (str(WORK / "letters.csv"), "5"))
        self.assertIn("`yesterday`", letter["headers"]["detail"])
        self.assertIn("letters.csv:5: ts is the text `yesterday`", summary["set_aside"][0]["example"])

    def test_archives_that_are_cut_off_end_in_an_error(self):
        path = topology(CSV, "rows.yaml")
        packed = gzip.compress(written(self.rows, ["ts", "model", "note", "age"]))
        _, _, done = run(path, packed[:-20], "cut.csv.gz", ok=4)
        self.assertIn("is cut off", done.stderr)

    def test_a_file_of_mostly_dead_letters_ends_with_1(self):
        path = topology(CSV, "rows.yaml")
        good = b"".join(b"%d,m,n,1\n" % (T0 + i) for i in range(40))
        summary, _, _ = run(path, good + b"x,m,n,1\n" * 60, "bad.csv", ok=1)
        self.assertEqual(summary["dead_letters"], 60)
        run(path, good + b"x,m,n,1\n" * 39, "good.csv", ok=0)
        run(topology(CSV + "limits: { bad_rows: off }\n", "off.yaml"), good + b"x,m,n,1\n" * 60, "off.csv", ok=0)

    def test_rows_without_a_value_of_a_dimension_are_counted_by_reason(self):
        path = topology(CSV.replace("decode: { format: csv, columns: [ts, model, note, age] }", "decode: json").replace(
            "note: category", "store: segment"), "stores.yaml")
        records = [{"store": s} for s in (5, 5.0, 5e0, "5")] + [{"store": None}, {"store": None}, {}, {"store": {"id": 5}}, {"store": [5]}]
        data = "".join(json.dumps({"ts": T0 + i, "model": "m", "age": 1, **r}) + "\n" for i, r in enumerate(records))
        summary, out, _ = run(path, data.encode(), "stores.ndjson")
        found = {entry["reason"]: entry["count"] for entry in summary["rows_without_dimension"]}
        self.assertEqual(found, {"store null": 2, "store missing": 1, "store wrong_type": 2})
        groups = {r["value"]["group"]["store"]: r["value"]["rows"]["total"] for r in lines(out / "rows-aggregates.ndjson")
                  if "store" in r["value"]["group"] and r["value"]["column"] == "age"}
        self.assertEqual(groups, {"5": 4, None: 5})

    def test_times_without_an_offset_are_utc_and_said_or_of_the_zone(self):
        text = CSV.replace("ts: time_ms", "ts: %s")
        data = b"2023-11-14 22:13:20,m,n,1\n2023-11-14T22:13:21Z,m,n,1\n"
        summary, out, _ = run(topology(text % "time_text", "utc.yaml"), data, "utc.csv")
        self.assertEqual(summary["times_assumed_utc"], 1)
        start = self.values(out)["age"]["window"]["start"]
        data = b"2023-11-14 23:13:20,m,n,1\n"
        summary, out, _ = run(topology(text % "{ type: time_text, zone: Europe/Berlin }", "berlin.yaml"), data, "berlin.csv")
        self.assertEqual((summary["times_assumed_utc"], self.values(out)["age"]["window"]["start"]), (0, start))
        done = tidemark("lint", topology(text % "{ type: time_text, zone: Europe/Berlim }", "berlim.yaml"), ok=1)
        self.assertIn("bad-zone", done.stdout)

    def test_a_baseline_and_a_run_read_the_same_times_in_every_form(self):
        def text(time):
            return CSV.replace("decode: { format: csv, columns: [ts, model, note, age] }", "decode: json").replace("ts: time_ms", f"ts: {time}")
        end = T0 + 60_000
        numbers = {"time_s": (T0 // 1000, f"{T0 // 1000}.75", f'"{T0 // 1000}"', "1.70000004025e9"), "time_us": (T0 * 1000 + 999, f'"{T0}000.5"'),
                   # A nanosecond before the window's end, as numbers, texts and in exponents: a double of it is the end itself.
                   "time_ns": (f"{end - 1}999999", f'"{end - 1}999999"', f"{end - 1}999999.9", f"{end - 1}999.999e3")}
        texts = ["2023-11-14T22:14:05", "2023-11-14 22:14:05", "2023-11-14T22:14", "2023-11-14T22:14:05+0000", "2023-11-14T22:14:05+00",
                 "2023-11-14T23:14:05,25+01", "2023-11-14 22:14:05.1234567Z", "20231114T221405Z", "2023-11-14T22:14:05Z[UTC]"]
        cases = [(time, list(map(str, tokens))) for time, tokens in numbers.items()] + [("time_text", [json.dumps(t) for t in texts])]
        for time, tokens in cases:
            path = topology(text(time), f"{time}.yaml")
            data = "".join('{"ts":%s,"model":"m","note":"n","age":%d}\n' % (token, i) for i, token in enumerate(tokens)).encode()
            summary, out, _ = run(path, data, f"{time}.ndjson")
            self.assertEqual((summary["rows"], summary["dead_letters"]), (len(tokens), 0), (time, summary["set_aside"]))
            starts = {r["value"]["window"]["start"] for r in lines(out / "rows-aggregates.ndjson")}
            self.assertEqual(starts, {T0}, time)
            done = tidemark("baseline", "build", "--from", WORK / f"{time}.ndjson", "--topology", path, "--output", WORK / f"{time}.json", ok=0)
            self.assertIn(f"{len(tokens)} rows", done.stderr)
            self.assertNotIn("left out", done.stderr)
        # A date alone is its midnight, UTC.
        path = topology(text("time_text"), "date.yaml")
        _, out, _ = run(path, b'{"ts":"2023-11-14","model":"m","note":"n","age":1}\n', "date.ndjson")
        self.assertEqual(self.values(out)["age"]["window"]["start"], 1699920000000)

    def test_a_baseline_holds_the_rows_that_a_run_reads(self):
        path = topology(CSV + "filter: age < 100\n", "rows.yaml")
        rows = self.rows + [["never", "m", "n", 1], [T0, "m", "n", 500]]
        data = WORK / "baseline.csv.gz"
        data.write_bytes(gzip.compress(written([[r[1], r[0], r[3], r[2]] for r in rows], ["model", "ts", "age", "note"])))
        done = tidemark("baseline", "build", "--from", data, "--topology", path, "--output", WORK / "rows.json", ok=0)
        self.assertIn("300 rows", done.stderr)
        self.assertIn("1 records left out: their event time can't be read", done.stderr)
        self.assertIn("1 records left out: `filter` leaves them out", done.stderr)
        done = tidemark("baseline", "build", "--from", data, "--topology", path, "--set", "filter=age < 22", "--output", WORK / "less.json", ok=0)
        self.assertIn("86 rows", done.stderr)

    def test_a_baseline_without_a_topology_reads_nested_columns_and_names_what_it_leaves_out(self):
        rng = random.Random(11)
        records = [{"ts": T0 + i * 50, "model": "m", "inputs": {"age": rng.gauss(40, 9), "plan": rng.choice("xyz"), "deep": {"er": i % 5}},
                    "tags": ["a"], "employed": i % 2} for i in range(2000)]
        data = WORK / "nested.ndjson"
        data.write_text("".join(json.dumps(r) + "\n" for r in records))
        made = tidemark("baseline", "build", "--from", data, "--by", "model", "--output", WORK / "nested.json", ok=0)
        self.assertIn("no columns: tags (a list)", made.stderr)
        shown = tidemark("baseline", "show", WORK / "nested.json", ok=0).stdout
        for name in ("age", "plan", "er", "employed"):
            self.assertRegex(shown, rf"(?m)^  {name} ")
        text = """name: nested
source:
  topic: nested
  clock: 2023-11-14T22:20:00Z
  schema:
    ts: time_ms
    model: model
    age, plan: { type: %s, path: inputs.* }
    er: { type: number, path: inputs.deep.er }
    employed: label
windows: [1m]
baselines: { training: { file: nested.json } }
""".replace("age, plan: { type: %s, path: inputs.* }", "age: { type: number, path: inputs.* }\n    plan: { type: category, path: inputs.* }")
        path = topology(text, "nested.yaml")
        # A label of 0 and 1 was guessed to be a number: what would put that right is said, and does.
        done = tidemark("lint", path, ok=1)
        self.assertIn("nested.json has `employed` as numbers", done.stdout)
        self.assertIn("`tidemark baseline build --topology`", done.stdout)
        self.assertIn("`employed: { role: label, type: number }`", done.stdout)
        tidemark("lint", topology(text.replace("employed: label", "employed: { role: label, type: number }"), "typed.yaml"), ok=0)
        over = topology("windows: [30s]\nfilter: age > 0\n", "over.yaml")
        tidemark("baseline", "build", "--from", data, "--by", "model", "--topology", path, "--with", over, "--set", "limits.record=1MiB",
                 "--output", WORK / "nested.json", ok=0)
        tidemark("lint", path, ok=0)
        summary, _, _ = run(path, data.read_bytes(), "nested-again.ndjson")
        self.assertEqual({v["verdict"] for v in summary["verdicts"] if v["monitor"] == "drift"}, {"ok"}, summary["verdicts"])

    def test_derived_columns_expression_groups_and_rules_equal_a_recompute(self):
        text = """name: rows
source:
  topic: rows
  clock: 2023-11-14T22:20:00Z
  schema: { ts: time_ms, model: model, amount: number, n: integer, country: category, score: score }
derive:
  twice: ratio * 2
  ratio: amount / n
  size: { value: "bucket(amount, [10, 100])", role: segment }
  european: { value: "lower(country) in ['de', 'fr']", role: class }
filter: not matches(country, "^X+$")
segments:
  by-minute: { by: { second: "floor(number(text(n)))", region: "if(european, 'eu', lower(country))" }, where: ratio is not null }
windows: [1m]
outputs: { aggregates: rows-aggregates }
monitors:
  drift: off
  volume: off
  freshness: off
  quality: off
  sane: { rule: score < 0.9 or n == 0, broken: 5%, segments: [by-model] }
  never: { rule: "n != 2", segments: [by-size], clear_for: 1 of 1 }
"""
        dice = random.Random(3)
        rows = [{"ts": T0 + 50 * i, "model": "m", "amount": dice.choice([5, 50, 150, None, "x"]), "n": dice.choice([0, 1, 2]),
                 "country": dice.choice(["BR", "de", "FR", "XX", None]), "score": dice.choice([dice.random(), None])} for i in range(4000)]
        data = "".join(json.dumps(row) + "\n" for row in rows).encode()
        found = {}
        for workers in (1, 2):
            for batch in (7, 4096):
                more = ("--set", f"run.workers={workers}", "--set", f"run.batch_rows={batch}")
                summary, out, _ = run(topology(text, "derived.yaml"), data, "derived.ndjson", more=more)
                found[workers, batch] = sorted(json.dumps(r["value"], sort_keys=True) for r in lines(out / "rows-aggregates.ndjson"))
        self.assertEqual(len(set(map(tuple, found.values()))), 1)
        groups = {}
        kept = undefined = 0
        for row in rows:
            if row["country"] is None or re.search("^X+$", row["country"]):
                continue
            kept += 1
            amount = row["amount"] if isinstance(row["amount"], int) else None
            ratio = amount / row["n"] if amount is not None and row["n"] else None
            undefined += amount is not None and row["n"] == 0
            size = None if amount is None else "<10" if amount < 10 else "10..100" if amount < 100 else ">=100"
            region = "eu" if row["country"].lower() in ("de", "fr") else row["country"].lower()
            score = row["score"]
            # In three values: `n == 0` may save a row without a score.
            sane = True if row["n"] == 0 else None if score is None else score < 0.9
            minute = row["ts"] // 60000 * 60000
            values = {"ratio": ratio, "twice": ratio and 2 * ratio, "sane": None if sane is None else float(not sane), "never": float(row["n"] == 2)}
            for segment, group in (("by-model", {"model": "m"}), ("by-size", {"size": size}), ("by-minute", {"second": str(row["n"]), "region": region})):
                if segment == "by-minute" and ratio is None:
                    continue
                for name, value in values.items():
                    key = (segment, tuple(sorted(group.items(), key=str)), name, minute)
                    groups.setdefault(key, []).append(value)
        self.assertEqual(summary["rows"], kept)
        self.assertEqual({e["expression"]: e["count"] for e in summary["undefined_results"]}, {"derive.ratio": undefined})
        checked = verdicts = 0
        for record in map(json.loads, found[1, 7]):
            key = (record["operator"], tuple(sorted(record["group"].items(), key=str)), record["column"], record["window"]["start"])
            if record["column"] not in ("ratio", "twice", "sane", "never"):
                continue
            values = groups[key]
            here = [v for v in values if v is not None]
            self.assertEqual((record["rows"]["total"], record["rows"]["value"]), (len(values), len(here)), key)
            if here:
                self.assertAlmostEqual(record["mean"], sum(here) / len(here), places=9)
            checked += 1
            for verdict in record.get("verdicts", []):
                share, most = sum(here) / len(here), {"sane": 0.05, "never": 0.0}[verdict["monitor"]]
                if most:
                    # P(X >= k) of the binomial distribution, term by term.
                    n, k = len(here), int(sum(here))
                    p = float(sum(Fraction(math.comb(n, i)) * Fraction(1, 20) ** i * Fraction(19, 20) ** (n - i) for i in range(k, n + 1)))
                    is_excess = share > most and p <= verdict["level"]
                    if "p" in verdict and verdict["p"] is not None:
                        self.assertAlmostEqual(verdict["p"] / p, 1, places=9)
                else:
                    is_excess = share > 0
                self.assertEqual(verdict["verdict"], "excess" if is_excess else "ok", record)
                self.assertAlmostEqual(verdict["effect"], share, places=12)
                verdicts += 1
        self.assertGreater(checked, 60)
        self.assertGreater(verdicts, 10)
        self.assertIn("never", [r["value"]["monitor"] for r in lines(out / "rows-alerts.ndjson")])

    def test_errors_of_expressions_stand_at_their_place(self):
        text = CSV.replace("windows: [1m]", """windows: [1m]
derive:
  a: b + 1
  b: c * 2
  c: a
  d: lenght(note)
  e: ts
  f: { value: age, role: class }
  g: matches(note, "[a")
  h: bucket(age, [10, 2])
  age: 3
segments: { x: { by: { k: age } } }
filter: hour_of_day(ts, "Europe/Berlin") > 3""").replace("monitors: {", "monitors: { r: { rule: age },")
        done = tidemark("lint", topology(text, "wrong.yaml"), ok=1)
        told = [re.search(r"yaml:(\d+):(\d+): error\[([a-z-]+)\]", line).groups() for line in (done.stdout + done.stderr).splitlines() if "error[" in line]
        self.assertEqual([(int(a), rule) for a, _, rule in told], [
            (9, "derive-circle"), (12, "unknown-function"), (13, "not-a-column-value"), (14, "type-of-role"), (15, "bad-pattern"),
            (16, "bad-bounds"), (17, "duplicate-key"), (18, "not-a-dimension"), (19, "bad-offset"), (20, "not-a-condition")])
        self.assertIn("`a` needs itself: `a` → `b` → `c` → `a`", done.stdout + done.stderr)

    def test_a_baseline_has_the_derived_columns(self):
        text = CSV.replace("windows: [1m]", "windows: [1m]\nderive: { tenth: age / 10, short: \"length(note) < 2\" }")
        data = b"".join(b"%d,m,%s,%d\n" % (T0 + i, b"n" * (1 + i % 3), i % 50) for i in range(500))
        path = topology(text, "base.yaml")
        (WORK / "base.csv").write_bytes(data)
        tidemark("baseline", "build", "--from", WORK / "base.csv", "--topology", path, "--output", WORK / "base.json")
        base = json.loads((WORK / "base.json").read_text())
        names = json.dumps(base)
        self.assertIn('"tenth"', names)
        self.assertIn('"short"', names)

    def test_init_writes_a_topology_that_reads_the_sample(self):
        records = [{"ts": f"2023-11-14T22:13:{i % 60:02d}", "model": "m", "inputs": {"age": i, "a.b": 1.5, "plan": "x"}, "tags": [1]} for i in range(50)]
        data = WORK / "sample.ndjson"
        data.write_text("".join(json.dumps(r) + "\n" for r in records))
        made = tidemark("init", "--from", data, "--topic", "predictions.churn", ok=0).stdout
        self.assertIn("# not read: tags (a list)", made)
        path = WORK / "made.yaml"
        path.write_text(made)
        tidemark("lint", path, ok=0)
        out = WORK / "made-out"
        done = tidemark("run", path, "--input", data, "--output", out, "--until-end", "--json", "--set", "source.clock=2023-11-14T22:20:00Z", ok=None)
        self.assertEqual(json.loads(done.stdout)["columns_without_value"], [], made)

    def test_what_references_stand_for_is_shown_in_no_finding(self):
        secret = WORK / "secret.txt"
        secret.write_text("hunter2-and-more\n")
        for key, text in {
            "start": CSV.replace("  topic: rows", "  topic: rows\n  start: ${file:%s}" % secret),
            "topic": CSV.replace("  topic: rows", "  topic: '${file:%s} x'" % secret),
            "name": CSV.replace("name: rows", "name: '${file:%s}!'" % secret, 1),
            "windows": CSV.replace("windows: [1m]", "windows: ['${file:%s}']" % secret),
            "filter": CSV + "filter: '${file:%s}'\n" % secret,
            "column": CSV.replace("age: number", "age: '${file:%s}'" % secret),
            "path": CSV.replace("age: number", "age: { type: number, path: '$.${file:%s}' }" % secret),
            "zone": CSV.replace("ts: time_ms", "ts: { type: time_text, zone: '${file:%s}' }" % secret),
            "share": CSV + "limits: { bad_rows: '${file:%s}' }\n" % secret,
            "budget": CSV + "budget: { page: '${file:%s}' }\n" % secret,
        }.items():
            for form in ("text", "json", "github"):
                done = subprocess.run([TIDEMARK, "lint", topology(text, "secret.yaml"), "--format", form], capture_output=True, text=True)
                self.assertEqual(done.returncode, 1, key)
                self.assertNotIn("hunter2", done.stdout + done.stderr, f"{key} {form}")
                self.assertNotIn("unter2-and", done.stdout + done.stderr, f"{key} {form}")

    def test_control_bytes_of_records_reach_no_terminal(self):
        path = topology(CSV.replace("decode: { format: csv, columns: [ts, model, note, age] }", "decode: json"), "control.yaml")
        evil = "\x1b[2J\x07\u009b31m\u202e"
        data = [{"ts": T0, "model": evil, "note": evil, "age": 1}, {"ts": "x" + evil, "model": "m", "note": "n", "age": 1}]
        _, out, _ = run(path, "".join(json.dumps(r, ensure_ascii=False) + "\n" for r in data).encode("utf-8"), "control.ndjson")
        raw = "".join(json.dumps(r) + "\n" for r in data)
        _, out, done = run(path, raw.encode(), "control.ndjson")
        printed = [done.stdout, done.stderr, tidemark("run", path, "--input", WORK / "control.ndjson", "--output", out, "--until-end", ok=0).stdout]
        for file in ("rows-aggregates.ndjson", "rows-dead-letters.ndjson"):
            printed.append(tidemark("inspect", out / file, ok=0).stdout)
        made = tidemark("baseline", "build", "--from", WORK / "control.ndjson", "--by", "model", "--output", WORK / "control.json", ok=None)
        printed.append(made.stderr)
        if made.returncode == 0:
            printed.append(tidemark("baseline", "show", WORK / "control.json", ok=0).stdout)
        for text in printed:
            for letter in ("\x1b", "\x07", "\u009b", "\u202e", "\r"):
                self.assertNotIn(letter, text)

    def test_hints_say_where_a_foreign_flag_or_a_wrong_override_belongs(self):
        path = topology(CSV, "rows.yaml")
        done = tidemark("run", path, "--brokers", "x:9092", ok=2)
        self.assertIn("kafka.brokers=HOST:PORT", done.stderr)
        done = tidemark("lint", path, "--set", "limits.memory=banana", ok=1)
        self.assertIn("--set:1:15", done.stdout)
        self.assertIn("  1 | limits.memory=banana\n    |               ^", done.stdout)
        self.assertNotIn("name: rows", done.stdout)
        done = tidemark("plan", path, "--set", "windows=[2m]", "--set", "source.idle=5m, 6m", ok=3)
        self.assertIn("--set:2:13", done.stderr)
        self.assertIn("  2 | source.idle=5m, 6m", done.stderr)
        done = tidemark("run", path, "--input", WORK / "plain.csv", "--set", "kafka.brokers=127.0.0.1:1", ok=4)
        self.assertIn("results go to rows-aggregates, rows-alerts, rows-dead-letters at 127.0.0.1:1\n  try: --output DIR", done.stderr)
        for more in (("--output", WORK / "hinted"), ("--no-alerts",)):
            done = tidemark("run", path, "--input", WORK / "plain.csv", "--until-end", *more, "--set", "kafka.brokers=127.0.0.1:1", ok=None)
            self.assertNotIn("--output DIR", done.stderr)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        sys.argv = [sys.argv[0], "-v", "-k", sys.argv[1]]
    try:
        unittest.main()
    finally:
        shutil.rmtree(WORK, ignore_errors=True)
