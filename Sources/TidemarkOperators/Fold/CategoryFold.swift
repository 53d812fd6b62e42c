import TidemarkDataflow
import TidemarkMonitors

/// Turns counts by code into mergeable summaries.
enum CategoryFold {
    /// A cell that comes to this many different texts is folded early: by its own rows alone, so that
    /// the result does not depend on batches.
    static let distinctCountMax = 16_384

    static func flushAll(
        _ cell: GroupCell, columns: [Int], texts: TextTable, tables: CodeTables
    ) {
        for (index, shape) in cell.shape.columns.enumerated() where shape.column.type.isText {
            flush(cell, index, column: columns[index], texts: texts)
            unsafe tables.give(index, cell.codes[index].takeTable())
        }
    }

    static func flush(
        _ cell: GroupCell, _ index: Int, column: Int, texts: TextTable
    ) {
        guard unsafe cell.codes[index].distinctCount > 0, let summary = cell.categories[index]
        else { return }
        let shape = cell.shape.columns[index]
        let plan = shape.column.summary
        summary.valueCount += unsafe cell.codes[index].valueCount
        unsafe texts.summarise(
            cell.codes[index], column: column, into: summary, distinct: plan.distinctLgK != nil,
            frequent: plan.topCount != nil)
        let parts = cell.parts(index)
        let known =
            shape.binnings.isEmpty && shape.textCounters.isEmpty && !plan.keepsSeen
            ? [] : texts.all(column)
        if plan.keepsSeen, let seen = parts.lazy.compactMap({ $0 as? SeenPart }).first {
            var items: [SeenValues.Item] = []
            unsafe cell.codes[index].forEach { code, count in
                let hash = UInt32(truncatingIfNeeded: known[Int(code)].hash >> 32)
                items.append(SeenValues.Item(hash: hash, count: UInt64(count)))
            }
            seen.add(items)
        }
        if parts.count > (plan.keepsSeen ? 1 : 0) {
            let counted = unsafe texts.counted(cell.codes[index], column: column)
            for part in parts { part.add(counted) }
        }
        for binning in shape.binnings {
            unsafe cell.codes[index].forEach { code, count in
                let place = binning.cell(of: known[Int(code)].hash)
                unsafe cell.counters[binning.counterStart + place] += UInt64(count)
            }
            guard let counters = binning.unknownCounters, let listed = binning.entry?.known else {
                continue
            }
            unsafe cell.codes[index].forEach { code, count in
                let hash = known[Int(code)].hash
                if !listed.contains(hash) {
                    let place = counters.lowerBound + KnownTexts.cell(of: hash)
                    unsafe cell.counters[place] += UInt64(count)
                }
            }
        }
        for (rule, counter) in shape.textCounters.enumerated() {
            unsafe cell.codes[index].forEach { code, count in
                if known[Int(code)].broken >> UInt8(truncatingIfNeeded: rule) & 1 != 0 {
                    unsafe cell.counters[counter] += UInt64(count)
                }
            }
        }
        unsafe cell.codes[index].reset()
    }
}
