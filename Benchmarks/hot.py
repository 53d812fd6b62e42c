#!/usr/bin/env python3
"""The file path of W1 beside the limit and beside harder forms of the same records: medians, interleaved.

usage: hot.py [RECORDS=1000000] [RUNS=5]

Forms: as made; without AVX-512; keys in another order; with added fields; two orders in turn; as rows of CSV;
numbers of 17 digits. All but the last must give the bytes of W1; W1 and the 17 digits are held against an exact
computation. CPU is user + system of the whole process (wait4). Exit 1 if a result is wrong.
"""
import os
import pathlib
import random
import re
import shutil
import statistics
import subprocess
import sys

from bench import ROOT, TIDEMARK, check, make_w1, measured

COLUMNS = "model version id ts f0 f1 f2 f3 f4 f5 f6 f7 f8 f9 f10 f11 c0 c1 c2 score class region".split()
ORDER = "region class score c2 c1 c0 f11 f3 f7 f0 f1 f2 f4 f5 f6 f8 f9 f10 id version ts model".split()


def forms(work, source, records):
    """The same records in other forms, written once."""
    marker = work / f"forms-2-{records}"
    if marker.exists():
        return
    print("writing the other forms …", flush=True)
    rng = random.Random(7)
    names = ["shuffled", "added", "two", "digits", "csv"]
    files = {name: open(work / f"w1-{name}.ndjson", "w", buffering=1 << 20) for name in names}
    for number, line in enumerate(open(source)):
        # No text of W1 holds a comma.
        fields = line[1:-2].split(",")
        place = {field[1:field.index('"', 1)]: field for field in fields}
        shuffled = "{" + ",".join(place[key] for key in ORDER) + "}\n"
        files["shuffled"].write(shuffled)
        files["two"].write(line if number % 2 else shuffled)
        files["added"].write('{"schema":3,' + ",".join(fields[:9]) + f',"host":"node-{number % 40}","latency_ms":{number % 977 / 8}'
                             + "," + ",".join(fields[9:]) + ',"tags":["a","b"]}\n')
        files["csv"].write(",".join("" if value == "null" else value.strip('"') for value in
                                    (field.split(":", 1)[1] for field in (place.get(key, ":") for key in COLUMNS))) + "\n")
        long = []
        for field in fields:
            if "." in field and field[-1] != '"':
                digits = sum(c.isdigit() for c in field.split(":")[1])
                field += str(rng.randrange(10 ** 15, 10 ** 16))[:17 - digits]
            long.append(field)
        files["digits"].write("{" + ",".join(long) + "}\n")
    for file in files.values():
        file.close()
    marker.touch()


def main():
    records = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    work = ROOT / "out/bench"
    make_w1(work, records)
    source = work / "w1.ndjson"
    forms(work, source, records)
    subprocess.run([ROOT / "Benchmarks/limit/make", work / "limit"], check=True)

    layer = work / "csv.yaml"
    layer.write_text("source: { decode: { format: csv, columns: [%s] } }\n" % ", ".join(COLUMNS))

    def engine(data, out, *flags, **environment):
        shutil.rmtree(out, ignore_errors=True)
        return measured([TIDEMARK, "run", "topologies/w1.yaml", "--input", data, "--output", out, "--until-end", "--json",
                         "--set", "run.workers=1", *flags], env=dict(os.environ, **environment))

    rows = {
        "the limit: C++, simdjson, no engine": lambda: measured([work / "limit/w1", source]),
        "W1": lambda: engine(source, work / "hot-w1"),
        "without AVX-512": lambda: engine(source, work / "hot-avx2", TIDEMARK_SIMD="avx2"),
        "keys in another order": lambda: engine(work / "w1-shuffled.ndjson", work / "hot-shuffled"),
        "added fields": lambda: engine(work / "w1-added.ndjson", work / "hot-added"),
        "two orders in turn": lambda: engine(work / "w1-two.ndjson", work / "hot-two"),
        "rows of CSV": lambda: engine(work / "w1-csv.ndjson", work / "hot-csv", "--with", layer),
        "17-digit numbers": lambda: engine(work / "w1-digits.ndjson", work / "hot-digits"),
    }
    runs = {name: [] for name in rows}
    for _ in range(count):
        for name, run in rows.items():
            runs[name].append(run())
    for name in rows:
        cpu = sorted(run["cpu"] / (records / 1e6) for run in runs[name])
        print(f"{name:<38} {statistics.median(cpu):5.2f} CPU-s per million   {cpu[0]:.2f} to {cpu[-1]:.2f}   "
              f"peak {max(run['mb'] for run in runs[name]):5.1f} MB", flush=True)
    good = check(work, work / "hot-w1")
    def text(form, name):
        # Another encoding is another topology.
        return re.sub(rb'"revision":"[0-9a-f]*"', b"", (work / f"hot-{form}" / name).read_bytes())
    for other in ["avx2", "shuffled", "added", "two", "csv"]:
        for name in ["w1-aggregates.ndjson", "w1-aggregates-sketches.ndjson"]:
            if text(other, name) != text("w1", name):
                print(f"  {name} of {other} differs from that of W1")
                good = False
    result = subprocess.run([sys.executable, ROOT / "Benchmarks/w1_check.py", work / "w1-digits.ndjson", work / "w1.ref.json",
                             work / "hot-digits/w1-aggregates.ndjson"], capture_output=True, text=True)
    print("  17 digits: " + result.stdout.strip().splitlines()[-1])
    good &= result.returncode == 0
    sys.exit(not good)


if __name__ == "__main__":
    main()
