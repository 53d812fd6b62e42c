#!/usr/bin/env python3
"""Write predictions of a churn model as minimal.yaml reads them: newline-delimited JSON.

usage: churn_records.py [RECORDS=60000] [SEED=7] [SHIFT=0] > churn.ndjson

One hour of event time from 2024-01-15T10:00:00Z, two models. SHIFT is added to `monthly_spend` from half-way on.
"""
import json
import random
import sys

T0 = 1_705_312_800_000  # 2024-01-15T10:00:00Z


def main():
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 60_000
    rng = random.Random(int(sys.argv[2]) if len(sys.argv) > 2 else 7)
    shift = float(sys.argv[3]) if len(sys.argv) > 3 else 0.0
    for i in range(count):
        model = rng.choice(["churn-eu", "churn-us"])
        age = int(min(90, max(18, rng.gauss(43, 14))))
        plan = rng.choices(["free", "basic", "plus", "pro"], [40, 30, 20, 10])[0]
        spend = round(rng.lognormvariate(3.2, 0.6) + (shift if i >= count // 2 else 0), 2)
        score = round(min(1.0, max(0.0, rng.betavariate(2, 5) + (0.1 if plan == "free" else 0))), 5)
        row = {"ts": T0 + i * 3_600_000 // count + rng.randrange(800), "model": model, "age": age,
               "plan": plan, "monthly_spend": spend, "score": score}
        if rng.random() < 0.01:
            row["age"] = None
        print(json.dumps(row, separators=(",", ":")))


if __name__ == "__main__":
    main()
