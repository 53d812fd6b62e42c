import TidemarkCodec
import TidemarkCore
package import TidemarkDataflow
import TidemarkRecords
import TidemarkText

/// Baselines that are written to a compacted topic, again whenever a model is trained anew.
///
/// What is newest there when a run begins is in force from the first window on. What is written later is in force in
/// windows that start once all before was closed: the event time is recorded with the unit of commit of that moment, and so
/// is the whole baseline, for the topic forgets what it held. After a restart every window is compared with what it
/// was compared with before.
///
/// - Memory: one table a baseline; two while windows from before a change are open.
struct TopicBaselines {
    private let plan: Plan
    private let keys: StateKeys
    /// By segment.
    private let uses: [[BaselineUse]]
    /// By baseline.
    private var followed: [Int: TopicBaselineVersions] = [:]
    private var entries: EntryStore<TopicBaselineVersions.PartID>
    /// Everything that ends by then was closed, by this process or an earlier one; `never`: nothing yet.
    private var reachedMs = TimeLimit.never
    /// Whether nothing was read back, so that what stands in the topics is in force from the beginning.
    private var isFresh = true
    /// Read while it was not known how far event time is.
    private var waiting: [SideRecord] = []
    private var notices: [Notice] = []

    init(plan: Plan) {
        self.plan = plan
        let keys = StateKeys(plan: plan)
        self.keys = keys
        entries = EntryStore(.topicBaseline, sizeCount: plan.stream.windows.count) {
            keys.topicBaseline($0)
        }
        let stream = plan.stream
        uses = BaselineUse.all(stream) { $0.topic != nil }
        for baseline in stream.baselines.indices where stream.baselines[baseline].topic != nil {
            followed[baseline] = TopicBaselineVersions()
        }
    }

    /// Memory of what is kept, bytes, about.
    var byteCount: Int { followed.values.reduce(0) { $0 + $1.byteCount } }
    /// About what the next unit of commit has to write, bytes.
    var pendingBytes: Int { entries.pendingBytes }

    // MARK: Asking

    /// Adds what a group's window is compared with.
    ///
    /// - `cellCount`: cells in which a column is counted, by its place in the segment.
    func add(
        _ part: [UInt8], segment: Int, _ closing: WindowClosing, cellCount: (Int) -> Int,
        to found: inout WindowReferences
    ) {
        for use in uses[segment] where use.sizes.contains(closing.size) {
            guard let versions = followed[use.baseline] else { continue }
            let version = versions.inForce(startMs: closing.window.startMs)
            var reference = LearnedReference(
                progress: LearnedProgress(
                    windows: version == nil ? 0 : 1, windowsNeeded: 1, rows: 0, rowsNeeded: 0))
            guard let table = version?.table else {
                found[use.baseline] = reference
                continue
            }
            reference.isInForce = true
            reference.label =
                plan.stream.baselines[use.baseline].name + "@" + table.contentHash.prefix(12)
            let group = String(decoding: part, as: UTF8.self)
            let columns = plan.stream.segments[segment].columns
            for place in use.columns {
                guard
                    let counts = version?.counts(
                        group: group, column: plan.stream.columns[columns[place]].name)
                else { continue }
                reference.rows[place] = counts.rows
                reference.progress.rows = max(reference.progress.rows, counts.rows.value)
                guard let cells = counts.cells, cells.count == cellCount(place) else { continue }
                let start = reference.cells.count
                reference.cells += cells
                reference.ranges[place] = start..<reference.cells.count
            }
            found[use.baseline] = reference
        }
    }

    // MARK: Following

    /// Takes a moment in.
    mutating func advance(_ moment: Moment) {
        switch moment {
        case .reached(let ms):
            reachedMs = max(reachedMs, ms)
            let records = waiting
            waiting = []
            take(records)
        case .sideRecords(let records): take(records)
        default: break
        }
    }

    private mutating func take(_ records: [SideRecord]) {
        for record in records {
            let wanted = TopicBaselinePlan(topic: record.topic, key: record.key)
            for (baseline, plan) in plan.stream.baselines.enumerated() where plan.topic == wanted {
                take(record, as: baseline)
            }
        }
    }

    /// Puts a record in force, unless it is what is in force, or none that can be.
    private mutating func take(_ record: SideRecord, as baseline: Int) {
        guard let versions = followed[baseline] else { return }
        let isFirst = isFresh && versions.isEmpty && reachedMs == TimeLimit.never
        guard isFirst || reachedMs != TimeLimit.never else {
            waiting.append(record)
            return
        }
        var table: BaselineTable?
        if let value = record.value {
            do throws(BaselineTable.Problem) {
                let read = try BaselineTable(bytes: value)
                try TopicBaselineFit.check(read, plan.stream, baseline)
                table = read
            } catch {
                say(
                    "a record of the topic is no baseline for this topology: what was in force stays",
                    record,
                    [
                        ("why", error.message)
                    ], of: baseline)
                return
            }
        }
        if let last = versions.last, last.table?.contentHash == table?.contentHash { return }
        if versions.isEmpty, table == nil { return }
        let fromMs = isFirst ? Int64.min : reachedMs
        for id in followed[baseline]?.drop(from: fromMs, of: baseline) ?? [] { entries.remove(id) }
        let version = TopicBaselineVersions.Version(
            fromMs: fromMs, table: table, bytes: record.value ?? [])
        followed[baseline]?.append(version)
        for id in version.parts(of: baseline) {
            entries.write(
                id, isNew: true,
                byteCount: min(version.bytes.count, TopicBaselineVersions.partBytes) + 60)
        }
        say(
            "a baseline of a topic is in force", record,
            [
                ("hash", table.map { String($0.contentHash.prefix(12)) } ?? "taken back"),
                ("from", isFirst ? "the beginning" : timeText(fromMs)),
            ], of: baseline)
    }

    private mutating func say(
        _ event: String, _ record: SideRecord, _ fields: [(name: String, value: String)],
        of baseline: Int
    ) {
        let name = plan.stream.baselines[baseline].name
        notices.append(
            Notice(
                event,
                [("baseline", name), ("topic", record.topic), ("key", record.key)] + fields))
    }

    /// What a person should know, once.
    mutating func takeNotices() -> [Notice] {
        defer { notices = [] }
        return notices
    }

    // MARK: State

    /// Notes that a window was closed, after all its groups.
    mutating func closed(_ closing: WindowClosing) { entries.close(closing) }

    mutating func takeEntries(epoch: Int) -> [StateEntry] {
        if entries.settled.hasMoved { dropOld() }
        return entries.take(epoch: epoch) { [followed] id in
            followed[id.baseline]?.version(from: id.fromMs).map {
                EntryContent(appliedThroughMs: id.fromMs, payload: $0.payload(ofPart: id.part))
            }
        }
    }

    /// Lets go of what no window to come was before.
    private mutating func dropOld() {
        let sizes = plan.stream.windows
        for baseline in followed.keys.sorted() {
            let ids = followed[baseline]?.drop(of: baseline) { nextMs in
                zip(sizes, entries.settled.throughMs).allSatisfy {
                    $1 != TimeLimit.never && $1 >= nextMs + $0.lengthMs
                }
            }
            for id in ids ?? [] { entries.remove(id) }
        }
    }

    mutating func restore(_ frame: StateFrame, key: [UInt8]) -> StateRestoration {
        guard let id = keys.topicBaseline(key), followed[id.baseline] != nil else {
            return .unusable("no baseline of this topology is read from a topic under that name")
        }
        isFresh = false
        guard followed[id.baseline]?.restore(id, frame.payload) ?? false else {
            return .unusable("it is not a part of a baseline")
        }
        return .taken
    }

    /// Says that all entries were read back, and through when an earlier process decided.
    mutating func resume(throughMs: Int64) {
        if throughMs != TimeLimit.never {
            reachedMs = max(reachedMs, throughMs)
            isFresh = false
        }
        for baseline in followed.keys.sorted() {
            for id in followed[baseline]?.joinParts(of: baseline) ?? [] { entries.remove(id) }
        }
    }
}

extension BaselineTable {
    /// Checks that a table can be a baseline of a topic in a stream: counted in the cells of the stream.
    ///
    /// - Throws: what does not fit.
    package func checkFit(_ stream: StreamPlan, baseline: Int) throws(Problem) {
        try TopicBaselineFit.check(self, stream, baseline)
    }
}

/// Whether a baseline of a topic is counted in the cells of the stream, and how.
enum TopicBaselineFit {
    /// Checks the columns that the topology compares with a baseline.
    ///
    /// - Throws: what does not fit.
    static func check(
        _ table: BaselineTable, _ stream: StreamPlan, _ baseline: Int
    ) throws(BaselineTable.Problem) {
        let metrics = stream.metricUse(of: baseline)
        let compared = stream.columns.indices.filter { column in
            stream.monitors.contains {
                $0.baseline == baseline && $0.needsCells && $0.columns.contains(column)
            } || metrics?.cells.contains(column) ?? false
        }
        for column in compared.map({ stream.columns[$0] }) {
            for record in table.records where record.column == column.name {
                switch (record.entry.shape, column.type.isText) {
                case (.categorical, true):
                    guard record.entry.hashed != nil || record.entry.isWhollyNamed else {
                        throw BaselineTable.Problem(
                            "`\(column.name)` has categories that are not named, and no `hashed` counts: "
                                + "build it anew with this version of tidemark")
                    }
                case (.numeric(let edges, let isOpen, _, _, _), false):
                    guard case .edges(let own) = column.summary.histogram, own == edges, !isOpen
                    else {
                        throw BaselineTable.Problem(
                            "`\(column.name)` is counted in other bins than the topology's: "
                                + "`tidemark baseline build --edges topology` takes those")
                    }
                case (_, let isText):
                    throw BaselineTable.Problem(
                        "`\(column.name)` is \(isText ? "numbers" : "categories") there, and "
                            + "\(isText ? "categories" : "numbers") in the topology")
                }
            }
        }
    }

    /// Counts of an entry in the cells of the stream; `nil`: they are other cells.
    static func cells(of entry: BaselineTable.Entry) -> [UInt64]? {
        if case .categorical(let names, let counts, _) = entry.shape {
            if let hashed = entry.hashed { return hashed.map { UInt64(max(0, $0)) } }
            guard entry.isWhollyNamed else { return nil }
            var cells = Array(repeating: UInt64(0), count: HashedCells.count)
            for (name, rows) in zip(names, counts) {
                cells[HashedCells.cell(of: Array(name.utf8))] += UInt64(max(0, rows))
            }
            return cells
        }
        return entry.cells.map { UInt64(max(0, $0)) }
    }
}

extension BaselineTable.Entry {
    /// Every category is named with its count.
    var isWhollyNamed: Bool {
        if case .categorical(_, _, let other) = shape { other == 0 } else { false }
    }

    /// What became of the rows that it was made of.
    ///
    /// An entry that does not part those without a value has them as nulls.
    var rowCounts: RowCounts {
        var rows = RowCounts()
        rows.value = rowCount
        rows.wrongType = wrongTypeCount ?? 0
        rows.nonFinite = nonFiniteCount ?? 0
        rows.null = nullCount - rows.wrongType - rows.nonFinite
        rows.total = rowCount + nullCount
        return rows
    }
}
