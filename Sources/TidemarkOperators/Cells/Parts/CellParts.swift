import TidemarkDataflow
import TidemarkLanguage
import TidemarkRecords
import TidemarkText

extension ColumnSummary {
    /// What a topology says of a summary that is known by its spec alone; `nil`: it does not ask for it.
    func settings(of spec: SummarySpec) -> Settings? {
        parts.first { $0.name == spec.name }?.settings
    }
}

/// The parts that cells of a column keep.
enum CellParts {
    /// Empty parts for a column.
    ///
    /// `orderFreeOnly`: for the rest of a segment, into which groups are merged in any order.
    static func make(
        _ summary: ColumnSummary, _ context: PartContext, orderFreeOnly: Bool = false
    ) -> [any CellPart] {
        allParts.compactMap { kind in
            guard let part = kind.init(summary, context), part.isOrderFree || !orderFreeOnly else {
                return nil
            }
            return part
        }
    }

    /// Whether a topology asks for any part of a column.
    static func areWanted(_ summary: ColumnSummary) -> Bool {
        !make(summary, PartContext(seed: 0, topicHash: 0)).isEmpty
    }

    /// Joins parts of one column, those that are order-free or the others.
    static func merge(_ mine: [any CellPart], _ theirs: [any CellPart], orderFree: Bool) {
        for part in mine where part.isOrderFree == orderFree {
            // The rest of a segment has fewer of them.
            if let other = theirs.first(where: { type(of: $0) == type(of: part) }) {
                part.merge(other)
            }
        }
    }
}

extension GroupCell {
    /// Writes into a column's record what its parts came to, and how it varies with others.
    func describeParts(_ index: Int, into record: inout AggregateRecord) {
        for part in parts(index) { part.describe(into: &record) }
        guard !correlations.isEmpty else { return }
        let names = shape.columns.map(\.column.name)
        let pairs = correlations.flatMap { $0.pairs(of: index, names: names) }
        record.parts.add(CorrelationCell.correlation, pairs.isEmpty ? nil : .array(pairs))
    }
}
