import Glibc
import TidemarkRecords

/// What counts in cells say to a person, in the column's own terms.
struct CellText {
    /// Counts of a window and of its baseline, cell by cell.
    let current: [Int64]
    let baseline: [Int64]
    /// What falls into each cell.
    let labels: [String]
    /// Bounds of cells of numbers; empty for categories.
    private let edges: [Double]
    private let isOpen: Bool

    /// Cells between edges: below, bins, above; without the outer two where the outer bins hold the tails.
    ///
    /// `atoms`: values with a bin of their own.
    init(
        current: [Int64], baseline: [Int64], edges: [Double], atoms: [Double], isOpen: Bool
    ) {
        self.current = current
        self.baseline = baseline
        self.edges = edges
        self.isOpen = isOpen
        let first = isOpen ? 1 : 0
        labels = current.indices.map { cell in
            // The edge that it begins at.
            let place = isOpen ? cell : cell - 1
            if place < first { return "below \(plainNumber(edges[first]))" }
            if place >= edges.count - 1 - first {
                return "\(plainNumber(edges[edges.count - 1 - first])) and above"
            }
            let (low, high) = (edges[place], edges[place + 1])
            if let atom = atoms.first(where: { low <= $0 && $0 < high }) {
                return plainNumber(atom)
            }
            return "\(plainNumber(low)) to \(plainNumber(high))"
        }
    }

    /// Categories, and then all others.
    init(current: [Int64], baseline: [Int64], categories: [String]) {
        self.current = current
        self.baseline = baseline
        edges = []
        isOpen = false
        labels = categories.map { $0.count > 40 ? $0.prefix(40) + "…" : $0 } + ["all others"]
    }

    /// The cells that differ most by share.
    func changes(countMax: Int = 5) -> [CellChange] {
        let (n, m) = (Self.sum(current), Self.sum(baseline))
        guard n > 0, m > 0, current.count == baseline.count, labels.count == current.count else {
            return []
        }
        let all = labels.indices.map { cell in
            CellChange(
                cell: labels[cell], current: Double(current[cell]) / n,
                baseline: Double(baseline[cell]) / m)
        }
        let differing = all.enumerated().filter { $0.element.current != $0.element.baseline }
        return differing.sorted {
            let a = abs($0.element.current - $0.element.baseline)
            let b = abs($1.element.current - $1.element.baseline)
            return a != b ? a > b : $0.offset < $1.offset
        }.prefix(countMax).map(\.element)
    }

    /// What the window holds; `nil`: it has no value.
    var now: String? { text(of: current) }
    /// What the baseline holds.
    var usual: String? { text(of: baseline) }

    /// `0.3 to 0.5`, the middle half; `web 52%, app 31%, shop 9%`.
    private func text(of counts: [Int64]) -> String? {
        let sum = Self.sum(counts)
        guard sum > 0, counts.count == labels.count else { return nil }
        guard edges.isEmpty else {
            let (low, high) = (place(of: 0.25, counts, sum), place(of: 0.75, counts, sum))
            return low == high ? low : "\(low) to \(high)"
        }
        let ranked = counts.indices.filter { counts[$0] > 0 }.sorted {
            counts[$0] != counts[$1] ? counts[$0] > counts[$1] : $0 < $1
        }
        return ranked.prefix(3).map {
            "\(labels[$0]) \(percentText(Double(counts[$0]) / sum))"
        }.joined(separator: ", ")
    }

    /// Where a share of the values lies, within a cell in proportion; of the tails nothing is known beyond their edge.
    private func place(of share: Double, _ counts: [Int64], _ sum: Double) -> String {
        var before = 0.0
        for cell in counts.indices {
            let next = before + Double(counts[cell])
            guard next < share * sum || counts[cell] == 0 else {
                return inner(cell, share * sum - before, Double(counts[cell]))
            }
            before = next
        }
        return labels.last ?? ""
    }

    /// A place inside of a cell, `part` of its `count` values from its beginning.
    private func inner(_ cell: Int, _ part: Double, _ count: Double) -> String {
        let place = isOpen ? cell : cell - 1
        let outer = isOpen ? 1 : 0
        guard place >= outer, place + 1 < edges.count - outer, labels[cell].contains(" to ") else {
            return labels[cell]
        }
        let (low, high) = (edges[place], edges[place + 1])
        return plainNumber(low + (high - low) * part / count)
    }

    private static func sum(_ counts: [Int64]) -> Double { Double(counts.reduce(0, +)) }
}

/// A number with four digits that count: `0.3041`, `18`, `1523000`.
func plainNumber(_ value: Double) -> String {
    guard value != 0, value.isFinite else { return value == 0 ? "0" : "\(value)" }
    let scale = pow(10, 3 - floor(log10(abs(value))))
    let rounded = scale.isFinite && scale > 0 ? (value * scale).rounded() / scale : value
    let text = "\(rounded)"
    return text.hasSuffix(".0") ? String(text.dropLast(2)) : text
}

/// `12%`, `1.4%`, `less than 0.1%`.
func percentText(_ share: Double) -> String {
    if share > 0, share < 0.001 { return "less than 0.1%" }
    if share >= 0.0995 { return "\(Int((share * 100).rounded()))%" }
    let tenths = Int((share * 1000).rounded())
    return tenths % 10 == 0 ? "\(tenths / 10)%" : "\(tenths / 10).\(tenths % 10)%"
}
