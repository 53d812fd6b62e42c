import TidemarkKernels
import TidemarkMonitors
import TidemarkSketches

/// Folds the rows of one cell, a column at a time: rows of a batch, or rows that waited.
///
/// Rows are places in a column, in the order of offsets. The owner is the folder.
@safe
final class CellFold {
    /// By watched column: its place in the frame.
    private let columns: [Int]
    private let texts: TextTable
    private let tables: CodeTables
    /// By watched column, its numbers: what `foldParts` reads.
    let numbers: UnsafeMutablePointer<UnsafeMutablePointer<Double>?>
    private let run: UnsafeMutablePointer<Float>
    private let finite: UnsafeMutablePointer<Double>

    /// `rowCountMax`: rows of one fold at most.
    init(columns: [Int], texts: TextTable, rowCountMax: Int) {
        self.columns = columns
        self.texts = texts
        tables = CodeTables(columnCount: columns.count)
        unsafe numbers = .allocate(capacity: columns.count)
        unsafe numbers.initialize(repeating: nil, count: columns.count)
        unsafe run = .allocate(capacity: rowCountMax + 64)
        unsafe finite = .allocate(capacity: rowCountMax + 64)
    }

    deinit {
        unsafe numbers.deallocate()
        unsafe run.deallocate()
        unsafe finite.deallocate()
    }

    /// Folds numbers; NaN and infinities are no values.
    func fold(
        _ numbers: UnsafeMutablePointer<Double>, into cell: GroupCell, _ index: Int,
        rows: UnsafePointer<UInt16>, count: Int
    ) {
        let shape = cell.shape.foldings[index]
        let run = unsafe shape.wantsRun ? self.run : nil
        let bins = unsafe cell.counters + shape.counterStart
        let kept: Int
        switch shape.sums {
        case .exact(let sums):
            kept = unsafe foldExact(
                column: numbers, rows: rows, count: count, plan: sums, cell: cell.exact + index,
                edges: shape.edges, edgeCount: shape.edgeCount, bins: bins, run: run)
        case .ordered:
            kept = unsafe foldOrdered(
                column: numbers, rows: rows, count: count, cell: cell.ordered + index, run: run)
        case .none: kept = 0
        }
        if shape.wantsRun { updateKLL(cell, index, shape.sums, count: kept) }
        if shape.outsideCounter >= 0 {
            let (least, most) = (shape.least, shape.most)
            var outside: UInt64 = 0
            for place in 0..<count {
                // NaN is neither; infinities are no values.
                let x = unsafe numbers[Int(rows[place])]
                outside &+= (x < least || x > most) && x.magnitude < .infinity ? 1 : 0
            }
            unsafe cell.counters[shape.outsideCounter] += outside
        }
        guard shape.hasFurtherBinnings else { return }
        for binning in cell.shape.columns[index].binnings.dropFirst() where !binning.isShared {
            guard case .exact(let sums) = shape.sums else { continue }
            // Another baseline with edges of its own: bins alone, into a cell that is thrown away.
            var spare = NumericCell()
            _ = unsafe foldExact(
                column: numbers, rows: rows, count: count, plan: sums, cell: &spare,
                edges: binning.edges, edgeCount: binning.edgeCount,
                bins: cell.counters + binning.counterStart, run: nil)
        }
    }

    /// Adds the run to the sketch; the fold has seen its smallest and largest value.
    private func updateKLL(
        _ cell: GroupCell, _ index: Int, _ sums: ColumnShape.Sums, count: Int
    ) {
        let (least, most): (Double, Double)
        switch sums {
        case .exact: unsafe (least, most) = (cell.exact[index].min, cell.exact[index].max)
        case .ordered: unsafe (least, most) = (cell.ordered[index].min, cell.ordered[index].max)
        case .none: return
        }
        unsafe cell.kll[index].update(
            clean: run, count: count, least: item(least), most: item(most))
    }

    /// Rounds to f32 as the fold does: what is out of range becomes the largest, −0 becomes 0.
    private func item(_ value: Double) -> Float {
        let largest = Float.greatestFiniteMagnitude
        return max(-largest, min(largest, Float(value))) + 0
    }

    /// Counts dictionary codes; `UInt32.max` is no value.
    func count(
        _ codes: UnsafeMutablePointer<UInt32>, into cell: GroupCell, _ index: Int,
        rows: UnsafePointer<UInt16>, count: Int
    ) {
        var done = 0
        if unsafe cell.codes[index].needsTable {
            unsafe cell.codes[index].use(tables.take(index))
        }
        while done < count {
            done += unsafe cell.codes[index].add(
                codes, rows: rows + done, count: count - done,
                distinctCountMax: CategoryFold.distinctCountMax)
            if done < count {
                CategoryFold.flush(cell, index, column: columns[index], texts: texts)
            }
        }
    }

    /// Folds what few topologies ask for, in a pass of its own, so that the others pay nothing for
    /// it.
    func foldParts(
        into cell: GroupCell,
        rows: UnsafePointer<UInt16>, count: Int, times: UnsafePointer<Int64>,
        offsets: UnsafePointer<Int64>, places: UnsafePointer<Int64>?, partition: Int32
    ) {
        for index in columns.indices {
            let parts = cell.parts(index)
            guard !parts.isEmpty, let numbers = unsafe numbers[index] else { continue }
            var kept = 0
            for place in 0..<count {
                let x = unsafe numbers[Int(rows[place])]
                unsafe finite[kept] = x
                kept += x.magnitude < .infinity ? 1 : 0
            }
            let run = unsafe NumberRun(
                numbers: numbers, rows: rows, count: count, finite: finite, finiteCount: kept,
                times: times, offsets: offsets, places: places, partition: partition)
            for part in parts { part.fold(run) }
        }
        for correlation in cell.correlations {
            let numbers = unsafe correlation.places.compactMap { unsafe self.numbers[$0] }
            guard unsafe numbers.count == correlation.places.count else { continue }
            unsafe correlation.fold(numbers, rows: rows, count: count)
        }
    }

    /// Turns all counts by code into summaries: the cell leaves the worker.
    func settle(_ cell: GroupCell) {
        CategoryFold.flushAll(cell, columns: columns, texts: texts, tables: tables)
    }
}
