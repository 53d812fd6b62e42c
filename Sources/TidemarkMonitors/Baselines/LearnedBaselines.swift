import TidemarkCodec
import TidemarkCore
import TidemarkDataflow
import TidemarkKernels
import TidemarkRecords
import TidemarkText

/// Baselines that are learned on the stream: counts of closed windows, as entry state.
///
/// Every learned window is an entry of its own, written once and taken away when no window to come
/// can need it; so a commit writes what is new, not what is known. A head beside them says when
/// learning began and on which day the group was last seen; for `first` it also takes the windows in,
/// once their unit of commit is through. What is asked for is always a state as of a window's start:
/// a window that comes again (delivery at least once) is given what it was given before, though later
/// windows were learned meanwhile, and is not learned twice.
///
/// - Memory: about 1.5 bytes a cell and window of `trailing`; 8 bytes a cell of `first`.
/// - Complexity: a window costs one pass over the cells that enter and leave the span.
struct LearnedBaselines {
    /// What is learned together: a baseline in a segment and a window length.
    struct Place: Hashable {
        var baseline: Int
        var segment: Int
        var size: Int
    }

    /// What the groups of a window that closes come to together.
    private struct Pool {
        var rows: Int64 = 0
        var cells: [UInt64] = []
        var seen: [SeenCounts] = []
        /// Groups that were left out, since an alert that is judged by the baseline is open.
        var apartCount = 0
    }

    /// Takes the place of a group's part where all groups learn together: no part is that.
    private static let pooledPart = Array("*".utf8)

    private let plan: Plan
    private let keys: StateKeys
    /// By segment.
    private let uses: [[LearnedUse]]
    private var memories: [Place: [[UInt8]: LearnedMemory]] = [:]
    /// Of the window that is closing.
    private var pools: [Place: Pool] = [:]
    /// Groups of which a window without rows still says something.
    ///
    /// They had rows within the span, or have a baseline. All others wait in `memories` until they have
    /// rows again, or are forgotten.
    private var awake: [Place: Set<[UInt8]>] = [:]
    /// Places of which it was said that their groups do not come back.
    private var saidPassing: Set<Place> = []
    /// The head of what is learned of a group, or one of its windows.
    private struct EntryID: Hashable {
        var place: Place
        var group: [UInt8]
        /// `nil`: the head.
        var startMs: Int64?
    }
    private var entries: EntryStore<EntryID>
    private var sweptDay: [Place: Int64] = [:]
    private static let dayMs: Int64 = 86_400_000

    init(plan: Plan) {
        self.plan = plan
        let keys = StateKeys(plan: plan)
        self.keys = keys
        entries = EntryStore(.baseline, sizeCount: plan.stream.windows.count) {
            keys.learned($0.place, $0.group, startMs: $0.startMs)
        }
        uses = plan.stream.segments.indices.map { LearnedUse.all(in: $0, plan.stream) }
    }

    /// About, as it is asked for many times a second: kept up window by window.
    private(set) var byteCount = 0
    /// About what the next unit of commit has to write, bytes.
    var pendingBytes: Int { entries.pendingBytes }

    /// Notes that the head of what is learned of a group has to be written.
    private mutating func writeHead(
        _ place: Place, _ group: [UInt8], _ memory: LearnedMemory, isNew: Bool = false
    ) {
        entries.write(
            EntryID(place: place, group: group), isNew: isNew,
            byteCount: group.count + 60 + 2 * memory.head.cells.count + 8 * memory.head.apart.count
                + memory.head.seen.reduce(0) { $0 + $1.byteCount })
    }

    private mutating func insert(_ window: LearnedWindow, into memory: LearnedMemory) {
        weigh(memory) { memory in
            // The head and a running sum have as many cells.
            memory.byteCount = max(memory.byteCount, 400 + 16 * window.cells.count)
            memory.byteCount += window.byteCount
            memory.windows.insert(window, at: window.startMs)
        }
    }

    private mutating func weigh(_ memory: LearnedMemory, _ change: (LearnedMemory) -> Void) {
        byteCount -= memory.byteCount
        change(memory)
        byteCount += memory.byteCount
    }

    /// The groups of a place that are known before a window's start, not forgotten by then, and of which
    /// a window without rows may say something.
    func groups(at place: Place, startMs: Int64) -> [[UInt8]] {
        guard let learning = learning(place) else { return [] }
        return (awake[place] ?? []).filter { group in
            guard let memory = memories[place]?[group] else { return false }
            return memory.head.beganMs < startMs
                && !isForgotten(memory, learning, startMs: startMs)
        }
    }

    /// Whether a group without rows is neither learned of nor judged any more.
    ///
    /// It had none for a whole span, and has no baseline: it is not asked for again until it has rows.
    mutating func isAsleep(
        _ place: Place, group: [UInt8], startMs: Int64, _ reference: LearnedReference
    ) -> Bool {
        guard !reference.isInForce, let learning = learning(place),
            let memory = memories[place]?[group]
        else { return false }
        let lengthMs = plan.stream.windows[place.size].lengthMs
        let spanMs =
            learning.span == .sameTime
            ? learning.reachMs + lengthMs
            : learning.windowCount(lengthMs: lengthMs) * lengthMs + learning.skipMs
        let lately = memory.windows[(startMs - spanMs)..<max(startMs, startMs - spanMs)]
        guard !lately.reversed().contains(where: { $0.rows > 0 }) else { return false }
        awake[place]?.remove(group)
        return true
    }

    /// What was published last of a group without rows; nil where it had rows since.
    func silence(_ place: Place, group: [UInt8]) -> [UInt8]? {
        memories[place]?[group]?.head.silence
    }

    /// Notes what is published of a group without rows.
    mutating func setSilence(_ place: Place, group: [UInt8], _ verdicts: [UInt8]?) {
        guard let memory = memories[place]?[group], memory.head.silence != verdicts else { return }
        memory.head.silence = verdicts
        writeHead(place, group, memory)
    }

    /// Whether anything is known of a group.
    func knows(_ group: [UInt8], at place: Place) -> Bool { memories[place]?[group] != nil }

    // MARK: Asking

    /// What a group's window is compared with.
    ///
    /// `cellCount`: cells in which a column is learned, by its place in the segment.
    func references(
        _ group: [UInt8], segment: Int, _ closing: WindowClosing, cellCount: (Int) -> Int
    ) -> WindowReferences {
        var found = WindowReferences()
        for use in uses[segment] where use.sizes.contains(closing.size) {
            var ranges: [Int: Range<Int>] = [:]
            var count = 0
            for place in use.columns {
                let size = cellCount(place)
                ranges[place] = count..<(count + size)
                count += size
            }
            var reference = reference(
                Place(baseline: use.baseline, segment: segment, size: closing.size),
                group: use.isPooled ? Self.pooledPart : group,
                startMs: closing.window.startMs,
                cellCount: count + RowCounts.learnedCount * use.rowColumns.count,
                use)
            reference?.ranges = ranges
            // There are none of a group that is not known.
            let rows = reference?.cells.dropFirst(count) ?? []
            if !rows.isEmpty {
                for (number, place) in use.rowColumns.enumerated() {
                    reference?.rows[place] = RowCounts(
                        learned: rows.dropFirst(RowCounts.learnedCount * number))
                }
            }
            found[use.baseline] = reference
        }
        return found
    }

    /// What a window that starts at `startMs` is compared with.
    ///
    /// - `cellCount`: of the group's learned columns.
    /// - `use`: what is wanted beside sums; `nil`: nothing.
    func reference(
        _ place: Place, group: [UInt8], startMs: Int64, cellCount: Int, _ use: LearnedUse? = nil
    ) -> LearnedReference? {
        guard let learning = learning(place) else { return nil }
        let lengthMs = plan.stream.windows[place.size].lengthMs
        let needed = learning.windowCount(lengthMs: lengthMs)
        let times =
            learning.span == .sameTime
            ? learning.sameTimes(as: startMs, lengthMs: lengthMs) : []
        // The same before anything is known of the group: a window may be asked for again, when there is.
        var progress = LearnedProgress(
            windows: 0,
            windowsNeeded: times.isEmpty
                ? needed : times.reduce(0) { $0 + Int64($1.count) / lengthMs },
            rows: 0, rowsNeeded: learning.minRows)
        guard let memory = memories[place]?[group],
            !isForgotten(memory, learning, startMs: startMs)
        else { return LearnedReference(progress: progress) }
        let spanMs = needed * lengthMs
        let isOld: Bool
        let sum: LearnedSum
        var spans = times
        switch learning.span {
        case .first:
            let toMs = startMs.flooredDivision(by: lengthMs) * lengthMs
            sum = memory.sum(from: .min, to: toMs)
            spans = [.min..<toMs]
            isOld = startMs >= memory.head.beganMs + spanMs
        case .trailing:
            let toMs = (startMs - learning.skipMs).flooredDivision(by: lengthMs) * lengthMs
            let fromMs = memory.spanStart(spanMs, to: toMs)
            sum = memory.sum(from: fromMs, to: toMs)
            spans = [min(fromMs, toMs)..<toMs]
            isOld = fromMs >= memory.head.beganMs
        case .sameTime:
            var found = LearnedSum()
            for time in times {
                for window in memory.windows[time] { found.add(window) }
            }
            sum = found
            isOld = times.allSatisfy { $0.lowerBound >= memory.head.beganMs }
        }
        progress.windows = sum.windows
        progress.rows = sum.rows
        // Windows without rows have no cells.
        let missing = max(0, cellCount - sum.cells.count)
        var reference = LearnedReference(
            progress: progress, isInForce: isOld && sum.rows >= learning.minRows,
            cells: sum.cells + Array(repeating: 0, count: missing),
            beganMs: memory.head.beganMs, squares: sum.squares)
        if let use { add(use, of: memory, spans, to: &reference) }
        return reference
    }

    /// Adds what does not add up window by window to what was learned.
    private func add(
        _ use: LearnedUse, of memory: LearnedMemory, _ spans: [Range<Int64>],
        to reference: inout LearnedReference
    ) {
        for (number, column) in use.values.enumerated() {
            reference.values[column] = spans.flatMap { memory.windows[$0] }.compactMap { window in
                window.values.indices.contains(number) && !window.values[number].isNaN
                    ? window.values[number] : nil
            }
        }
        guard !use.seen.isEmpty, reference.isInForce else { return }
        var seen = memory.head.seen
        // Those before are in the head, though some are kept a while longer.
        for span in spans {
            for window in memory.windows[span] where window.startMs >= memory.head.throughMs {
                seen.merge(window.seen)
            }
        }
        for (place, counts) in zip(use.seen, seen) { reference.seen[place] = counts }
    }

    private func learning(_ place: Place) -> LearningPlan? {
        plan.stream.baselines[place.baseline].learning
    }

    private func isForgotten(
        _ memory: LearnedMemory, _ learning: LearningPlan, startMs: Int64
    ) -> Bool {
        startMs.flooredDivision(by: Self.dayMs) - memory.head.seenDay > learning.forgetDays
    }

    // MARK: Learning

    /// Takes a closed window of a group in, after it was compared and its alerts had their say.
    ///
    mutating func learn(
        _ group: [UInt8], _ counts: GroupCounts, segment: Int, _ closing: WindowClosing,
        alerts: AlertStates
    ) {
        for use in uses[segment] where use.sizes.contains(closing.size) {
            let place = Place(baseline: use.baseline, segment: segment, size: closing.size)
            var cells = use.columns.flatMap(counts.cells)
            for column in use.rowColumns { cells += counts.rowCounts(column).learned }
            let seen = use.seen.map { counts.seen($0) ?? SeenCounts() }
            if use.isPooled {
                addToPool(group, counts.rows, place, closing, alerts, cells, seen)
                continue
            }
            learn(
                place, group: group, closing, rows: counts.rows, isPresent: true, cells: cells,
                values: use.values.map { counts.value($0) ?? .nan }, seen: seen,
                isApart: isSetApart(place, group, closing.window.startMs, alerts))
        }
    }

    /// Adds a group to what all groups of the window come to.
    private mutating func addToPool(
        _ group: [UInt8], _ rows: Int64, _ place: Place, _ closing: WindowClosing,
        _ alerts: AlertStates, _ cells: [UInt64], _ seen: [SeenCounts]
    ) {
        guard closing.complete else { return }
        guard !isSetApart(place, group, closing.window.startMs, alerts) else {
            pools[place, default: Pool()].apartCount += 1
            return
        }
        pools[place, default: Pool()].rows += rows
        pools[place]?.seen.merge(seen)
        for (next, count) in cells.enumerated() {
            if next == pools[place]?.cells.count { pools[place]?.cells.append(0) }
            pools[place]?.cells[next] += count
        }
    }

    /// Takes in what all groups of a window that closed come to.
    private mutating func learnPools(_ closing: WindowClosing) {
        for (place, pool) in pools where place.size == closing.size {
            learn(
                place, group: Self.pooledPart, closing, rows: pool.rows, isPresent: true,
                cells: pool.cells, seen: pool.seen, isApart: pool.rows == 0 && pool.apartCount > 0)
        }
        pools = [:]
    }

    /// A window in which an alert that is judged by the baseline is open says what is not usual: it is set
    /// apart, and the span reaches further back instead.
    private func isSetApart(
        _ place: Place, _ group: [UInt8], _ startMs: Int64, _ alerts: AlertStates
    ) -> Bool {
        guard let span = learning(place)?.span, span != .first,
            let use = uses[place.segment].first(where: { $0.baseline == place.baseline })
        else { return false }
        return alerts.isTroubled(
            group, by: use.monitors, segment: place.segment, size: place.size, startMs: startMs)
    }

    /// Takes a closed window in.
    ///
    /// `rows`: 0 where a known group has none in the window. `isPresent`: something of it was published, if only
    /// that its rows came too late.
    mutating func learn(
        _ place: Place, group: [UInt8], _ closing: WindowClosing, rows: Int64, isPresent: Bool,
        cells: [UInt64], alerts: AlertStates
    ) {
        learn(
            place, group: group, closing, rows: rows, isPresent: isPresent, cells: cells,
            isApart: isSetApart(place, group, closing.window.startMs, alerts))
    }

    private mutating func learn(
        _ place: Place, group: [UInt8], _ closing: WindowClosing, rows: Int64, isPresent: Bool,
        cells: [UInt64], values: [Double] = [], seen: [SeenCounts] = [], isApart: Bool
    ) {
        // Of an incomplete window nothing is learned; it comes again.
        guard closing.complete, let learning = learning(place) else { return }
        let startMs = closing.window.startMs
        let lengthMs = closing.window.lengthMs
        let day = startMs.flooredDivision(by: Self.dayMs)
        if let memory = memories[place]?[group], isForgotten(memory, learning, startMs: startMs) {
            forget(place, group)
        }
        let known = memories[place]?[group]
        let memory =
            known ?? LearnedMemory(head: LearnedHead(beganMs: startMs, seenDay: day), name: group)
        if known == nil {
            byteCount += memory.byteCount
            memories[place, default: [:]][group] = memory
            writeHead(place, group, memory, isNew: true)
        } else if !memory.isHeadKnown {
            writeHead(place, group, memory)
        }
        if isPresent {
            awake[place, default: []].insert(group)
            setSilence(place, group: group, nil)
        }
        if rows > 0, day > memory.head.seenDay {
            memory.head.seenDay = day
            writeHead(place, group, memory)
        }
        // Windows that do not overlap: each row once.
        guard startMs == startMs.flooredDivision(by: lengthMs) * lengthMs else { return }
        if startMs < memory.head.beganMs {
            guard !memory.isHeadKnown else { return }
            memory.head.beganMs = startMs
        }
        guard closing.window.endMs > memory.head.throughMs,
            memory.windows[startMs..<startMs + 1].isEmpty
        else { return }
        if learning.span == .first {
            let needed = learning.windowCount(lengthMs: lengthMs)
            guard
                startMs < memory.head.beganMs + needed * lengthMs
                    || memory.sum(from: .min, to: startMs).rows < learning.minRows
            else { return }
        }
        if isApart {
            // The same time of earlier periods is not reached for further back.
            if learning.span == .trailing, memory.setApart(startMs..<closing.window.endMs) {
                writeHead(place, group, memory)
            }
            return
        }
        let window = LearnedWindow(
            startMs: startMs, rows: rows, counts: cells, values: values, seen: seen)
        insert(window, into: memory)
        entries.write(
            EntryID(place: place, group: group, startMs: startMs), isNew: true,
            byteCount: group.count + 44 + window.byteCount)
    }

    /// Says that a window of this length was closed, after all its groups.
    ///
    /// - Returns: what a person should know, once.
    mutating func closed(_ closing: WindowClosing) -> [Notice] {
        learnPools(closing)
        entries.close(closing)
        guard closing.complete else { return [] }
        defer { keepLimit(closing) }
        // Once a day: who was not seen for long is forgotten, as it would be on its return.
        let day = closing.window.startMs.flooredDivision(by: Self.dayMs)
        for place in memories.keys where place.size == closing.size && sweptDay[place] != day {
            sweptDay[place] = day
            guard let learning = learning(place) else { continue }
            for (group, memory) in memories[place] ?? [:]
            where isForgotten(memory, learning, startMs: closing.window.startMs) {
                forget(place, group)
            }
        }
        return passing(closing)
    }

    /// Forgets groups beyond the limit of a window: first those without rows for the longest, by
    /// the day, and among these the ones with the greatest hashes.
    private mutating func keepLimit(_ closing: WindowClosing) {
        for place in memories.keys where place.size == closing.size {
            let limit = plan.stream.segments[place.segment].groupCountMax
            guard let known = memories[place], known.count > limit else { continue }
            let asleep = known.keys.filter { !(awake[place]?.contains($0) ?? false) }
            let oldest = asleep.map { group in
                (group: group, day: known[group]?.head.seenDay ?? 0, hash: murmur3(group).low)
            }.sorted { $0.day != $1.day ? $0.day < $1.day : $0.hash > $1.hash }
            // A tenth more, so that this is not done for each of them.
            for one in oldest.prefix(known.count - limit + limit / 10) { forget(place, one.group) }
        }
    }

    /// Tells once for a segment that nearly all its groups are gone: its dimensions are names of
    /// requests, sessions or days.
    private mutating func passing(_ closing: WindowClosing) -> [Notice] {
        var notices: [Notice] = []
        for (place, known) in memories
        where place.size == closing.size && known.count >= 1_000 && !saidPassing.contains(place) {
            let lately = awake[place]?.count ?? 0
            guard lately * 4 < known.count else { continue }
            saidPassing.insert(place)
            notices.append(
                Notice(
                    "most groups of this segment do not come back: does a dimension name requests,"
                        + " sessions or days?",
                    [
                        ("segment", plan.stream.segments[place.segment].name),
                        ("groups", "\(known.count)"), ("with_rows_lately", "\(lately)"),
                    ]))
        }
        return notices
    }

    private mutating func forget(_ place: Place, _ group: [UInt8]) {
        guard let memory = memories[place]?.removeValue(forKey: group) else { return }
        byteCount -= memory.byteCount
        awake[place]?.remove(group)
        for window in memory.windows.all {
            entries.remove(EntryID(place: place, group: group, startMs: window.startMs))
        }
        // Its head goes, unless it learns anew before the commit.
        entries.remove(EntryID(place: place, group: group))
    }

    // MARK: State

    mutating func takeEntries(epoch: Int) -> [StateEntry] {
        if entries.settled.hasMoved {
            for (place, groups) in memories {
                for (group, memory) in groups { settle(memory, place, group) }
            }
        }
        let plan = plan
        return entries.take(epoch: epoch) { [memories] id in
            guard let memory = memories[id.place]?[id.group] else { return nil }
            guard let startMs = id.startMs else {
                memory.isHeadKnown = true
                return EntryContent(
                    appliedThroughMs: memory.head.throughMs, payload: memory.head.encoded())
            }
            guard let window = memory.windows[startMs..<startMs + 1].first else { return nil }
            return EntryContent(
                appliedThroughMs: startMs + plan.stream.windows[id.place.size].lengthMs,
                payload: window.encoded())
        }
    }

    /// Lets go of windows that nothing to come needs one by one.
    private mutating func settle(_ memory: LearnedMemory, _ place: Place, _ group: [UInt8]) {
        if !memory.isHeadKnown { writeHead(place, group, memory) }
        let settledMs = entries.settled.throughMs[place.size]
        guard settledMs != TimeLimit.never, let learning = learning(place),
            !memory.windows.all.isEmpty || !memory.head.apart.isEmpty
        else { return }
        let lengthMs = plan.stream.windows[place.size].lengthMs
        // No window to come starts earlier.
        let startMs = settledMs - lengthMs
        let spareMs: Int64
        switch learning.span {
        case .first:
            // What the head took in one commit ago.
            spareMs = memory.head.throughMs
            let use = uses[place.segment].first { $0.baseline == place.baseline }
            // Values don't add up.
            guard use?.values.isEmpty ?? true else { return }
            let folded = memory.windows.all.filter {
                $0.startMs >= memory.head.throughMs && $0.startMs + lengthMs <= startMs
            }
            for window in folded { memory.head.take(window, endMs: window.startMs + lengthMs) }
            if !folded.isEmpty { writeHead(place, group, memory) }
        case .trailing:
            let toMs = (startMs - learning.skipMs).flooredDivision(by: lengthMs) * lengthMs
            spareMs = memory.spanStart(
                learning.windowCount(lengthMs: lengthMs) * lengthMs, to: toMs)
            let count = memory.head.apart.count
            memory.head.apart.removeAll { $0.upperBound <= spareMs }
            if memory.head.apart.count != count { writeHead(place, group, memory) }
        case .sameTime:
            spareMs =
                (startMs - learning.reachMs).flooredDivision(by: lengthMs) * lengthMs
        }
        let spare = memory.windows[.min..<spareMs]
        for window in spare {
            entries.remove(EntryID(place: place, group: group, startMs: window.startMs))
        }
        weigh(memory) { memory in
            memory.byteCount -= spare.reduce(0) { $0 + $1.byteCount }
            memory.windows.removeFirst(spare.count)
        }
    }

    mutating func restore(_ frame: StateFrame, key: [UInt8]) -> StateRestoration {
        guard let (place, group, startMs) = keys.learned(key),
            plan.stream.baselines[place.baseline].learning != nil
        else { return .unusable("no baseline of this topology has it") }
        let day = startMs.map { $0.flooredDivision(by: Self.dayMs) }
        if let startMs, let day {
            guard let window = LearnedWindow(startMs: startMs, frame.payload) else {
                return .unusable("it is not a window of a baseline")
            }
            let memory =
                memories[place]?[group]
                ?? LearnedMemory(head: LearnedHead(beganMs: startMs, seenDay: day), name: group)
            if memories[place]?[group] == nil { memory.isHeadKnown = false }
            if !memory.isHeadKnown {
                memory.head.beganMs = min(memory.head.beganMs, startMs)
                memory.head.seenDay = max(memory.head.seenDay, day)
            }
            if memories[place]?[group] == nil { byteCount += memory.byteCount }
            insert(window, into: memory)
            memories[place, default: [:]][group] = memory
        } else {
            guard let head = LearnedHead(frame.payload) else {
                return .unusable("it is not the head of a baseline")
            }
            let memory = memories[place]?[group] ?? LearnedMemory(head: head, name: group)
            memory.head = head
            memory.isHeadKnown = true
            if memories[place]?[group] == nil { byteCount += memory.byteCount }
            memories[place, default: [:]][group] = memory
        }
        awake[place, default: []].insert(group)
        return .taken
    }
}
