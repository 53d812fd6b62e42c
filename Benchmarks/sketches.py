"""Figures of the sketches under each tier, and of the pinned peers in the same run.

usage: sketches.py                    (run by `make bench-sketches`)

CPU time, the least of several rounds. The peers' KLL takes whole arrays, so its C++ is timed; HLL,
frequent items and DDSketch take one item a call from Python. From HLL's a call with the empty string,
which counts as nothing, is taken off; frequent items hold Python objects there, and DDSketch is
Python itself, so those two say nothing of C++. The bytes are exchanged both ways by check_peer.py.
"""

import collections
import os
import pathlib
import platform
import subprocess
import time

import numpy
from datasketches import frequent_items_sketch, hll_sketch, kll_doubles_sketch
from datasketches import kll_floats_sketch
from ddsketch import DDSketch

ROOT = pathlib.Path(__file__).resolve().parent.parent


def own(tier):
    done = subprocess.run([ROOT / ".build/release/sketches-bench"], env={**os.environ, "TIDEMARK_SIMD": tier},
                          capture_output=True, text=True, check=True)
    return dict(line.split("\t") for line in done.stdout.splitlines())


def least(units, work, rounds=5):
    best = float("inf")
    for _ in range(rounds):
        start = time.process_time()
        work()
        best = min(best, (time.process_time() - start) / units * 1e9)
    return best


def peers():
    rng = numpy.random.default_rng(1)
    n = 1 << 20
    normal = rng.standard_normal(n)
    floats = normal.astype(numpy.float32)
    some = 200_000
    integers = [int(x) for x in rng.integers(-(2**63), 2**63 - 1, some)]
    zipf = [int(x) for x in rng.zipf(1.5, some) % 100_000]

    def each(update, items):
        return least(len(items), lambda: collections.deque(map(update, items), maxlen=0))

    figures = {}
    figures["kll f32 update"] = least(n, lambda: kll_floats_sketch(200).update(floats))
    figures["kll f64 update"] = least(n, lambda: kll_doubles_sketch(200).update(normal))
    panes = []
    for i in range(60):
        pane = kll_floats_sketch(200)
        pane.update(floats[i * 1000:(i + 1) * 1000])
        panes.append(pane)

    def merge():
        window = kll_floats_sketch(200)
        for pane in panes:
            window.merge(pane)

    figures["kll f32 merge, panes of 1,000"] = least(60 * 20, lambda: [merge() for _ in range(20)])
    empty = hll_sketch(12)
    call = each(empty.update, [""] * some)  # the empty string counts as nothing
    sketch = hll_sketch(12)
    # Eight bytes of text are hashed as an integer is.
    words = [f"{x % 10**8:08d}" for x in integers]
    figures["hll update, integers"] = each(sketch.update, words) - call
    frequent = frequent_items_sketch(10)
    figures["frequent integers, Zipf 1.5"] = each(frequent.update, zipf)
    dd = DDSketch(0.01)
    figures["ddsketch update, normal"] = each(dd.add, [float(x) for x in normal[:50_000]])
    return figures


def main():
    tiers = {tier: own(tier) for tier in ("avx512", "avx2", "scalar")}
    peer = peers()
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True).stdout.strip()
    model = next((l.split(":")[1].strip() for l in open("/proc/cpuinfo") if l.startswith("model name")), platform.machine())
    print(f"Machine: {model}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; commit {commit}; ns, CPU time.\n")
    print("| | AVX-512 | AVX2 | scalar | peer | ratio |\n|---|---|---|---|---|---|")
    for name in tiers["avx512"]:
        if name in ("tier", "checksum"):
            continue
        mine = [tiers[t][name] for t in tiers]
        theirs = peer.get(name)
        ratio = f"{theirs / float(mine[0]):.1f}×" if theirs else ""
        print(f"| {name} | {' | '.join(mine)} | {f'{theirs:.1f}' if theirs else ''} | {ratio} |")
    if tiers["avx512"]["tier"] != "avx512":
        print(f"\nThis machine has no AVX-512: the first column is {tiers['avx512']['tier']}.")
    sums = {t["checksum"] for t in tiers.values()}
    assert len(sums) == 1, f"tiers differ: {sums}"


main()
