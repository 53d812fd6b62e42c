import TidemarkBatch
import TidemarkCodec
import TidemarkCore
import TidemarkDataflow
import TidemarkExpressions
import TidemarkKernels
import TidemarkMonitors
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
        var slots = CellSlots(count: 0)
        /// In the order in which they were made.
        var cells: [GroupCell] = []
        var groups: [Int32] = []
        var other: GroupCell?
        var otherGroups: GroupCount?
        var cut = GroupRank.all
        var isOpen = true
        /// What seeds begin with: the operator, the partition and the pane's start.
        var seedText: [UInt8] = []
    }

    /// A cell that the batch at work has rows of.
    @safe
    private struct Local {
        var slot: UnsafeMutablePointer<CellSlots.Slot>
        var pane: Int
    }

    /// A group as it was first seen by this worker.
    private struct Group {
        var shape: GroupShape
        var rank: GroupRank
        var codes: [UInt32]
    }

    private let plan: Plan
    private let segment: SegmentPlan
    private let monitored: [MonitoredBaselines]
    private let baselines: [BaselineTable]
    private let frame: Frame
    private let texts: TextTable
    private let rank: @Sendable ([UInt8]) -> UInt64
    /// A truth a row of the frame; `nil`: it has all rows.
    private let condition: UnsafePointer<UInt8>?
    /// By dimension: its column of the frame.
    private let dimensionColumns: [Int]
    private let keep: Set<[UInt8]>
    private var panes: [Pane] = []
    private var groups: [Group] = []
    /// The group of a code plus one (0 is no value), where there is one dimension; -1: none yet.
    private var groupOfCode: [Int32] = []
    /// The group of the codes, where there are several dimensions, or none.
    private var groupOfCodes: [[UInt32]: Int32] = [:]
    private let otherShape: GroupShape
    /// The shape of groups without baseline entries of their own, shared: the edges of thousands of
    /// them would not fit the caches.
    private var pooledShape: GroupShape?
    private let folding: CellFold
    private let staging: RowStaging
    private let waiting: WaitingFold
    private let pool = CellPool()
    private let hasParts: Bool

    // A batch at work, sized once.
    private let localOf: UnsafeMutablePointer<UInt16>
    private let order: UnsafeMutablePointer<UInt16>
    private let groupOf: UnsafeMutablePointer<Int32>
    /// Cells that the batch has rows of: their slots, and places in `panes`.
    private let locals: UnsafeMutablePointer<Local>
    private var localCount = 0
    /// Rows of each local in this batch.
    private let counts: UnsafeMutablePointer<Int32>
    /// Place of each local in `runs`, where it has one.
    private let runOf: UnsafeMutablePointer<UInt16>
    /// Cells whose rows of this batch are folded at once, and where those stand in `order`.
    private var runs: [(cell: GroupCell, pane: Int, start: Int, count: Int)] = []
    private var starts: [Int] = []
    /// Memory of a sealed cell, bytes, on average; a guess before the first one.
    private var cellBytes: Int

    private static let outside = CellSlots.outside
    /// From this many cells a batch on, they do not stay in the processor's caches.
    private static let farRunCount = 96

    init(
        plan: Plan, segment: SegmentPlan, monitored: [MonitoredBaselines],
        baselines: [BaselineTable],
        frame: Frame, texts: TextTable,
        rank: @escaping @Sendable ([UInt8]) -> UInt64, condition: UnsafePointer<UInt8>?,
        policy: StagingPolicy
    ) {
        self.rank = rank
        self.plan = plan
        self.segment = segment
        self.monitored = monitored
        self.baselines = baselines
        self.frame = frame
        self.texts = texts
        unsafe self.condition = condition
        dimensionColumns = segment.dimensions.map(\.column)
        keep = Set(
            segment.keep.map { values in
                GroupValues(
                    dimensions: zip(segment.dimensions, values).map {
                        ($0.name, Array($1.utf8))
                    }
                ).part
            })
        cellBytes = MemoryEstimate.cellBytes(segment, plan.stream)
        hasParts =
            !plan.stream.correlations.isEmpty
            || segment.columns.contains {
                CellParts.areWanted(plan.stream.columns[$0].summary)
            }
        otherShape = GroupShape(
            values: GroupValues(dimensions: [], isOther: true), segment: segment,
            stream: plan.stream, baselines: baselines, monitored: monitored)
        let count = plan.run.batchRows
        folding = CellFold(
            columns: segment.columns, texts: texts, rowCountMax: max(count, policy.rowCountMax))
        staging = RowStaging(
            columns: segment.columns.map {
                (
                    $0, plan.stream.columns[$0].type.fieldKind.storage == .numbers,
                    plan.stream.columns[$0].isCounted
                )
            },
            carriesRecord: hasParts, policy: policy, rowCountMax: count)
        waiting = WaitingFold(staging: staging, folding: folding)
        unsafe localOf = .allocate(capacity: count)
        unsafe locals = .allocate(capacity: count)
        unsafe order = .allocate(capacity: count + 64)
        unsafe order.initialize(repeating: 0, count: count + 64)
        unsafe groupOf = .allocate(capacity: count)
        unsafe counts = .allocate(capacity: count)
        unsafe runOf = .allocate(capacity: count)
    }

    deinit {
        unsafe localOf.deallocate()
        unsafe locals.deallocate()
        unsafe order.deallocate()
        unsafe groupOf.deallocate()
        unsafe counts.deallocate()
        unsafe runOf.deallocate()
    }

    /// Memory, about: cells are counted and not weighed, since this is asked after every batch.
    var byteCount: Int {
        groups.count * 256 + cellCount * cellBytes + staging.byteCount
    }

    /// Cells of open panes.
    private var cellCount: Int { panes.reduce(0) { $0 + $1.cells.count } }

    func open(pane id: Int, startMs: Int64, arrivalMs: Int64?, partition: TopicPartition) {
        var pane = Pane(startMs: startMs, partition: partition)
        let arrival = arrivalMs.map { "\($0)|" } ?? ""
        pane.seedText = Array("\(segment.name)|\(partition)|\(startMs)|\(arrival)".utf8)
        if id == panes.count { panes.append(pane) } else { panes[id] = pane }
    }

    // MARK: Folding a batch

    func fold(_ batch: RecordBatch, rows: RowTable) {
        let rowCount = frame.rowCount
        let selected = unsafe condition
        assignGroups(rowCount, rows)
        localCount = 0
        let isRow = RowTable.Fate.row.rawValue
        let (panesOf, fates) = unsafe (rows.pane, rows.fate)
        let (localOf, groupOf, counts) = unsafe (self.localOf, self.groupOf, self.counts)
        // Rows of one pane follow each other.
        var pane = Int32(-1)
        var slots: UnsafeMutablePointer<CellSlots.Slot>?
        for row in 0..<rowCount {
            unsafe localOf[row] = Self.outside
            let id = unsafe panesOf[row]
            guard id >= 0 else { continue }
            if let selected = unsafe selected, unsafe selected[row] != Truth.yes { continue }
            if id != pane {
                pane = id
                panes[Int(id)].slots.grow(to: groups.count)
                unsafe slots = panes[Int(id)].slots.slots
            }
            guard let slots = unsafe slots else { continue }
            let fate = unsafe fates[row]
            let group = unsafe groupOf[row]
            let slot = unsafe slots + Int(group)
            if fate == isRow {
                var local = unsafe slot.pointee.local
                if local == Self.outside {
                    local = UInt16(truncatingIfNeeded: localCount)
                    unsafe slot.pointee.local = local
                    unsafe (locals + localCount).initialize(to: Local(slot: slot, pane: Int(id)))
                    unsafe counts[localCount] = 0
                    localCount += 1
                    if unsafe slot.pointee.place < 0 { _ = makeCell(pane: Int(id), group: group) }
                }
                unsafe counts[Int(local)] &+= 1
                unsafe localOf[row] = local
            } else if fate == RowTable.Fate.late.rawValue {
                cell(pane: Int(id), group: group).lateCount += 1
            } else if fate == RowTable.Fate.quarantined.rawValue {
                cell(pane: Int(id), group: group).quarantinedCount += 1
            }
        }
        guard localCount > 0 else { return }
        choose()
        for column in segment.columns.indices { countExceptions(column) }
        if runs.count < localCount {
            unsafe staging.append(
                batch, rows, frame, localOf: localOf, outside: Self.outside)
        }
        if !runs.isEmpty {
            orderRows(rowCount)
            for column in segment.columns.indices { foldColumn(column) }
            if hasParts { foldParts(batch, rows) }
            runs.removeAll(keepingCapacity: true)
        }
        for id in panes.indices where panes[id].cells.count > 2 * segment.groupCountMax + 64 {
            prune(id)
        }
    }

    /// The group of each row, by its codes.
    private func assignGroups(_ rowCount: Int, _ rows: RowTable) {
        if dimensionColumns.count == 1,
            let codes = unsafe frame.columns[dimensionColumns[0]].codes
        {
            let known = frame.textCount(dimensionColumns[0]) + 1
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
        var codes = [UInt32](repeating: 0, count: dimensionColumns.count)
        for row in 0..<rowCount where unsafe rows.pane[row] >= 0 {
            for (index, column) in dimensionColumns.enumerated() {
                codes[index] = unsafe frame.columns[column].codes?[row] ?? .max
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
                ? nil : Array(frame.text(dimensionColumns[index], code: code))
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

    private func makeCell(pane id: Int, group: Int32) -> GroupCell {
        let shape = groups[Int(group)].shape
        let cell = GroupCell(shape: shape, seed: seed(panes[id], shape), pool: pool)
        unsafe panes[id].slots.slots[Int(group)].place = Int32(panes[id].cells.count)
        panes[id].cells.append(cell)
        panes[id].groups.append(group)
        return cell
    }

    /// The cell of a group that the pane's slots have room for; one is made if need be.
    private func cell(pane id: Int, group: Int32) -> GroupCell {
        let place = unsafe panes[id].slots.slots[Int(group)].place
        return place < 0 ? makeCell(pane: id, group: group) : panes[id].cells[Int(place)]
    }

    /// Keys the random choices of a cell's sketches: a function of the log and the topology alone.
    private func seed(_ pane: Pane, _ shape: GroupShape) -> UInt64 {
        textHash(pane.seedText + shape.part)
    }

    /// Decides which cells of the batch are folded at once; the rows of the others will wait.
    private func choose() {
        let policy = staging.policy
        let mayWait = cellCount >= policy.cellCountMin
        var start = 0
        for index in 0..<localCount {
            let (slot, id) = unsafe (locals[index].slot, locals[index].pane)
            let count = Int(unsafe counts[index])
            unsafe slot.pointee.local = Self.outside
            let waitingCount = unsafe Int(slot.pointee.waitingCount)
            if mayWait, count < policy.longRunCount {
                if waitingCount + count > policy.rowCountMax { unsafe fallDue(slot, pane: id) }
                continue
            }
            if waitingCount > 0 { unsafe fallDue(slot, pane: id) }
            let cell = panes[id].cells[Int(unsafe slot.pointee.place)]
            cell.rowCount += Int64(count)
            unsafe staging.blockOf[index] = nil
            unsafe runOf[index] = UInt16(truncatingIfNeeded: runs.count)
            runs.append((cell, id, start, count))
            start += count
        }
        waiting.foldDue()
        guard runs.count < localCount else { return }
        for index in 0..<localCount {
            let count = Int(unsafe counts[index])
            guard count < policy.longRunCount else { continue }
            unsafe staging.begin(index, &locals[index].slot.pointee, count: count)
        }
    }

    /// Orders the rows by cell, within a cell by offset; those that wait are left out.
    private func orderRows(_ rowCount: Int) {
        starts.removeAll(keepingCapacity: true)
        for run in runs { starts.append(run.start) }
        unsafe starts.withUnsafeMutableBufferPointer { next in
            for row in 0..<rowCount {
                let local = unsafe localOf[row]
                if local == Self.outside { continue }
                let run = unsafe Int(runOf[Int(local)])
                let place = unsafe next[run]
                unsafe order[place] = UInt16(truncatingIfNeeded: row)
                unsafe next[run] = place + 1
            }
        }
    }

    /// Counts the rows of a column that have no value.
    private func countExceptions(_ index: Int) {
        let column = frame.columns[segment.columns[index]]
        let base = index * GroupCell.stateCount
        for place in 0..<column.exceptionCount {
            let local = unsafe Int(localOf[Int(column.exceptionRows[place])])
            guard local != Int(Self.outside) else { continue }
            let state = base + Int(unsafe column.exceptionStates[place]) - 1
            if let block = unsafe staging.blockOf[local] {
                unsafe UnsafeMutableRawPointer(block)
                    .assumingMemoryBound(to: UInt8.self)[state] &+= 1
            } else {
                unsafe runs[Int(runOf[local])].cell.states[state] += 1
            }
        }
    }

    private func foldColumn(_ index: Int) {
        let column = frame.columns[segment.columns[index]]
        // Beyond some cells what they hold is far away, and a visit to one waits for all its lines.
        let isFar = runs.count >= Self.farRunCount
        if let numbers = unsafe column.numbers {
            for place in runs.indices {
                if isFar {
                    if place + 16 < runs.count { runs[place + 16].cell.prefetch() }
                    if place + 8 < runs.count { runs[place + 8].cell.prefetch(index) }
                    if place + 4 < runs.count { runs[place + 4].cell.prefetchRun(index) }
                }
                unsafe folding.fold(
                    numbers, into: runs[place].cell, index,
                    rows: UnsafePointer(order + runs[place].start), count: runs[place].count)
            }
        } else if plan.stream.columns[segment.columns[index]].isCounted,
            let codes = unsafe column.codes
        {
            for place in runs.indices {
                if isFar {
                    if place + 8 < runs.count {
                        unsafe prefetchForWriting(
                            runs[place + 8].cell.codes + index,
                            byteCount: MemoryLayout<CodeCounter>.size)
                    }
                    if place + 4 < runs.count {
                        let row = unsafe Int(order[runs[place + 4].start])
                        unsafe runs[place + 4].cell.codes[index].prefetch(codes[row])
                    }
                }
                unsafe folding.count(
                    codes, into: runs[place].cell, index,
                    rows: UnsafePointer(order + runs[place].start), count: runs[place].count)
            }
        }
    }

    private func foldParts(_ batch: RecordBatch, _ rows: RowTable) {
        for (index, column) in segment.columns.enumerated() {
            unsafe folding.numbers[index] = frame.columns[column].numbers
        }
        let (offsets, places) = unsafe (rows.map.offsets(of: batch), rows.map.placesOfMany)
        for run in runs {
            unsafe folding.foldParts(
                into: run.cell, rows: UnsafePointer(order + run.start), count: run.count,
                times: rows.eventTimeMs, offsets: offsets, places: places,
                partition: panes[run.pane].partition.partition)
        }
    }

    // MARK: Rows that wait

    private func fallDue(_ slot: UnsafeMutablePointer<CellSlots.Slot>, pane id: Int) {
        unsafe waiting.fallDue(
            slot, panes[id].cells[Int(slot.pointee.place)],
            partition: panes[id].partition.partition)
    }

    private func fallDue(pane id: Int, place: Int) {
        let slot = unsafe panes[id].slots.slots + Int(panes[id].groups[place])
        if unsafe slot.pointee.waitingCount > 0 { unsafe fallDue(slot, pane: id) }
    }

    /// Folds all rows that wait; called before codes change their meaning.
    func foldAllWaiting() {
        for id in panes.indices {
            for place in panes[id].cells.indices { fallDue(pane: id, place: place) }
        }
        waiting.foldDue()
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
        for place in places[limit...] { fallDue(pane: id, place: place) }
        waiting.foldDue()
        pane.cut = min(pane.cut, groups[Int(pane.groups[places[limit]])].rank)
        let other = pane.other ?? GroupCell(shape: otherShape, seed: 0)
        let otherGroups = pane.otherGroups ?? GroupCount()
        for place in places[limit...] {
            let cell = pane.cells[place]
            let slot = unsafe pane.slots.slots + Int(pane.groups[place])
            unsafe staging.give(&slot.pointee)
            unsafe slot.pointee.place = -1
            folding.settle(cell)
            other.mergeOrderFree(cell)
            otherGroups.add(cell)
        }
        pane.other = other
        pane.otherGroups = otherGroups
        let kept = places[..<limit].sorted()
        pane.cells = kept.map { pane.cells[$0] }
        pane.groups = kept.map { pane.groups[$0] }
        for (place, group) in pane.groups.enumerated() {
            unsafe pane.slots.slots[Int(group)].place = Int32(place)
        }
        panes[id] = pane
    }

    // MARK: Sealing

    func seal(pane id: Int) -> SegmentPartial {
        prune(id)
        for place in panes[id].cells.indices { fallDue(pane: id, place: place) }
        waiting.foldDue()
        for group in panes[id].groups {
            unsafe staging.give(&panes[id].slots.slots[Int(group)])
        }
        staging.trim()
        let pane = panes[id]
        for cell in pane.cells { folding.settle(cell) }
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
            let slots = CellSlots(count: groups.count)
            for group in panes[id].groups {
                unsafe slots.slots[Int(newPlace[Int(group)])] = panes[id].slots.slots[Int(group)]
            }
            panes[id].slots = slots
            panes[id].groups = panes[id].groups.map { newPlace[Int($0)] }
        }
        indexGroups()
    }

    private func indexGroups() {
        groupOfCodes = [:]
        groupOfCode = groupOfCode.map { _ in -1 }
        for (place, group) in groups.enumerated() {
            if dimensionColumns.count == 1 {
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
    }
}
