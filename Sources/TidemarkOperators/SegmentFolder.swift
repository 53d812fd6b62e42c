import TidemarkBatch
import TidemarkCodec
import TidemarkCore
import TidemarkDataflow
import TidemarkKernels
import TidemarkSketches

/// Groups and folds the rows of one segment: the hot half of stage 1.
///
/// Rows are ordered by (pane, group) with a counting sort; each (cell, column) is then one fused
/// pass. The owner is the worker.
@safe
final class SegmentFolder {
    /// One open pane: its groups and their cells.
    private struct Pane {
        var startMs: Int64
        var partition: TopicPartition
        /// By group: place in `cells`, -1 for none.
        var cellOf: [Int32] = []
        /// By cell: its place in `locals` while a batch is at work, else `outside`.
        var localOf: [UInt16] = []
        var cells: [GroupCell] = []
        var groups: [Int32] = []
        var other: GroupCell?
        var otherGroups: GroupCount?
        var cut = GroupRank.all
        var isOpen = true
        /// What seeds begin with: the operator, the partition and the pane's start.
        var seedText: [UInt8] = []
    }

    /// A group as it was first seen by this worker.
    private struct Group {
        var shape: GroupShape
        var rank: GroupRank
        var codes: [UInt32]
    }

    private let plan: Plan
    private let segment: SegmentPlan
    private let monitored: [[Int]]
    private let baselines: [BaselineTable]
    private let decoder: RecordDecoder
    private let texts: TextTable
    private let rank: @Sendable ([UInt8]) -> UInt64
    private let condition: RowFilter?
    /// By watched column: its place among the decoder's columns.
    private let fields: [Int]
    private let dimensionFields: [Int]
    private let keep: Set<[UInt8]>
    private var panes: [Pane] = []
    private var groups: [Group] = []
    /// One dimension: by code plus one (0 is no value), the group; -1 is none yet.
    private var groupOfCode: [Int32] = []
    /// More dimensions, or none: the group of the codes.
    private var groupOfCodes: [[UInt32]: Int32] = [:]
    private let otherShape: GroupShape
    /// Of groups without baseline entries of their own: edges of thousands of them would be read from far
    /// away.
    private var pooledShape: GroupShape?
    private let tables: CodeTables
    private let pool = CellPool()
    private let hasExtras: Bool

    // A batch at work, sized once.
    private let localOf: UnsafeMutablePointer<UInt16>
    private let order: UnsafeMutablePointer<UInt16>
    private let groupOf: UnsafeMutablePointer<Int32>
    private let run: UnsafeMutablePointer<Float>
    private let wideRun: UnsafeMutablePointer<Double>
    private var locals: [(cell: GroupCell, count: Int, pane: Int32, place: Int32)] = []
    /// By local: its rows of this batch.
    private let counts: UnsafeMutablePointer<Int32>
    private var starts: [Int] = []
    /// Of a cell that was sealed, on average; a guess before the first one.
    private var cellBytes: Int

    private static let outside = UInt16.max
    /// So many cells of a batch do not stay near.
    private static let farLocalCount = 96

    init(
        plan: Plan, segment: SegmentPlan, monitored: [[Int]], baselines: [BaselineTable],
        fieldOf: [Int], decoder: RecordDecoder, texts: TextTable,
        rank: @escaping @Sendable ([UInt8]) -> UInt64, condition: RowFilter?
    ) {
        self.rank = rank
        self.plan = plan
        self.segment = segment
        self.monitored = monitored
        self.baselines = baselines
        self.decoder = decoder
        self.texts = texts
        self.condition = condition
        fields = segment.columns.map { fieldOf[$0] }
        dimensionFields = segment.dimensions.map { fieldOf[$0.column] }
        keep = Set(
            segment.keep.map { values in
                GroupValues(
                    dimensions: zip(segment.dimensions, values).map {
                        ($0.name, Array($1.utf8))
                    }
                ).part
            })
        cellBytes = MemoryEstimate.cellBytes(segment, plan.stream)
        hasExtras =
            !plan.stream.correlations.isEmpty
            || segment.columns.contains { plan.stream.columns[$0].summary.hasExtras }
        otherShape = GroupShape(
            values: GroupValues(dimensions: [], isOther: true), segment: segment,
            stream: plan.stream, baselines: baselines, monitored: monitored)
        tables = CodeTables(columnCount: segment.columns.count)
        let count = plan.run.batchRows
        unsafe localOf = .allocate(capacity: count)
        unsafe order = .allocate(capacity: count + 64)
        unsafe order.initialize(repeating: 0, count: count + 64)
        unsafe groupOf = .allocate(capacity: count)
        unsafe run = .allocate(capacity: count + 64)
        unsafe wideRun = .allocate(capacity: count + 64)
        unsafe counts = .allocate(capacity: count)
    }

    deinit {
        unsafe localOf.deallocate()
        unsafe order.deallocate()
        unsafe groupOf.deallocate()
        unsafe run.deallocate()
        unsafe wideRun.deallocate()
        unsafe counts.deallocate()
    }

    /// About; cells are counted, not weighed, for it is asked after every batch.
    var byteCount: Int {
        panes.reduce(groups.count * 256) { $0 + $1.cells.count * cellBytes }
    }

    func open(pane id: Int, startMs: Int64, partition: TopicPartition) {
        var pane = Pane(startMs: startMs, partition: partition)
        pane.seedText = Array("\(segment.name)|\(partition)|\(startMs)|".utf8)
        if id == panes.count { panes.append(pane) } else { panes[id] = pane }
    }

    // MARK: Folding a batch

    func fold(_ batch: RecordBatch, rows: RowTable) {
        let rowCount = batch.rowCount
        let selected = condition?.evaluate(rowCount: rowCount)
        assignGroups(rowCount, rows)
        locals.removeAll(keepingCapacity: true)
        // Which cell a (pane, group) has, of those met last in this batch.
        var recent = InlineArray<64, UInt64>(repeating: .max)
        var recentLocal = InlineArray<64, UInt16>(repeating: 0)
        let isRow = RowTable.Fate.row.rawValue
        let (panesOf, fates) = unsafe (rows.pane, rows.fate)
        let (localOf, groupOf, counts) = unsafe (self.localOf, self.groupOf, self.counts)
        for row in 0..<rowCount {
            unsafe localOf[row] = Self.outside
            let pane = unsafe panesOf[row]
            guard pane >= 0 else { continue }
            if let selected, selected[row] != RowFilter.Truth.yes { continue }
            let fate = unsafe fates[row]
            let group = unsafe groupOf[row]
            if fate == isRow {
                let key =
                    UInt64(UInt32(bitPattern: pane)) << 32 | UInt64(UInt32(bitPattern: group))
                let place = Int(truncatingIfNeeded: group &+ pane &* 23) & 63
                if recent[place] != key {
                    recent[place] = key
                    recentLocal[place] = local(pane: Int(pane), group: group)
                }
                let local = recentLocal[place]
                unsafe counts[Int(local)] &+= 1
                unsafe localOf[row] = local
            } else if fate == RowTable.Fate.late.rawValue {
                cell(pane: Int(pane), group: group).lateCount += 1
            } else if fate == RowTable.Fate.quarantined.rawValue {
                cell(pane: Int(pane), group: group).quarantinedCount += 1
            }
        }
        guard !locals.isEmpty else { return }
        for index in locals.indices {
            locals[index].count = Int(unsafe counts[index])
            panes[Int(locals[index].pane)].localOf[Int(locals[index].place)] = Self.outside
        }
        orderRows(rowCount)
        for index in locals.indices { locals[index].cell.rowCount += Int64(locals[index].count) }
        for column in fields.indices { foldColumn(column) }
        if hasExtras { foldExtras(batch, rows) }
        for id in panes.indices where panes[id].cells.count > 2 * segment.groupCountMax + 64 {
            prune(id)
        }
    }

    /// The place in `locals` of a cell, which is made if need be.
    private func local(pane id: Int, group: Int32) -> UInt16 {
        if Int(group) < panes[id].cellOf.count {
            let place = panes[id].cellOf[Int(group)]
            if place >= 0 {
                let local = panes[id].localOf[Int(place)]
                if local != Self.outside { return local }
            }
        }
        let cell = self.cell(pane: id, group: group)
        let place = panes[id].cellOf[Int(group)]
        let local = UInt16(truncatingIfNeeded: locals.count)
        unsafe counts[locals.count] = 0
        locals.append((cell, 0, Int32(truncatingIfNeeded: id), place))
        panes[id].localOf[Int(place)] = local
        return local
    }

    /// The group of each row, by its codes.
    private func assignGroups(_ rowCount: Int, _ rows: RowTable) {
        if dimensionFields.count == 1,
            let codes = unsafe decoder.columns.columns[dimensionFields[0]].codes
        {
            let known = decoder.dictionaryCount(dimensionFields[0]) + 1
            if groupOfCode.count < known {
                groupOfCode.append(contentsOf: repeatElement(-1, count: known - groupOfCode.count))
            }
            for row in 0..<rowCount where unsafe rows.pane[row] >= 0 {
                let code = unsafe codes[row]
                let place = Int(code &+ 1)
                var group = groupOfCode[place]
                if group < 0 {
                    group = addGroup([code])
                    groupOfCode[place] = group
                }
                unsafe groupOf[row] = group
            }
            return
        }
        var codes = [UInt32](repeating: 0, count: dimensionFields.count)
        for row in 0..<rowCount where unsafe rows.pane[row] >= 0 {
            for (index, field) in dimensionFields.enumerated() {
                codes[index] = unsafe decoder.columns.columns[field].codes?[row] ?? .max
            }
            if let group = groupOfCodes[codes] {
                unsafe groupOf[row] = group
            } else {
                let group = addGroup(codes)
                groupOfCodes[codes] = group
                unsafe groupOf[row] = group
            }
        }
    }

    private func addGroup(_ codes: [UInt32]) -> Int32 {
        var dimensions: [(name: String, value: [UInt8]?)] = []
        for (index, dimension) in segment.dimensions.enumerated() {
            let code = codes[index]
            let value =
                unsafe code == .max
                ? nil : Array(decoder.text(dimensionFields[index], code: code))
            dimensions.append((dimension.name, value))
        }
        let shape = makeShape(GroupValues(dimensions: dimensions))
        groups.append(
            Group(
                shape: shape,
                rank: GroupRank(isNamed: keep.contains(shape.part), hash: rank(shape.part)),
                codes: codes))
        return Int32(groups.count - 1)
    }

    private func makeShape(_ values: GroupValues) -> GroupShape {
        let name = String(decoding: values.part, as: UTF8.self)
        let isPooled = !baselines.contains { $0.hasOwnEntries(group: name) }
        if isPooled, let pooledShape { return GroupShape(values: values, like: pooledShape) }
        let shape = GroupShape(
            values: values, segment: segment, stream: plan.stream, baselines: baselines,
            monitored: monitored)
        if isPooled { pooledShape = shape }
        return shape
    }

    private func cell(pane id: Int, group: Int32) -> GroupCell {
        let place = Int(group)
        if panes[id].cellOf.count <= place {
            let missing = groups.count - panes[id].cellOf.count
            panes[id].cellOf.append(contentsOf: repeatElement(-1, count: missing))
        }
        let known = panes[id].cellOf[place]
        if known >= 0 { return panes[id].cells[Int(known)] }
        let shape = groups[place].shape
        let cell = GroupCell(shape: shape, seed: seed(panes[id], shape), pool: pool)
        panes[id].cellOf[place] = Int32(panes[id].cells.count)
        panes[id].cells.append(cell)
        panes[id].localOf.append(Self.outside)
        panes[id].groups.append(group)
        return cell
    }

    /// Keys the random choices of a cell's sketches: a function of the log and the topology alone.
    private func seed(_ pane: Pane, _ shape: GroupShape) -> UInt64 {
        textHash(pane.seedText + shape.part)
    }

    /// Rows of each cell one after the other, each in the order of offsets.
    private func orderRows(_ rowCount: Int) {
        starts.removeAll(keepingCapacity: true)
        var at = 0
        for local in locals {
            starts.append(at)
            at += local.count
        }
        unsafe starts.withUnsafeMutableBufferPointer { next in
            for row in 0..<rowCount {
                let local = unsafe localOf[row]
                if local == Self.outside { continue }
                let place = unsafe next[Int(local)]
                unsafe order[place] = UInt16(truncatingIfNeeded: row)
                unsafe next[Int(local)] = place + 1
            }
        }
        at = 0
        for index in locals.indices {
            starts[index] = at
            at += locals[index].count
        }
    }

    private func foldColumn(_ index: Int) {
        let column = decoder.columns.columns[fields[index]]
        let type = plan.stream.columns[segment.columns[index]].type
        let base = index * GroupCell.stateCount
        for place in 0..<column.exceptionCount {
            let local = unsafe localOf[Int(column.exceptionRows[place])]
            guard local != Self.outside else { continue }
            let state = Int(unsafe column.exceptionStates[place]) - 1
            unsafe locals[Int(local)].cell.states[base + state] += 1
        }
        // Beyond some cells what they hold is far away, and a visit to one waits for all its lines.
        let isFar = locals.count >= Self.farLocalCount
        if let numbers = unsafe column.numbers {
            for place in locals.indices {
                if isFar {
                    if place + 16 < locals.count { locals[place + 16].cell.prefetch() }
                    if place + 8 < locals.count { locals[place + 8].cell.prefetch(index) }
                    if place + 4 < locals.count { locals[place + 4].cell.prefetchRun(index) }
                }
                unsafe foldNumbers(
                    numbers, locals[place].cell, index,
                    rows: UnsafePointer(order + starts[place]), count: locals[place].count)
            }
        } else if let codes = unsafe column.codes, type != .text {
            for (place, (local, start)) in zip(locals, starts).enumerated() {
                if isFar {
                    if place + 8 < locals.count {
                        unsafe prefetchForWriting(
                            locals[place + 8].cell.codes + index,
                            byteCount: MemoryLayout<CodeCounter>.size)
                    }
                    if place + 4 < locals.count {
                        let row = unsafe Int(order[starts[place + 4]])
                        unsafe locals[place + 4].cell.codes[index].prefetch(codes[row])
                    }
                }
                var done = 0
                if unsafe local.cell.codes[index].needsTable {
                    unsafe local.cell.codes[index].use(tables.take(index))
                }
                while done < local.count {
                    done += unsafe local.cell.codes[index].add(
                        codes, rows: UnsafePointer(order + start + done),
                        count: local.count - done,
                        distinctCountMax: CategoryFold.distinctCountMax)
                    if done < local.count {
                        CategoryFold.flush(
                            local.cell, index, field: fields[index], texts: texts)
                    }
                }
            }
        }
    }

    private func foldNumbers(
        _ numbers: UnsafeMutablePointer<Double>, _ cell: GroupCell, _ index: Int,
        rows: UnsafePointer<UInt16>, count: Int
    ) {
        let shape = cell.shape.columns[index]
        let run = unsafe shape.wantsRun ? self.run : nil
        let bins = unsafe cell.counters + shape.firstCounterStart
        var kept: Int
        switch shape.sums {
        case .exact(let sums):
            kept = unsafe foldExact(
                column: numbers, rows: rows, count: count, plan: sums, cell: cell.exact + index,
                edges: shape.firstEdges, edgeCount: shape.firstEdgeCount, bins: bins, run: run)
        case .ordered:
            kept = unsafe foldOrdered(
                column: numbers, rows: rows, count: count, cell: cell.ordered + index, run: run)
        case .none: kept = 0
        }
        if shape.wantsRun { updateKLL(cell, index, shape.sums, count: kept) }
        if let wide = cell.wideQuantiles(index) {
            // The values as they are, in row order; infinities are no values.
            kept = 0
            for place in 0..<count {
                let x = unsafe numbers[Int(rows[place])]
                unsafe wideRun[kept] = x
                kept += x.magnitude < .infinity ? 1 : 0
            }
            unsafe wide.update(wideRun, count: kept)
        }
        guard shape.hasFurtherBinnings else { return }
        for binning in shape.binnings.dropFirst() where !binning.isShared {
            guard case .exact(let sums) = shape.sums else { continue }
            // Another baseline with edges of its own: bins alone, into a cell that is thrown away.
            var spare = NumericCell()
            kept = unsafe foldExact(
                column: numbers, rows: rows, count: count, plan: sums, cell: &spare,
                edges: binning.edges, edgeCount: binning.edgeCount,
                bins: cell.counters + binning.counterStart, run: nil)
        }
    }

    /// The run goes into the sketch; the fold has seen its smallest and largest value.
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

    /// As the fold rounds: beyond the range of f32 saturated, −0 as 0.
    private func item(_ value: Double) -> Float {
        let largest = Float.greatestFiniteMagnitude
        return max(-largest, min(largest, Float(value))) + 0
    }

    /// What few topologies ask for: a pass of its own, so that the others pay nothing for it.
    private func foldExtras(_ batch: RecordBatch, _ rows: RowTable) {
        for (local, start) in zip(locals, starts) {
            let partition = panes[Int(local.pane)].partition.partition
            for index in fields.indices {
                guard let extras = local.cell.extras(index),
                    let numbers = unsafe decoder.columns.columns[fields[index]].numbers
                else { continue }
                unsafe extras.fold(
                    numbers, rows: UnsafePointer(order + start), count: local.count,
                    times: rows.eventTimeMs, offsets: batch.offset, partition: partition,
                    scratch: wideRun)
            }
            for cell in local.cell.correlations {
                let columns = unsafe cell.places.compactMap {
                    unsafe decoder.columns.columns[fields[$0]].numbers
                }
                guard unsafe columns.count == cell.places.count else { continue }
                unsafe cell.fold(columns, rows: UnsafePointer(order + start), count: local.count)
            }
        }
    }

    // MARK: Too many groups

    /// Keeps the groups of the smallest ranks; the rest merge into `other`.
    ///
    /// Ranks do not depend on arrival, and `other` takes order-free summaries alone: when this runs
    /// makes no difference.
    private func prune(_ id: Int) {
        var pane = panes[id]
        let limit = segment.groupCountMax
        guard pane.cells.count > limit else { return }
        let places = pane.cells.indices.sorted {
            groups[Int(pane.groups[$0])].rank < groups[Int(pane.groups[$1])].rank
        }
        pane.cut = min(pane.cut, groups[Int(pane.groups[places[limit]])].rank)
        let other = pane.other ?? GroupCell(shape: otherShape, seed: 0)
        let otherGroups = pane.otherGroups ?? GroupCount()
        for place in places[limit...] {
            let cell = pane.cells[place]
            CategoryFold.flushAll(cell, fields: fields, texts: texts, tables: tables)
            other.mergeOrderFree(cell)
            otherGroups.add(cell)
            pane.cellOf[Int(pane.groups[place])] = -1
        }
        pane.other = other
        pane.otherGroups = otherGroups
        let kept = places[..<limit].sorted()
        pane.cells = kept.map { pane.cells[$0] }
        pane.localOf = kept.map { _ in Self.outside }
        pane.groups = kept.map { pane.groups[$0] }
        for (place, group) in pane.groups.enumerated() {
            pane.cellOf[Int(group)] = Int32(place)
        }
        panes[id] = pane
    }

    // MARK: Sealing

    func seal(pane id: Int) -> SegmentPartial {
        prune(id)
        let pane = panes[id]
        for cell in pane.cells {
            CategoryFold.flushAll(cell, fields: fields, texts: texts, tables: tables)
        }
        // A group that was cut in part belongs to `other` as a whole.
        var partial = SegmentPartial(
            groups: [], other: pane.other, otherGroups: pane.otherGroups, cut: pane.cut)
        for (cell, group) in zip(pane.cells, pane.groups) {
            if groups[Int(group)].rank < pane.cut {
                partial.groups.append(cell)
            } else {
                partial.other?.mergeOrderFree(cell)
                partial.otherGroups?.add(cell)
            }
        }
        panes[id] = Pane(startMs: pane.startMs, partition: pane.partition, isOpen: false)
        partial.byteCount = partial.groups.reduce(0) { $0 + $1.byteCount }
        if !partial.groups.isEmpty { cellBytes = partial.byteCount / partial.groups.count }
        partial.byteCount += partial.other?.byteCount ?? 0
        return partial
    }

    // MARK: Forgetting

    /// Forgets groups that no open pane holds.
    func forgetGroups() {
        var isUsed = [Bool](repeating: false, count: groups.count)
        for pane in panes { for group in pane.groups { isUsed[Int(group)] = true } }
        var newPlace = [Int32](repeating: -1, count: groups.count)
        var kept: [Group] = []
        for (place, group) in groups.enumerated() where isUsed[place] {
            newPlace[place] = Int32(kept.count)
            kept.append(group)
        }
        groups = kept
        for id in panes.indices {
            panes[id].groups = panes[id].groups.map { newPlace[Int($0)] }
            panes[id].cellOf = Array(repeating: -1, count: groups.count)
            for (place, group) in panes[id].groups.enumerated() {
                panes[id].cellOf[Int(group)] = Int32(place)
            }
        }
        indexGroups()
    }

    private func indexGroups() {
        groupOfCodes = [:]
        groupOfCode = groupOfCode.map { _ in -1 }
        for (place, group) in groups.enumerated() {
            if dimensionFields.count == 1 {
                let slot = Int(group.codes[0] &+ 1)
                if slot >= groupOfCode.count {
                    groupOfCode.append(
                        contentsOf: repeatElement(-1, count: slot + 1 - groupOfCode.count))
                }
                groupOfCode[slot] = Int32(place)
            } else {
                groupOfCodes[group.codes] = Int32(place)
            }
        }
    }

    /// Marks the codes of a column that are still needed.
    func mark(column: Int, used: inout [UInt8]) {
        for (dimension, place) in zip(segment.dimensions, 0...) where dimension.column == column {
            for group in groups where group.codes[place] != .max {
                used[Int(group.codes[place])] = 1
            }
        }
        for (place, watched) in segment.columns.enumerated() where watched == column {
            for pane in panes {
                for cell in pane.cells {
                    unsafe cell.codes[place].forEach { code, _ in used[Int(code)] = 1 }
                }
            }
        }
    }

    /// Takes over new codes of a column.
    func remap(column: Int, _ newCodes: [UInt32]) {
        for (dimension, place) in zip(segment.dimensions, 0...) where dimension.column == column {
            for index in groups.indices where groups[index].codes[place] != .max {
                groups[index].codes[place] = newCodes[Int(groups[index].codes[place])]
            }
        }
        indexGroups()
        for (place, watched) in segment.columns.enumerated() where watched == column {
            for pane in panes {
                for cell in pane.cells { unsafe cell.codes[place].remap(newCodes) }
            }
        }
        condition?.forgetCodes()
    }
}

/// Turns counts by code into mergeable summaries.
enum CategoryFold {
    /// A cell that comes to this many different texts is folded early: by its own rows alone, so that
    /// the result does not depend on batches.
    static let distinctCountMax = 16_384

    static func flushAll(
        _ cell: GroupCell, fields: [Int], texts: TextTable, tables: CodeTables
    ) {
        for (index, shape) in cell.shape.columns.enumerated() where shape.column.type.isText {
            flush(cell, index, field: fields[index], texts: texts)
            unsafe tables.give(index, cell.codes[index].takeTable())
        }
    }

    static func flush(
        _ cell: GroupCell, _ index: Int, field: Int, texts: TextTable
    ) {
        guard unsafe cell.codes[index].distinctCount > 0, let summary = cell.categories[index]
        else { return }
        let shape = cell.shape.columns[index]
        let plan = shape.column.summary
        summary.valueCount += unsafe cell.codes[index].valueCount
        unsafe texts.summarise(
            cell.codes[index], field: field, into: summary, distinct: plan.distinctLgK != nil,
            frequent: plan.topCount != nil)
        let known = shape.binnings.isEmpty ? [] : texts.all(field)
        if let extras = cell.extras(index) {
            extras.add(unsafe texts.counted(cell.codes[index], field: field))
        }
        for binning in shape.binnings {
            unsafe cell.codes[index].forEach { code, count in
                let place = binning.cell(of: known[Int(code)].hash)
                unsafe cell.counters[binning.counterStart + place] += UInt64(count)
            }
        }
        unsafe cell.codes[index].reset()
    }
}
