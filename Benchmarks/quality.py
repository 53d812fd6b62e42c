#!/usr/bin/env python3
"""What the default `quality` costs: W1 with it on all 16 columns beside the same without, on one binary.

usage: quality.py [RUNS=9] [RECORDS=500000]

Both are topologies/w1-drift.yaml (drift of 16 columns, a window a minute), in turn, from a file, one worker. CPU is user + system of
the whole process. Printed are the median of each and the median of the ratios with / without of all pairs, with the quartiles; the bar
is 8% more.
"""
import json
import shutil
import sys

from bench import ROOT, make_w1, measured
from pair import compare

TIDEMARK = ROOT / ".build/release/tidemark"


def main():
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 9
    records = int(sys.argv[2]) if len(sys.argv) > 2 else 500_000
    work = ROOT / f"out/bench-{records}"
    make_w1(work, records)
    off = (ROOT / "topologies/w1-drift.yaml").read_text().replace("baselines/", f"{ROOT}/topologies/baselines/")
    on = off.replace("quality: off, ", "")
    assert on != off
    paths = []
    for name, text in (("without", off), ("with", on)):
        path = work / f"quality-{name}.yaml"
        path.write_text(text)
        paths.append(str(path))

    def run(path, _):
        shutil.rmtree(work / "quality", ignore_errors=True)
        taken = measured([TIDEMARK, "run", path, "--input", work / "w1.ndjson", "--output", work / "quality", "--until-end", "--json",
                          "--set", "run.workers=1"])
        if json.loads(taken["out"])["records"] != records:
            sys.exit(f"wrong: {taken['out']}")
        return taken
    compare("quality, from a file (old: without, new: with)", paths, count, run)


if __name__ == "__main__":
    main()
