import TidemarkCore
import TidemarkDataflow
import TidemarkMonitors
import TidemarkRecords
import TidemarkSketches
import TidemarkText

/// Writes what a closing window came to: records of aggregates, sketches beside them, events of alerts.
struct ResultWriter: ~Copyable {
    private let outputs: OutputsPlan
    private var encoder = AggregateEncoder()
    private var sketches: SketchPublisher?
    /// By window length, by column: how series end.
    private let seriesTails: [[[UInt8]]]
    /// By column: whether its results are published.
    private let isPublished: [Bool]
    /// Place of the length of the window that is being closed.
    private var size = 0
    /// How keys of its records end.
    private var keyTail: [UInt8] = []
    /// Headers of its records.
    private var headers: [(name: String, value: [UInt8])] = []
    /// What the series of the group at hand begin with.
    private var seriesHead: [UInt8] = []
    /// The encoder was told of the group at hand.
    private var hasBegun = false

    private static let jsonHeaders = [(name: "content-type", value: Array("application/json".utf8))]

    init(_ plan: Plan) {
        outputs = plan.outputs
        sketches = SketchPublisher(plan.outputs)
        isPublished = plan.stream.columns.map { plan.outputs.published?.contains($0.name) ?? true }
        seriesTails = plan.stream.windows.map { window in
            plan.stream.columns.map {
                AggregateRecord.seriesTail(column: $0.name, lengthMs: window.lengthMs)
            }
        }
    }

    /// KLL sketches over f32 are published: see `SketchPublisher`.
    var wantsKLL: Bool { sketches?.wantsKLL ?? false }

    /// Begins a window.
    mutating func begin(_ closing: WindowClosing) {
        size = closing.size
        let start = decimalText(closing.window.startMs)
        keyTail = [0x2f] + start
        sketches?.window = (start, decimalText(closing.window.endMs))
        headers = Self.jsonHeaders
        if let heldBy = closing.heldBy {
            headers.append((name: "held_by", value: Array("\(heldBy)".utf8)))
        }
    }

    /// Begins a group of that window.
    mutating func begin(group part: [UInt8], of segment: SegmentPlan) {
        hasBegun = false
        guard outputs.aggregates != nil else { return }
        seriesHead = AggregateRecord.seriesHead(operatorName: segment.name, groupPart: part)
    }

    /// Publishes the record of a column of the group at hand, with its sketches.
    mutating func publish(
        _ record: AggregateRecord, _ cell: GroupCell, _ place: Int, column: Int,
        _ settled: borrowing SettledColumn, _ tally: inout WindowTally,
        _ emit: (OutputRecord) -> Void
    ) {
        guard outputs.aggregates != nil, isPublished[column] else { return }
        if !hasBegun {
            encoder.begin(record)
            hasBegun = true
        }
        let series = joined(seriesHead, seriesTails[size][column])
        let key = joined(series, keyTail)
        publish(record, key: key, series: series, &tally, emit)
        sketches?.publish(record, cell, place, settled, key: key, series: series, emit)
    }

    /// Publishes the record of a group as a whole.
    mutating func publish(
        _ record: AggregateRecord, _ tally: inout WindowTally, _ emit: (OutputRecord) -> Void
    ) {
        let series = record.series
        encoder.begin(record)
        publish(record, key: record.key(series: series), series: series, &tally, emit)
    }

    private mutating func publish(
        _ record: AggregateRecord, key: [UInt8], series: [UInt8], _ tally: inout WindowTally,
        _ emit: (OutputRecord) -> Void
    ) {
        guard let topic = outputs.aggregates else { return }
        emit(
            OutputRecord(
                topic: topic, key: key, value: encoder.encode(record), headers: headers,
                partitionKey: series))
        tally.aggregates += 1
    }

    /// Publishes events of alerts.
    func publish(
        _ events: [AlertRecord], _ tally: inout WindowTally, _ emit: (OutputRecord) -> Void
    ) {
        for event in events {
            event.records(outputs).forEach(emit)
            if event.transition == .firing { tally.alerts += 1 }
        }
    }
}
