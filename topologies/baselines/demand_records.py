#!/usr/bin/env python3
"""Write forecasts of demand as seasonal.yaml reads them: newline-delimited JSON.

usage: demand_records.py [SEED=7] [FRIDAYS=1] [SILENT=0] > demand.ndjson

Fridays from 2026-11-06 on, 09:00 to 14:00 UTC, six stores of one model. On 2026-11-27, a day of sales, three times as
many come. On the last Friday so many stores as SILENT says send nothing from 11:00 on.
"""
import json
import random
import sys

FIRST = 1_793_955_600_000  # 2026-11-06T09:00:00Z
WEEK = 7 * 86_400_000
MINUTE = 60_000
SALES = 3


def main():
    rng = random.Random(int(sys.argv[1]) if len(sys.argv) > 1 else 7)
    fridays = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    silent = int(sys.argv[3]) if len(sys.argv) > 3 else 0
    for friday in range(fridays):
        for minute in range(300):
            # Towards noon more is asked for; minutes vary more than chance alone would have it.
            count = int((40 + 20 * minute / 300) * rng.uniform(0.8, 1.2)) * (3 if friday == SALES else 1)
            for i in range(count):
                store = rng.randrange(6)
                if friday == fridays - 1 and minute >= 120 and store < silent:
                    continue
                row = {"ts": FIRST + friday * WEEK + minute * MINUTE + i * MINUTE // count, "model": "demand-v3", "store": f"s{store}",
                       "price": round(rng.lognormvariate(2, 0.4), 2), "promo": rng.random() < 0.2,
                       "weather": rng.choices(["clear", "cloud", "rain", "snow"], [40, 35, 20, 5])[0],
                       "forecast": round(rng.gammavariate(4, 3), 3)}
                if rng.random() < 0.01:
                    row["price"] = None
                print(json.dumps(row, separators=(",", ":")))


if __name__ == "__main__":
    main()
