import TidemarkKernels

/// Folds the rows of cells that have waited: all columns of one cell after the other.
///
/// What a cell holds is far away: while one is folded, what the next one needs is fetched column by
/// column, as all at once would wait for each other. The owner is the folder.
@safe
final class WaitingFold {
    /// A cell whose waiting rows are to be folded; its pane holds it.
    @safe
    private struct Due {
        var slot: UnsafeMutablePointer<CellSlots.Slot>
        var cell: Unmanaged<GroupCell>
        var partition: Int32
    }

    private let staging: RowStaging
    private let folding: CellFold
    private let columnCount: Int
    private var due: [Due] = []

    /// So many columns later, what leads to a sketch's values has been fetched.
    private static let behind = 3

    init(staging: RowStaging, folding: CellFold) {
        self.staging = staging
        self.folding = folding
        columnCount = staging.places.count
    }

    /// The rows of a cell have waited long enough.
    ///
    /// The cell lives, and its slot stays where it is, until `foldDue`.
    func fallDue(
        _ slot: UnsafeMutablePointer<CellSlots.Slot>, _ cell: GroupCell, partition: Int32
    ) {
        unsafe due.append(Due(slot: slot, cell: .passUnretained(cell), partition: partition))
    }

    /// Folds the waiting rows of all cells that fell due.
    func foldDue() {
        if let first = due.first {
            for index in 0..<columnCount {
                unsafe staging.prefetch(first.slot.pointee, part: index)
            }
        }
        for index in due.indices {
            if index + 3 < due.count {
                unsafe due[index + 3].cell._withUnsafeGuaranteedRef { $0.prefetch() }
            }
            if index + 2 < due.count {
                unsafe due[index + 2].cell._withUnsafeGuaranteedRef { $0.prefetchShape() }
            }
            foldWaiting(due[index], next: index + 1 < due.count ? due[index + 1] : nil)
        }
        due.removeAll(keepingCapacity: true)
    }

    /// Begins to fetch what folding a column of a cell needs.
    private func prefetch(_ due: Due, _ index: Int) {
        unsafe staging.prefetch(due.slot.pointee, part: index)
        unsafe due.cell._withUnsafeGuaranteedRef { cell in
            if case .number = staging.places[index] {
                cell.prefetch(index)
            } else {
                unsafe prefetchForWriting(
                    cell.codes + index, byteCount: MemoryLayout<CodeCounter>.size)
            }
        }
    }

    /// Begins to fetch what lies behind that; some columns later.
    private func prefetchBehind(_ due: Due, _ index: Int) {
        unsafe due.cell._withUnsafeGuaranteedRef { cell in
            switch staging.places[index] {
            case .number: cell.prefetchRun(index)
            case .code(let half):
                guard let block = unsafe due.slot.pointee.block else { return }
                unsafe cell.codes[index].prefetch(
                    UnsafeRawPointer(staging.rows(of: block)).assumingMemoryBound(to: UInt32.self)
                        + half, rows: staging.codeRows, count: Int(due.slot.pointee.waitingCount))
            case .none: break
            }
        }
    }

    /// Folds the waiting rows of a cell, and begins to fetch the next one.
    private func foldWaiting(_ due: Due, next: Due?) {
        let count = unsafe Int(due.slot.pointee.waitingCount)
        guard count > 0, let block = unsafe due.slot.pointee.block else { return }
        let cell = unsafe due.cell.takeUnretainedValue()
        unsafe due.slot.pointee.waitingCount = 0
        cell.rowCount += Int64(count)
        unsafe staging.takeStates(block) { place, count in
            unsafe cell.states[place] += count
        }
        let rows = unsafe staging.rows(of: block)
        let (wordRows, codeRows) = unsafe (staging.wordRows, staging.codeRows)
        let base = UnsafeMutableRawPointer(rows)
        for index in 0..<columnCount {
            if let next {
                prefetch(next, index)
                if index >= Self.behind { prefetchBehind(next, index - Self.behind) }
            }
            switch staging.places[index] {
            case .number(let word):
                unsafe folding.fold(
                    base.assumingMemoryBound(to: Double.self) + word, into: cell, index,
                    rows: wordRows, count: count)
            case .code(let half):
                unsafe folding.count(
                    base.assumingMemoryBound(to: UInt32.self) + half, into: cell, index,
                    rows: codeRows, count: count)
            case .none: break
            }
        }
        if let next {
            for index in max(0, columnCount - Self.behind)..<columnCount {
                prefetchBehind(next, index)
            }
        }
        guard staging.carriesRecord else { return }
        for index in 0..<columnCount {
            var numbers: UnsafeMutablePointer<Double>?
            if case .number(let word) = staging.places[index] {
                unsafe numbers = base.assumingMemoryBound(to: Double.self) + word
            }
            unsafe folding.numbers[index] = numbers
        }
        let record = unsafe UnsafePointer(
            base.assumingMemoryBound(to: Int64.self) + staging.numberCount)
        unsafe folding.foldParts(
            into: cell, rows: wordRows, count: count, times: record, offsets: record + 1,
            places: record + 2, partition: due.partition)
    }
}
