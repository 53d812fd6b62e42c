package import TidemarkLanguage
package import TidemarkRecords

/// All parts of cells, in the order in which cells write their state.
let allParts: [any CellPart.Type] = [
    WideQuantiles.self, ShapePart.self, DecayPart.self, LogLinearPart.self, CountsPart.self,
    SamplePart.self, TrimmedMeanPart.self, RepeatsPart.self,
    MetricSums.self, MetricQuantiles.self, SeenPart.self,
]

/// The summaries that the planner knows by their specs: for `Catalogue(summaries:)`.
package let declaredSummaries: [SummarySpec] = allParts.compactMap { $0.spec }

/// What summaries add to records, in the order in which it stands there.
package let partFields: [PartField] = (allParts.flatMap { $0.fields } + CorrelationCell.fields)
    .sorted { $0.place < $1.place }
