#!/usr/bin/env python3
"""Metrics: what groups and windows come to by expressions over aggregates, beside a plain recompute, and who watches them."""
import collections
import json
import math
import random
import shutil
import subprocess
import sys
import time
import unittest
from fractions import Fraction

import jsonschema
import numpy

from acceptance import ROOT, SEED, T0, WORK, lines, run_lines, tidemark, topology

MINUTE = 60_000


def exact_sum(values, power=1):
    """The sum of values, or of their powers, without rounding."""
    unit = 2**1074
    return Fraction(sum(((n := v.as_integer_ratio())[0] * (unit // n[1])) ** power for v in values), unit**power)


def mean(values):
    """The mean of values, exact but for the last rounding."""
    return float(exact_sum(values) / len(values))


def sd(values):
    """The standard deviation of values, exact but for its root."""
    values = list(values)
    spread = exact_sum(values, 2) - exact_sum(values) ** 2 / len(values)
    return math.sqrt(spread / (len(values) - 1))


def student_upper(t, degrees):
    """How likely a greater value is, by Student's t: the sum of whole degrees of freedom."""
    angle = math.atan(t / math.sqrt(degrees))
    cosine, term, total = math.cos(angle), 1.0, 0.0
    if degrees % 2:
        term = cosine
        for i in range(3, degrees + 1, 2):
            total += term
            term *= cosine**2 * (i - 1) / i
        within = 2 / math.pi * (angle + math.sin(angle) * total)
    else:
        for i in range(2, degrees + 1, 2):
            total += term
            term *= cosine**2 * (i - 1) / i
        within = math.sin(angle) * total
    return (1 - within) / 2


def metrics(out):
    """Records of metrics by segment, group, window and name."""
    found = {}
    for record in (r["value"] for r in out["t-aggregates"] if r["value"].get("role") == "metric"):
        key = (record["operator"], tuple(sorted(record["group"].items())), (record["window"]["start"], record["window"]["end"]), record["column"])
        assert key not in found, key
        found[key] = record
    return found


class Weights(unittest.TestCase):
    TEXT = """name: t
source:
  topic: t
  clock: 2030-01-01T00:00:00Z
  out_of_orderness: 2s
  schema: { ts: time_ms, model: model, x: number, y: number, c: category, w: weight }
windows: [1m]
monitors: { drift: off, quality: off, volume: off, freshness: off }
metrics:
  all: count()
  some: count(x)
  few: count(where c == "a")
  total: sum(x)
  middle: mean(x)
  part: mean(x where c == "a")
  kept: share(c == "a")
  lacking: null_share(x)
  spread: sd(x)
  together: correlation(x, y)
  least: min(x)
  kinds: distinct(c)
  odds: share(c == "a") / (1 - share(c == "a"))
"""

    def rows(self):
        rng = random.Random(SEED)
        rows = []
        for i in range(3_000):
            x = rng.gauss(20, 5)
            row = {"ts": T0 + i * 100, "model": "m", "x": x, "y": 0.5 * x + rng.gauss(0, 1), "c": rng.choice("aabc"),
                   "w": rng.choice([1, 1, 10, 2.5])}
            if rng.random() < 0.05:
                del row["x"]
            # Rows that stand for nobody: without a weight, or with one that is none.
            if rng.random() < 0.02:
                row["w"] = rng.choice([0, -3, None, "x"])
            rows.append(row)
        return rows

    @staticmethod
    def recompute(of):
        good = [(r, float(r["w"])) for r in of if isinstance(r["w"], (int, float)) and r["w"] > 0]
        w = numpy.array([w for _, w in good])
        has = numpy.array(["x" in r for r, _ in good])
        is_a = numpy.array([r["c"] == "a" for r, _ in good])
        x = numpy.array([r.get("x", 0.0) for r, _ in good])
        y = numpy.array([r["y"] for r, _ in good])

        def ratio(values, weights):
            r = numpy.average(values, weights=weights)
            return r, math.sqrt(((weights * (values - r)) ** 2).sum()) / weights.sum()
        ones = lambda condition: condition.astype(float)
        middle = numpy.average(x[has], weights=w[has])
        spread = math.sqrt((w[has] * (x[has] - middle) ** 2).sum() / (w[has].sum() - 1))
        kept = ratio(ones(is_a), w)
        values = {
            "all": w.sum(), "some": w[has].sum(), "few": w[is_a].sum(), "total": (w * x)[has].sum(), "middle": middle,
            "part": ratio(x[has & is_a], w[has & is_a])[0], "kept": kept[0], "lacking": numpy.average(ones(~has), weights=w), "spread": spread,
            "together": numpy.cov(x[has], y[has], aweights=w[has])[0, 1]
            / math.sqrt(numpy.cov(x[has], aweights=w[has]) * numpy.cov(y[has], aweights=w[has])),
            # Weights say nothing about these: rows without one count.
            "least": min(r["x"] for r in of if "x" in r), "kinds": len({r["c"] for r in of}), "odds": kept[0] / (1 - kept[0]),
        }
        errors = {"middle": ratio(x[has], w[has])[1], "part": ratio(x[has & is_a], w[has & is_a])[1], "kept": kept[1],
                  "lacking": ratio(ones(~has), w)[1]}
        return values, errors

    def test_metrics_are_those_of_the_rows_that_a_sample_stands_for(self):
        rows = self.rows()
        _, out = run_lines(rows, topology(self.TEXT, "weights.yaml"), "weights")
        checked = collections.Counter()
        for (_, _, (start, end), name), record in metrics(out).items():
            if not record["complete"]:
                continue
            values, errors = self.recompute([r for r in rows if start <= r["ts"] < end])
            metric = record["metric"]
            self.assertAlmostEqual(metric["value"], values[name], delta=1e-9 * max(1, abs(values[name])), msg=name)
            if name in errors:
                self.assertAlmostEqual(metric["standard_error"], errors[name], delta=1e-6 * errors[name], msg=name)
            checked[name] += 1
        self.assertEqual(set(checked), set(self.recompute(rows)[0]))

    def test_one_weight_for_all_rows_multiplies_counts_and_sums(self):
        rows = self.rows()
        text = self.TEXT.replace(", w: weight", "")
        plain = metrics(run_lines(rows, topology(text, "unweighted.yaml"), "unweighted")[1])
        tenfold = metrics(run_lines(rows, topology(text.replace("  topic: t\n", "  topic: t\n  weight: 10\n"), "tenfold.yaml"), "tenfold")[1])
        self.assertEqual(plain.keys(), tenfold.keys())
        for key, record in plain.items():
            factor = 10 if key[-1] in ("all", "some", "few", "total") else 1
            self.assertAlmostEqual(tenfold[key]["metric"]["value"], factor * record["metric"]["value"], delta=1e-9 * abs(record["metric"]["value"]))

    def test_two_weights_and_ranks_of_weighted_rows_are_refused(self):
        text = self.TEXT.replace("w: weight", "w: weight, v: weight").replace("  topic: t\n", "  topic: t\n  weight: 10\n")
        done = tidemark("lint", topology(text + "  high: quantile(x, 90%)\n", "heavy.yaml"), ok=1)
        self.assertEqual(done.stdout.count("two-weights") + done.stderr.count("two-weights"), 2)
        self.assertIn("weighted-rank", done.stdout + done.stderr)


class Metrics(unittest.TestCase):
    def test_metrics_of_groups_are_what_a_plain_recompute_gives_in_any_batch(self):
        text = """name: t
source:
  topic: t
  clock: 2030-01-01T00:00:00Z
  out_of_orderness: 2s
  schema: { ts: time_ms, model: model, amount: number, level: integer, country: category, decision: class }
segments: { all: { by: [] } }
windows: [1m, 3m every 1m]
metrics:
  declines: share(decision == "decline")
  declined_value: sum(amount where decision == "decline") / sum(amount)
  big: count(where amount > 100)
  least: min(amount where level > 1)
  far: sd(amount + 1000000000)
  p90: quantile(amount, 90%)
  countries: distinct(country where decision == "decline")
  together: correlation(amount, level)
  lacking: null_share(amount)
  odds: if(model == "m0", declines / (1 - declines), null)
monitors:
  drift: off
  quality: off
  volume: off
  freshness: off
  bounded: { metric: declines, outside: [1%, 35%], min_rows: 20, alert: true, for: 1 of 1 }
  own: { metric: mean(level) * 2, below: 3, min_rows: 20, segments: [all] }
  waits: { when: "count() >= 20 and declines > 30%", windows: [1m], max_age: 1h }
"""
        rng = random.Random(SEED)
        rows = []
        for i in range(4_000):
            row = {"ts": T0 + i * 100, "model": f"m{i % 2}", "level": rng.randrange(4), "country": rng.choice("ABCDE"),
                   "decision": "decline" if rng.random() < (0.2 if i < 2_000 else 0.45) else "approve"}
            if rng.random() > 0.03:
                row["amount"] = round(rng.lognormvariate(3, 1.5), 2)
            rows.append(row)
        topo = topology(text, "metrics.yaml")
        _, out = run_lines(rows, topo, "metrics")
        schema = jsonschema.Draft202012Validator(json.loads((ROOT / "docs/schemas/aggregate.schema.json").read_text()))

        def recompute(of):
            amounts = [r["amount"] for r in of if "amount" in r]
            declined = [r for r in of if r["decision"] == "decline"]
            both = [(r["amount"], r["level"]) for r in of if "amount" in r]
            share = len(declined) / len(of)
            return {
                "declines": share,
                "declined_value": float(exact_sum(r["amount"] for r in declined if "amount" in r) / exact_sum(amounts)),
                "big": sum(a > 100 for a in amounts),
                "least": min((r["amount"] for r in of if r["level"] > 1 and "amount" in r), default=None),
                "far": sd([a + 1e9 for a in amounts]), "countries": len({r["country"] for r in declined}),
                "together": numpy.corrcoef(both, rowvar=False)[0, 1], "lacking": 1 - len(amounts) / len(of),
                "odds": share / (1 - share) if len({r["model"] for r in of}) == 1 and of[0]["model"] == "m0" else None,
                "own": 2 * sum(r["level"] for r in of) / len(of), "waits": len(of) >= 20 and share > 0.3,
            }

        checked, verdicts, known = collections.Counter(), collections.Counter(), {}
        for record in (r["value"] for r in out["t-aggregates"] if r["value"].get("role") == "metric"):
            schema.validate(record)
            window, model = record["window"], record["group"].get("model")
            of = [r for r in rows if window["start"] <= r["ts"] < window["end"] and model in (None, r["model"])]
            name, metric = record["column"], record["metric"]
            self.assertEqual(record["rows"]["total"], len(of))
            for verdict in record.get("verdicts", []):
                verdicts[verdict["monitor"], verdict["verdict"]] += 1
            checked[name] += 1
            if name == "p90":
                values = sorted(r["amount"] for r in of if "amount" in r)
                self.assertAlmostEqual(metric["value"], values[int(0.9 * (len(values) - 1))], delta=0.02 * metric["value"])
                continue
            if (place := (window["start"], window["end"], model)) not in known:
                known[place] = recompute(of)
            want = known[place][name]
            if name == "waits":
                self.assertIs(metric["holds"], want)
            elif want is None:
                self.assertNotIn("value", metric, (name, record))
            else:
                close = 1e-3 if name == "countries" else 1e-9 * max(1, abs(want))
                self.assertAlmostEqual(metric["value"], want, delta=close, msg=name)
            if name == "declines":
                self.assertAlmostEqual(metric["standard_error"], math.sqrt(want * (1 - want) / len(of)), delta=1e-12)
            if name == "odds" and want is not None:
                # The error of a share p, carried through p / (1 - p).
                error = math.sqrt(want / (1 + want) / (1 + want) / len(of))
                self.assertAlmostEqual(metric["standard_error"], error * (1 + want) ** 2, delta=0.02 * error * (1 + want) ** 2)
        self.assertEqual(len(checked), 12)
        self.assertGreater(min(checked.values()), 20)
        for seen in [("bounded", "ok"), ("bounded", "rise"), ("own", "ok"), ("waits", "ok"), ("waits", "met")]:
            self.assertGreater(verdicts[seen], 0, (seen, verdicts))
        fired = {r["value"]["monitor"] for r in out["t-alerts"] if r["value"]["state"] == "firing"}
        self.assertEqual(fired - {"own"}, {"bounded", "waits"})
        for number, more in enumerate((("run.batch_rows=1",), ("run.batch_rows=977", "run.workers=2"))):
            other = WORK / f"metrics-again-{number}"
            tidemark("run", topo, "--input", WORK / "metrics.ndjson", "--output", other, "--until-end", "--quiet",
                     *(part for setting in more for part in ("--set", setting)))
            for kind in ("aggregates", "alerts"):
                self.assertEqual([r["value"] for r in lines(other / f"t-{kind}.ndjson")], [r["value"] for r in out[f"t-{kind}"]])
    BASELINES = """name: t
source:
  topic: t
  clock: 2030-01-01T00:00:00Z
  out_of_orderness: 2s
  schema: { ts: time_ms, model: model, version: version, amount: number, level: integer, country: category, decision: class }
segments: { by-version: { by: [model, version] } }
windows: [1m]
baselines:
  recent: { trailing: 3m, skip: 1m, min_rows: 150 }
  usual: { trailing: 3m, skip: 1m, min_rows: 150 }
  start: { first: 2m, min_rows: 100 }
  pool: { trailing: 2m, skip: 1m, per: pooled, min_rows: 100 }
  champion: { other: { version: "1" }, min_rows: 40 }
metrics:
  declines: share(decision == "decline")
  mean_recent: mean(amount over recent)
  some_recent: sum(amount - 50 where level > 1 over recent)
  sd_recent: sd(amount over recent)
  rows_recent: count(over recent)
  rows_usual: count(over usual)
  values_recent: count(amount over recent)
  nulls_start: null_share(amount over start)
  declines_start: share(decision == "decline" over start)
  together_start: correlation(amount over start, level)
  mean_pool: mean(amount over pool)
  most_champion: max(amount over champion)
  middle_champion: median(amount over champion)
  countries_champion: distinct(country over champion)
  moved: change(declines, recent)
  nearer: change(mean(amount), champion) - change(mean(amount), start)
  shift: psi(country, recent)
  apart: ks(amount, champion)
monitors:
  drift: { drift: country, against: recent, test: psi, min_rows: 1, alert: off }
  apart-too: { drift: amount, against: champion, test: ks, min_rows: 1, alert: off }
  quality: off
  volume: off
  freshness: off
  held: { metric: declines, against: usual, change: 20%, min_rows: 20, for: 1 of 1, max_age: 7d }
  beside: { metric: mean(amount), against: champion, change: 5%, min_rows: 20, segments: [by-version], alert: true }
  both: { when: "change(declines, start) > 30% and psi(country, recent) >= 0", min_rows: 20 }
  cheaper: { metric: sum(amount), against: { first: 3m }, change: 40%, min_rows: 20, segments: [by-version] }
"""

    def traffic(self):
        rng = random.Random(SEED + 7)
        rows = []
        for i in range(10_000):
            later = i > 6_000
            row = {"ts": T0 + i * 60, "model": rng.choice("ab"), "version": rng.choice("112"), "level": rng.randrange(4),
                   "country": rng.choices("ABCDE", [3, 2, 1, 1, 4 if later else 1])[0],
                   "decision": "decline" if rng.random() < (0.6 if later else 0.2) else "approve"}
            if rng.random() > 0.04:
                row["amount"] = round(rng.lognormvariate(3.2 if later else 3, 1.1), 2)
            rows.append(row)
        return rows

    def test_metrics_beside_every_baseline_of_the_stream_are_what_a_plain_recompute_gives(self):
        rows = self.traffic()
        topo = topology(self.BASELINES, "beside.yaml")
        _, out = run_lines(rows, topo, "beside")
        schema = jsonschema.Draft202012Validator(json.loads((ROOT / "docs/schemas/aggregate.schema.json").read_text()))
        found = metrics(out)
        first = rows[0]["ts"] // MINUTE * MINUTE

        by_start = collections.defaultdict(list)
        for row in rows:
            by_start[row["ts"] // MINUTE * MINUTE].append(row)

        def of(model, version, starts):
            return [r for start in sorted(starts) for r in by_start[start] if (model is None or r["model"] == model) and (version is None or r["version"] == version)]

        def amounts(some):
            return [r["amount"] for r in some if "amount" in r]

        def share(some):
            return sum(r["decision"] == "decline" for r in some) / len(some)

        def wanted(now, recent, began, pool, champion):
            return {
                "mean_recent": lambda: mean(amounts(recent)), "sd_recent": lambda: sd(amounts(recent)),
                "some_recent": lambda: float(exact_sum(r["amount"] - 50 for r in recent if r["level"] > 1 and "amount" in r) / 3),
                "rows_recent": lambda: len(recent) / 3, "values_recent": lambda: len(amounts(recent)) / 3,
                "nulls_start": lambda: 1 - len(amounts(began)) / len(began), "declines_start": lambda: share(began),
                "together_start": lambda: numpy.corrcoef([(r["amount"], r["level"]) for r in began if "amount" in r], rowvar=False)[0, 1],
                "mean_pool": lambda: mean(amounts(pool)), "most_champion": lambda: max(amounts(champion)),
                "countries_champion": lambda: len({r["country"] for r in champion}),
                "moved": lambda: share(now) / share(recent) - 1,
                "nearer": lambda: mean(amounts(now)) / mean(amounts(champion)) - mean(amounts(now)) / mean(amounts(began)),
            }

        checked, known = collections.Counter(), {}
        for (segment, group, (start, end), name), record in found.items():
            schema.validate(record)
            group = dict(group)
            model, version = group.get("model"), group.get("version")
            now = of(model, version, {start})
            spans = {"recent": [start - 4 * MINUTE + k * MINUTE for k in range(3)], "pool": [start - 3 * MINUTE + k * MINUTE for k in range(2)],
                     "start": [first, first + MINUTE]}
            least = {"recent": 150, "pool": 100, "start": 100}
            then = {}
            for baseline, starts in spans.items():
                some = of(*((None, None) if baseline == "pool" else (model, version)), set(starts))
                is_there = starts[0] >= first if baseline != "start" else start >= first + 2 * MINUTE
                then[baseline] = some if is_there and len(some) >= least[baseline] else None
            others = of(model, "1", {start})
            then["champion"] = others if version == "2" and len(others) >= 40 else None
            recent, began, pool, champion = (then[b] for b in ("recent", "start", "pool", "champion"))
            if (place := (model, version, start)) not in known:
                known[place] = {}
                for name_of, worked in wanted(now, recent, began, pool, champion).items():
                    try:
                        known[place][name_of] = worked()
                    except TypeError:
                        known[place][name_of] = None
            want = known[place]
            value = record["metric"].get("value")
            if name == "middle_champion" and champion:
                values = sorted(amounts(champion))
                self.assertAlmostEqual(value, values[(len(values) - 1) // 2], delta=0.03 * value)
            if name in want:
                expected = want[name]
                if expected is None:
                    self.assertIsNone(value, (record, name))
                else:
                    self.assertIsNotNone(value, (record, name))
                    self.assertAlmostEqual(value, expected, delta=(1e-3 if name.startswith("countries") else 1e-9) * max(1, abs(expected)), msg=f"{name} {record}")
                checked[name, expected is None] += 1
            if name in ("moved", "mean_recent", "some_recent") and value is not None:
                self.assertGreater(record["metric"]["standard_error"], 0)
        for name in want:
            self.assertGreater(checked[name, False], 8, (name, checked))
            self.assertGreater(checked[name, True], 0, (name, checked))
        self.same_as_drift(out, found)
        self.decided_by_intervals(out, found)
        for number, more in enumerate((("run.batch_rows=1",), ("run.batch_rows=977", "run.workers=2"))):
            other = WORK / f"beside-again-{number}"
            tidemark("run", topo, "--input", WORK / "beside.ndjson", "--output", other, "--until-end", "--quiet",
                     *(part for setting in more for part in ("--set", setting)))
            for kind in ("aggregates", "alerts"):
                self.assertEqual([r["value"] for r in lines(other / f"t-{kind}.ndjson")], [r["value"] for r in out[f"t-{kind}"]])

    def same_as_drift(self, out, found):
        """Tests of columns in metrics are those of drift monitors."""
        seen = collections.Counter()
        for record in (r["value"] for r in out["t-aggregates"]):
            for drift in record.get("drift", []):
                key = (record["operator"], tuple(sorted(record["group"].items())), (record["window"]["start"], record["window"]["end"]))
                for test, result in drift["tests"].items():
                    name = {("country", "psi"): "shift", ("amount", "ks"): "apart"}.get((record["column"], test))
                    if name is None or not drift["baseline"].startswith({"shift": "recent", "apart": "champion"}[name]):
                        continue
                    self.assertEqual(found[*key, name]["metric"]["value"], result["value"])
                    seen[name] += 1
        told = collections.Counter(name for (_, _, _, name), record in found.items() if name in ("shift", "apart") and "value" in record["metric"])
        self.assertEqual(seen, told)
        self.assertGreater(min(seen.values()), 8)

    def decided_by_intervals(self, out, found):
        """A change counts where it is surely greater than the bound."""
        seen = collections.Counter()
        for (segment, group, window, name), record in found.items():
            for verdict in record.get("verdicts", []):
                seen[verdict["monitor"], verdict["verdict"]] += 1
                if verdict["monitor"] != "held" or "expected" not in verdict:
                    continue
                now, then, rows = record["metric"]["value"], verdict["expected"], record["rows"]["total"]
                usual = found[segment, group, window, "rows_usual"]["metric"]["value"] * 3
                errors = [math.sqrt(max(s, 1 / (n + 2)) * (1 - s) / n) for s, n in ((now, rows), (then, usual))]
                side = 1 if now > then else -1
                z = (abs(now - then) - 0.2 * then) / math.hypot(errors[0], (1 + side * 0.2) * errors[1])
                p = min(1, math.erfc(z / math.sqrt(2)))
                self.assertAlmostEqual(verdict["effect"], now / then - 1, delta=1e-12)
                self.assertAlmostEqual(verdict["p"], p, delta=1e-9 + 1e-6 * p)
                sure = p <= verdict["level"] and abs(now / then - 1) > 0.2
                self.assertEqual(verdict["verdict"], ("rise" if side > 0 else "drop") if sure else "ok", record)
        for verdict in ("learning", "ok", "rise"):
            self.assertGreater(seen["held", verdict], 0, seen)
        for need in (("beside", "ok"), ("both", "learning"), ("both", "ok"), ("both", "met"), ("cheaper", "learning"), ("cheaper", "ok")):
            self.assertGreater(seen[need], 0, (need, seen))
        alerts = [r["value"] for r in out["t-alerts"] if r["value"]["monitor"] == "held"]
        self.assertTrue(alerts)
        self.assertIn(" more than ", alerts[0]["summary"])
        self.assertTrue(alerts[0]["usual"] and alerts[0]["now"])

    def test_every_aggregate_is_right_on_awkward_values_and_so_is_its_error(self):
        rng = random.Random(SEED + 11)
        wide = [rng.lognormvariate(2, 1) for _ in range(3_000)]
        groups = {
            "one": [5.25], "two": [0.1, 0.2], "none": [None] * 40, "same": [0.1] * 333, "wide": wide,
            "cancel": [1e16, 1.0, -1e16, 3.5, 2.0**-40] * 50, "huge": [1e300, -1e300, 1e308, -1e308, 7.0] * 20,
            "over": [1.7e308] * 3, "tiny": [5e-324, -5e-324, 2.5e-310, 0.0, -0.0] * 30, "far": [1e15 + k % 3 for k in range(300)],
            "signs": [rng.gauss(0, 1) * 10 ** rng.randrange(-30, 30) for _ in range(999)], "holes": [rng.choice([None, -1.5, 4.0, 1e-9]) for _ in range(500)],
        }
        text = """name: t
source: { topic: t, clock: 2030-01-01T00:00:00Z, out_of_orderness: 2s, schema: { ts: time_ms, model: model, x: number, y: number, c: category } }
windows: [1m]
metrics:
  count_x: count(x)
  sum_x: sum(x)
  mean_x: mean(x)
  sd_x: sd(x)
  min_x: min(x)
  max_x: max(x)
  median_x: median(x)
  p90_x: quantile(x, 0.9)
  least_x: quantile(x, 0)
  distinct_c: distinct(c)
  distinct_x: distinct(x)
  above: share(x > 0.15)
  never: share(x > 1 and x < 1)
  lacking: null_share(x)
  no_rows: sum(x where c == "nobody")
  no_mean: mean(x where c == "nobody")
  no_count: count(where c == "nobody")
  straight: correlation(x, 3 * x + 1)
  with_y: correlation(x, y)
  flat: correlation(x, 1)
monitors: { drift: off, quality: off, volume: off, freshness: off }
"""
        rows = []
        for name, values in groups.items():
            for k, value in enumerate(values):
                row = {"ts": T0 + k * 59_000 // len(values), "model": name, "y": rng.gauss(0, 1), "c": f"c{k % 7}"}
                rows.append({**row, "x": value} if value is not None else row)
        rng.shuffle(rows)
        rows.append({"ts": T0 + 600_000, "model": "end", "y": 1, "c": "c"})
        topo = topology(text, "awkward.yaml")
        _, out = run_lines(rows, topo, "awkward")
        found = metrics(out)
        window = (T0, T0 + MINUTE)
        checked = 0
        for name, values in groups.items():
            own = [r for r in rows if r["model"] == name]
            x, n = [v for v in values if v is not None], len(values)

            def metric(column):
                return found["by-model", (("model", name),), window, column]["metric"]

            def value(column):
                return metric(column).get("value")
            total = exact_sum(x)
            try:
                total = float(total)
            except OverflowError:
                total = None
            with self.subTest(name):
                self.assertEqual(value("count_x"), len(x))
                self.assertEqual(value("sum_x"), total)
                self.assertEqual((value("no_rows"), value("no_mean"), value("no_count")), (0, None, 0))
                self.assertEqual(value("lacking"), (n - len(x)) / n)
                self.assertAlmostEqual(value("distinct_c"), min(7, n), delta=1e-6)
                self.assertIsNone(value("flat"))
                if not x:
                    for column in ("mean_x", "sd_x", "min_x", "max_x", "median_x", "distinct_x", "above", "with_y"):
                        self.assertIsNone(value(column), column)
                    continue
                self.assertEqual((value("min_x"), value("max_x")), (min(x), max(x)))
                if total is None:
                    self.assertIsNone(value("mean_x"))
                else:
                    exact = exact_sum(x) / len(x)
                    self.assertLessEqual(abs(Fraction(value("mean_x")) - exact), Fraction(math.ulp(float(exact))))
                if len(x) < 2 or max(map(abs, x)) > 1.3e154:
                    self.assertIsNone(value("sd_x"))
                else:
                    self.assertAlmostEqual(value("sd_x"), sd(x), delta=1e-12 * sd(x))
                    self.assertAlmostEqual(metric("mean_x")["standard_error"], sd(x) / math.sqrt(len(x)), delta=1e-12 * sd(x))
                    self.assertAlmostEqual(metric("sum_x")["standard_error"], sd(x) * math.sqrt(len(x)), delta=1e-11 * sd(x) * len(x))
                ordered = sorted(x)
                for column, rank in (("median_x", 0.5), ("p90_x", 0.9), ("least_x", 0)):
                    near = ordered[math.floor(rank * (len(x) - 1)):math.ceil(rank * (len(x) - 1)) + 1]
                    # Values of more than seventeen powers of ten share bins.
                    close = {"cancel": 0.05, "signs": 0.1, "huge": 0.5}.get(name, 0.0101)
                    self.assertTrue(any(abs(value(column) - v) <= close * abs(v) + 1e-300 for v in near), (column, value(column), near))
                self.assertAlmostEqual(value("distinct_x"), len(set(x)), delta=0.05 * len(set(x)))
                above = sum(v > 0.15 for v in x) / len(x)
                self.assertEqual((value("above"), value("never")), (above, 0))
                likely = (len(x) * above + 1) / (len(x) + 2) if above in (0, 1) else above
                self.assertAlmostEqual(metric("above")["standard_error"], math.sqrt(likely * (1 - likely) / len(x)), delta=1e-12)
                if name in ("wide", "signs", "far", "holes"):
                    self.assertAlmostEqual(value("straight"), 1, delta=1e-6)
                if name == "wide":
                    both = [(r["x"], r["y"]) for r in own]
                    self.assertAlmostEqual(value("with_y"), numpy.corrcoef(both, rowvar=False)[0, 1], delta=1e-9)
                checked += 1
        self.assertEqual(checked, len(groups) - 1)
        # Errors beside those of samples drawn again from the same values.
        generator = numpy.random.default_rng(SEED)
        again = numpy.array(wide)[generator.integers(0, len(wide), (2_000, len(wide)))]
        for column, drawn, most in (("mean_x", again.mean(axis=1), 0.1), ("sum_x", again.sum(axis=1), 0.1), ("above", (again > 0.15).mean(axis=1), 1),
                                    ("median_x", numpy.median(again, axis=1), 0.35), ("p90_x", numpy.quantile(again, 0.9, axis=1), 0.35)):
            error = found["by-model", (("model", "wide"),), window, column]["metric"]["standard_error"]
            if column != "above":
                self.assertAlmostEqual(error, drawn.std(), delta=most * drawn.std(), msg=column)
        # In any order of rows, batches and workers the bytes are the same.
        expected = {k: json.dumps(v["metric"]) for k, v in found.items()}
        for number, more in enumerate(((), ("run.batch_rows=1",), ("run.batch_rows=977", "run.workers=2"))):
            shuffled = rows[:-1]
            rng.shuffle(shuffled)
            data = WORK / f"awkward-{number}.ndjson"
            data.write_text("".join(json.dumps(r) + "\n" for r in shuffled + rows[-1:]))
            other = WORK / f"awkward-out-{number}"
            tidemark("run", topo, "--input", data, "--output", other, "--until-end", "--quiet", *(part for setting in more for part in ("--set", setting)))
            got = metrics({"t-aggregates": lines(other / "t-aggregates.ndjson")})
            self.assertEqual({k: json.dumps(v["metric"]) for k, v in got.items()}, expected)

    def shipped(self, name, rows):
        """Alerts that a shipped topology fires over these rows, which are of one day from midnight on."""
        data = WORK / f"{name}.ndjson"
        data.write_text("".join(json.dumps(r) + "\n" for r in rows))
        out = WORK / f"{name}-out"
        shutil.rmtree(out, ignore_errors=True)
        # Replayed rows are old: their alerts are not muted here.
        tidemark("run", f"topologies/{name}.yaml", "--input", data, "--output", out, "--until-end", "--quiet",
                 "--set", "alerts.max_age=7d", "--set", "source.clock=2030-01-01T00:00:00Z")
        return [r["value"] for f in out.glob("*-alerts.ndjson") for r in lines(f) if r["value"]["state"] == "firing"], out

    def test_a_challenger_is_held_to_its_champion(self):
        def rows(shift):
            rng = random.Random(SEED + 3)
            for i in range(42_000):
                version = rng.choice(["1.4.2", "1.5.0"])
                moved = shift if version == "1.5.0" and i > 20_000 else 0
                score = min(1, max(0, rng.betavariate(2, 5) + moved))
                yield {"ts": 1_700_006_400_000 + i * 180, "model": "churn", "version": version, "customer_id": f"c{i}", "tenure": rng.randrange(120),
                       "plan": rng.choice(["basic", "pro"]), "spend": round(rng.uniform(0, 300), 2), "score": score,
                       "action": "offer" if score > 0.4 else "none"}
        fired, out = self.shipped("champion-challenger", rows(0))
        self.assertEqual(fired, [])
        compared = [r["value"] for r in lines(out / "churn-versions-aggregates.ndjson") if r["value"]["column"] == "offer_rate" and r["value"].get("verdicts")]
        self.assertGreater(sum(r["verdicts"][0]["verdict"] == "ok" for r in compared), 5)
        # The champion is not compared with itself.
        self.assertEqual({r["group"]["version"] for r in compared}, {"1.5.0"})
        fired, _ = self.shipped("champion-challenger", rows(0.15))
        self.assertEqual({a["monitor"] for a in fired}, {"score-vs-champion", "offer-rate-vs-champion", "score-moved-alone"})
        self.assertEqual({a["group"]["version"] for a in fired}, {"1.5.0"})
        rate = next(a for a in fired if a["monitor"] == "offer-rate-vs-champion")
        self.assertIn(" more than ", rate["summary"])

    def test_fraud_is_watched_by_its_metrics(self):
        def rows(later):
            rng = random.Random(SEED + 4)
            for i in range(40_000):
                moved = later and i > 32_000
                country = rng.choice(["BR", "DE", "PT"])
                yield {"ts": 1_700_006_400_000 + i * 400, "model": "fraud", "prediction_id": f"{'test-' if i % 50 == 0 else ''}p{i}",
                       "card": f"k{rng.randrange(40) if moved and country == 'PT' else rng.randrange(10**6)}", "amount": round(min(50_000, rng.lognormvariate(4, 1)), 2),
                       "merchant_risk": rng.random(), "country": country, "score": rng.betavariate(2, 8),
                       "decision": rng.choices(["approve", "review", "decline"], [90, 6, 25 if moved else 4])[0]}
        fired, out = self.shipped("fraud-scoring", rows(False))
        self.assertEqual([(a["monitor"], a["group"], a["column"]) for a in fired], [])
        published = {r["value"]["column"] for r in lines(out / "fraud-scoring-aggregates.ndjson") if r["value"].get("role") == "metric"}
        self.assertEqual(published, {"decline_rate", "declined_value", "usual_value", "value_moved", "drift-with-traffic", "card-bursts"})
        fired, _ = self.shipped("fraud-scoring", rows(True))
        found = {a["monitor"] for a in fired} | {m["monitor"] for a in fired for m in a.get("members", [])}
        self.assertLessEqual({"decline-rate", "declines-moved", "card-bursts"}, found)

    def test_stores_that_stay_away_on_a_friday_are_told_and_many_of_them_page(self):
        def rows(silent):
            made = subprocess.run([ROOT / "topologies/baselines/demand_records.py", "3", "6", str(silent)], capture_output=True, text=True, check=True)
            return list(map(json.loads, made.stdout.splitlines()))
        fired, out = self.shipped("seasonal", rows(0))
        self.assertEqual([(a["monitor"], a["group"], a["column"]) for a in fired], [])
        verdicts = collections.Counter((v["monitor"], v["verdict"]) for r in lines(out / "demand-aggregates.ndjson") for v in r["value"].get("verdicts", []))
        # The day of sales is no example, so the fifth Friday is still learning, and the sixth has four before it.
        self.assertEqual({v for m, v in verdicts if m == "volume"}, {"learning", "ok"})
        self.assertGreater(verdicts["volume", "ok"], 100)
        self.assertGreater(verdicts["drift", "ok"], 60)
        self.assertGreater(verdicts["slow-drift", "ok"], 15)
        self.assertEqual({v for m, v in verdicts if m == "many-stores-silent"}, {"ok"})
        fired, out = self.shipped("seasonal", rows(2))
        said = [r["value"] for r in lines(out / "demand-alerts.ndjson")]
        silent = [(a["group"], a["severity"]) for a in said if a["monitor"] == "store-silent" and a["state"] == "no_data"]
        self.assertEqual(silent, [({"store": "s0"}, "warn"), ({"store": "s1"}, "warn")])
        page = [a for a in fired if a["monitor"] == "many-stores-silent"]
        self.assertEqual([a["summary"] for a in page], ["many-stores-silent: 2 of 6 series are in breach (store-silent 2)"])
        # Their last rows came before 11:00; two hours on is the end of a window.
        self.assertEqual((page[0]["severity"], time.gmtime(page[0]["window"]["end"] // 1000)[3:5]), ("page", (13, 0)))
        self.assertEqual({a["group"].get("store") for a in fired if a["monitor"] == "volume"}, {"s0", "s1"})

    def test_a_number_of_a_window_is_held_to_the_same_of_windows_before(self):
        def text(against, more=""):
            return f"""name: t
source: {{ topic: t, clock: 2030-01-01T00:00:00Z, out_of_orderness: 2s, schema: {{ ts: time_ms, model: model, amount: number, decision: category }} }}
windows: [1m]
metrics: {{ lost: sum(amount where decision == "decline") }}
budget: {{ page: off }}
{more}
monitors:
  drift: off
  quality: off
  freshness: off
  volume: off
  money: {{ volume: lost, against: {against}, drop: 40%, rise: 60%, clear_for: 1 of 1, clear_below: 100% }}
  typical: {{ volume: median(amount), against: {against}, rise: 50%, drop: off, clear_for: 1 of 1, clear_below: 100% }}
"""
        rng = random.Random(SEED + 31)
        rows = []
        for minute in range(30):
            lean, rich = minute in (17, 18), minute == 24
            for i in range(200):
                decline = rng.random() < (0.05 if lean else 0.3)
                rows.append({"ts": T0 + minute * MINUTE + i * 250, "model": f"m{i % 2}", "decision": "decline" if decline else "approve",
                             "amount": round(rng.lognormvariate(4, 0.5) * (2.5 if rich else 1), 2)})

        def naive(values, value, drop, rise):
            """What a window says beside those before it: Wilson and Hilferty's root of a gamma, and Student's t."""
            k, mean = len(values), sum(values) / len(values)
            variance = sum((v - mean) ** 2 for v in values) / (k - 1)
            square = variance / mean**2
            score = (numpy.cbrt(value / mean) - (1 - square / 9)) / (math.sqrt(square) / 3) / math.sqrt(1 + 1 / k)
            change = value / mean - 1
            isAbove = drop is None or change > 0 and rise is not None
            p = student_upper(score if isAbove else -score, k - 1)
            effect, bound = (change, rise) if isAbove else (-change, drop)
            return mean, effect, p, ("rise" if isAbove else "drop") if effect >= bound else "ok"

        for number, against in enumerate(("{ trailing: 10m }", "{ first: 8m }", "{ same_time: 1h, times: 4 }")):
            topo = topology(text(against), "amounts.yaml")
            # The same windows half an hour apart: two of them are an hour.
            step = 30 * MINUTE if number == 2 else MINUTE
            _, out = run_lines([{**r, "ts": T0 + (r["ts"] - T0) // MINUTE * step + (r["ts"] - T0) % MINUTE} for r in rows], topo, "amounts")
            said, found = {}, collections.Counter()
            for record in (r["value"] for r in out["t-aggregates"] if r["value"].get("role") == "metric"):
                for verdict in record["verdicts"]:
                    said[verdict["monitor"], record["group"]["model"], (record["window"]["start"] - T0) // step] = (record["metric"]["value"], verdict)
            self.assertEqual(len(said), 2 * 2 * 30)
            for model in ("m0", "m1"):
                # Windows of an open alert are not learned by what it is judged by.
                apart = {"money": set(), "typical": set()}
                for minute in range(30):
                    for monitor, drop, rise in (("money", 0.4, 0.6), ("typical", None, 0.5)):
                        value, verdict = said[monitor, model, minute]
                        of = [r["amount"] for r in rows if r["model"] == model and (r["ts"] - T0) // MINUTE == minute and
                              (monitor == "typical" or r["decision"] == "decline")]
                        if monitor == "money":
                            self.assertAlmostEqual(value, math.fsum(of), places=7)
                        before = [m for m in range(minute) if m not in apart[monitor]]
                        if number == 0:
                            span = before[-10:]
                        elif number == 1:
                            span = list(range(8)) if minute >= 8 else []
                        else:
                            span = [minute - 2 * t for t in range(1, 5)] if minute >= 8 else []
                            span = [m for m in span if m not in apart[monitor]]
                        found[monitor, verdict["verdict"]] += 1
                        if verdict["verdict"] == "learning":
                            self.assertLess(minute, 11, (against, monitor, minute))
                            continue
                        expected, effect, p, word = naive([said[monitor, model, m][0] for m in sorted(span)], value, drop, rise)
                        self.assertEqual(verdict["verdict"], word, (against, monitor, model, minute, verdict, expected))
                        for name, want in (("expected", expected), ("effect", effect), ("p", p)):
                            self.assertAlmostEqual(verdict[name], want, delta=1e-9 * max(1, abs(want)), msg=(against, monitor, minute, name))
                        if word != "ok" and number != 1:
                            apart[monitor].add(minute)
            for seen in [("money", "ok"), ("money", "drop"), ("money", "rise"), ("typical", "rise"), ("typical", "ok")]:
                self.assertGreater(found[seen], 0, (against, seen, found))
            other = WORK / "amounts-again"
            shutil.rmtree(other, ignore_errors=True)
            tidemark("run", topo, "--input", WORK / "amounts.ndjson", "--output", other, "--until-end", "--quiet", "--set", "run.batch_rows=7", "--set", "run.workers=2")
            for kind in ("aggregates", "alerts"):
                self.assertEqual([r["value"] for r in lines(other / f"t-{kind}.ndjson")], [r["value"] for r in out[f"t-{kind}"]])

    def test_rows_of_a_window_beside_those_before_are_judged_exactly(self):
        text = """name: t
source: { topic: t, clock: 2030-01-01T00:00:00Z, out_of_orderness: 2s, schema: { ts: time_ms, model: model, x: number } }
windows: [1m]
budget: { page: off }
monitors:
  drift: off
  quality: off
  freshness: off
  volume: { against: { trailing: 12m }, drop: 20%, rise: 25%, clear_for: 1 of 1, clear_below: 100%, alert: off }
  many: { any_of: [volume] }
"""
        rng = random.Random(SEED + 41)
        counts = [max(3, round(rng.gauss(120, 8) * (0.4 if m in (20, 21) else 1.9 if m == 27 else 1))) for m in range(36)]
        rows = [{"ts": T0 + m * MINUTE + i * (56_000 // n), "model": "m", "x": 1} for m, n in enumerate(counts) for i in range(n)]
        _, out = run_lines(rows, topology(text, "rows.yaml"), "rows-exact")
        found = collections.Counter()
        for record in (r["value"] for r in out["t-aggregates"] if r["value"]["group"] and "column" not in r["value"]):
            minute, verdict = (record["window"]["start"] - T0) // MINUTE, record["verdicts"][0]
            found[verdict["verdict"]] += 1
            if verdict["verdict"] == "learning":
                self.assertLess(minute, 12)
                continue
            # Silent members have no alerts, so nothing is set apart.
            before = counts[minute - 12:minute]
            k, total, x = 12, sum(before), counts[minute]
            average = total / k
            variance = sum((c - average) ** 2 for c in before) / (k - 1)
            square = max(variance, average) / average**2
            isAbove = x > average
            at = x - 0.5 if isAbove else x + 0.5
            score = (numpy.cbrt(at / average) - (1 - square / 9)) / (math.sqrt(square) / 3) / math.sqrt(1 + 1 / k)
            # Of all rows each lies in the window with probability 1/13, exactly.
            share, n = Fraction(1, k + 1), total + x
            tail = sum(math.comb(n, i) * share**i * (1 - share) ** (n - i) for i in (range(x, n + 1) if isAbove else range(x + 1)))
            p = max(float(tail), student_upper(score if isAbove else -score, k - 1))
            effect, bound = (x / average - 1, 0.25) if isAbove else (1 - x / average, 0.2)
            self.assertAlmostEqual(verdict["expected"], average, delta=1e-9)
            self.assertAlmostEqual(verdict["effect"], effect, delta=1e-12)
            self.assertAlmostEqual(verdict["p"], p, delta=1e-9)
            word = ("rise" if isAbove else "drop") if effect >= bound else "ok"
            self.assertEqual(verdict["verdict"], word, (minute, verdict))
        self.assertEqual(found["drop"] >= 1 and found["rise"], 1, found)
        self.assertGreater(found["ok"], 15)

    def test_several_tests_combine_by_any_or_by_all(self):
        text = """name: t
source: { topic: t, clock: 2030-01-01T00:00:00Z, out_of_orderness: 2s, schema: { ts: time_ms, model: model, x: { type: number, expect: { range: [0, 1] } }, c: category } }
windows: [1m]
baselines: { begin: { first: 4m } }
budget: { page: off }
outputs: { aggregates: { topic: t-aggregates, columns: %s } }
monitors:
  quality: off
  volume: off
  freshness: off
  drift: { drift: x, test: { psi: { ignore_below: 0.1 }, hellinger: { ignore_below: 0.2 }, total_variation: { ignore_below: 0.12 } } }
  surely: { drift: x, test: { psi: { ignore_below: 0.1 }, hellinger: { ignore_below: 0.2 }, total_variation: { ignore_below: 0.12 } }, combine: all, clear_for: 1 of 1 }
"""
        rng = random.Random(SEED + 43)
        rows = [{"ts": T0 + m * MINUTE + i * 80, "model": "m", "c": "a", "x": min(1, max(0, rng.random() ** (1 + max(0, m - 4) / 8)))} for m in range(16) for i in range(700)]
        summary, out = run_lines(rows, topology(text % "all", "combine.yaml"), "combine")
        cells = [collections.Counter(min(19, int(r["x"] * 20)) for r in rows if (r["ts"] - T0) // MINUTE in minutes) for minutes in [range(4)] + [[m] for m in range(16)]]
        found = collections.Counter()
        for record in (r["value"] for r in out["t-aggregates"] if r["value"].get("column") == "x"):
            minute = (record["window"]["start"] - T0) // MINUTE
            verdicts = {v["monitor"]: v for v in record["verdicts"]}
            if minute < 4:
                self.assertEqual({v["verdict"] for v in verdicts.values()}, {"learning"})
                continue
            tests = {name: test["value"] for name, test in record["drift"][0]["tests"].items()}
            p, q = ([c[i] / sum(c.values()) for i in range(20)] for c in (cells[minute + 1], cells[0]))
            self.assertAlmostEqual(tests["hellinger"], math.sqrt(max(0, 1 - sum(math.sqrt(a * b) for a, b in zip(p, q)))), delta=1e-7)
            self.assertAlmostEqual(tests["total_variation"], sum(abs(a - b) for a, b in zip(p, q)) / 2, delta=1e-12)
            over = {name: tests[name] / bound for name, bound in (("psi", 0.1), ("hellinger", 0.2), ("total_variation", 0.12))}
            for monitor, decides in (("drift", max), ("surely", min)):
                name = decides(over, key=over.get)
                self.assertEqual(verdicts[monitor]["verdict"], "drift" if over[name] >= 1 else "ok", (minute, over))
                self.assertEqual(verdicts[monitor]["effect"], tests[name], (minute, over))
            found[tuple(verdicts[m]["verdict"] for m in ("drift", "surely"))] += 1
        self.assertGreater(min(found["ok", "ok"], found["drift", "ok"], found["drift", "drift"]), 0, found)
        # Columns that are not published are watched all the same.
        less, quiet = run_lines(rows, topology(text % "c", "combine-less.yaml"), "combine-less")
        self.assertEqual({r["value"].get("column") for r in quiet["t-aggregates"]}, {"c"})
        told = lambda alerts: [{k: v for k, v in r["value"].items() if k not in ("revision", "id")} for r in alerts]
        self.assertEqual(told(quiet["t-alerts"]), told(out["t-alerts"]))
        self.assertGreater(len(out["t-alerts"]), 1)

    def test_roll_ups_count_the_series_of_their_members(self):
        text = """name: t
source: { topic: t, clock: 2030-01-01T00:00:00Z, out_of_orderness: 2s, schema: { ts: time_ms, store: segment, late: number, paid: boolean } }
windows: [1m]
monitors:
  drift: off
  quality: off
  volume: off
  freshness: off
  lateness: { metric: mean(late), above: 5, alert: off, min_rows: 5, segments: [by-store] }
  unpaid: { when: "share(paid) < 50%", alert: off, min_rows: 5, segments: [by-store] }
  many: { any_of: [lateness], at_least: 30%, segments: [by-store], for: 1 of 1, severity: page }
  three: { any_of: [lateness, unpaid], at_least: 3, segments: [by-store] }
  both: { all_of: [lateness, unpaid], segments: [by-store] }
"""
        rng = random.Random(SEED + 17)
        bad = {(minute, store): (rng.random() < minute * 0.06, rng.random() < 0.15) for minute in range(10) for store in range(12)}
        rows = [{"ts": T0 + minute * MINUTE + k * 4_000, "store": f"s{store}", "late": 9 + rng.random() if bad[minute, store][0] else rng.random(),
                 "paid": (k % 4 == 0) if bad[minute, store][1] else k % 4 != 0}
                for minute in range(10) for k in range(12) for store in range(12) if minute != 7 or store != 3 or k < 3]
        topo = topology(text, "rollups.yaml")
        _, out = run_lines(rows, topo, "rollups")
        found = {}
        for record in (r["value"] for r in out["t-aggregates"] if "column" not in r["value"] and r["value"]["operator"] == "by-store"):
            for verdict in record["verdicts"]:
                found[(record["window"]["start"] - T0) // MINUTE, verdict["monitor"]] = (verdict["verdict"], verdict["effect"])
        self.assertEqual(len(found), 30)
        seen = set()
        for minute in range(10):
            stores = [s for s in range(12) if (minute, s) != (7, 3)]
            late, unpaid = (sum(bad[minute, s][k] for s in stores) for k in (0, 1))
            want = {"many": (late >= 0.3 * len(stores), late / len(stores)), "three": (late + unpaid >= 3, (late + unpaid) / 2 / len(stores)),
                    "both": (late >= 1 and unpaid >= 1, (late + unpaid) / 2 / len(stores))}
            for name, (met, share) in want.items():
                self.assertEqual(found[minute, name][0], "met" if met else "ok", (minute, name))
                self.assertAlmostEqual(found[minute, name][1], share, delta=1e-12)
                seen.add((name, met))
        self.assertGreaterEqual(len(seen), 5)
        fired = [r["value"] for r in out["t-alerts"] if r["value"]["state"] == "firing"]
        # Members that are off have verdicts, and no alerts.
        self.assertLessEqual({a["monitor"] for a in fired}, {"many", "three", "both"})
        self.assertIn("many", {a["monitor"] for a in fired})
        page = next(a for a in fired if a["monitor"] == "many")
        self.assertRegex(page["summary"], r"^many: \d+ of 1[12] series are in breach \(lateness \d+\)$")
        for number, more in enumerate((("run.batch_rows=1",), ("run.batch_rows=977", "run.workers=2"))):
            other = WORK / f"rollups-again-{number}"
            tidemark("run", topo, "--input", WORK / "rollups.ndjson", "--output", other, "--until-end", "--quiet",
                     *(part for setting in more for part in ("--set", setting)))
            for kind in ("aggregates", "alerts"):
                self.assertEqual([r["value"] for r in lines(other / f"t-{kind}.ndjson")], [r["value"] for r in out[f"t-{kind}"]])


if __name__ == "__main__":
    if len(sys.argv) > 1:
        sys.argv = [sys.argv[0], "-v", "-k", sys.argv[1]]
    try:
        unittest.main()
    finally:
        shutil.rmtree(WORK, ignore_errors=True)
