#!/usr/bin/env bash
# ddsketch 3.0.1 (PyPI): sketches with different index mappings merge without an error, and quantiles are off by far more
# than the promised relative error.
#
# Expected: a merge of a logarithmic and of a cubically interpolated mapping is refused, as a merge of different accuracies is
# (UnequalSketchParametersException): bin 100 stands for another range of values in each.
# Seen: only gamma is compared, which both mappings share, so the bins are added up index by index.
#
# Exits with 0 while that is so, with 1 once it changed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check ddsketch==3.0.1 protobuf==4.25.8
"$work/venv/bin/python" - <<'P'
import sys
from ddsketch.ddsketch import BaseDDSketch, DDSketch
from ddsketch.mapping import CubicallyInterpolatedMapping
from ddsketch.store import DenseStore

accuracy = 0.01
usual = DDSketch(accuracy)
cubic = BaseDDSketch(CubicallyInterpolatedMapping(accuracy), DenseStore(), DenseStore(), 0.0)
values = [1e9 + i * 1e6 for i in range(1000)]
for value in values:
    cubic.add(value)
alone = cubic.get_quantile_value(0.5)
try:
    usual.merge(cubic)
except Exception as error:
    print("refused:", type(error).__name__)
    sys.exit(1)
merged = usual.get_quantile_value(0.5)
exact = sorted(values)[499]
off = abs(merged - exact) / exact
print(f"median exact {exact}, cubic sketch alone {alone:.1f}, after a merge into an empty logarithmic one {merged:.1f}: off by {off:.1%}, promised {accuracy:.0%}")
sys.exit(0 if abs(alone - exact) / exact <= accuracy and off > 5 * accuracy else 1)
P
