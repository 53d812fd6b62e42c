"""Writes Goldens.swift: what scipy says of the same tables.

    pip install scipy==1.17.1 numpy && python make_goldens.py > Goldens.swift
"""

import numpy as np
from scipy import special, stats
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
    # What ks_2samp(method="asymp") uses is the law with a correction for n; ours is the limit.
    ks = float(special.kolmogorov(np.sqrt(n * m / (n + m)) * d))
    chi = stats.chi2_contingency(np.array([current[kept], baseline[kept]]), correction=False)
    v = float(np.sqrt(chi.statistic / (n + m)))
    js = float(jensenshannon(current / n, baseline / m))
    most = float(np.max(np.abs(current / n - baseline / m)))
    print("    TableGolden(")
    print(f"        current: {current.tolist()},\n        baseline: {baseline.tolist()},")
    print(f"        ks: ({d!r}, {ks!r}), chiSquare: ({float(chi.statistic)!r}, {float(chi.pvalue)!r}),")
    print(f"        cramersV: {v!r}, jsDistance: {js!r}, lInfinity: {most!r}),")
print("]\n")
print("let kolmogorovGoldens: [(x: Double, p: Double)] = [")
for x in [0.05, 0.2, 0.4, 0.5, 0.7, 0.9, 0.99, 0.999999, 1.0, 1.000001, 1.2, 1.358, 2, 3, 5, 10, 15, 18, 18.5]:
    print(f"    ({x!r}, {float(special.kolmogorov(x))!r}),")
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
