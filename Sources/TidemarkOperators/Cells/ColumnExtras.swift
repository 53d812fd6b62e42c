import TidemarkCore
import TidemarkDataflow
import TidemarkKernels
import TidemarkRecords
import TidemarkSketches
import TidemarkText

/// What is kept of a column besides counts, sums, bins, quantiles and texts, where `summaries:`
/// asks for it.
///
/// It belongs to its cell. What was not chosen stays empty and holds no memory.
@safe
final class ColumnExtras: @unchecked Sendable {
    private let plan: ColumnSummary
    /// Ordered.
    private(set) var moments = Moments()
    /// Ordered.
    private(set) var decayed: DecayedMoments
    /// Order-free, as are the next two.
    private(set) var logLinear = LogLinearHistogram()
    private(set) var counts: ExactCounts
    private(set) var sample: BottomKSample

    /// Nothing where nothing is asked for.
    ///
    /// `topicHash` keys which rows are sampled.
    init?(_ plan: ColumnSummary, topicHash: UInt64) {
        guard plan.hasExtras else { return nil }
        self.plan = plan
        decayed = DecayedMoments(halfLifeMs: plan.halfLifeMs ?? 1)
        counts = ExactCounts(capacity: plan.valueCountMax ?? 1)
        sample = BottomKSample(k: plan.sampleCount ?? 1, topicHash: topicHash)
    }

    private init(_ other: ColumnExtras) {
        plan = other.plan
        moments = other.moments.copy()
        decayed = other.decayed
        logLinear = other.logLinear.copy()
        counts = other.counts.copy()
        sample = other.sample.copy()
    }

    func copy() -> ColumnExtras { ColumnExtras(self) }

    /// Memory behind it, bytes.
    var byteCount: Int {
        256 + (plan.shape ? 600 : 0) + logLinear.byteCount + 64 * counts.items.count
            + 64 * (plan.sampleCount ?? 0)
    }

    /// Adds the finite numbers of some rows, in their order.
    ///
    /// `scratch` is room for as many as there are rows.
    func fold(
        _ numbers: UnsafePointer<Double>, rows: UnsafePointer<UInt16>, count: Int,
        times: UnsafePointer<Int64>, offsets: UnsafePointer<Int64>,
        places: UnsafePointer<Int64>?, partition: Int32,
        scratch: UnsafeMutablePointer<Double>
    ) {
        if plan.shape || plan.logLinear {
            var kept = 0
            for place in 0..<count {
                let x = unsafe numbers[Int(rows[place])]
                unsafe scratch[kept] = x
                kept += x.magnitude < .infinity ? 1 : 0
            }
            if plan.shape { unsafe moments.update(scratch, count: kept) }
            if plan.logLinear { unsafe logLinear.update(scratch, count: kept) }
        }
        if plan.halfLifeMs != nil {
            for place in 0..<count {
                let row = unsafe Int(rows[place])
                unsafe decayed.update(numbers[row], at: times[row])
            }
        }
        if plan.sampleCount != nil {
            for place in 0..<count {
                let row = unsafe Int(rows[place])
                let x = unsafe numbers[row]
                guard x.magnitude < .infinity else { continue }
                unsafe sample.update(
                    x, partition: partition, offset: offsets[row], place: places?[row] ?? 0)
            }
        }
    }

    /// Adds counted texts.
    func add(_ items: [CountedItem]) {
        if plan.valueCountMax != nil { counts.update(items) }
    }

    /// Joins what is order-free: the same in any order.
    func mergeOrderFree(_ other: ColumnExtras) {
        if plan.logLinear { logLinear.merge(other.logLinear) }
        if plan.valueCountMax != nil { counts.merge(other.counts) }
        if plan.sampleCount != nil { sample.merge(other.sample) }
    }

    /// Joins the rest: in the canonical order of panes and partitions.
    func mergeOrdered(_ other: ColumnExtras) {
        if plan.shape { moments.merge(other.moments) }
        if plan.halfLifeMs != nil { decayed.merge(other.decayed) }
    }

    /// Appends all that it needs to go on; the bytes of these summaries leave nothing out.
    func writeState(_ bytes: inout [UInt8]) {
        if plan.shape { bytes.append(sized: moments.serialize()) }
        if plan.halfLifeMs != nil { bytes.append(sized: decayed.serialize()) }
        if plan.logLinear { bytes.append(sized: logLinear.serialize()) }
        if plan.valueCountMax != nil { bytes.append(sized: counts.serialize()) }
        if plan.sampleCount != nil { bytes.append(sized: sample.serialize()) }
    }

    /// Takes a state in.
    func readState(_ reader: inout ByteReader) throws(SketchError) {
        if plan.shape { moments = try Moments(bytes: try reader.readSized()) }
        if let halfLifeMs = plan.halfLifeMs {
            decayed = try DecayedMoments(bytes: try reader.readSized())
            guard decayed.halfLifeMs == halfLifeMs else {
                throw .corrupt(field: "half-life", offset: reader.offset)
            }
        }
        if plan.logLinear { logLinear = try LogLinearHistogram(bytes: try reader.readSized()) }
        if let most = plan.valueCountMax {
            counts = try ExactCounts(bytes: try reader.readSized())
            guard counts.capacity == most else {
                throw .corrupt(field: "capacity", offset: reader.offset)
            }
        }
        if plan.sampleCount != nil {
            let read = try BottomKSample(bytes: try reader.readSized())
            guard read.isLike(sample) else {
                throw .corrupt(field: "sample", offset: reader.offset)
            }
            sample = read
        }
    }

    /// Writes its answers into the record of a window.
    func describe(_ record: inout AggregateRecord) {
        if plan.shape {
            record.parts.add(.skewness, .finite(moments.skewness))
            record.parts.add(.kurtosis, .finite(moments.kurtosis))
        }
        if let halfLifeMs = plan.halfLifeMs, let mean = decayed.mean {
            var atEnd = decayed
            atEnd.advance(to: record.window.endMs)
            record.parts.add(
                .decayed,
                .decayed(
                    halfLifeMs: halfLifeMs, mean: mean, sd: decayed.sd,
                    rate: atEnd.rate(overMs: record.window.lengthMs)))
        }
        if plan.logLinear, !logLinear.isEmpty {
            let bins = logLinear.bins
            record.parts.add(
                .logLinear,
                .logLinear(zero: bins.zero, positive: bins.positive, negative: bins.negative))
        }
        if plan.valueCountMax != nil { record.parts.add(.counts, .counts(counts)) }
        if plan.sampleCount != nil { record.parts.add(.sample, .sample(sample)) }
    }

    /// The bytes of what is kept, for the sketches topic.
    func serialized(
        _ wanted: Set<OutputsPlan.SketchOutput>
    ) -> [(family: OutputsPlan.SketchOutput, item: String, k: Int, bytes: [UInt8])] {
        var all: [(family: OutputsPlan.SketchOutput, item: String, k: Int, bytes: [UInt8])] = []
        if plan.shape, wanted.contains(.moments) {
            all.append((.moments, "f64", 4, moments.serialize()))
        }
        if plan.halfLifeMs != nil, wanted.contains(.decayed) {
            all.append((.decayed, "f64", 2, decayed.serialize()))
        }
        if plan.logLinear, wanted.contains(.logLinear) {
            all.append((.logLinear, "f64", 32, logLinear.serialize()))
        }
        if plan.valueCountMax != nil, wanted.contains(.counts) {
            all.append((.counts, "string", counts.capacity, counts.serialize()))
        }
        if plan.sampleCount != nil, wanted.contains(.sample) {
            all.append((.sample, "f64", sample.k, sample.serialize()))
        }
        return all
    }
}

/// How the columns of one rule with `correlation: true` vary together in a cell: ordered.
///
/// It belongs to its cell.
final class CorrelationCell: @unchecked Sendable {
    /// Places among the watched columns of the segment, ascending.
    let places: [Int]
    private(set) var sums: Comoments
    private var row: [Double]

    init(places: [Int]) {
        self.places = places
        sums = Comoments(width: places.count)
        row = [Double](repeating: 0, count: places.count)
    }

    func copy() -> CorrelationCell {
        let cell = CorrelationCell(places: places)
        cell.sums = sums.copy()
        return cell
    }

    /// Memory behind it, bytes.
    var byteCount: Int { 256 + 560 * places.count + 16 * places.count * places.count }

    /// Adds rows in their order; one that lacks a value of any column is left out.
    func fold(
        _ columns: [UnsafeMutablePointer<Double>], rows: UnsafePointer<UInt16>, count: Int
    ) {
        for place in 0..<count {
            let at = unsafe Int(rows[place])
            for index in row.indices { row[index] = unsafe columns[index][at] }
            sums.update(row)
        }
    }

    /// Appends all that it needs to go on.
    func writeState(_ bytes: inout [UInt8]) { bytes.append(sized: sums.serialize()) }

    /// Takes a state in.
    func readState(_ reader: inout ByteReader) throws(SketchError) {
        sums = try Comoments(bytes: try reader.readSized())
        guard sums.width == places.count else {
            throw .corrupt(field: "columns", offset: reader.offset)
        }
    }

    /// Joins another one's rows, which stand behind in canonical order.
    func merge(_ other: CorrelationCell) { sums.merge(other.sums) }

    /// The pairs of one of its columns with the others.
    func pairs(of place: Int, names: [String]) -> [JSONValue] {
        guard let mine = places.firstIndex(of: place) else { return [] }
        return places.indices.filter { $0 != mine }.map { other in
            .members([
                "with": .text(names[places[other]]),
                "n": .integer(Int64(clamping: sums.rowCount)),
                "covariance": .finite(sums.covariance(mine, other)),
                "correlation": .finite(sums.correlation(mine, other)),
            ])
        }
    }
}
