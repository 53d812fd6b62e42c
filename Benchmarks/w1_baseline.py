#!/usr/bin/env python3
"""Make topologies/baselines/w1.json from the reference that w1.py wrote.

usage: w1_baseline.py W1.ref.json > topologies/baselines/w1.json

20 bins with the edges lo + i*(hi - lo)/20, pooled over models, the outer bins open (they hold the
tails); counts are p*n, n as given.
"""
import json
import sys

BINS = 20


def main():
    reference = json.load(open(sys.argv[1]))
    rows = []
    for name, entry in reference.items():
        lo, hi, n = entry["lo"], entry["hi"], entry["n"]
        edges = [lo + i * (hi - lo) / BINS for i in range(BINS + 1)]
        counts = [round(p * n) for p in entry["p"]]
        assert sum(counts) == n, name
        rows.append(json.dumps(
            {"group": "*", "column": name, "edges": edges, "outer": "open", "counts": counts,
             "n": n, "nulls": 0}, separators=(",", ":")))
    print('{"format":"tidemark-baseline","v":1,"made":{"by":"Benchmarks/w1_baseline.py",'
          '"from":"w1.ref.json"},"columns":[')
    print(",\n".join(rows))
    print("]}")


if __name__ == "__main__":
    main()
