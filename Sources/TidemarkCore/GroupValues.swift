import TidemarkText

/// The values of a group's dimensions, in the order of their names.
package struct GroupValues: Sendable, Hashable {
    /// `nil` is a dimension that the rows do not have (absent, null or of a wrong type).
    package var dimensions: [(name: String, value: [UInt8]?)]
    /// The rest: the groups beyond the segment's limit, merged; how many they are is beside it.
    package var isOther: Bool

    package init(dimensions: [(name: String, value: [UInt8]?)], isOther: Bool = false) {
        self.dimensions = dimensions
        self.isOther = isOther
    }

    /// `model=churn,region=eu`, percent-encoded; a dimension without a value is its name alone; all
    /// rows together are `-`, the rest is `~other` (no name begins so).
    package var part: [UInt8] {
        if isOther { return Array("~other".utf8) }
        if dimensions.isEmpty { return [0x2d] }
        var part: [UInt8] = []
        for (name, value) in dimensions {
            if !part.isEmpty { part.append(0x2c) }
            part.append(contentsOf: percentEncoded(Array(name.utf8)))
            guard let value else { continue }
            part.append(0x3d)
            part.append(contentsOf: percentEncoded(value))
        }
        return part
    }

    /// The group that `part` names; nil if it has other dimensions than these, or is none.
    package init?(part: [UInt8], names: [String]) {
        if names.isEmpty {
            guard part == [0x2d] else { return nil }
            self.init(dimensions: [])
            return
        }
        let texts = part.split(separator: 0x2c, omittingEmptySubsequences: false)
        guard texts.count == names.count else { return nil }
        var dimensions: [(name: String, value: [UInt8]?)] = []
        for (name, text) in zip(names, texts) {
            let encoded = percentEncoded(Array(name.utf8))
            guard text.starts(with: encoded) else { return nil }
            let rest = text.dropFirst(encoded.count)
            guard rest.isEmpty || rest.first == 0x3d else { return nil }
            dimensions.append(
                (name, rest.isEmpty ? nil : percentDecoded(rest.dropFirst())))
        }
        self.init(dimensions: dimensions)
    }

    /// By their parts: the names of dimensions count as well.
    package static func == (a: GroupValues, b: GroupValues) -> Bool { a.part == b.part }
    package func hash(into hasher: inout Hasher) { hasher.combine(part) }
}

/// `1m`, `1h`, … as keys have it: in the largest unit of s, ms that divides it (`60s`, `250ms`).
package func lengthText(_ ms: Int64) -> String { ms % 1000 == 0 ? "\(ms / 1000)s" : "\(ms)ms" }
