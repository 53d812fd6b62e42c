import TidemarkCore
import TidemarkDataflow
import TidemarkKernels
import TidemarkMonitors
import TidemarkRecords
import TidemarkSketches

/// What of a column is worked out once, for its record and for the bytes of its sketches.
struct SettledColumn: ~Copyable {
    /// The KLL sketch over f32 with its items in order; `nil` where its bytes are not published.
    let view: KLLView?
    /// The frequent texts, sorted in.
    let frequent: FrequentItems
    /// How often each rank stands in the registers of the count of different texts.
    let registers: HLLSketch.RegisterCounts?

    init(_ cell: GroupCell, _ place: Int, wantsKLL: Bool) {
        let shape = cell.shape.columns[place]
        view = wantsKLL && shape.wantsRun ? unsafe cell.kll[place].view() : nil
        frequent = cell.settledFrequent(place)
        registers =
            shape.column.summary.distinctLgK == nil
            ? nil : cell.categories[place]?.distinct.registerCounts
    }
}

extension GroupCell {
    /// The record of a column, before anybody judged it.
    func record(
        _ place: Int, _ settled: borrowing SettledColumn, _ segment: SegmentPlan,
        _ closing: WindowClosing, _ plan: Plan
    ) -> AggregateRecord {
        let shape = self.shape.columns[place]
        let column = shape.column
        var record = AggregateRecord(
            topology: plan.name, revision: plan.revision, operatorName: segment.name,
            group: self.shape.values, column: column.name, role: column.role.rawValue,
            isNumeric: column.type.isNumeric, window: closing.window, rev: closing.rev,
            complete: closing.complete, backfill: closing.backfill)
        record.rows = rowCounts(place)
        describeSums(place, &record)
        describeQuantiles(place, settled.view, &record)
        describeHistogram(place, plan, &record)
        describeParts(place, into: &record)
        describeTexts(place, settled, &record)
        return record
    }

    private func describeSums(_ place: Int, _ record: inout AggregateRecord) {
        let shape = shape.columns[place]
        let summary = shape.column.summary
        switch shape.sums {
        case .exact(let sums):
            let numeric = unsafe exact[place]
            if summary.range, numeric.count > 0 {
                (record.min, record.max) = (numeric.min, numeric.max)
            }
            if summary.moments {
                record.mean = numeric.mean(sums)
                record.sd = numeric.sd(sums)
            }
        case .ordered:
            let numeric = unsafe ordered[place]
            if summary.range, numeric.count > 0 {
                (record.min, record.max) = (numeric.min, numeric.max)
            }
            if summary.moments {
                record.mean = numeric.mean
                record.sd = numeric.sd
            }
        case .none: break
        }
    }

    private func describeQuantiles(
        _ place: Int, _ view: KLLView?, _ record: inout AggregateRecord
    ) {
        let shape = shape.columns[place]
        let summary = shape.column.summary
        let extent = extent(place)
        if let view, view.count > 0 {
            record.quantiles = summary.quantiles.map { extent.holding($0, view.quantile($0)) }
        } else if shape.wantsRun {
            let values = unsafe kll[place].quantiles(summary.quantiles)
            record.quantiles = zip(summary.quantiles, values).map { extent.holding($0, $1) }
        }
        if shape.wantsRun { record.quantilesOverflow = extent.isBeyondSingle }
        if let wide = wideQuantiles(place) {
            let values = wide.quantiles(summary.quantiles)
            record.quantiles = zip(summary.quantiles, values).map { extent.holding($0, $1) }
        }
    }

    private func describeHistogram(_ place: Int, _ plan: Plan, _ record: inout AggregateRecord) {
        let shape = shape.columns[place]
        if shape.hasHistogram, shape.column.type.isNumeric, let binning = shape.binnings.first {
            let cells = unsafe cells(binning)
            let outer = binning.isOpen ? 0 : 1
            let counts = (outer..<cells.count - outer).map {
                Int64(truncatingIfNeeded: unsafe cells[$0])
            }
            record.histogram = HistogramRecord(
                edges: binning.baseline.map { plan.stream.baselines[$0].label } ?? "declared",
                under: outer == 0 ? 0 : Int64(truncatingIfNeeded: unsafe cells[0]), counts: counts,
                over: outer == 0
                    ? 0 : Int64(truncatingIfNeeded: unsafe cells[cells.count - 1]))
        }
    }

    private func describeTexts(
        _ place: Int, _ settled: borrowing SettledColumn, _ record: inout AggregateRecord
    ) {
        let summary = shape.columns[place].column.summary
        if let category = categories[place], record.rows.value > 0 {
            if summary.distinctLgK != nil, let registers = settled.registers {
                let (estimate, lower, upper) = category.distinct.estimateAndBounds(
                    standardDeviations: 2, registers)
                record.distinct = DistinctRecord(estimate: estimate, lower: lower, upper: upper)
            }
            if let count = summary.topCount {
                record.top = settled.frequent.top(count).map {
                    TopItem(
                        value: $0.bytes, count: Int64($0.estimate), lower: Int64($0.lower),
                        upper: Int64($0.upper))
                }
            }
        }
    }
}
