import TidemarkDataflow
package import TidemarkLanguage

/// What topologies can say: every part with its keys.
///
/// The lists of kinds come together here; what reads, prints and describes topologies goes through these and
/// names none of them.
package struct Catalogue: Sendable {
    /// What can be watched for.
    let monitors: MonitorKinds
    /// What can be kept of columns.
    let summaries: [any SummaryKind]
    /// Names of sketches whose bytes can be published.
    let sketches: [String]
    /// A rule of `summaries`.
    let rule: PartSpec
    /// The top level.
    let topology: PartSpec
    /// The source.
    let source: PartSpec
    /// What `expect` says of columns.
    let expect: ExpectPart
    /// Every part, in the order in which they are listed to people.
    package let parts: [PartSpec]

    /// The language of the core, with these summaries, kinds of monitors and checks of quality.
    package init(
        summaries declared: [SummarySpec] = [], monitors kinds: [MonitorSpec] = [],
        checks: [CheckSpec] = []
    ) {
        monitors = MonitorKinds(kinds, checks: checks)
        let expect = ExpectPart(checks)
        self.expect = expect
        summaries = Summaries.all(declared)
        sketches =
            OutputsPlan.SketchOutput.core.map(\.rawValue) + declared.compactMap(\.sketch?.name)
        rule = Summaries.rule(summaries)
        topology = TopologyPart.part(monitorKinds: monitors.ofNow.map(\.name))
        source = SourcePart.part(formats: Formats.all.map { $0.name })
        parts =
            [
                topology, KafkaPart.part, KafkaPart.TLS.part, KafkaPart.SASL.part, source,
                DecodePart.part, ColumnPart.part, expect.part, DerivePart.part,
                SegmentPart.part, rule,
            ] + summaries.compactMap(\.part) + [BaselinePart.part]
            + monitors.all.compactMap(\.part) + [
                BudgetPart.part, AlertKeys.part, MutePart.part, AlertRoutesPart.destination,
                AlertRoutesPart.route, OutputsPart.part,
                OutputsPart.Aggregates.part(sketches),
                LimitsPart.part, RunPart.part,
            ]
    }
}
