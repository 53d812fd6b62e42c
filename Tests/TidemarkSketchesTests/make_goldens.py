"""Writes Goldens.swift: what Apache DataSketches (Python, 5.2.0) makes of the same items.

    pip install datasketches==5.2.0 && python make_goldens.py > Goldens.swift

KLL's compactions are random in the peer, so its bytes change from run to run; everything else is
a function of the items.
"""

import struct

from datasketches import frequent_items_error_type, frequent_strings_sketch, hll_sketch
from datasketches import kll_floats_sketch, tgt_hll_type


def swift_bytes(data):
    text = data.hex()
    lines = [text[i : i + 88] for i in range(0, len(text), 88)] or [""]
    return '"""\n' + "".join(f"            {line}\\\n" for line in lines[:-1]) + (
        f'            {lines[-1]}\n            """'
    )


def value(i):
    """The i-th of the values: a permutation of whole numbers, exact in f32."""
    return float((i * 7919 + 13) % 1_000_003)


print("// Made by make_goldens.py; do not edit.\n")
print("struct KLLGolden: Sendable {")
print("    let n: Int\n    let k: Int\n    let bytes: String")
print("    let ranks: [(probe: Float, rank: Double)]\n}\n")
print("let kllGoldens: [KLLGolden] = [")
for k, n in [(200, 0), (200, 1), (200, 2), (200, 150), (200, 1_000), (200, 100_000), (8, 500), (35, 9_999)]:
    sketch = kll_floats_sketch(k)
    for i in range(n):
        sketch.update(value(i))
    probes = [value(i) for i in range(0, n, max(1, n // 12))][:12] + [-1.0, 500_000.0, 2e6]
    ranks = [(p, sketch.get_rank(p, True)) for p in probes] if n else []
    print("    KLLGolden(")
    print(f"        n: {n}, k: {k},\n        bytes: {swift_bytes(sketch.serialize())},")
    print("        ranks: [" + ", ".join(f"({p!r}, {r!r})" for p, r in ranks) + "]),")
print("]\n")

print("struct HLLGolden: Sendable {")
print("    let lgK: Int\n    let n: Int")
print("    /// The canonical bytes: coupons sorted, out of order, no HIP.")
print("    let bytes: String")
print("    /// What the peer estimates from these bytes, and its bounds for two deviations.")
print("    let estimate: Double\n    let lower: Double\n    let upper: Double\n}\n")
print("let hllGoldens: [HLLGolden] = [")
for lg_k, n in [
    (12, 0), (12, 1), (12, 7), (12, 8), (12, 24), (12, 25), (12, 384),
    (8, 24), (8, 25), (8, 200), (8, 700), (8, 3_000), (8, 1_000_000),
    (4, 7), (4, 8), (4, 100), (10, 600), (10, 30_000), (21, 100),
]:
    sketch = hll_sketch(lg_k, tgt_hll_type.HLL_8)
    for i in range(n):
        sketch.update(i)
    data = bytearray(sketch.serialize_compact())
    data[5] |= 16
    mode = data[7] & 3
    if mode == 2:
        data = bytearray(sketch.serialize_updatable())
        data[5] = 8 | 16
        data[8:16] = bytes(8)
    else:
        start = 8 if mode == 0 else 12
        coupons = sorted(struct.unpack(f"<{(len(data) - start) // 4}I", data[start:]))
        data[start:] = struct.pack(f"<{len(coupons)}I", *coupons)
    read = hll_sketch.deserialize(bytes(data))
    print("    HLLGolden(")
    print(f"        lgK: {lg_k}, n: {n},\n        bytes: {swift_bytes(bytes(data))},")
    print(f"        estimate: {read.get_estimate()!r}, lower: {read.get_lower_bound(2)!r},")
    print(f"        upper: {read.get_upper_bound(2)!r}),")
print("]\n")

print("/// Estimates of the peer from canonical bytes: of the whole numbers 0 ..< n.")
print("let hllEstimates: [(lgK: Int, n: Int, estimate: Double)] = [")
for lg_k in (11, 12, 14):
    sketch = hll_sketch(lg_k, tgt_hll_type.HLL_8)
    at = 0
    for n in [500, 2_000, 4_000, 6_000, 8_000, 12_000, 20_000, 50_000, 200_000, 1_000_000]:
        while at < n:
            sketch.update(at)
            at += 1
        data = bytearray(sketch.serialize_updatable())
        data[5] = 8 | 16
        if data[7] & 3 == 2:
            data[8:16] = bytes(8)
            print(f"    ({lg_k}, {n}, {hll_sketch.deserialize(bytes(data)).get_estimate()!r}),")
print("]\n")

sketch = frequent_strings_sketch(10)
for i in range(300):
    sketch.update(f"item-{i}", 1 + (i * i) % 97)
print("/// item-0 … item-299 with counts 1 + i² mod 97.")
print(f"let frequentGolden =\n    {swift_bytes(sketch.serialize())}")
small = frequent_strings_sketch(3)
for i in range(40):
    small.update(f"i{i}", 1 + 1000 // (i + 1))
rows = small.get_frequent_items(frequent_items_error_type.NO_FALSE_POSITIVES, 0)
print("/// A reduced one: i0 … i39 with counts 1 + 1000 / (i + 1), 6 kept at most.")
print(f"let frequentReducedGolden =\n    {swift_bytes(small.serialize())}")
print("let frequentReducedBounds: [(item: String, lower: UInt64, upper: UInt64)] = [")
for i in range(40):
    name = f"i{i}"
    print(f'    ("{name}", {small.get_lower_bound(name)}, {small.get_upper_bound(name)}),')
print("]")

strings = hll_sketch(12, tgt_hll_type.HLL_8)
for text in ["abc", "tidemark", "abc", ""]:
    strings.update(text)
data = bytearray(strings.serialize_compact())
data[5] |= 16
data[8:] = struct.pack("<2I", *sorted(struct.unpack("<2I", data[8:])))
print('/// "abc" and "tidemark".')
print(f"let hllStringsGolden =\n    {swift_bytes(bytes(data))}")


def murmur3(data, seed):
    """MurmurHash3_x64_128 from its description; its coupons are checked against the peer below."""
    mask = (1 << 64) - 1
    rotate = lambda x, r: (x << r | x >> (64 - r)) & mask
    c1, c2 = 0x87C37B91114253D5, 0x4CF5AD432745937F
    h1 = h2 = seed
    padded = data + bytes(-len(data) % 16)
    for at in range(0, len(padded), 16):
        k1, k2 = struct.unpack_from("<2Q", padded, at)
        k1 = rotate(k1 * c1 & mask, 31) * c2 & mask
        k2 = rotate(k2 * c2 & mask, 33) * c1 & mask
        if at + 16 <= len(data):
            h1 = ((rotate(h1 ^ k1, 27) + h2) * 5 + 0x52DCE729) & mask
            h2 = ((rotate(h2 ^ k2, 31) + h1) * 5 + 0x38495AB5) & mask
        else:
            h1, h2 = h1 ^ k1, h2 ^ k2

    def finish(k):
        k = (k ^ k >> 33) * 0xFF51AFD7ED558CCD & mask
        k = (k ^ k >> 33) * 0xC4CEB9FE1A85EC53 & mask
        return k ^ k >> 33

    h1, h2 = h1 ^ len(data), h2 ^ len(data)
    h1 = (h1 + h2) & mask
    h2 = (h2 + h1) & mask
    h1, h2 = finish(h1), finish(h2)
    h1 = (h1 + h2) & mask
    return h1, (h1 + h2) & mask


for length in range(1, 40):
    text = "abcdefghijklmnopqrstuvwxyz0123456789abcdef"[:length]
    one = hll_sketch(12, tgt_hll_type.HLL_8)
    one.update(text)
    (coupon,) = struct.unpack("<I", one.serialize_compact()[8:])
    low, high = murmur3(text.encode(), 9001)
    assert coupon == (min(64 - high.bit_length(), 62) + 1) << 26 | low & 0x3FFFFFF
print("/// Of the bytes 0, 1, 2, … with seed 9001.")
print("let murmur3Goldens: [(count: Int, low: UInt64, high: UInt64)] = [")
for length in range(0, 34):
    low, high = murmur3(bytes(range(length)), 9001)
    print(f"    ({length}, {low:#x}, {high:#x}),")
print("]")
