package import TidemarkCore
package import TidemarkDataflow
import TidemarkMonitors
import TidemarkRecords
import TidemarkSketches

/// A window that is being closed, and what came of it so far.
struct ClosingWindow {
    let closing: WindowClosing
    var tally = WindowTally()
    /// Records of segments that are one group: what is judged after all groups stands in them as well.
    var waiting: [(record: AggregateRecord, isNews: Bool, events: [AlertRecord])] = []

    /// Counts what monitors said of a record.
    mutating func count(_ record: AggregateRecord) {
        for verdict in record.verdicts {
            tally.verdicts.add(verdict.verdict, of: verdict.monitor)
            if verdict.verdict == .noBaseline {
                tally.groupsWithoutBaseline.insert(
                    "\(record.operatorName)/\(String(decoding: record.group.part, as: UTF8.self))")
            }
        }
    }
}

/// Closing windows: group by group and column by column, from the cell to the record, by way of those that
/// judge it.
extension StageTwoOperator {
    /// Slides the windows of that length on, limits the groups, then judges and publishes group by
    /// group.
    package func close(_ closing: WindowClosing, emit: (OutputRecord) -> Void) -> WindowTally {
        var window = ClosingWindow(closing: closing)
        writer.begin(closing)
        let size = plan.stream.windows[closing.size]
        let first = size.slice(at: closing.window.startMs)
        (prefixBytes[closing.size], lateBytes[closing.size]) = (nil, nil)
        guard
            var segments = windows[closing.size].slide(to: first..<first + size.sliceCount)
        else { return window.tally }
        window.tally.isThere = true
        window.tally.columns = plan.stream.columns.map { _ in RowCounts() }
        for index in segments.indices {
            let cells = limitGroups(&segments[index], segment: index)
            let byPart =
                monitors.comparesGroups(segment: index, size: closing.size)
                ? Dictionary(uniqueKeysWithValues: cells.map { ($0.shape.part, $0) }) : [:]
            cells.first?.prefetchForClosing()
            for (number, cell) in cells.enumerated() {
                if number + 2 < cells.count { cells[number + 2].prefetch() }
                if number + 1 < cells.count { cells[number + 1].prefetchForClosing() }
                publish(cell, beside: byPart, segment: index, &window, emit)
            }
            if let other = segments[index].other {
                let count = segments[index].otherGroups?.estimate
                publishOther(other, segment: index, groupCount: count, &window, emit)
            } else {
                publishAbsent(beside: cells, segment: index, &window, emit)
            }
        }
        let (notices, records, events) = monitors.closed(closing)
        window.tally.notices += notices
        publish(records, &window, emit)
        writer.publish(events, &window.tally, emit)
        return window.tally
    }

    /// Judges and publishes a group: each of its columns, the group as a whole where somebody judges that.
    ///
    /// - `others`: all groups of the window, by their parts, where they are compared with each other.
    private func publish(
        _ cell: GroupCell, beside others: [[UInt8]: GroupCell], segment index: Int,
        _ window: inout ClosingWindow,
        _ emit: (OutputRecord) -> Void
    ) {
        let closing = window.closing
        let references = monitors.references(
            cell.shape.values, part: cell.shape.part, segment: index, closing,
            cellCount: { cell.shape.learnedCount($0) },
            counts: { others[$0]?.learnedCounts })
        forEachColumn(of: cell, segment: index, &window, emit) { place, column, record in
            guard monitors.judges(segment: index, size: closing.size, column: column) else {
                return []
            }
            let evidence = cell.evidence(
                place, column: column, segment: index, closing, rows: record.rows, references)
            return monitors.judge(evidence, &record)
        }
        let metrics = publishMetrics(
            cell, beside: others, segment: index, references, &window, emit)
        if let (record, events) = monitors.judgeGroup(
            cell.shape.values, rows: cell.rowCounts, segment: index, references, closing)
        {
            publishGroup(record, events, &window, emit)
        }
        // What a window taught is in force from the next one on.
        var counts = cell.learnedCounts
        counts.value = { [plan] column in
            zip(plan.stream.metrics, metrics).first { $0.0.column == column }?.1.value
        }
        monitors.learn(cell.shape.part, counts, segment: index, closing)
    }

    /// Publishes groups beyond the limit, merged: nobody judges them.
    private func publishOther(
        _ cell: GroupCell, segment index: Int, groupCount: Int?, _ window: inout ClosingWindow,
        _ emit: (OutputRecord) -> Void
    ) {
        forEachColumn(of: cell, segment: index, &window, emit) { _, _, record in
            record.otherGroupCount = groupCount
            return []
        }
        publishMetrics(cell, beside: [:], segment: index, nil, &window, emit)
    }

    /// Publishes the record of each column of a group, after `judge` has had its say.
    ///
    /// - `judge`: is given the column's places in the segment and in the plan, and its record; returns the
    ///   events of alerts.
    private func forEachColumn(
        of cell: GroupCell, segment index: Int, _ window: inout ClosingWindow,
        _ emit: (OutputRecord) -> Void,
        judge: (_ place: Int, _ column: Int, inout AggregateRecord) -> [AlertRecord]
    ) {
        let segment = plan.stream.segments[index]
        let countsRows = window.closing.size == segment.windows.first
        window.tally.rows += cell.rowCount
        writer.begin(group: cell.shape.part, of: segment)
        cell.prefetchLevels()
        cell.prefetchItems(0)
        for (place, column) in segment.columns.enumerated()
        where !plan.stream.columns[column].isUnpublished {
            cell.prefetchItems(place + 1)
            let settled = SettledColumn(cell, place, wantsKLL: writer.wantsKLL)
            var record = cell.record(place, settled, segment, window.closing, plan)
            let events = judge(place, column, &record)
            if countsRows, homes[column] == index {
                window.tally.columns[column].add(record.rows)
            }
            window.tally.notices += monitors.notices(of: record)
            window.count(record)
            writer.publish(record, cell, place, column: column, settled, &window.tally, emit)
            writer.publish(events, &window.tally, emit)
        }
    }

    /// Publishes a record that is of no column of rows.
    func publishGroup(
        _ record: AggregateRecord, isNews: Bool = true, _ events: [AlertRecord],
        _ window: inout ClosingWindow, _ emit: (OutputRecord) -> Void
    ) {
        if monitors.rollsUp, record.column.isEmpty, record.group.dimensions.isEmpty {
            window.waiting.append((record, isNews, events))
        } else {
            write(record, isNews: isNews, events, &window, emit)
        }
    }

    /// Publishes what was judged of segments as a whole, in the record of the group where a segment is one.
    private func publish(
        _ records: [AggregateRecord], _ window: inout ClosingWindow,
        _ emit: (OutputRecord) -> Void
    ) {
        var records = records
        for (record, isNews, events) in window.waiting {
            var record = record
            let place = records.firstIndex { $0.operatorName == record.operatorName }
            if let place { record.verdicts += records.remove(at: place).verdicts }
            write(record, isNews: isNews || place != nil, events, &window, emit)
        }
        window.waiting = []
        for record in records { write(record, [], &window, emit) }
    }

    private func write(
        _ record: AggregateRecord, isNews: Bool = true, _ events: [AlertRecord],
        _ window: inout ClosingWindow, _ emit: (OutputRecord) -> Void
    ) {
        window.count(record)
        if isNews { writer.publish(record, &window.tally, emit) }
        writer.publish(events, &window.tally, emit)
    }

    /// Groups that are known and have no row in the window.
    private func publishAbsent(
        beside present: [GroupCell], segment index: Int, _ window: inout ClosingWindow,
        _ emit: (OutputRecord) -> Void
    ) {
        monitors.judgeAbsent(
            beside: present.lazy.map(\.shape.part), segment: index, window.closing
        ) { group in
            publishGroup(group.record, isNews: group.isNews, group.events, &window, emit)
        }
    }
}

extension GroupCell {
    /// What the window holds for baselines: those that learn of it, and groups that are compared with it.
    var learnedCounts: GroupCounts {
        var counts = GroupCounts(
            rows: rowCount, cells: { self.learnedCells($0) }, rowCounts: { self.rowCounts($0) })
        counts.seen = { self.seen($0) }
        return counts
    }

    /// Which values of a column there were; `nil`: nobody keeps it.
    private func seen(_ place: Int) -> SeenCounts? {
        for part in parts(place) { if let seen = part.seen { return seen } }
        return nil
    }

    /// What monitors see of a column of a window that closes.
    func evidence(
        _ place: Int, column: Int, segment: Int, _ closing: WindowClosing, rows: RowCounts,
        _ references: WindowReferences
    ) -> WindowEvidence {
        let extent = extent(place)
        let own = shape.columns[place]
        var counted = own.counted
        for part in parts(place) { if let repeats = part.repeats { counted.repeats = repeats } }
        counted.seen = seen(place)
        return unsafe WindowEvidence(
            closing, segment: segment, column: column, place: place, part: shape.part, rows: rows,
            isNumeric: own.column.type.isNumeric, binnings: own.binnings,
            learned: own.learnedPlace,
            range: extent.least <= extent.most ? extent.least...extent.most : nil,
            references: references, counted: counted, counters: UnsafePointer(counters))
    }
}
