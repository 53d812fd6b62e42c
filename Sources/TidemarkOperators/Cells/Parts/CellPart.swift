import TidemarkDataflow
import TidemarkLanguage
import TidemarkMonitors
import TidemarkRecords
import TidemarkSketches

/// Numbers of one column in some rows of a cell, in the order of the rows; none of it outlives the call.
@safe
struct NumberRun {
    /// The whole column; NaN where there is no value.
    let numbers: UnsafePointer<Double>
    /// The places in it, and in `times`, `offsets` and `places`.
    let rows: UnsafePointer<UInt16>
    /// How many rows there are.
    let count: Int
    /// Their finite numbers one behind the other.
    let finite: UnsafePointer<Double>
    /// How many of them there are.
    let finiteCount: Int
    /// Event times, ms.
    let times: UnsafePointer<Int64>
    /// Offsets of the rows' records.
    let offsets: UnsafePointer<Int64>
    /// The how manieth of its record each row is; `nil`: each is the only one.
    let places: UnsafePointer<Int64>?
    /// The partition that the rows lie in.
    let partition: Int32
}

/// What a part of a cell is made for, beside what the topology says of the column.
struct PartContext {
    /// Keys random choices: a function of the group, the partition and the pane or slice.
    var seed: UInt64
    /// Keys which rows are sampled: a function of the topic.
    var topicHash: UInt64
}

/// A summary of one column that is kept beside the fused core of a cell, where a topology asks for it.
///
/// Counts of states, sums, the first bins, KLL over f32 and codes of texts are the core: every column has them,
/// and they are folded in one pass. Whatever few columns want is a part: a file here, and a line in `AllParts`.
/// It belongs to its cell, which has one owner at a time.
protocol CellPart: AnyObject, Sendable {
    /// What the language has to know of it; `nil`: the planner knows it by fields of `ColumnSummary`.
    static var spec: SummarySpec? { get }
    /// What it adds to records.
    static var fields: [PartField] { get }
    /// An empty part; `nil` where the topology does not ask for it.
    init?(_ summary: ColumnSummary, _ context: PartContext)
    /// Merging comes out the same in any order; else panes are merged in their canonical order.
    var isOrderFree: Bool { get }
    /// An equal part with memory of its own.
    func copy() -> any CellPart
    /// Memory that it holds, bytes.
    var byteCount: Int { get }
    /// Adds numbers, in the order of rows.
    func fold(_ run: NumberRun)
    /// Adds texts with their counts, in any order.
    func add(_ texts: [CountedItem])
    /// Joins another one of its kind, made for the same column: what stands behind it, where order counts.
    func merge(_ other: any CellPart)
    /// Appends all that it needs to go on.
    func writeState(_ bytes: inout [UInt8])
    /// Takes a state in; the part is empty.
    func readState(_ reader: inout ByteReader) throws(SketchError)
    /// Writes its answers into the record of a window.
    func describe(into record: inout AggregateRecord)
    /// Its family on the sketches topic; `nil`: it is not published there.
    static var sketchFamily: OutputsPlan.SketchOutput? { get }
    /// Its bytes for the sketches topic; `nil` where there are none.
    var sketch: PartSketch? { get }
    /// What it knows of ids that came again; `nil`: nothing.
    var repeats: IDRepeats? { get }
    /// Which values there were; `nil`: nobody keeps it.
    var seen: SeenCounts? { get }
}

/// The bytes of a part for the sketches topic.
struct PartSketch {
    /// What its items are: `f64` or `string`.
    var item: String
    /// Its size parameter.
    var k: Int
    var bytes: [UInt8]
}

extension CellPart {
    static var spec: SummarySpec? { nil }
    static var fields: [PartField] { [] }
    static var sketchFamily: OutputsPlan.SketchOutput? {
        spec?.sketch.map { OutputsPlan.SketchOutput(rawValue: $0.name) }
    }
    func fold(_ run: NumberRun) {}
    func add(_ texts: [CountedItem]) {}
    func describe(into record: inout AggregateRecord) {}
    var sketch: PartSketch? { nil }
    var repeats: IDRepeats? { nil }
    var seen: SeenCounts? { nil }
}
