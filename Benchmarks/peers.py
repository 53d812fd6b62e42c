#!/usr/bin/env python3
"""W1's aggregates by DuckDB, chDB, Bytewax, whylogs and Tidemark, on one thread each, in the same run.

usage: peers.py [RECORDS=250000] [RUNS=5]      (run by `make bench-peers`)

Installs the pinned peers into a virtual environment of their own (out/peers), makes W1, lets each
compute counts, mean, sd, seven quantiles of 13 columns and distinct counts of 3 by model and minute,
and holds the results against an exact computation before it is timed. CPU is user + system of the
whole process (its start included), the median of the runs, which are interleaved. Exit 1 if a result is wrong. What cannot be installed is named and left out.

Differences that remain: Tidemark also writes histograms, tests, top values and sketch bytes of every
window, and keeps windows by event time, as Bytewax does; DuckDB, chDB and whylogs aggregate a file at
rest. DuckDB's quantiles are exact (its approximate ones were 8% of rank off here), chDB's t-digests,
whylogs' and Bytewax's (which has no aggregates of its own) KLL of Apache DataSketches.
"""
import collections
import json
import math
import os
import pathlib
import statistics
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
WORK = ROOT / "out/peers"
PYTHON = WORK / "venv/bin/python"
PEERS = {
    "duckdb": ["duckdb==2.0.1"],
    "chdb": ["chdb==4.4.0"],
    "bytewax": ["bytewax==0.21.1", "datasketches==5.2.0"],
    "whylogs": ["whylogs==1.6.4", "pandas==2.2.3", "numpy==1.26.4"],
}
NUM = [f"f{i}" for i in range(12)] + ["score"]
CAT = ["c0", "c1", "c2"]
RANKS = [0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99]


# What runs in the peers' environment: prints a line [model, start, column, n, mean, sd, quantiles] a
# number and [model, start, column, distinct] a category.

def by_duckdb(path):
    import duckdb
    columns = {"model": "VARCHAR", "ts": "BIGINT", **{c: "DOUBLE" for c in NUM}, **{c: "VARCHAR" for c in CAT}}
    wanted = [f"count({c}), avg({c}), stddev_samp({c}), quantile_disc({c}, {RANKS})" for c in NUM]
    wanted += [f"approx_count_distinct({c})" for c in CAT]
    db = duckdb.connect()
    db.execute("SET threads = 1")
    rows = db.execute(f"SELECT model, ts // 60000 * 60000 AS start, {', '.join(wanted)} FROM "
                      f"read_json('{path}', format = 'newline_delimited', columns = {columns}) GROUP BY ALL").fetchall()
    for row in rows:
        yield from split(row)


def split(row):
    model, start = row[:2]
    for i, c in enumerate(NUM):
        n, mean, sd, quantiles = row[2 + 4 * i:6 + 4 * i]
        yield [model, start, c, n, mean, sd, list(quantiles)]
    for i, c in enumerate(CAT):
        yield [model, start, c, row[2 + 4 * len(NUM) + i]]


def by_chdb(path):
    import chdb
    columns = ", ".join(["model String", "ts Int64", *(f"{c} Nullable(Float64)" for c in NUM), *(f"{c} Nullable(String)" for c in CAT)])
    ranks = ", ".join(map(str, RANKS))
    wanted = [f"count({c}), avg({c}), stddevSamp({c}), quantilesTDigest({ranks})({c})" for c in NUM]
    wanted += [f"uniqHLL12({c})" for c in CAT]
    text = chdb.query(f"SELECT model, intDiv(ts, 60000) * 60000 AS start, {', '.join(wanted)} FROM file('{path}', JSONEachRow, '{columns}') "
                      "GROUP BY model, start SETTINGS max_threads = 1, output_format_json_quote_64bit_integers = 0", "JSONCompactEachRow")
    for line in str(text).splitlines():
        yield from split(json.loads(line))


class Cell:
    """Aggregates of a group and window, for a framework that leaves them to its user."""

    def __init__(self):
        from datasketches import hll_sketch, kll_floats_sketch
        self.numbers = {c: [0, 0.0, 0.0, kll_floats_sketch(200)] for c in NUM}
        self.texts = {c: hll_sketch(12) for c in CAT}

    def add(self, row):
        for c, cell in self.numbers.items():
            x = row.get(c)
            if x is not None:
                cell[0] += 1
                d = x - cell[1]
                cell[1] += d / cell[0]
                cell[2] += d * (x - cell[1])
                cell[3].update(x)
        for c, sketch in self.texts.items():
            if row.get(c) is not None:
                sketch.update(row[c])
        return self


def by_bytewax(path):
    from datetime import datetime, timedelta, timezone
    import bytewax.operators as op
    import bytewax.operators.windowing as win
    from bytewax.connectors.files import FileSource
    from bytewax.dataflow import Dataflow
    from bytewax.testing import TestingSink, run_main
    out = []
    zero = datetime(1970, 1, 1, tzinfo=timezone.utc)
    flow = Dataflow("w1")
    rows = op.map("decode", op.input("in", flow, FileSource(path, batch_size=1000)), json.loads)
    keyed = op.key_on("model", rows, lambda row: row["model"])
    clock = win.EventClock(lambda row: zero + timedelta(milliseconds=row["ts"]), wait_for_system_duration=timedelta(seconds=10))
    windower = win.TumblingWindower(align_to=zero, length=timedelta(minutes=1))
    folded = win.fold_window("fold", keyed, clock, windower, Cell, Cell.add, lambda a, b: a)
    op.output("out", folded.down, TestingSink(out))
    # One epoch: nothing is kept for a recovery, as with the others.
    run_main(flow, epoch_interval=timedelta(days=1))
    for model, (window, cell) in out:
        for c, (n, mean, squares, kll) in cell.numbers.items():
            yield [model, window * 60_000, c, n, mean, math.sqrt(squares / (n - 1)) if n > 1 else 0, [kll.get_quantile(q) for q in RANKS]]
        for c, sketch in cell.texts.items():
            yield [model, window * 60_000, c, sketch.get_estimate()]


def by_whylogs(path):
    import pandas
    import whylogs
    frame = pandas.read_json(path, lines=True, convert_dates=False, dtype=False)
    frame["start"] = frame["ts"] // 60_000 * 60_000
    for (model, start), rows in frame.groupby(["model", "start"]):
        view = whylogs.log(rows[NUM + CAT]).view()
        for c in NUM:
            column = view.get_column(c)
            told = column.get_metric("distribution")
            n = told.kll.value.get_n()
            yield [model, int(start), c, n, told.mean.value, told.stddev, list(told.kll.value.get_quantiles(RANKS))]
        for c in CAT:
            yield [model, int(start), c, view.get_column(c).get_metric("cardinality").hll.value.get_estimate()]


# What compares.

def exact(path):
    cells = collections.defaultdict(list)
    for line in open(path, "rb"):
        row = json.loads(line)
        for c in NUM + CAT:
            if row.get(c) is not None:
                cells[row["model"], row["ts"] // 60_000 * 60_000, c].append(row[c])
    for key, values in cells.items():
        if key[2] in NUM:
            values.sort()
    return cells


def differences(told, cells):
    """What is wrong, and the largest errors of rank and of distinct counts."""
    import bisect
    wrong, seen, worst_rank, worst_distinct = [], set(), 0.0, 0.0
    for model, start, c, *answers in told:
        values = cells.get((model, start, c))
        if values is None:
            wrong.append(f"{model} {start} {c} does not exist")
            continue
        seen.add((model, start, c))
        if c in CAT:
            worst_distinct = max(worst_distinct, abs(answers[0] / len(set(values)) - 1))
            continue
        n, mean, sd, quantiles = answers
        if n != len(values):
            wrong.append(f"{model} {start} {c}: n {n}, is {len(values)}")
            continue
        true = math.fsum(values) / n
        spread = math.sqrt(math.fsum((x - true) ** 2 for x in values) / (n - 1))
        if abs(mean - true) > 1e-9 * spread or abs(sd / spread - 1) > 1e-9:
            wrong.append(f"{model} {start} {c}: mean {mean} sd {sd}, are {true} {spread}")
        for q, x in zip(RANKS, quantiles):
            # f32 may lie on either side of the value that it stands for.
            slack = abs(x) * 1e-6
            low, high = bisect.bisect_left(values, x - slack) / n, bisect.bisect_right(values, x + slack) / n
            worst_rank = max(worst_rank, low - q, q - high)
    if missing := set(cells) - seen:
        wrong.append(f"{len(missing)} cells are missing, as {min(missing)}")
    return wrong, worst_rank, worst_distinct


def by_tidemark(out):
    for line in open(out / "w1-aggregates.ndjson", "rb"):
        v = json.loads(line)["value"]
        key = [v["group"]["model"], v["window"]["start"], v["column"]]
        if v["column"] in NUM:
            yield key + [v["rows"]["value"], v["mean"], v["sd"], list(v["quantiles"].values())]
        elif v["column"] in CAT:
            yield key + [v["distinct"]["estimate"]]


def measured(args):
    with open(WORK / "out.txt", "w") as out, open(WORK / "err.txt", "w") as err:
        process = subprocess.Popen(args, stdout=out, stderr=err, cwd=ROOT)
        _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise RuntimeError((WORK / "err.txt").read_text()[-2000:])
    return usage.ru_utime + usage.ru_stime


def install():
    ready = {}
    WORK.mkdir(parents=True, exist_ok=True)
    if not PYTHON.exists():
        subprocess.run([sys.executable, "-m", "venv", WORK / "venv"], check=True)
    have = subprocess.run([PYTHON, "-m", "pip", "freeze"], capture_output=True, text=True).stdout.split()
    for name, packages in PEERS.items():
        missing = [p for p in packages if p not in have]
        done = missing and subprocess.run([PYTHON, "-m", "pip", "install", "-q", "--disable-pip-version-check", *missing], capture_output=True, text=True)
        if done and done.returncode:
            print(f"{packages[0]} cannot be installed: {done.stderr.strip().splitlines()[-1]}")
        else:
            ready[name] = packages[0].replace("==", " ")
    return ready


def main():
    records = int(sys.argv[1]) if len(sys.argv) > 1 else 250_000
    runs = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    ready = install()
    data = WORK / f"{records}"
    path = data / "w1.ndjson"
    if not (data / "w1.ref.json").exists():
        data.mkdir(exist_ok=True)
        subprocess.run([sys.executable, ROOT / "Benchmarks/w1.py", data, str(records)], check=True, stdout=subprocess.DEVNULL)
    cells = exact(path)
    out = WORK / "tidemark"
    commands = {"tidemark": [ROOT / ".build/release/tidemark", "run", "topologies/w1.yaml", "--input", path, "--output", out, "--until-end", "--quiet",
                             "--set", "run.workers=1"]}
    for name in ready:
        commands[name] = [PYTHON, __file__, "--by", name, path]
    errors, broken = {}, False
    for name, command in list(commands.items()):
        try:
            measured(command)
            told = list(by_tidemark(out)) if name == "tidemark" else [json.loads(line) for line in open(WORK / "out.txt") if line.startswith("[")]
        except RuntimeError as error:
            print(f"{name} fails and is left out: {error}")
            del commands[name]
            broken |= name == "tidemark"
            continue
        wrong, *errors[name] = differences(told, cells)
        # KLL k = 200 promises 1.33% in 99% of cases, and this is the largest of thousands.
        if wrong or errors[name][0] > 0.03 or errors[name][1] > 0.25:
            print(f"{name} is wrong in {len(wrong)} cells: {wrong[:3]}, rank {errors[name][0]:.4f}, distinct {errors[name][1]:.4f}")
            broken |= name == "tidemark"
            del commands[name]
    figures = collections.defaultdict(list)
    for _ in range(runs):
        for name, command in commands.items():
            figures[name].append(measured(command))
    own = statistics.median(figures["tidemark"]) if "tidemark" in figures else math.nan
    print(f"{records:,} records, medians of {runs} interleaved runs, load {os.getloadavg()[0]:.1f}\n")
    print("| | CPU-s per million | least to most | × Tidemark | largest rank error | of distinct |\n|---|---|---|---|---|---|")
    for name, runs_of in figures.items():
        cpu = sorted(f / records * 1e6 for f in runs_of)
        middle = statistics.median(cpu)
        print(f"| {ready.get(name, name)} | {middle:.2f} | {cpu[0]:.2f}–{cpu[-1]:.2f} | {middle * records / 1e6 / own:.1f} | "
              f"{errors[name][0]:.2%} | {errors[name][1]:.1%} |")
    sys.exit(1 if broken else 0)


if len(sys.argv) > 3 and sys.argv[1] == "--by":
    for answer in globals()[f"by_{sys.argv[2]}"](sys.argv[3]):
        print(json.dumps(answer))
else:
    main()
