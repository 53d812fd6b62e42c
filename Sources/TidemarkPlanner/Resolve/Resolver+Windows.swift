import TidemarkDataflow
import TidemarkTopology

/// Windows, panes, baselines, and what they ask of limits.
extension Resolver {
    static let windowSpec = FieldSpec(
        "windows", .duration(secondMs...weekMs), "length of a window")

    func readWindows(_ top: Fields) {
        guard let node = top["windows"] else {
            windows = [WindowPlan(lengthMs: 5 * minuteMs, stepMs: 5 * minuteMs)]
            return
        }
        // A map in place of the list is one window as others write it.
        let items =
            node.entries == nil
            ? reading.list(node, what: "a list of windows", orOne: true, countMax: 8) : [node]
        if node.items?.isEmpty ?? false {
            reading.say(
                "empty-list", at: node.place, "no window is given", expected: "at least one",
                suggestion: "delete the line for the default ([5m])")
        }
        for item in items {
            if let entries = item.entries {
                // As other systems have it: a length and a step by name.
                func text(_ names: [String]) -> String? {
                    entries.first { names.contains($0.key) }?.value.text
                }
                let length = text(["size", "length", "duration", "every", "window"])
                let step = text(["step", "slide", "hop", "advance"])
                reading.say(
                    "not-a-text", at: item.place, "a map stands here",
                    expected: "a window like 5m, or 15m every 5m",
                    suggestion: length.map { length in
                        let text = "\(length)\(step.map { " every \($0)" } ?? "")"
                        return node.entries == nil ? "`\(text)`" : "`windows: [\(text)]`"
                    })
                continue
            }
            guard let text = reading.text(item, expected: "a window like 5m, or 15m every 5m")
            else {
                continue
            }
            let words = text.split(separator: " ").map(String.init)
            var texts = [text]
            if words.count == 3, words[1] == "every" { texts = [words[0], words[2]] }
            var values: [Int64] = []
            for text in texts {
                guard
                    let ms = reading.scalar(
                        Node(text: text, at: item.place), Self.windowSpec, Reading.duration)
                else { break }
                values.append(ms)
            }
            guard values.count == texts.count else { continue }
            let length = values[0]
            let step = values.count > 1 ? values[1] : length
            guard step <= length, length % step == 0 else {
                var suggestions: [String] = []
                if step < length {
                    let next = (length / step + 1) * step
                    suggestions.append("`\(durationText(next)) every \(durationText(step))`")
                    let unit: Int64 = length % minuteMs == 0 ? minuteMs : secondMs
                    var divisor = min(step, length) / unit * unit
                    while divisor >= unit, length % divisor != 0 { divisor -= unit }
                    if divisor >= unit, divisor < length {
                        suggestions.append(
                            "`\(durationText(length)) every \(durationText(divisor))`")
                    }
                }
                reading.say(
                    "window-step", at: item.place,
                    "\(texts[0]) is not a multiple of \(texts.count > 1 ? texts[1] : texts[0])",
                    expected: "a step that divides the length",
                    suggestion: suggestions.isEmpty
                        ? "`\(durationText(length))`" : suggestions.joined(separator: " or "))
                continue
            }
            if windows.contains(where: { $0.lengthMs == length }) {
                reading.say(
                    "listed-twice", at: item.place,
                    "a window of \(durationText(length)) is there already",
                    expected: "lengths that differ", suggestion: "delete one of them")
                continue
            }
            if length / step > 60 {
                reading.say(
                    .note, "windows-overlap", at: item.place,
                    "each row is in \(length / step) windows: tests repeat the same rows",
                    expected: "at most 60", suggestion: "a longer step")
            }
            windows.append(WindowPlan(lengthMs: length, stepMs: step))
        }
    }

    /// Refuses a `max_reread` under which open windows would be written out with every commit.
    func checkReread(_ plan: Plan, _ top: Fields) {
        let floorMs = plan.rereadFloorMs
        guard plan.limits.maxRereadMs < floorMs else { return }
        let place = (top.entry("limits") ?? top.entry("source"))?.keyPlace ?? top.place
        reading.say(
            "out-of-limits", at: place,
            "max_reread (\(durationText(plan.limits.maxRereadMs))) is less than a pane, "
                + "out_of_orderness and alignment together (\(durationText(floorMs)))",
            expected: "at least \(durationText(floorMs))",
            suggestion: "`limits: { max_reread: \(durationText(floorMs)) }`")
    }

    /// Notes where records are asked for after longer than Kafka keeps them by default.
    func noteRetention(_ plan: Plan, _ top: Fields) {
        let usualMs: Int64 = 7 * 86_400_000
        for need in plan.neededTopics {
            if need.role == .source, let ms = need.rereadMs, ms > usualMs {
                reading.say(
                    .note, "retention",
                    at: (top.entry("windows") ?? top.entry("source"))?.keyPlace ?? top.place,
                    "a restart may read \(durationText(ms)) again, and Kafka keeps 7d by default",
                    expected: "retention.ms over \(ms) on \(shown(need.name))",
                    suggestion: "`tidemark topics check` compares them")
            }
            if let ms = need.openMs, ms > usualMs {
                reading.say(
                    .note, "retention",
                    at: top.entry("alerts")?.keyPlace ?? top.entry("monitors")?.keyPlace
                        ?? top.place,
                    "an alert may be open for \(durationText(ms)) and longer, and Kafka keeps 7d by default",
                    expected:
                        "cleanup.policy=compact, or retention.ms from \(ms), on \(shown(need.name))",
                    suggestion: "`tidemark topics check` compares them")
            }
        }
    }

    /// Refuses a topology whose own numbers do not fit the memory: groups that a `limit` allows or
    /// a baseline has.
    func checkMemory(_ plan: Plan, _ top: Fields) {
        guard !reading.hasErrors else { return }
        let estimate = MemoryEstimate(plan)
        facts.memory = estimate
        let part = plan.limits.memory.paneBytes
        let counts = plan.stream.segments.enumerated().map { index, segment in
            let fact = facts.groups.indices.contains(index) ? facts.groups[index] : (1, false)
            let count =
                fact.1
                ? fact.0 : writtenLimits[segment.name] == nil ? 1 : segment.groupCountMax
            return max(1, count, segment.keep.count)
        }
        let need = estimate.bytes(groupCounts: counts)
        guard need > part else { return }
        let largest = counts.indices.max {
            counts[$0] * estimate.groupBytes[$0] < counts[$1] * estimate.groupBytes[$1]
        }
        guard let largest else { return }
        let segment = plan.stream.segments[largest]
        // Panes and windows have about a third of the whole.
        let whole = (3 * (need >> 20) / 64 + 1) * 64
        let others = need - counts[largest] * estimate.groupBytes[largest]
        let fitting = estimate.groupCount(segment: largest, bytes: part - others)
        let limitPlace = writtenLimits[segment.name]
        reading.say(
            "memory-over-limit",
            at: limitPlace ?? top.entry("limits")?.value.place ?? top.place,
            "\(counts[largest]) groups of \(shown(segment.name)) take about"
                + " \(estimate.groupBytes[largest] >> 10) KiB each, \(max(1, need >> 20)) MiB with all"
                + " there is; panes and windows have \(part >> 20) of the"
                + " \(plan.limits.memoryBytes >> 20) MiB",
            expected: fitting > 0
                ? "at most \(fitting) groups, or a greater limits.memory"
                : "a greater limits.memory",
            suggestion: limitPlace != nil && fitting > 0
                ? "`limit: \(fitting)`" : "`limits: { memory: \(whole)MiB }`")
    }

    func pane(_ top: Fields) -> Int64 {
        var divisor: Int64 = 0
        for window in windows {
            divisor = gcd(gcd(divisor, window.lengthMs), window.stepMs)
        }
        guard divisor > 0 else { return secondMs }
        if let ms = reading.duration(top, "pane"), let entry = top.entry("pane") {
            if divisor % ms == 0 { return ms }
            reading.say(
                "pane-step", at: entry.value.place,
                "\(durationText(ms)) does not divide every length and step of `windows`",
                expected: "a divisor of \(durationText(divisor))",
                suggestion: longestDivisor(of: divisor, upTo: ms).map { "`\(durationText($0))`" })
            return ms
        }
        if let ms = longestDivisor(of: divisor, upTo: minuteMs) { return ms }
        if !top.has("pane"), let entry = top.entry("windows") {
            reading.say(
                "pane-step", at: entry.value.place,
                "the lengths and steps have no common divisor from 1s to 1m",
                expected: "whole seconds", suggestion: "round them")
        }
        return secondMs
    }

    private func longestDivisor(of value: Int64, upTo limit: Int64) -> Int64? {
        var candidate = min(limit, value)
        while candidate >= secondMs {
            if value % candidate == 0 { return candidate }
            candidate -= 1
        }
        return nil
    }

    private func gcd(_ a: Int64, _ b: Int64) -> Int64 { b == 0 ? a : gcd(b, a % b) }

    // MARK: Baselines

    func readBaselines(_ top: Fields) {
        guard let node = top["baselines"] else { return }
        for entry in reading.named(
            node, what: "baselines", item: "a baseline, `{ file: … }`", countMax: 32)
        {
            if entry.value.isOff { continue }
            guard Scalars.isColumnName(entry.key), entry.key == entry.key.lowercased() else {
                reading.say(
                    "bad-name", at: entry.keyPlace, "\(shown(entry.key)) can't name a baseline",
                    expected: "a letter, then letters, digits or _", suggestion: nil)
                continue
            }
            if let (plan, place) = readBaseline(entry) {
                baselines.append(plan)
                baselinePlaces.append(place)
            } else {
                // Held back: what would follow from its absence.
                baselines.append(BaselinePlan(name: entry.key, path: "", contentHash: ""))
                baselinePlaces.append(entry.keyPlace)
            }
        }
    }

    private static let baselineKinds = ["file", "first", "trailing"]

    /// One baseline, about to be added to `baselines`.
    func readBaseline(_ entry: Node.Entry) -> (plan: BaselinePlan, place: Place)? {
        guard
            let f = reading.fields(
                entry.value, Spec.baseline, what: "a baseline",
                shape: "{ file: … }, { first: … } or { trailing: … }")
        else { return nil }
        let given = Self.baselineKinds.compactMap { f.entry($0) }
        guard let kind = given.first else {
            // A key that is no key at all was said already.
            let known = Spec.baseline.fields.map(\.name)
            guard entry.value.entries?.allSatisfy({ known.contains($0.key) }) ?? true else {
                return nil
            }
            reading.say(
                "missing-key", at: entry.keyPlace,
                "\(shown(entry.key)) says not where it comes from",
                expected: "one of " + Self.baselineKinds.joined(separator: ", "),
                suggestion: "`\(entry.key): { file: baselines/\(entry.key).json }`")
            return nil
        }
        guard given.count == 1 else {
            reading.say(
                "two-kinds", at: given[1].keyPlace,
                "\(shown(given[1].key)) is a second kind beside \(shown(kind.key)) "
                    + "(\(kind.keyPlace.line):\(kind.keyPlace.column))",
                expected: "one of " + Self.baselineKinds.joined(separator: ", "),
                suggestion: "two baselines")
            return nil
        }
        // Keys of another kind.
        for (key, kinds) in [
            ("skip", ["trailing"]), ("min_rows", ["first", "trailing"]),
            ("per", ["first", "trailing"]),
        ] where !kinds.contains(kind.key) {
            guard let wrong = f.entry(key) else { continue }
            reading.say(
                "misplaced-key", at: wrong.keyPlace,
                "\(shown(key)) is no key of a baseline with `\(kind.key)`",
                expected: "`\(key)` beside " + alternatives(kinds.map { "`\($0)`" }),
                suggestion: "delete it")
        }
        if let span = LearningPlan.Span(rawValue: kind.key) {
            guard let ms = reading.duration(f, kind.key) else { return nil }
            var learning = LearningPlan(span: span, lengthMs: ms)
            if let skipMs = reading.duration(f, "skip") { learning.skipMs = skipMs }
            if let rows = reading.count(f, "min_rows") { learning.minRows = rows }
            _ = reading.choice(f, "per")
            return (BaselinePlan(name: entry.key, learning: learning), kind.value.place)
        }
        guard let file = reading.string(f, "file") else { return nil }
        let path = resolved(file)
        var plan = BaselinePlan(name: entry.key, path: path, contentHash: "")
        switch load(path) {
        case .success(let summary):
            plan.contentHash = summary.contentHash
            summaries[baselines.count] = summary
        case .failure(let problem):
            reading.say(
                "baseline-unreadable", at: kind.value.place, "\(file) \(problem.message)",
                expected: "a file from `tidemark baseline build`",
                suggestion: "build it, or another path (seen from the topology's folder)")
        }
        return (plan, kind.value.place)
    }

    /// Whether a baseline holds a column; true where nothing is known of it.
    func holds(_ baseline: Int, _ column: Int) -> Bool {
        guard let summary = summaries[baseline] else { return true }
        return summary.columns.contains { $0.name == columns[column].name }
    }
}
