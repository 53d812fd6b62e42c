"""Writes InterchangeGoldens.swift: bytes and answers of Apache DataSketches (5.2.0), ddsketch
(3.0.1) and numpy for what Goldens.swift does not hold.

    .venv/bin/python make_interchange_goldens.py > InterchangeGoldens.swift
"""

import struct
from fractions import Fraction

import numpy
from datasketches import PyLongsSerDe, frequent_items_sketch, hll_sketch, kll_doubles_sketch
from datasketches import tgt_hll_type
from ddsketch.ddsketch import BaseDDSketch
from ddsketch.mapping import CubicallyInterpolatedMapping
from ddsketch.pb.proto import DDSketchProto
from ddsketch.store import DenseStore

from make_goldens_support import swift_bytes


def value(i):
    return float((i * 7919 + 13) % 1_000_003)


print("// Made by make_interchange_goldens.py; do not edit.\n// swift-format-ignore-file\n")
print("let kllDoublesGoldens: [(n: Int, k: Int, bytes: String, ranks: [(Double, Double)])] = [")
for k, n in [(200, 0), (200, 1), (200, 90), (20, 3_000)]:
    sketch = kll_doubles_sketch(k)
    for i in range(n):
        sketch.update(value(i) + 0.1)
    probes = [value(i) + 0.1 for i in range(0, n, max(1, n // 6))][:6] + [-1.0, 500_000.0]
    ranks = [(p, sketch.get_rank(p, True)) for p in probes] if n else []
    print(f"    (\n        {n}, {k}, {swift_bytes(sketch.serialize())},")
    print("        [" + ", ".join(f"({p!r}, {r!r})" for p, r in ranks) + "]\n    ),")
print("]\n")

print("/// The whole numbers 0 ..< n; `updatable` is the peer's own form with its hash table.")
print("let hllTypeGoldens: [(type: UInt8, lgK: Int, n: Int, bytes: String, updatable: String)] = [")
for kind, name in [(tgt_hll_type.HLL_4, 0), (tgt_hll_type.HLL_6, 1)]:
    for lg_k, n in [(8, 5), (8, 20), (4, 50), (8, 700), (7, 40_000), (5, 3_000_000)]:
        sketch = hll_sketch(lg_k, kind)
        for i in range(n):
            sketch.update(i)
        data = bytearray(sketch.serialize_compact())
        updatable = bytearray(sketch.serialize_updatable())
        data[5] |= 16
        if data[7] & 3 == 2:
            data[5] = 8 | 16
            data[4] = 0
            data[8:16] = bytes(8)
            start = 40 + (2 ** lg_k // 2 if name == 0 else 2 ** lg_k // 4 * 3 + 1)
            if name == 0:
                count = struct.unpack_from("<I", data, 36)[0]
                slots = sorted(struct.unpack(f"<{count}I", data[start:]), key=lambda p: p & 0x3FFFFFF)
                data[start:] = struct.pack(f"<{count}I", *slots)
        else:
            start = 8 if data[7] & 3 == 0 else 12
            coupons = sorted(struct.unpack(f"<{(len(data) - start) // 4}I", data[start:]))
            data[start:] = struct.pack(f"<{len(coupons)}I", *coupons)
        hll_sketch.deserialize(bytes(data))
        print(f"    (\n        {name}, {lg_k}, {n}, {swift_bytes(bytes(data))},")
        print(f"        {swift_bytes(bytes(updatable))}\n    ),")
print("]\n")

ints = frequent_items_sketch(5)
serde = PyLongsSerDe()
for i in range(20):
    ints.update(i * i - 50, 1 + 1000 // (i + 1))
print("/// i² − 50 for i in 0 ..< 20, with counts 1 + 1000 / (i + 1).")
print(f"let frequentIntegersGolden =\n    {swift_bytes(ints.serialize(serde))}\n")

print("/// Values `value(i)` − 300,000, of which some are 0, with the peer's quantiles.")
sketch = BaseDDSketch(CubicallyInterpolatedMapping(0.02), DenseStore(), DenseStore(), 0.0)
for i in range(2_000):
    sketch.add(value(i) - 300_000 if i % 50 else 0.0)
shares = [0.0, 0.01, 0.25, 0.3, 0.5, 0.75, 0.99, 1.0]
print("let ddsketchQuantiles: [(share: Double, value: Double)] = [")
for share in shares:
    print(f"    ({share!r}, {sketch.get_quantile_value(share)!r}),")
print("]\n")

print("/// Of `shift` + value(i) / 250,000 − 2, i in 0 ..< 10,000: numpy's mean and variance, and the")
print("/// standardised third and fourth moments from exact fractions.")
print("let momentGoldens: [(shift: Double, mean: Double, variance: Double, skewness: Double, kurtosis: Double)] = [")
for shift in [0.0, 1e9, -1e6]:
    data = [shift + (value(i) / 250_000 - 2) for i in range(10_000)]
    array = numpy.array(data)
    exact = [Fraction(x) for x in data]
    mean = sum(exact) / len(exact)
    m2, m3, m4 = (float(sum((x - mean) ** p for x in exact) / len(exact)) for p in (2, 3, 4))
    print(f"    ({shift!r}, {float(array.mean())!r}, {float(array.var(ddof=1))!r},")
    print(f"     {m3 / m2 ** 1.5!r}, {m4 / m2 ** 2!r}),")
print("]\n")
rows = numpy.array([[1e9 + value(i) / 250_000, value(3 * i + 1) / 500_000 + value(i) / 1e6, -value(7 * i)] for i in range(1_000)])
print("/// numpy.cov of 1,000 rows: 1e9 + v(i) / 250,000, v(3 i + 1) / 500,000 + v(i) / 1e6, −v(7 i).")
print("let covarianceGolden: [[Double]] = [")
for row in numpy.cov((rows - rows[0]).T):
    print("    [" + ", ".join(repr(float(x)) for x in row) + "],")
print("]")
