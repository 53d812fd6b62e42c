package import TidemarkText

/// A quantile of a column.
///
/// A list of them is an object: each under its name, `p50`.
package struct QuantileRecord: Sendable, Equatable {
    /// 0 to 1.
    package var rank: Double
    /// The smallest value whose rank reaches it, nearly.
    package var value: Double
    /// It is known as an f32, and written by the digits of one.
    package var isSingle: Bool

    package init(rank: Double, value: Double, isSingle: Bool) {
        self.rank = rank
        self.value = value
        self.isSingle = isSingle
    }
}

extension QuantileRecord: FieldElement {
    package static func listShape() -> FieldShape { .map(.number, names: "^p[0-9.]+$") }

    package static func write(_ list: [QuantileRecord], to json: inout JSONWriter) {
        json.beginObject()
        for quantile in list where quantile.value.isFinite {
            json.key(text: quantileName(quantile.rank))
            if quantile.isSingle {
                json.value(Float(quantile.value))
            } else {
                json.value(quantile.value)
            }
        }
        json.endObject()
    }

    package static func readList(_ json: JSONValue) throws(RecordError) -> [QuantileRecord] {
        guard let members = json.asObject else { throw .wrongType("", expected: "an object") }
        var list: [QuantileRecord] = []
        for (name, value) in members {
            guard let rank = quantileRank(name) else {
                throw .wrongType(name, expected: "the name of a quantile, p00 to p100")
            }
            switch value {
            case .integer(let number):
                list.append(QuantileRecord(rank: rank, value: Double(number), isSingle: false))
            case .number(let number):
                // A whole number that is not written as one is the text of an f32: all other texts of
                // these are those of the nearest double, too.
                let isWhole = number == number.rounded(.towardZero) && number.magnitude < 0x1p53
                list.append(QuantileRecord(rank: rank, value: number, isSingle: isWhole))
            default: throw .wrongType(name, expected: "a number")
            }
        }
        return list
    }
}

/// The name of a quantile: 0.01 is `p01`, 0.5 `p50`, 0.999 `p99.9`.
///
/// - Precondition: `0 <= rank <= 1`.
package func quantileName(_ rank: Double) -> String {
    let percent = (rank * 1_000_000).rounded() / 10_000
    let whole = Int(percent)
    guard percent != Double(whole) else { return wholePercentNames[whole] }
    return (whole < 10 ? "p0" : "p") + "\(percent)"
}

/// The rank of a quantile's name; `nil`: it is the name of none.
func quantileRank(_ name: String) -> Double? {
    guard name.hasPrefix("p"), let rank = Double(name.dropFirst() + "e-2"), 0...1 ~= rank else {
        return nil
    }
    return rank
}

/// `p00` to `p100`.
private let wholePercentNames = (0...100).map { $0 < 10 ? "p0\($0)" : "p\($0)" }
