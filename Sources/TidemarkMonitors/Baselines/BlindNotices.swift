import TidemarkCore
import TidemarkDataflow
import TidemarkRecords

/// What is said, once for each monitor and column, of bins that learned counts can't be told apart in.
///
/// A baseline's file is looked at by `baseline build` and `lint`; what a stream teaches is seen when a window is judged.
struct BlindNotices {
    private struct Place: Hashable {
        var monitor: String
        var column: String
    }

    /// Names of learned baselines.
    private let learned: Set<String>
    /// Where the bins of a column begin and end.
    private var bins: [String: ClosedRange<Double>] = [:]
    private var said: Set<Place> = []
    /// A topology has less monitors times columns that are of any use to a reader.
    private static let countMax = 100

    init(_ plan: Plan) {
        learned = Set(plan.stream.baselines.filter { $0.learning != nil }.map(\.name))
        for column in plan.stream.columns {
            guard case .edges(let edges) = column.summary.histogram, let first = edges.first,
                let last = edges.last, first <= last
            else { continue }
            bins[column.name] = first...last
        }
    }

    /// `lately` of `lately@trailing-600s`.
    private static func name(_ baseline: String) -> String {
        String(baseline.prefix { $0 != "@" })
    }

    /// Where most values of a window that was judged `blind` lie, and where its bins do.
    mutating func notices(of record: AggregateRecord) -> [Notice] {
        // Of all records that are published next to none has one.
        guard !learned.isEmpty, record.verdicts.contains(where: { $0.verdict == .blind }),
            let counts = record.histogram, let edges = bins[record.column]
        else { return [] }
        let inside = counts.counts.max() ?? 0
        let most = max(counts.under, counts.over, inside)
        let total = counts.under + counts.over + counts.counts.reduce(0, +)
        guard Double(most) > BaselineTable.Entry.blindShare * Double(total) else { return [] }
        var found: [Notice] = []
        for verdict in record.verdicts
        where verdict.verdict == .blind && learned.contains(Self.name(verdict.baseline))
            && said.count < Self.countMax
            && said.insert(Place(monitor: verdict.monitor, column: record.column)).inserted
        {
            let place =
                most == counts.under
                ? "below the bins" : most == counts.over ? "above the bins" : "in one bin"
            found.append(
                Notice(
                    "most values of a column lie \(place) of a learned baseline, so that drift can't be seen:"
                        + " its `expect: { range: … }` or `histogram: { edges: … }` should cover and separate them",
                    [
                        ("monitor", verdict.monitor), ("column", record.column),
                        ("share", "\((Double(most) / Double(total) * 1000).rounded() / 1000)"),
                        ("bins", "\(edges.lowerBound) to \(edges.upperBound)"),
                        (
                            "values",
                            "\(record.min.map { "\($0)" } ?? "?") to \(record.max.map { "\($0)" } ?? "?")"
                        ),
                    ]))
        }
        return found
    }
}
