"""Has Apache DataSketches read what ExportTests wrote.

    TIDEMARK_EXPORT=DIR swift test -c release --filter ExportTests && python check_peer.py DIR
"""

import pathlib
import sys

from datasketches import PyLongsSerDe, frequent_items_sketch, frequent_strings_sketch, hll_sketch
from datasketches import kll_doubles_sketch, kll_floats_sketch, tgt_hll_type
from ddsketch import DDSketch
from ddsketch.pb import ddsketch_pb2
from ddsketch.pb.proto import DDSketchProto

directory = pathlib.Path(sys.argv[1])
worst_rank, worst_estimate, read = 0.0, 0.0, 0
for path in sorted(directory.glob("*.bin")):
    data = path.read_bytes()
    family, *parameters = path.stem.split("-")
    read += 1
    if family == "kll":
        n = int(parameters[0])
        sketch = kll_floats_sketch.deserialize(data)
        assert sketch.n == n and sketch.k == 200, path
        assert sketch.is_empty() == (n == 0)
        if n:
            assert sketch.get_min_value() == 0 and sketch.get_max_value() == n - 1
            for line in path.with_suffix(".ranks").read_text().split("\n"):
                probe, rank = map(float, line.split())
                assert abs(sketch.get_rank(probe, True) - rank) < 1e-12, (path, probe)
            for i in range(1_000):
                probe = (2 * i + 1) * n // 2_000
                error = abs(sketch.get_rank(float(probe), True) - (probe + 1) / n)
                worst_rank = max(worst_rank, error)
        # It goes on: updates, and merges both ways.
        other = kll_floats_sketch(200)
        for i in range(10_000):
            other.update(float(i))
            sketch.update(float(i))
        other.merge(sketch)
        assert other.n == n + 20_000
        assert kll_floats_sketch.deserialize(other.serialize()).n == other.n
    elif family == "hll":
        lg_k, n = map(int, parameters)
        sketch = hll_sketch.deserialize(data)
        assert sketch.lg_config_k == lg_k, path
        own = float(path.with_suffix(".estimate").read_text())
        estimate = sketch.get_estimate()
        if n:
            worst_estimate = max(worst_estimate, abs(own / estimate - 1))
        peer = hll_sketch(lg_k, tgt_hll_type.HLL_8)
        for i in range(n):
            peer.update(i)
        if data[0] == 10:
            updatable = peer.serialize_updatable()
            assert updatable[40:] == data[40:] and updatable[16:40] == data[16:40], path
        for i in range(n, n + 5_000):
            sketch.update(i)
            peer.update(i)
        assert sketch.serialize_updatable()[40:] == peer.serialize_updatable()[40:], path
    elif family == "klld":
        n = int(parameters[0])
        sketch = kll_doubles_sketch.deserialize(data)
        assert sketch.n == n and sketch.k == 200, path
        for i in range(1_000 if n else 0):
            probe = (2 * i + 1) * n // 2_000
            worst_rank = max(worst_rank, abs(sketch.get_rank(float(probe), True) - (probe + 1) / n))
        sketch.update(1.5)
    elif family == "hlltype":
        kind, lg_k, n = map(int, parameters)
        sketch = hll_sketch.deserialize(data)
        kinds = [tgt_hll_type.HLL_4, tgt_hll_type.HLL_6]
        assert sketch.lg_config_k == lg_k and sketch.tgt_type == kinds[kind], path
        peer = hll_sketch(lg_k, kinds[kind])
        for i in range(n):
            peer.update(i)
        for i in range(n, n + 3_000):
            sketch.update(i)
            peer.update(i)
        ours, theirs = sketch.serialize_updatable(), peer.serialize_updatable()
        assert ours[16:36] == theirs[16:36] and len(ours) == len(theirs), path
    elif family == "integers":
        n = int(parameters[0])
        sketch = frequent_items_sketch.deserialize(data, PyLongsSerDe())
        total = 0
        for i in range(n):
            count = 1 + 100_000 // (i + 1)
            total += count
            assert sketch.get_lower_bound(i - 100) <= count <= sketch.get_upper_bound(i - 100), (path, i)
        assert sketch.total_weight == total
        sketch.update(7, 5)
    elif family in ("dd", "ddlog"):
        n = int(parameters[0])
        proto = ddsketch_pb2.DDSketch()
        proto.ParseFromString(data)
        sketch = DDSketchProto.from_proto(proto)
        values = sorted([float((i * 7919 + 13) % 1_000_003) - 250_000 for i in range(n)] + [0.0, 0.0])
        sketch._count = len(values)
        for i in range(101):
            true = values[int(i / 100 * (len(values) - 1))]
            assert abs(sketch.get_quantile_value(i / 100) - true) <= 0.01 * abs(true) * (1 + 1e-9), (path, i)
        if family == "ddlog":
            # What the package makes unless told otherwise: bin by bin the same, and they merge.
            usual = DDSketch(0.01)
            for value in values:
                usual.add(value)
            for store, theirs in ((sketch._store, usual._store), (sketch._negative_store, usual._negative_store)):
                ours = {store.offset + at: count for at, count in enumerate(store.bins) if count}
                assert ours == {theirs.offset + at: count for at, count in enumerate(theirs.bins) if count}, path
            usual.merge(sketch)
            twice = sorted(values + values)
            assert usual.count == len(twice), path
            for i in range(101):
                true = twice[int(i / 100 * (len(twice) - 1))]
                assert abs(usual.get_quantile_value(i / 100) - true) <= 0.01 * abs(true) * (1 + 1e-9), (path, i)
    else:
        n = int(parameters[0])
        sketch = frequent_strings_sketch.deserialize(data)
        total = 0
        for i in range(n):
            count = 1 + 100_000 // (i + 1)
            total += count
            name = f"item {i} é"
            assert sketch.get_lower_bound(name) <= count <= sketch.get_upper_bound(name), (path, i)
            if n <= 768:
                assert sketch.get_lower_bound(name) == count, (path, i)
        assert sketch.total_weight == total
        sketch.update("more", 5)
print(f"{read} files read; KLL worst rank error {worst_rank:.5f};", end=" ")
print(f"HLL estimates at most {worst_estimate:.1e} apart, relative")
assert worst_estimate <= 1e-5
