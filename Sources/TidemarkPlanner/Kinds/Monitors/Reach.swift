import TidemarkDataflow
import TidemarkLanguage
import TidemarkText
import TidemarkTopology

/// Where a monitor looks and what it compares with: keys that kinds have in common.
enum Reach {
    static let segments = KeySpec(
        "segments", .list("a list of segments"), says: "all", "where it looks")
    static let windows = KeySpec(
        "windows", .list("a list of window lengths"), says: "all", "where it looks")
    /// What columns are compared with.
    static let against = KeySpec(
        "against",
        .any(
            "the name of a baseline, { first }, { trailing }, { same_time } or { other }, or a list of them"
        ),
        says: "the only one",
        "the baseline to compare with; of several each has a verdict of its own")

    /// Sets the segments and windows of a monitor.
    static func read(_ f: Fields, _ scope: Scope, into plan: inout MonitorPlan) {
        plan.segments = segments(f, segments, scope) ?? Array(scope.segments.plans.indices)
        plan.windows = Array(scope.windows.indices)
        if let node = f[windows] {
            plan.windows = WindowPart.named(node, in: scope.windows, f.reading) ?? plan.windows
        }
    }

    /// The segments that a key names; `nil`: it names none.
    static func segments(_ f: Fields, _ key: KeySpec, _ scope: Scope) -> [Int]? {
        guard let node = f[key] else { return nil }
        var found: [Int] = []
        let names = scope.segments.plans.map(\.name)
        for item in f.reading.list(node, what: "a list of segments", orOne: true, countMax: 32) {
            guard let name = f.reading.text(item, expected: "a segment") else { continue }
            guard let index = names.firstIndex(of: name) else {
                f.reading.say(
                    "unknown-segment", at: item.place, "no segment \(shown(name))",
                    expected: alternatives(names),
                    suggestion: nearest(name, names).map { "`\($0)`" })
                continue
            }
            if !found.contains(index) { found.append(index) }
        }
        return found.sorted()
    }

    /// The baselines of a monitor that compares with several; none where it does not.
    static func listed(of entry: Node.Entry, _ kind: any MonitorKind, _ reading: Reading) -> [Node]
    {
        guard kind.part?.key(against.name) != nil,
            let node = entry.value.entries?.first(where: { $0.key == against.name })?.value,
            node.items != nil
        else { return [] }
        return reading.list(node, what: "a list of baselines", countMax: 8)
    }

    /// What a monitor compares with: a baseline by name, or one of its own.
    ///
    /// - Returns: its place; `nil` after saying what is wrong.
    static func against(_ node: Node, of monitor: String, _ scope: inout Scope) -> Int? {
        if node.items != nil {
            // An empty one: others were taken apart before.
            scope.reading.say(
                "empty-list", at: node.place, "`against` has no baseline in it",
                expected: "baselines", suggestion: "delete it for the only one")
            return nil
        }
        guard node.entries != nil else {
            return scope.reading.text(node).flatMap {
                scope.baselines.named($0, at: node.place, scope.reading)
            }
        }
        let name = scope.baselines.ownName(of: monitor)
        let entry = Node.Entry(key: name, keyPlace: node.place, value: node)
        return scope.baselineReader.baseline(entry).map { scope.baselines.add($0) }
    }

    /// The baseline that columns are compared with; `nil` after reporting that it can't be told which.
    ///
    /// - `learns`: what is learned will do where no baseline is declared.
    static func baseline(
        _ f: Fields, of entry: Node.Entry, learns: Bool = false, _ scope: inout Scope
    ) -> Int? {
        if let node = f[against] { return against(node, of: entry.key, &scope) }
        let declared = scope.baselines.plans.prefix(scope.baselines.declaredCount).map(\.name)
        switch declared.count {
        case 0:
            if learns { return usual(for: entry, &scope) }
            f.reading.say(
                "no-baseline", at: entry.keyPlace,
                "\(shown(entry.key)) has no baseline to compare with",
                expected: "`baselines`",
                suggestion: "`baselines: { training: { file: baselines/training.json } }`")
            return nil
        case 1: return 0
        default:
            f.reading.say(
                "against-needed", at: entry.keyPlace,
                "\(shown(entry.key)) could use \(alternatives(declared))", expected: "`against`",
                suggestion: "`against: \(declared[0])`")
            return nil
        }
    }

    /// The first hour of each group, where a topology declares no baseline and a monitor needs one: all such monitors
    /// share it.
    private static func usual(for entry: Node.Entry, _ scope: inout Scope) -> Int {
        let name = "learned"
        if let known = scope.baselines.plans.firstIndex(where: { $0.name == name }) { return known }
        scope.reading.say(
            .note, "baseline-learned", at: entry.keyPlace,
            "no baseline is declared: \(shown(entry.key)) is compared with each group's first hour",
            expected: "`baselines`",
            suggestion: "`baselines: { training: { file: baselines/training.json } }`")
        let plan = BaselinePlan(
            name: name, learning: LearningPlan(span: .first, lengthMs: hourMs))
        return scope.baselines.add(BaselinePart.Baseline(plan: plan, place: entry.keyPlace))
    }

    /// The columns behind the key of a kind, all that are watched without it, and those of them that are named;
    /// `nil` after reporting what is wrong.
    static func columns(
        _ f: Fields, _ key: KeySpec, of entry: Node.Entry, _ scope: Scope
    ) -> (picked: [Int], named: Set<Int>)? {
        guard let node = f[key] else { return (scope.watchedColumns, []) }
        if node.isOff {
            f.reading.say(
                "not-off", at: node.place, "`\(key.name)` cannot be switched off inside a monitor",
                expected: "columns", suggestion: "`\(entry.key): off`")
            return nil
        }
        return Selector.read(node, columns: scope.columns, reading: f.reading)
    }

    /// Each column that is named must be watched where the monitor looks.
    static func checkWatched(_ read: ReadMonitor, _ scope: Scope) {
        for place in read.plan.segments {
            let segment = scope.segments.plans[place]
            for index in read.plan.columns
            where !segment.columns.contains(index) && read.named.contains(index) {
                scope.reading.say(
                    "not-watched", at: read.place,
                    "segment `\(segment.name)` does not watch `\(scope.columns[index].name)`",
                    expected: "a column of the segment", suggestion: "add it to its `columns`")
            }
        }
    }

    /// Says where a trailing span has more windows than are kept one by one.
    ///
    /// - Returns: whether it has.
    @discardableResult
    static func sayIfTooMany(
        _ learning: LearningPlan, _ window: WindowPlan, of plan: MonitorPlan, _ scope: Scope
    ) -> Bool {
        if learning.span == .sameTime {
            return sayIfTooLong(learning, window, of: plan, scope)
        }
        let count = learning.windowCount(lengthMs: window.lengthMs)
        guard learning.span == .trailing, count > LearningPlan.windowCountMax else { return false }
        let longest = roundedDown(window.lengthMs * LearningPlan.windowCountMax)
        scope.reading.say(
            "too-many", at: scope.baselines.places[plan.baseline],
            "\(durationText(learning.lengthMs)) is \(count) windows of "
                + "\(durationText(window.lengthMs)), which are all kept",
            expected: "at most \(LearningPlan.windowCountMax)",
            suggestion: "`trailing: \(durationText(longest))`, "
                + "or `windows` with longer ones in `\(plan.name)`")
        return true
    }

    /// Says where the same time of one period would reach into that of the next, or more windows lie between than
    /// are kept one by one.
    ///
    /// - Returns: whether it does.
    private static func sayIfTooLong(
        _ learning: LearningPlan, _ window: WindowPlan, of plan: MonitorPlan, _ scope: Scope
    ) -> Bool {
        let (length, period) = (durationText(window.lengthMs), durationText(learning.lengthMs))
        guard window.lengthMs + 2 * learning.aroundMs <= learning.lengthMs else {
            let longestMs = (learning.lengthMs - window.lengthMs) / 2
            scope.reading.say(
                "same-time-too-long", at: scope.baselines.places[plan.baseline],
                "a window of \(length)"
                    + (learning.aroundMs > 0
                        ? " with \(durationText(learning.aroundMs)) around it" : "")
                    + " is longer than \(period)",
                expected: "windows that, with `around`, are at most as long as `same_time`",
                suggestion: longestMs > 0
                    ? "`around: \(durationText(roundedDown(longestMs)))`"
                    : "`windows` with shorter ones in `\(plan.name)`")
            return true
        }
        let count = learning.keptCount(lengthMs: window.lengthMs)
        guard count > LearningPlan.sameTimeWindowCountMax else { return false }
        let times = LearningPlan.sameTimeWindowCountMax * window.lengthMs / learning.lengthMs
        scope.reading.say(
            "too-many", at: scope.baselines.places[plan.baseline],
            "\(learning.times) times \(period) is \(count) windows of \(length), which are all "
                + "kept",
            expected: "at most \(LearningPlan.sameTimeWindowCountMax)",
            suggestion: times > 0
                ? "`times: \(times)`, or `windows` with longer ones in `\(plan.name)`"
                : "`windows` with longer ones in `\(plan.name)`")
        return true
    }

    /// Takes the segments out of a monitor whose groups lack a dimension of the other group, and says so.
    static func keepSegments(of other: OtherGroupPlan, _ read: inout ReadMonitor, _ scope: Scope) {
        let place = scope.baselines.places[read.plan.baseline]
        func missing(_ segment: Int) -> String? {
            let names = scope.segments.plans[segment].dimensions.map(\.name)
            return other.replaced.first { !names.contains($0.dimension) }?.dimension
        }
        let kept = read.plan.segments.filter { missing($0) == nil }
        guard let first = read.plan.segments.first,
            let dimension = missing(first)
                ?? (read.plan.segments.lazy.compactMap { missing($0) }.first)
        else { return }
        guard !kept.isEmpty else {
            let column = scope.columns.contains { $0.name == dimension }
            scope.reading.say(
                column ? "unknown-dimension" : "unknown-column", at: place,
                "no segment of `\(read.plan.name)` has the dimension \(shown(dimension))",
                expected: "a segment by \(other.replaced.map(\.dimension).joined(separator: ", "))",
                suggestion: column
                    ? "`segments: { by-\(dimension): { by: [\(dimension)] } }`"
                    : nearest(dimension, scope.columns.map(\.name)).map { "`\($0)`" })
            return
        }
        for segment in read.plan.segments where !kept.contains(segment) {
            scope.reading.say(
                .note, "other-without-dimension", at: place,
                "`\(read.plan.name)` does not compare groups of segment "
                    + "`\(scope.segments.plans[segment].name)`, which has no "
                    + "`\(missing(segment) ?? "")`",
                expected: "segments by that dimension",
                suggestion: "`segments` in the monitor")
        }
        read.plan.segments = kept
    }

    /// To whole days, hours or minutes.
    private static func roundedDown(_ ms: Int64) -> Int64 {
        let unit = [dayMs, hourMs, minuteMs].first { $0 <= ms } ?? 1
        return ms / unit * unit
    }
}
