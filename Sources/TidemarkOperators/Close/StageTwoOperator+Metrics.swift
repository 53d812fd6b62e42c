import TidemarkCore
import TidemarkDataflow
import TidemarkExpressions
import TidemarkMonitors
import TidemarkRecords

/// Metrics of closing windows: what they come to, beside what, and who judges them.
extension StageTwoOperator {
    /// Works out, judges and publishes the metrics of a group.
    ///
    /// - Returns: all of them, in the order of the plan.
    @discardableResult
    func publishMetrics(
        _ cell: GroupCell, beside others: [[UInt8]: GroupCell], segment index: Int,
        _ references: WindowReferences?, _ window: inout ClosingWindow,
        _ emit: (OutputRecord) -> Void
    ) -> [MetricRecord] {
        guard let metrics else { return [] }
        let (closing, segment) = (window.closing, plan.stream.segments[index])
        let all = metrics.evaluate(cell, segment: index) { input in
            references.map {
                taken(input, of: cell, beside: others, segment: index, closing, $0)
            } ?? .none
        }
        for (metric, taken) in zip(plan.stream.metrics, all) {
            let column = plan.stream.columns[metric.column]
            guard !column.isUnpublished else { continue }
            var record = AggregateRecord(
                topology: plan.name, revision: plan.revision, operatorName: segment.name,
                group: cell.shape.values, column: column.name, role: column.role.rawValue,
                isNumeric: true, window: closing.window, rev: closing.rev,
                complete: closing.complete, backfill: closing.backfill)
            record.rows = cell.rowCounts
            record.rows.value = record.rows.total
            record.metric = taken
            var events: [AlertRecord] = []
            if let references,
                monitors.judges(segment: index, size: closing.size, column: metric.column)
            {
                let evidence = WindowEvidence(
                    closing, segment: index, column: metric.column, part: cell.shape.part,
                    rows: record.rows, references: references, metrics: all)
                events = monitors.judge(evidence, &record)
            }
            publishGroup(record, events, &window, emit)
        }
        return all
    }

    /// An aggregate of a baseline, or of a column beside one.
    private func taken(
        _ input: MetricInput, of cell: GroupCell, beside others: [[UInt8]: GroupCell],
        segment index: Int, _ closing: WindowClosing, _ references: WindowReferences
    ) -> MetricTaken {
        guard let number = input.baseline else { return .none }
        let baseline = plan.stream.baselines[number]
        let segment = plan.stream.segments[index]
        let place = input.column.flatMap { segment.columns.firstIndex(of: $0) }
        if case .test(let test) = input.kind {
            guard let place, let column = input.column else { return .none }
            let evidence = cell.evidence(
                place, column: column, segment: index, closing, rows: cell.rowCounts(place),
                references)
            return MetricTaken(
                value: evidence.effect(
                    of: test, against: number, isOfStream: baseline.isOfStream))
        }
        guard baseline.isOfStream else {
            guard let column = input.column.map({ plan.stream.columns[$0].name }) else {
                return .none
            }
            let group = String(decoding: cell.shape.part, as: UTF8.self)
            let table = baselines[number]
            guard !table.isFallback(group: group, column: column),
                let entry = table.entry(group: group, column: column)
            else { return .none }
            return MetricTaken(input.kind, of: entry)
        }
        if baseline.topic != nil {
            guard let place, let rows = references.rows(number, place: place) else { return .none }
            return MetricTaken(input.kind, of: rows)
        }
        guard let learned = references.learned(number) else { return .none }
        if let other = baseline.other {
            let values = other.group(of: cell.shape.values)
            return values.flatMap { others[$0.part] }?.taken(input) {
                segment.columns.firstIndex(of: $0)
            } ?? .none
        }
        return MetricTaken(
            input.kind, of: learned, at: place.map { segment.columns.count + $0 })
    }
}
