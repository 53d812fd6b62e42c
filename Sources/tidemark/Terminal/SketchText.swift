import TidemarkCodec
import TidemarkCore
import TidemarkRecords
import TidemarkSketches
import TidemarkText
import TidemarkText

private let shownRanks = [0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99]

/// The bytes of one of our sketches, whatever its family, in words; `nil` if they are none.
///
/// Byte 2 names the family: DataSketches' numbers, ours above them; protobuf of a DDSketch has the
/// tag of γ there.
func sketchText(_ bytes: [UInt8]) -> String? {
    guard bytes.count >= 8 else { return nil }
    switch bytes[2] {
    case 0x09: return ddsketchText(bytes)
    case 15: return kllText(bytes) ?? kllDoublesText(bytes)
    case 7: return hllText(bytes)
    case 10: return frequentText(bytes) ?? frequentIntegersText(bytes)
    case 101: return momentsText(bytes)
    case 102: return comomentsText(bytes)
    case 103: return decayedText(bytes)
    case 104: return logLinearText(bytes)
    case 105: return frozenText(bytes)
    case 106: return sampleText(bytes)
    case 107: return exactText(bytes)
    default: return nil
    }
}

/// Estimates of crafted bytes may exceed any integer.
private func whole(_ x: Double) -> String { x < 9e18 ? grouped(Int64(x)) : "over 9e18" }

private func count(_ n: UInt64) -> String { grouped(Int64(clamping: n)) }

private func quantileLine(_ values: [Double]) -> String {
    "    "
        + zip(shownRanks, values).map { "\(quantileName($0)) \(shortNumber($1))" }
        .joined(separator: "  ") + "\n"
}

private func kllText(_ bytes: [UInt8]) -> String? {
    guard let sketch = try? KLLSketch(bytes: bytes) else { return nil }
    let view = sketch.view()
    let head = "KLL quantiles of f32, k \(sketch.k), \(grouped(Int64(sketch.count))) values"
    guard let min = sketch.min, let max = sketch.max else { return head + "\n" }
    return head + ", min \(shortNumber(Double(min))), max \(shortNumber(Double(max)))"
        + ", ranks within \(shortNumber(view.rankError * 100))%\n"
        + quantileLine(view.quantiles(shownRanks).map { Double($0) })
}

private func kllDoublesText(_ bytes: [UInt8]) -> String? {
    guard let sketch = try? KLLDoublesSketch(bytes: bytes) else { return nil }
    let view = sketch.view()
    let head = "KLL quantiles of f64, k \(sketch.k), \(grouped(Int64(sketch.count))) values"
    guard let min = sketch.min, let max = sketch.max else { return head + "\n" }
    return head + ", min \(shortNumber(min)), max \(shortNumber(max))"
        + ", ranks within \(shortNumber(view.rankError * 100))%\n"
        + quantileLine(view.quantiles(shownRanks))
}

private func ddsketchText(_ bytes: [UInt8]) -> String? {
    guard let sketch = try? DDSketch(bytes: bytes, binCountMax: 65_536) else { return nil }
    let error = (sketch.relativeError * 1e6).rounded() / 1e4
    return "DDSketch, \(count(sketch.count)) values in \(sketch.binCount) bins, "
        + "quantiles within \(shortNumber(error))% of the value"
        + (sketch.mapping == .logarithmic ? ", bins by the logarithm\n" : "\n")
        + (sketch.isEmpty ? "" : quantileLine(sketch.quantiles(shownRanks)))
}

private func hllText(_ bytes: [UInt8]) -> String? {
    guard let sketch = try? HLLSketch(bytes: bytes) else { return nil }
    let bounds = sketch.bounds(standardDeviations: 2)
    let packing =
        switch sketch.type {
        case .hll4: "HLL_4"
        case .hll6: "HLL_6"
        case .hll8: "HLL_8"
        }
    // Below lgK 7 the upper bound may be open.
    let upper = bounds.upper.isFinite ? whole(bounds.upper.rounded(.up)) : "any"
    return "HyperLogLog (\(packing)), lgK \(sketch.lgK): about "
        + "\(whole(sketch.estimate.rounded())) different values "
        + "(\(whole(bounds.lower)) to \(upper))\n"
}

private func frequentText(_ bytes: [UInt8]) -> String? {
    guard let sketch = try? FrequentItems(bytes: bytes) else { return nil }
    return frequentText(
        total: sketch.total,
        kept: sketch.itemCount,
        offset: sketch.offset,
        sketch.top(10).map { (String(decoding: $0.bytes, as: UTF8.self), $0.lower, $0.upper) }
    )
}

private func frequentIntegersText(_ bytes: [UInt8]) -> String? {
    guard let sketch = try? FrequentIntegers(bytes: bytes) else { return nil }
    let items = sketch.items
    return frequentText(
        total: sketch.total,
        kept: items.count,
        offset: sketch.offset,
        items.prefix(10).map { ("\($0.value)", $0.lower, $0.upper) }
    )
}

private func frequentText(
    total: UInt64,
    kept: Int,
    offset: UInt64,
    _ items: [(name: String, lower: UInt64, upper: UInt64)]
) -> String {
    let error = offset == 0 ? "exact" : "off by at most \(count(offset))"
    var text = "Frequent items: \(count(total)) in all, \(kept) kept, \(error)\n"
    for item in items {
        text += "    \(item.name)  \(count(item.lower))"
        if item.upper > item.lower { text += " to \(count(item.upper))" }
        text += "\n"
    }
    return text
}

private func momentsText(_ bytes: [UInt8]) -> String? {
    guard let moments = try? Moments(bytes: bytes) else { return nil }
    var text = "Moments of \(count(moments.valueCount)) values"
    if let mean = moments.mean { text += ", mean \(shortNumber(mean))" }
    if let variance = moments.variance { text += ", sd \(shortNumber(variance.squareRoot()))" }
    if let skewness = moments.skewness { text += ", skewness \(shortNumber(skewness))" }
    if let kurtosis = moments.kurtosis { text += ", kurtosis \(shortNumber(kurtosis))" }
    return text + "\n"
}

private func comomentsText(_ bytes: [UInt8]) -> String? {
    guard let moments = try? Comoments(bytes: bytes) else { return nil }
    var text = "Covariances of \(moments.width) columns, \(count(moments.rowCount)) rows\n"
    let shown = min(moments.width, 8)
    for a in 0..<shown {
        let row = (0...a).map { shortNumber(moments.covariance(a, $0)) }
        text += "    " + row.joined(separator: "  ") + "\n"
    }
    if shown < moments.width { text += "    … \(moments.width - shown) more\n" }
    return text
}

private func decayedText(_ bytes: [UInt8]) -> String? {
    guard let moments = try? DecayedMoments(bytes: bytes) else { return nil }
    var text = "Decayed moments, half-life \(lengthText(moments.halfLifeMs))"
    if let mean = moments.mean, let sd = moments.sd {
        text += ", weight \(shortNumber(moments.weight)), mean \(shortNumber(mean))"
        text += ", sd \(shortNumber(sd))"
    }
    return text + "\n"
}

private func logLinearText(_ bytes: [UInt8]) -> String? {
    guard let histogram = try? LogLinearHistogram(bytes: bytes) else { return nil }
    return "Log-linear histogram of \(count(histogram.count)) values, quantiles within 1.6%\n"
        + (histogram.isEmpty ? "" : quantileLine(histogram.quantiles(shownRanks)))
}

private func frozenText(_ bytes: [UInt8]) -> String? {
    guard let histogram = try? FrozenHistogram(bytes: bytes) else { return nil }
    let cells = histogram.cells.map { Int64(clamping: $0) }
    return
        "Histogram of \(count(histogram.count)) values in \(histogram.edges.count - 1) bins from "
        + "\(shortNumber(histogram.edges.first)) to \(shortNumber(histogram.edges.last)), "
        + "\(count(histogram.nullCount)) null, \(count(histogram.otherCount)) other\n"
        + "    \(bars(Array(cells.dropFirst().dropLast())))"
        + "  under \(grouped(cells.first ?? 0)), over \(grouped(cells.last ?? 0))\n"
}

private func sampleText(_ bytes: [UInt8]) -> String? {
    guard let sample = try? BottomKSample(bytes: bytes) else { return nil }
    let values = sample.values
    var text = "Sample of \(values.count) records out of about "
    text += "\(whole(sample.estimate.rounded()))\n"
    for one in values.prefix(10) {
        text += "    \(one.partition)/\(one.offset)  \(shortNumber(one.value))\n"
    }
    return text
}

private func exactText(_ bytes: [UInt8]) -> String? {
    guard let counts = try? ExactCounts(bytes: bytes) else { return nil }
    var text = "Exact counts: \(count(counts.total)) in all, \(counts.items.count) values"
    text += counts.otherCount > 0 ? ", \(count(counts.otherCount)) of others\n" : "\n"
    for item in counts.items.sorted(by: { $0.count > $1.count }).prefix(10) {
        text += "    \(String(decoding: item.bytes, as: UTF8.self))  \(count(item.count))\n"
    }
    return text
}
