"""Measures how Apache DataSketches (5.2.0) corrects HyperLogLog's raw estimate, and writes it as
Sources/CKernels/hll_table.c.

    .venv/bin/python make_hll_table.py > ../../Sources/CKernels/hll_table.c

The peer takes Σ 2^-register from the bytes, so bytes with any sum can be made and its answer asked
for. It interpolates between equal steps of n: where its answer is i steps, the raw estimate is a knot.
"""

import math
import struct

from datasketches import hll_sketch

STEPS = {4: 1, 5: 2, 6: 3, 7: 5, **{lg: 10 << (lg - 8) for lg in range(8, 22)}}


def correction(lg_k):
    k = 1 << lg_k
    return {4: 0.673, 5: 0.697, 6: 0.709}.get(lg_k, 0.7213 / (1 + 1.079 / k))


def prober(lg_k):
    k = 1 << lg_k
    registers = bytes([1]) * k

    def answer(raw):
        total = correction(lg_k) * k * k / raw
        head = struct.pack("<BBBBBBBBdddII", 10, 1, 7, lg_k, 0, 24, 0, 10, 0.0, total, 0.0, 0, 0)
        return hll_sketch.deserialize(head + registers).get_estimate()

    return answer


def knots(lg_k):
    k, step, answer = 1 << lg_k, STEPS[lg_k], prober(lg_k)
    found = []
    for i in range(257):
        low, high = 0.3 * k, 20.0 * k
        # Below the first knot the peer says 0.
        for _ in range(48):
            middle = (low + high) / 2
            inside = answer(middle) >= i * step - 1e-9 if i else answer(middle) > 0
            if inside:
                high = middle
            else:
                low = middle
        found.append(high)
    return found


def interpolated(x, step, raw):
    """A cubic through the two knots on either side."""
    at = max(0, min(sum(v <= raw for v in x) - 2, len(x) - 4))
    total = 0.0
    for i in range(at, at + 4):
        part = i * step
        for j in range(at, at + 4):
            if j != i:
                part *= (raw - x[j]) / (x[i] - x[j])
        total += part
    return total


def main():
    print("// Made by Tests/TidemarkSketchesTests/make_hll_table.py; do not edit. A table: it is as long as its values are many.")
    print('#include "CKernels.h"\n')
    print("// By lgK from 4: raw estimates over 2^lgK at which the corrected one is 0, 1, … 256 steps.")
    print("static const float knots[18][257] = {")
    for lg_k in range(4, 22):
        k, step = 1 << lg_k, STEPS[lg_k]
        x = knots(lg_k)
        answer = prober(lg_k)
        for i in range(200):
            raw = x[0] + (x[256] - x[0]) * (i + 0.5) / 200
            found = interpolated([struct.unpack("f", struct.pack("f", v / k))[0] * k for v in x], step, raw)
            assert abs(found / answer(raw) - 1) < 3e-6 or lg_k < 7, (lg_k, raw, found, answer(raw))
        print("    {")
        for i in range(0, 257, 8):
            print("        " + " ".join(f"{v / k:.8g}f," for v in x[i:i + 8]))
        print("    },")
    print("};\n")
    print("const float *tk_hll_knots(int lg_k) { return knots[lg_k - 4]; }")


main()
