import TidemarkCore
package import TidemarkRecords
import TidemarkSketches
import TidemarkText

/// What summaries of `summaries:` add to records, in the order in which it stands there.
package let partFields: [PartField] = [
    .skewness, .kurtosis, .decayed, .correlation, .logLinear, .counts, .sample,
]

extension PartField {
    static let skewness = PartField(
        "skewness", place: 10, shape: .number, presence: "with `shape`",
        help: "of the population, 0 for a normal one; absent where all values are equal")

    static let kurtosis = PartField(
        "kurtosis", place: 20, shape: .number, presence: "with `shape`",
        help: "of the population, 3 for a normal one; absent where all values are equal")

    static let decayed = PartField(
        "decayed", place: 30,
        shape: .object([
            FieldFacts(
                name: "half_life_ms", shape: .count, unit: .ms,
                help: "after so long before the window's end a value counts half"),
            FieldFacts(name: "mean", shape: .number, help: "the weighted mean"),
            FieldFacts(
                name: "sd", shape: .number, presence: "where there are enough values",
                help: "the standard deviation of the weighted population"),
            FieldFacts(
                name: "rate", shape: .number, presence: "where it is known",
                help: "values a second, as if the stream had been steady"),
        ]), presence: "with `decay`",
        help:
            "mean, deviation and rate in which a value counts half as much for each half-life between its event time and the window's end; of this window's rows alone"
    ) { value in
        var line = "half-life \(lengthText(value["half_life_ms"]?.asInteger ?? 0))"
        for name in ["mean", "sd", "rate"] {
            if let number = value[name]?.asNumber { line += "  \(name) \(shortNumber(number))" }
        }
        return [value["rate"] == nil ? line : line + " a second"]
    }

    static let correlation = PartField(
        "correlation", place: 40,
        shape: .list(
            .object([
                FieldFacts(name: "with", shape: .text, help: "the other column"),
                FieldFacts(
                    name: "n", shape: .count, help: "rows that have all columns of the rule"),
                FieldFacts(
                    name: "covariance", shape: .number, presence: "of two rows or more",
                    help: "divides by n − 1"),
                FieldFacts(
                    name: "correlation", shape: .number, presence: "where both columns vary",
                    help: "Pearson's, −1 to 1"),
            ])), presence: "with `correlation`",
        help: "how the column varies with each other one of the rule"
    ) { value in
        (value.asArray ?? []).map { pair in
            "correlation with \(pair["with"]?.asText ?? "-") "
                + shortNumber(pair["correlation"]?.asNumber)
                + ", covariance \(shortNumber(pair["covariance"]?.asNumber))"
                + " over \(grouped(pair["n"]?.asInteger ?? 0)) rows"
        }
    }

    static let logLinear = PartField(
        "log_linear", place: 50,
        shape: .object([
            FieldFacts(
                name: "bins_per_octave", shape: .constant(.integer(32)),
                help: "bins in each doubling"),
            FieldFacts(name: "zero", shape: .count, help: "values below 2^-64 in size"),
            FieldFacts(
                name: "positive", shape: logLinearBins, presence: "where there are some",
                help: "values above zero"),
            FieldFacts(
                name: "negative", shape: logLinearBins, presence: "where there are some",
                help: "values below zero, in bins of their size"),
        ]), presence: "with `log_linear`",
        help:
            "counts in universal bins: bin 32·e + i holds 2^e·(1 + i/32) ≤ \\|x\\| < 2^e·(1 + (i + 1)/32); the outermost takes what is beyond 2^64"
    ) { value in
        var lines = ["log-linear bins: \(grouped(value["zero"]?.asInteger ?? 0)) at zero"]
        for side in ["negative", "positive"] {
            guard let counts = value[side]?["counts"]?.asArray?.compactMap(\.asInteger),
                let first = value[side]?["first"]?.asInteger
            else { continue }
            let sum = counts.reduce(Int64(0)) { $0.addingReportingOverflow($1).partialValue }
            lines.append("\(bars(counts))  \(grouped(sum)) \(side), bins from \(first) on")
        }
        return lines
    }

    private static let logLinearBins = FieldShape.object([
        FieldFacts(
            name: "first", shape: .integer,
            help: "the number of the first bin, 32·e + i; negative below 1"),
        FieldFacts(
            name: "counts", shape: .list(.count), help: "values in each bin from the first on"),
    ])

    static let counts = PartField(
        "counts", place: 60,
        shape: .object([
            FieldFacts(
                name: "values",
                shape: .list(
                    .object([
                        FieldFacts(name: "value", shape: .text, help: "the text"),
                        FieldFacts(name: "count", shape: .count, help: "how often it came"),
                    ])), help: "texts, the most frequent first"),
            FieldFacts(
                name: "other", shape: .count,
                help:
                    "rows with other texts: those of the greatest hashes, beyond the number asked for"
            ),
        ]), presence: "with `counts`", help: "exact counts of texts"
    ) { value in
        let values = value["values"]?.asArray ?? []
        var line = "\(grouped(Int64(values.count))) values: "
        line += values.prefix(5).map {
            "\($0["value"]?.asText ?? "") \(grouped($0["count"]?.asInteger ?? 0))"
        }.joined(separator: ", ")
        if let other = value["other"]?.asInteger, other > 0 {
            line += ", others \(grouped(other))"
        }
        return [line]
    }

    static let sample = PartField(
        "sample", place: 70,
        shape: .list(
            .object([
                FieldFacts(
                    name: "partition", shape: .count, help: "the partition; 0 for a file"),
                FieldFacts(
                    name: "offset", shape: .count,
                    help: "the offset; in a file the number of the record, from 0"),
                FieldFacts(
                    name: "value", shape: .number, help: "the column's value in that row"),
            ])), presence: "with `sample`",
        help:
            "rows of the smallest hashes of (topic, partition, offset), smallest first: the first j are a sample too, and other columns name the same rows where they have a value. `kcat -t TOPIC -p PARTITION -o OFFSET -c 1` shows the row"
    ) { value in
        guard let rows = value.asArray, !rows.isEmpty else { return [] }
        var line = "sample of \(grouped(Int64(rows.count))) rows: "
        line += rows.prefix(5).map {
            "\($0["partition"]?.asInteger ?? 0)/\($0["offset"]?.asInteger ?? 0) "
                + shortNumber($0["value"]?.asNumber)
        }.joined(separator: ", ")
        return [line]
    }
}

extension JSONValue {
    /// Of `DecayedMoments`.
    static func decayed(
        halfLifeMs: Int64, mean: Double, sd: Double?, rate: Double?
    ) -> JSONValue {
        .members([
            "half_life_ms": .integer(halfLifeMs), "mean": .finite(mean), "sd": .finite(sd),
            "rate": .finite(rate),
        ])
    }

    /// The pairs of one column; `nil`: no rule has it.
    static func correlation(_ pairs: [JSONValue]) -> JSONValue? {
        pairs.isEmpty ? nil : .array(pairs)
    }

    /// Of `LogLinearHistogram`: each sign's first bin and counts.
    static func logLinear(
        zero: UInt64, positive: (first: Int, counts: [UInt64])?,
        negative: (first: Int, counts: [UInt64])?
    ) -> JSONValue {
        func side(_ bins: (first: Int, counts: [UInt64])?) -> JSONValue? {
            bins.map { bins in
                .members([
                    "first": .integer(Int64(bins.first)),
                    "counts": .array(bins.counts.map { .integer(Int64(clamping: $0)) }),
                ])
            }
        }
        return .members([
            "bins_per_octave": .integer(32), "zero": .integer(Int64(clamping: zero)),
            "positive": side(positive), "negative": side(negative),
        ])
    }

    /// Of `ExactCounts`, the most frequent first, equals by their bytes.
    static func counts(_ counts: borrowing ExactCounts) -> JSONValue {
        let items = counts.items.sorted {
            $0.count != $1.count
                ? $0.count > $1.count : $0.bytes.lexicographicallyPrecedes($1.bytes)
        }
        return .members([
            "values": .array(
                items.map {
                    .members([
                        "value": .text(String(decoding: $0.bytes, as: UTF8.self)),
                        "count": .integer(Int64(clamping: $0.count)),
                    ])
                }), "other": .integer(Int64(clamping: counts.otherCount)),
        ])
    }

    /// Of `BottomKSample`.
    static func sample(_ sample: borrowing BottomKSample) -> JSONValue {
        .array(
            sample.values.map {
                .members([
                    "partition": .integer(Int64($0.partition)), "offset": .integer($0.offset),
                    "value": .finite($0.value),
                ])
            })
    }
}
