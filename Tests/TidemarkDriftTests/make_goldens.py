"""Writes Goldens.swift: what scipy says of the same tables.

    pip install scipy==1.17.1 numpy && python make_goldens.py > Goldens.swift
"""

from math import comb

import numpy as np
from scipy import stats
from scipy.spatial.distance import jensenshannon

random = np.random.default_rng(5)
print("// Made by make_goldens.py; do not edit.\n")
print("struct TableGolden: Sendable {")
print("    let current: [UInt64]\n    let baseline: [UInt64]")
print("    let ks: (d: Double, p: Double)\n    let chiSquare: (value: Double, p: Double)")
print("    let cramersV: Double\n    let jsDistance: Double\n    let lInfinity: Double\n}\n")
print("let tableGoldens: [TableGolden] = [")
for n, m, k, shift in [
    (500, 500, 5, 0), (1_000, 100_000, 22, 0), (8_230, 100_000, 22, 0.1), (600, 900, 3, 0.02),
    (50_000, 50_000, 12, 0.5), (700, 700, 2, 0), (2_000, 1_000_000, 40, 0.03), (10, 10, 4, 1),
]:
    p = random.dirichlet(np.ones(k) * 3)
    q = p * (1 + shift * random.uniform(-1, 1, k))
    current = random.multinomial(n, q / q.sum())
    baseline = random.multinomial(m, p)
    kept = (current + baseline) > 0
    f, g = np.cumsum(current) / n, np.cumsum(baseline) / m
    d = float(np.max(np.abs(f - g)[:-1]))
    # The same rows as samples with ties: exact up to 100,000 pairs, else the finite law of one sample.
    cells = np.arange(k)
    samples = np.repeat(cells, current), np.repeat(cells, baseline)
    ks = float(stats.ks_2samp(*samples, method="exact" if n * m <= 100_000 else "asymp").pvalue)
    chi = stats.chi2_contingency(np.array([current[kept], baseline[kept]]), correction=False)
    v = float(np.sqrt(chi.statistic / (n + m)))
    js = float(jensenshannon(current / n, baseline / m))
    most = float(np.max(np.abs(current / n - baseline / m)))
    print("    TableGolden(")
    print(f"        current: {current.tolist()},\n        baseline: {baseline.tolist()},")
    print(f"        ks: ({d!r}, {ks!r}), chiSquare: ({float(chi.statistic)!r}, {float(chi.pvalue)!r}),")
    print(f"        cramersV: {v!r}, jsDistance: {js!r}, lInfinity: {most!r}),")
print("]\n")


def paths(n, m, d):
    """The share of lattice paths from (0, 0) to (n, m) that come d or further from the diagonal, in whole numbers."""
    bound = round(d * n * m)
    inside = [0] * (m + 1)
    for i in range(n + 1):
        for j in range(m + 1):
            if abs(i * m - j * n) >= bound:
                inside[j] = 0
            elif i == 0 and j == 0:
                inside[j] = 1
            else:
                inside[j] = (inside[j] if i else 0) + (inside[j - 1] if j else 0)
    return (comb(n + m, n) - inside[m]) / comb(n + m, n)


print("let exactKSGoldens: [(d: Double, n: UInt64, m: UInt64, p: Double)] = [")
for n, m, steps in [(1, 1, [1]), (7, 5, [10, 20, 35]), (20, 20, [80, 200, 400]), (20, 1000, [5000, 9200, 16000]), (250, 300, [7000, 12000, 20000, 40000]), (3, 30000, [60000, 90000])]:
    for step in steps:
        print(f"    ({step / (n * m)!r}, {n}, {m}, {float(paths(n, m, step / (n * m)))!r}),")
print("]\n")
print("let finiteKSGoldens: [(d: Double, n: Double, p: Double)] = [")
for n in [3, 12, 100, 139, 140, 141, 300, 500, 501, 800, 2_000, 10_000, 90_000, 4_000_000]:
    for z in [0.3, 0.5, 0.8, 1.0, 1.2, 1.45, 1.5, 1.8, 2.1, 2.6, 3.2, 4.2]:
        d = z / np.sqrt(n)
        if d < 1:
            print(f"    ({float(d)!r}, {float(n)!r}, {float(stats.kstwo.sf(d, n))!r}),")
print("]\n")
print("let chiSquareGoldens: [(degrees: Double, x: Double, p: Double)] = [")
for df in [1, 2, 3, 10, 20, 21, 100]:
    for x in [1e-8, 0.5, 1, df, 2 * df + 3, 60, 300, 1000, 1300]:
        print(f"    ({float(df)!r}, {float(x)!r}, {float(stats.chi2.sf(x, df))!r}),")
print("]\n")
print("let normalGoldens: [(x: Double, p: Double)] = [")
for x in [-8, -1, 0, 0.5, 1.96, 5, 10, 20, 37]:
    print(f"    ({float(x)!r}, {float(stats.norm.sf(x))!r}),")
print("]")

print("\nstruct VolumeGolden: Sendable {")
print("    let rows: Int64\n    let windows: [Int64]\n    let change: Double")
print("    let pDrop: Double\n    let pRise: Double\n}\n")
print("let volumeGoldens: [VolumeGolden] = [")
for rows, mean, cv, k in [
    (0, 1000, 0, 12), (0, 1000, 0.2, 12), (500, 1000, 0.1, 60), (950, 1000, 0, 60), (1000, 1000, 0, 2), (3, 8, 0, 5),
    (0, 2, 0, 60), (2000, 1000, 0.3, 24), (90, 40, 0, 12), (20_000_000, 10_000_000, 0.05, 12), (0, 0.1, 0, 60),
]:
    level = np.full(k, float(mean)) if cv == 0 else random.gamma(1 / cv**2, mean * cv**2, k)
    windows = random.poisson(level)
    total = int(windows.sum())
    m, c2 = total / k, max(float(np.var(windows, ddof=1)), total / k) / (total / k) ** 2

    def z(x):
        return (np.cbrt(max(x, 0) / m) - (1 - c2 / 9)) / (np.sqrt(c2) / 3) / np.sqrt(1 + 1 / k)

    drop = max(stats.binom.cdf(rows, rows + total, 1 / (k + 1)), stats.t.cdf(z(rows + 0.5), k - 1))
    rise = max(stats.binom.sf(rows - 1, rows + total, 1 / (k + 1)), stats.t.sf(z(rows - 0.5), k - 1))
    print(f"    VolumeGolden(\n        rows: {rows}, windows: {windows.tolist()},")
    print(f"        change: {rows / m - 1!r}, pDrop: {float(drop)!r}, pRise: {float(rise)!r}),")
print("]")


def points(edges, counts, low, high, each):
    """Values and weights that lie evenly in each cell: what binned counts are taken to say."""
    ends = [low, *edges, high]
    places = [a + (b - a) * (np.arange(each) + 0.5) / each for a, b in zip(ends, ends[1:])]
    return np.concatenate(places), np.repeat(np.asarray(counts) / each, each)


print("\nstruct WassersteinGolden: Sendable {")
print("    let boundaries: [Double]\n    let now: [UInt64]\n    let then: [UInt64]")
print("    let nowRange: ClosedRange<Double>\n    let thenRange: ClosedRange<Double>")
print("    /// Of the values themselves, and of values that lie evenly in each cell.")
print("    let ofValues: Double\n    let ofCells: Double\n    /// Of the values that the cells of `then` were counted from.\n    let sd: Double\n}\n")
print("let wassersteinGoldens: [WassersteinGolden] = [")
random = np.random.default_rng(11)
for x, y, edges in [
    (random.normal(0, 1, 3_000), random.normal(0, 1, 9_000), np.linspace(-3, 3, 21)),
    (random.normal(0.3, 1.2, 3_000), random.normal(0, 1, 9_000), np.linspace(-3, 3, 21)),
    (random.normal(1e6, 2, 800), random.normal(1e6 + 5, 1, 700), np.linspace(1e6 - 4, 1e6 + 8, 13)),
    (random.lognormal(0.1, 1, 5_000), random.lognormal(0, 1, 5_000), np.geomspace(0.1, 10, 25)),
    (random.gamma(2, 3, 900), random.uniform(0, 12, 2_000), np.linspace(0, 12, 9)),
    (random.uniform(20, 30, 400), random.uniform(0, 1, 400), np.linspace(0, 1, 5)),
    (np.r_[np.zeros(300), random.exponential(2, 700)], np.r_[np.zeros(600), random.exponential(2, 400)], np.r_[0, 1e-6, np.linspace(0.5, 8, 16)]),
    (random.normal(0, 1, 600) * 1e-9, random.normal(0, 2, 600) * 1e-9, np.linspace(-3e-9, 3e-9, 30)),
]:
    now, then = (np.bincount(np.searchsorted(edges, v, side="right"), minlength=len(edges) + 1) for v in (x, y))

    def reach(values):
        return min(values.min(), edges[0]), max(values.max(), edges[-1])
    (a, p), (b, q) = points(edges, now, *reach(x), 2_000), points(edges, then, *reach(y), 2_000)
    print(f"    WassersteinGolden(\n        boundaries: {edges.tolist()},\n        now: {now.tolist()},\n        then: {then.tolist()},")
    print(f"        nowRange: {float(x.min())!r}...{float(x.max())!r}, thenRange: {float(y.min())!r}...{float(y.max())!r},")
    print(f"        ofValues: {float(stats.wasserstein_distance(x, y))!r},")
    print(f"        ofCells: {float(stats.wasserstein_distance(a, b, p, q))!r}, sd: {float(np.std(y))!r}),")
print("]")
