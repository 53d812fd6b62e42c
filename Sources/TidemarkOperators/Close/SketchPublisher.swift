import TidemarkCore
import TidemarkDataflow
import TidemarkRecords
import TidemarkSketches
import TidemarkText

/// The sketches' own bytes, on the topic beside the aggregates.
struct SketchPublisher {
    private let topic: String
    private let sketches: Set<OutputsPlan.SketchOutput>
    private let wants: SketchWishes
    /// Start and end of the window that is being closed, as headers have them.
    var window: (start: [UInt8], end: [UInt8]) = ([], [])
    /// Decimal digits of numbers that headers repeat: parameters of sketches.
    private var numberTexts: [[UInt8]?] = Array(repeating: nil, count: 1_025)

    /// Nil where no sketch is published.
    init?(_ outputs: OutputsPlan) {
        guard outputs.aggregates != nil, let topic = outputs.sketchesTopic else { return nil }
        self.topic = topic
        sketches = outputs.sketches
        wants = SketchWishes(outputs)
    }

    /// KLL sketches over f32 are: their items are put in order once, for the bytes and the quantiles.
    var wantsKLL: Bool { wants.kll }

    /// Publishes what a cell keeps of a column.
    mutating func publish(
        _ record: AggregateRecord, _ cell: GroupCell, _ place: Int,
        _ settled: borrowing SettledColumn, key: [UInt8], series: [UInt8],
        _ emit: (OutputRecord) -> Void
    ) {
        let summary = cell.shape.columns[place].column.summary
        let valueCount = decimalText(record.rows.value)
        func send(
            _ family: SketchName, _ item: SketchName, k: Int, n: [UInt8], version: Int,
            _ bytes: [UInt8], suffix: String = "", columns: String? = nil
        ) {
            var ownKey = joined(key, family.keyTail)
            if !suffix.isEmpty { ownKey.append(contentsOf: suffix.utf8) }
            var headers = SketchRecord(
                family: family.text, item: item.text, serialVersion: numberText(version),
                k: numberText(k), n: n, window: window)
            // The usual reader merges another mapping without a word.
            if family.text == SketchName.ddsketch.text {
                let mapping = summary.hasLogarithmicBins ? "log" : "cubic"
                headers.mapping = Array(mapping.utf8)
            }
            if let columns { headers.columns = Array(columns.utf8) }
            emit(
                OutputRecord(
                    topic: topic, key: ownKey, value: bytes, headers: headers.headers(),
                    partitionKey: series, form: .binary))
        }
        if wants.kll, let view = settled.view {
            let bytes = view.serialize()
            send(
                .kll, .f32, k: summary.kllK, n: valueCount, version: Int(bytes[1]), bytes)
        }
        if let wide = cell.wideQuantiles(place) {
            let bytes = wide.serialize()
            if wide.sketchKind == .ddsketch, sketches.contains(.ddsketch) {
                // Protobuf has no version of its own.
                send(.ddsketch, .f64, k: wide.dd.binCountMax, n: valueCount, version: 0, bytes)
            } else if wide.sketchKind == .kllDoubles, wants.kll {
                send(
                    .kll, .f64, k: summary.kllK, n: valueCount, version: Int(bytes[1]),
                    bytes)
            }
        }
        for part in cell.parts(place) {
            guard let family = type(of: part).sketchFamily, sketches.contains(family),
                let sketch = part.sketch
            else { continue }
            send(
                SketchName(family.rawValue), SketchName(sketch.item), k: sketch.k,
                n: valueCount, version: Int(sketch.bytes[1]), sketch.bytes)
        }
        if wants.histogram,
            let histogram = cell.histogram(place, nullCount: record.rows.total - record.rows.value)
        {
            let bytes = histogram.serialize()
            send(
                .histogram, .f64, k: histogram.edges.count - 1, n: valueCount,
                version: Int(bytes[1]), bytes)
        }
        if wants.correlation {
            // A list of columns goes with the first of them.
            for (number, list) in cell.correlations.enumerated() where list.places.first == place {
                let bytes = list.sums.serialize()
                let names = list.places.map { cell.shape.columns[$0].column.name }
                send(
                    .correlation, .f64, k: list.places.count,
                    n: decimalText(Int64(clamping: list.sums.rowCount)), version: Int(bytes[1]),
                    bytes,
                    suffix: number == 0 ? "" : "-\(number + 1)",
                    columns: names.joined(separator: ","))
            }
        }
        guard let category = cell.categories[place] else { return }
        let textCount = decimalText(category.valueCount)
        if wants.hll, let lgK = summary.distinctLgK, let registers = settled.registers {
            let bytes = category.distinct.serialize(registers)
            send(.hll, .string, k: lgK, n: textCount, version: Int(bytes[1]), bytes)
        }
        if wants.frequent, summary.topCount != nil {
            let bytes = settled.frequent.serialize()
            send(
                .frequent, .string, k: 1 << settled.frequent.lgMax, n: textCount,
                version: Int(bytes[1]),
                bytes)
        }
    }

    /// Decimal digits of a number that headers repeat.
    private mutating func numberText(_ number: Int) -> [UInt8] {
        guard numberTexts.indices.contains(number) else { return decimalText(Int64(number)) }
        if let text = numberTexts[number] { return text }
        let text = decimalText(Int64(number))
        numberTexts[number] = text
        return text
    }
}

/// Which of the usual sketches are published: asked for with every column of every window.
private struct SketchWishes {
    let kll, histogram, correlation, hll, frequent: Bool

    init(_ outputs: OutputsPlan) {
        kll = outputs.sketches.contains(.kll)
        histogram = outputs.sketches.contains(.histogram)
        correlation = outputs.sketches.contains(.correlation)
        hll = outputs.sketches.contains(.hll)
        frequent = outputs.sketches.contains(.frequent)
    }
}

/// The name of a sketch's family or of its items, as keys and headers have it.
private struct SketchName {
    let text: [UInt8]
    /// How keys end.
    let keyTail: [UInt8]

    init(_ name: String) {
        text = Array(name.utf8)
        keyTail = [0x2f] + text
    }

    static let kll = SketchName("kll")
    static let ddsketch = SketchName("ddsketch")
    static let histogram = SketchName("histogram")
    static let correlation = SketchName("correlation")
    static let hll = SketchName("hll")
    static let frequent = SketchName("frequent")
    static let f32 = SketchName("f32")
    static let f64 = SketchName("f64")
    static let string = SketchName("string")
}
