import TidemarkCore
import TidemarkDataflow
import TidemarkSketches
import TidemarkText

/// The groups of one segment in a slice, in several slices, or in the window that is being closed.
///
/// It behaves as a value: a cell that two of them share is copied before one of them changes it,
/// the sketches' random state included. So sharing never shows in a result.
struct SegmentWindow: Mergeable {
    var groups: [[UInt8]: GroupCell] = [:]
    private(set) var other: GroupCell?
    private(set) var otherGroups: GroupCount?
    private(set) var cut = GroupRank.all

    // MARK: Merging

    /// Adds a pane of a partition; the cells here are nobody else's.
    ///
    /// `takesOver`: cells of the partial that nobody else needs are kept as they are.
    mutating func add(_ partial: SegmentPartial, takesOver: Bool, seed: UInt64) {
        for cell in partial.groups {
            let part = cell.shape.part
            if let mine = groups[part] {
                mine.mergeOrderFree(cell)
                mine.mergeOrdered(cell)
            } else if takesOver {
                groups[part] = cell
            } else {
                let mine = GroupCell(shape: cell.shape, seed: cell.shape.hash &+ seed)
                mine.mergeOrderFree(cell)
                mine.mergeOrdered(cell)
                groups[part] = mine
            }
        }
        add(partial.other, partial.otherGroups, cut: partial.cut)
    }

    /// Counts rows of a partial that came too late for all windows here.
    mutating func addLate(_ partial: SegmentPartial, seed: UInt64) {
        for cell in partial.groups {
            let part = cell.shape.part
            let mine = groups[part] ?? GroupCell(shape: cell.shape, seed: cell.shape.hash &+ seed)
            mine.lateCount += cell.rowCount
            groups[part] = mine
        }
        if let cell = partial.other {
            let mine = other ?? GroupCell(shape: cell.shape, seed: 0)
            mine.lateCount += cell.rowCount
            other = mine
        }
        add(nil, partial.otherGroups, cut: partial.cut)
    }

    private mutating func add(_ cell: GroupCell?, _ count: GroupCount?, cut: GroupRank) {
        self.cut = min(self.cut, cut)
        if let cell {
            let mine = other ?? GroupCell(shape: cell.shape, seed: 0)
            mine.mergeOrderFree(cell)
            other = mine
        }
        if let count {
            let mine = otherGroups ?? GroupCount()
            mine.merge(count)
            otherGroups = mine
        }
    }

    /// Adds what stands behind; a group that is not here yet is shared.
    mutating func merge(_ next: SegmentWindow) {
        for (part, theirs) in next.groups {
            guard let place = groups.index(forKey: part) else {
                groups[part] = theirs
                continue
            }
            if !isKnownUniquelyReferenced(&groups.values[place]) {
                groups.values[place] = groups.values[place].copy()
            }
            groups.values[place].mergeOrderFree(theirs)
            groups.values[place].mergeOrdered(theirs)
        }
        cut = min(cut, next.cut)
        if let theirs = next.other {
            if other == nil { other = theirs } else { ownOther()?.mergeOrderFree(theirs) }
        }
        if let theirs = next.otherGroups {
            if otherGroups == nil { otherGroups = theirs } else { ownCount()?.merge(theirs) }
        }
    }

    private mutating func ownOther() -> GroupCell? {
        if !isKnownUniquelyReferenced(&other) { other = other?.copy() }
        return other
    }

    private mutating func ownCount() -> GroupCount? {
        if !isKnownUniquelyReferenced(&otherGroups) { otherGroups = otherGroups?.copy() }
        return otherGroups
    }

    /// Moves groups to the rest, order-free summaries alone.
    ///
    /// `shape`: that of the rest, asked for where there was none.
    mutating func moveToOther(_ cells: ArraySlice<GroupCell>, shape: () -> GroupShape) {
        if other == nil { other = GroupCell(shape: shape(), seed: 0) }
        if otherGroups == nil { otherGroups = GroupCount() }
        guard let other = ownOther(), let otherGroups = ownCount() else { return }
        for cell in cells {
            other.mergeOrderFree(cell)
            otherGroups.add(cell)
        }
    }

    // MARK: Sharing

    /// Takes in what a suffix aggregate has from the one behind it; the cells are shared.
    mutating func inherit(_ next: SegmentWindow) {
        groups.merge(next.groups) { mine, _ in mine }
        if other == nil { other = next.other }
        if otherGroups == nil { otherGroups = next.otherGroups }
    }

    /// What is not shared with the suffix aggregate behind it.
    func own(beside next: SegmentWindow?) -> SegmentWindow {
        guard let next else { return self }
        var own = self
        own.groups = groups.filter { part, cell in next.groups[part] !== cell }
        if other === next.other { own.other = nil }
        if otherGroups === next.otherGroups { own.otherGroups = nil }
        return own
    }

    // MARK: State

    /// Memory of its cells, bytes, without those that it shares with the suffix aggregate behind it.
    func byteCount(beside next: SegmentWindow?) -> Int {
        groups.reduce(other === next?.other ? 0 : other?.byteCount ?? 0) { sum, group in
            next?.groups[group.key] === group.value ? sum : sum + group.value.byteCount
        }
    }

    func writeState(_ bytes: inout [UInt8]) {
        bytes.append(varint: cut.isNamed ? 1 : 0)
        bytes.append(littleEndian: cut.hash)
        bytes.append(varint: UInt64(groups.count))
        for cell in groups.values {
            cell.shape.values.writeState(&bytes)
            cell.writeState(&bytes)
        }
        bytes.append(varint: other == nil ? 0 : 1)
        other?.writeState(&bytes)
        bytes.append(varint: otherGroups == nil ? 0 : 1)
        otherGroups?.writeState(&bytes)
    }

    static func readState(
        _ reader: inout ByteReader, shape: (GroupValues) -> GroupShape
    ) throws(SketchError) -> SegmentWindow {
        var segment = SegmentWindow()
        segment.cut.isNamed = try reader.readVarint() == 1
        segment.cut.hash = try reader.read(UInt64.self)
        for _ in 0..<(try reader.readVarint()) {
            let cell = GroupCell(shape: shape(try GroupValues.readState(&reader)), seed: 0)
            try cell.readState(&reader)
            segment.groups[cell.shape.part] = cell
        }
        if try reader.readVarint() == 1 {
            let values = GroupValues(dimensions: [], isOther: true)
            let cell = GroupCell(shape: shape(values), seed: 0)
            try cell.readState(&reader)
            segment.other = cell
        }
        if try reader.readVarint() == 1 {
            segment.otherGroups = try GroupCount.readState(&reader)
        }
        return segment
    }
}
