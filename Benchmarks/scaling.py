#!/usr/bin/env python3
"""How the cost of a record grows with what is asked of it: results as JSON, and a picture.

usage: scaling.py [RUNS=3]           (run by `make bench-scaling`; writes Benchmarks/scaling.json and scaling.svg)
       scaling.py draw               draws the picture of the results that are there once more

One axis at a time: the size of W1; groups; columns; slices of a hopping window; workers (through Kafka, where there is one).
Rows are made by scaling/rows.c, 5,000 in a (group, window) unless that is more than ROWS_MAX rows, all columns
watched as in w1.yaml. CPU is user + system of the whole process (wait4), the median of RUNS (of one above a million rows).
Tidemark says itself how much of it went into closing windows (`closing_cpu_seconds`, without writing the output).

  closing             of a run that publishes nothing, a (group, column) and window
  publishing          closing of a run that publishes aggregates and sketches, less that
  without closing     a run that publishes nothing less its closing and the start, a row and column: read, decode, group,
                      fold, sketch, seal, merge
"""
import json
import os
import pathlib
import platform
import shutil
import statistics
import subprocess
import sys
import time

from bench import ROOT, TIDEMARK, make_w1

WORK = ROOT / "out/scaling"
ROWS = WORK / "rows"
RESULTS = ROOT / "Benchmarks/scaling.json"
ROWS_MAX = 5_000_000
PICTURE = ROOT / "Benchmarks/scaling.svg"


# Running


def topology(name, columns, windows, groups, published, source=None):
    """A topology with as much on each column as w1.yaml has, written to WORK."""
    if source:
        text = source.read_text().replace("baselines/", f"{ROOT}/topologies/baselines/")
        text = "\n".join(f"windows: {json.dumps(windows)}" if line.startswith("windows:") else line for line in text.splitlines())
        if not published:
            text = "\n".join("outputs: { aggregates: off }" if line.startswith("outputs:") else line for line in text.splitlines())
        text = text.replace("memory: 96MiB", "memory: 1GiB")
    else:
        texts = sum(1 for i in range(columns) if i % 16 >= 13)
        numbers = columns - texts
        baseline = WORK / f"baseline-{numbers}.json"
        rows = []
        for i in range(numbers):
            low, high = (-3, 3) if i % 2 == 0 else (0, 20)
            edges = [low + (high - low) * j / 20 for j in range(21)]
            rows.append({"group": "*", "column": f"n{i}", "edges": edges, "outer": "open", "counts": [500] * 20, "n": 10_000, "nulls": 0})
        baseline.write_text(json.dumps({"format": "tidemark-baseline", "v": 1, "made": {"by": "Benchmarks/scaling.py"}, "columns": rows}))
        text = f"""
name: scaling
source:
  topic: scaling
  start: earliest
  out_of_orderness: 2s
  schema: {{ model: model, ts: time_ms, n0..n{numbers - 1}: number{f", c0..c{texts - 1}: category" if texts > 1 else ", c0: category" if texts else ""} }}
windows: {json.dumps(windows)}
segments: {{ by-model: {{ by: [model], limit: {max(100, 2 * groups)} }} }}
baselines: {{ reference: {{ file: {baseline} }} }}
summaries:
  - {{ columns: numbers, histogram: {{ edges: reference, bins: 20 }}, quantiles: {{ sketch: kll, k: 200, at: [1%, 5%, 25%, 50%, 75%, 95%, 99%] }} }}
{"  - { columns: categories, distinct: { sketch: hll, lg_k: 12 }, top: 10 }" if texts else ""}
monitors:
  drift: {{ drift: numbers, test: [psi, ks], alert: off }}
  quality: off
  volume: off
  freshness: off
outputs: {"{ aggregates: { topic: scaling-aggregates, sketches: [kll, hll, frequent] } }" if published else "{ aggregates: off }"}
limits: {{ memory: 64GiB }}
"""
    path = WORK / f"{name}.yaml"
    path.write_text(text)
    return path


def cpu(plan, data):
    """CPU-seconds and peak MB of one run, and what it says of itself."""
    out = WORK / "out"
    shutil.rmtree(out, ignore_errors=True)
    process = subprocess.Popen([TIDEMARK, "run", plan, "--input", data, "--output", out, "--until-end", "--json", "--quiet",
                                "--set", "run.workers=1"], stdout=subprocess.PIPE)
    text = process.stdout.read().decode()
    _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        sys.exit(f"{plan} ended with status {status}:\n{text}")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, json.loads(text)


def median(runs, plan, data, expected):
    """CPU-seconds of a run, those of closing, and peak MB: medians of runs that read all rows."""
    found = []
    for _ in range(runs):
        seconds, megabytes, summary = cpu(plan, data)
        if summary["records"] != expected:
            sys.exit(f"{plan}: {summary['records']} records of {expected}")
        found.append((seconds, summary["closing_cpu_seconds"], megabytes, summary["windows"]))
    return [statistics.median(values) for values in zip(*found)]


def parts(name, runs, rows, groups, columns, minutes, start, data=None, source=None, windows=("1m",)):
    """The parts of the cost at one place."""
    if not data:
        # Not through a pipe: 64 KiB at a time are batches of their own.
        data = WORK / "rows.ndjson"
        with open(data, "wb") as file:
            subprocess.run([ROWS, str(rows), str(groups), str(columns), str(60 * minutes)], stdout=file, check=True)
    runs = runs if rows <= 1_000_000 else 1

    def run(kind, published):
        return median(runs, topology(f"{name}-{kind}", columns, list(windows), groups, published, source), data, rows)

    a, a_closing, megabytes, closed = run("published", True)
    b, b_closing, _, _ = run("quiet", False)
    cells = groups * columns * closed
    row = {"name": name, "rows": rows, "groups": groups, "columns": columns, "windows": closed, "cpu": a, "mb": round(megabytes),
           "us_a_record": a / rows * 1e6, "publishing_us": (a_closing - b_closing) / cells * 1e6, "closing_us": b_closing / cells * 1e6,
           "rest_ns": (b - start - b_closing) / (rows * columns) * 1e9}
    say(row)
    return row


def say(row):
    print(f"{row['name']:<14} {row['rows']:>11,} rows {row['groups']:>6} groups {row['columns']:>4} columns {row['windows']:>4.0f} windows"
          f"   {row['us_a_record']:7.3f} us a record   {row['rest_ns']:6.1f} ns a row and column   closing {row['closing_us']:5.1f} us, "
          f"publishing {row['publishing_us']:5.1f} us a (group, column)   {row['mb']:>6} MB", flush=True)


def workers(runs):
    """W1 through Kafka with one worker and with two, CPU and seconds; nothing where there is no Kafka."""
    script = os.environ.get("TIDEMARK_TEST_KAFKA", str(ROOT / "../shared/kafka/kafka"))
    if not os.access(script, os.X_OK):
        print(f"no Kafka script at {script}: workers are left out")
        return []
    environment = dict(os.environ, KAFKA_DIR=str(WORK / "kafka"), KAFKA_PORT=os.environ.get("KAFKA_PORT", "23093"))

    def kafka(*args):
        return subprocess.run([script, *args], env=environment, capture_output=True, text=True)

    found = []
    try:
        kafka("up")
        brokers = environment["TIDEMARK_BROKERS"] = kafka("bootstrap").stdout.strip()
        for topic, count in {"w1": 4, "w1-aggregates": 4, "w1-aggregates-sketches": 4, "w1-alerts": 1, "w1-dead-letters": 1}.items():
            kafka("topics", "--create", "--topic", topic, "--partitions", str(count))
        subprocess.run([ROOT / ".build/release/kafka-bench", "load", brokers, "w1", ROOT / "out/bench/w1.ndjson"], check=True,
                       capture_output=True)
        took = {1: [], 2: []}
        for turn in range(runs):
            for count in took:
                begun = time.monotonic()
                process = subprocess.Popen([TIDEMARK, "run", "topologies/w1.yaml", "--until-end", "--json", "--quiet",
                                            "--set", f"app=scaling-{count}-{turn}", "--set", f"run.workers={count}"],
                                           cwd=ROOT, env=environment, stdout=subprocess.PIPE)
                process.stdout.read()
                _, status, usage = os.wait4(process.pid, 0)
                if status != 0:
                    sys.exit(f"{count} workers ended with status {status}")
                took[count].append((usage.ru_utime + usage.ru_stime, time.monotonic() - begun))
        for count, runs_of in took.items():
            found.append({"workers": count, "cpu": statistics.median(r[0] for r in runs_of),
                          "seconds": statistics.median(r[1] for r in runs_of)})
            print(f"{count} workers: {found[-1]['cpu']:.2f} CPU-s, {found[-1]['seconds']:.2f} s", flush=True)
    finally:
        kafka("wipe")
    return found


def measure(runs):
    """All axes, in the order of the picture."""
    result = {"commit": subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, cwd=ROOT).stdout.strip(),
              "machine": next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), platform.machine()),
              "load": os.getloadavg()[0], "runs": runs}
    bench = ROOT / "out/bench"
    make_w1(bench, 1_000_000)
    for size in [250_000, 500_000]:
        path = WORK / f"w1-{size}.ndjson"
        if not path.exists():
            subprocess.run(f"head -n {size} {bench}/w1.ndjson > {path}", shell=True, check=True)
    w1 = ROOT / "topologies/w1.yaml"
    start, *_ = median(5, topology("start", 16, ["1m"], 3, True, w1), bench / "w1s.ndjson", 1000)
    result["start"] = start
    result["size"] = [parts(f"W1, {size:,}", runs, size, 3, 16, 60, start, source=w1,
                            data=bench / "w1.ndjson" if size == 1_000_000 else WORK / f"w1-{size}.ndjson")
                      for size in [250_000, 500_000, 1_000_000]]
    base = result["size"][-1]["rest_ns"]
    result["groups"] = [parts(f"{groups} groups", runs, min(ROWS_MAX, 5_000 * groups * minutes), groups, 16, minutes, start)
                        for groups, minutes in [(10, 12), (100, 2), (1_000, 1), (10_000, 1)]]
    result["columns"] = [parts(f"{columns} columns", runs, 50_000 * minutes, 10, columns, minutes, start)
                         for columns, minutes in [(10, 12), (50, 6), (200, 3)]]
    result["slices"] = []
    for slices in [1, 2, 6, 10, 30, 60]:
        length = f"{10 * slices}s" if slices % 6 else f"{slices // 6}m"
        windows = ["10s" if slices == 1 else f"{length} every 10s"]
        result["slices"].append({**parts(f"{slices} slices", runs, 1_000_000, 3, 16, 60, start, data=bench / "w1.ndjson", source=w1,
                                         windows=windows), "slices": slices})
    (WORK / "rows.ndjson").unlink()
    result["workers"] = workers(runs)
    print(f"without closing, W1's {base:.1f} ns a row and column: " + ", ".join(
        f"{result[axis][-1]['name']} {result[axis][-1]['rest_ns'] / base:.2f} times" for axis in ["groups", "columns", "slices"]) + " (bar 2)")
    return result


# Drawing


INK, GREY, BLUE, ORANGE, GREEN = "#222222", "#888888", "#2166ac", "#d6604d", "#4d9221"


def panel(x, y, title, unit, labels, series, note=""):
    """One diagram: a line a series over labels at equal distances, from 0."""
    width, height, left, top = 330, 190, 46, 34
    most = max(v for _, _, values in series for v in values if v is not None) * 1.15
    step = next(s for s in (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000) if most / s <= 6)
    out = [f'<g transform="translate({x},{y})"><text x="0" y="14" class="title">{title}</text>'
           f'<text x="{left}" y="28" class="note">{unit}</text>']

    def at(index, value):
        spread = (width - left - 20) / max(1, len(labels) - 1)
        return left + 10 + index * spread, top + height * (1 - value / most)

    tick = 0.0
    while tick <= most:
        _, level = at(0, tick)
        out.append(f'<line x1="{left}" x2="{width}" y1="{level:.1f}" y2="{level:.1f}" class="grid"/>'
                   f'<text x="{left - 6}" y="{level + 4:.1f}" class="tick" text-anchor="end">{tick:g}</text>')
        tick = round(tick + step, 6)
    for index, label in enumerate(labels):
        place, _ = at(index, 0)
        out.append(f'<text x="{place:.1f}" y="{top + height + 16}" class="tick" text-anchor="middle">{label}</text>')
    for number, (name, colour, values) in enumerate(series):
        points = [at(i, v) for i, v in enumerate(values) if v is not None]
        out.append(f'<polyline points="{" ".join(f"{a:.1f},{b:.1f}" for a, b in points)}" fill="none" stroke="{colour}" stroke-width="2"/>')
        out += [f'<circle cx="{a:.1f}" cy="{b:.1f}" r="3" fill="{colour}"/>' for a, b in points]
        out.append(f'<line x1="{left + 104 * number}" x2="{left + 104 * number + 14}" y1="{top + height + 32}" y2="{top + height + 32}" '
                   f'stroke="{colour}" stroke-width="3"/><text x="{left + 104 * number + 19}" y="{top + height + 36}" class="tick">{name}</text>')
    out.append(f'<text x="{left}" y="{top + height + 54}" class="note">{note}</text></g>')
    return "".join(out)


def draw(result):
    """The picture: cost without closing above, closing and publishing below."""

    def rest(axis):
        return [("without closing", BLUE, [row["rest_ns"] for row in result[axis]])]

    axes = [("size", "Records of W1", [f"{row['rows'] / 1e6:g} M" for row in result["size"]], "3 groups, 16 columns"),
            ("groups", "Groups", [f"{row['groups']:,}" for row in result["groups"]], "16 columns, 5,000 rows in each; 500 where 10,000"),
            ("columns", "Columns", [str(row["columns"]) for row in result["columns"]], "10 groups, 5,000 rows in a (group, window)"),
            ("slices", "Slices of a hopping window, every 10 s", [str(row["slices"]) for row in result["slices"]], "W1")]
    body = []
    for place, (axis, title, labels, note) in enumerate(axes):
        x = 30 + 370 * (place % 4)
        body.append(panel(x, 60, title, "ns a row and column, without closing and publishing", labels, rest(axis), note))
        series = [("closing", ORANGE, [row["closing_us"] for row in result[axis]]),
                  ("publishing", GREEN, [row["publishing_us"] for row in result[axis]])]
        body.append(panel(x, 370, title, "µs a (group, column) that ends", labels, series, note))
    if result["workers"]:
        body.append(panel(30, 680, "Workers, W1 through Kafka", "seconds", [str(row["workers"]) for row in result["workers"]],
                          [("CPU", BLUE, [row["cpu"] for row in result["workers"]]),
                           ("clock", GREY, [row["seconds"] for row in result["workers"]])], "4 partitions, exactly once, the broker on the same cores"))
    body.append(panel(400, 680, "A record, all in all", "µs of CPU by columns", [str(row["columns"]) for row in result["columns"]],
                      [("all", INK, [row["us_a_record"] for row in result["columns"]])], "closing and publishing of 5,000 rows among it"))
    body.append(panel(770, 680, "Peak memory", "MB by groups", [f"{row['groups']:,}" for row in result["groups"]],
                      [("peak", INK, [row["mb"] for row in result["groups"]])], "open panes and windows, 16 columns"))
    style = (f"text{{font-family:sans-serif;fill:{INK}}}.title{{font-size:14px;font-weight:bold}}.tick{{font-size:11px}}"
             f".note{{font-size:11px;fill:{GREY}}}.grid{{stroke:#dddddd}}")
    PICTURE.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" width="1510" height="980" viewBox="0 0 1510 980"><style>{style}</style>'
        f'<rect width="1510" height="980" fill="white"/><text x="30" y="32" style="font-size:18px;font-weight:bold">'
        f'What a record costs, one axis at a time</text><text x="470" y="32" class="note">CPU, commit {result["commit"]}, '
        f'{result["machine"]}, load {result["load"]:.1f}, medians of {result["runs"]}; made by Benchmarks/scaling.py</text>{"".join(body)}</svg>\n')
    print(f"drawn: {PICTURE.relative_to(ROOT)}")


def main():
    WORK.mkdir(parents=True, exist_ok=True)
    if sys.argv[1:] == ["draw"]:
        return draw(json.loads(RESULTS.read_text()))
    subprocess.run(["clang", "-O3", "-march=native", ROOT / "Benchmarks/scaling/rows.c", "-lm", "-o", ROWS], check=True)
    begun = time.monotonic()
    result = measure(int(sys.argv[1]) if len(sys.argv) > 1 else 3)
    RESULTS.write_text(json.dumps(result, indent=1) + "\n")
    draw(result)
    print(f"{time.monotonic() - begun:.0f} s")


if __name__ == "__main__":
    main()
