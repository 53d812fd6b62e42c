import Glibc
import TidemarkCore
import TidemarkDataflow
import TidemarkText

/// What each window is compared with, worked out from the windows that were published before it.
enum LearnedByHand {
    private struct Seen {
        var start: Int64
        var end: Int64
        var cell: NaiveRecompute.Cell
        var json: JSONValue
        var complete: Bool
        /// A known group without a row: there is a record of the group alone.
        var isAbsent = false
        /// Nothing was published: it has no row as before.
        var isSilent = false
    }

    /// Windows whose learned baselines are not what the windows before them come to.
    static func differences(_ outcome: SimulationOutcome, _ plan: Plan) -> [String] {
        var series: [String: [Seen]] = [:]
        for (key, values) in outcome.aggregates {
            let ofColumn = key.replacing("/-/", with: "/x/")
            guard !key.hasPrefix("by-model/-/"),
                key == ofColumn || outcome.aggregates[ofColumn] == nil,
                // Metrics and rules are columns of their own.
                ofColumn.contains("/x/")
            else { continue }
            for value in values {
                guard let json = try? JSONValue(parsing: Array(value.utf8)),
                    let start = json["window"]?["start"]?.asInteger,
                    let end = json["window"]?["end"]?.asInteger,
                    let cell = NaiveRecompute.cell(value)
                else { continue }
                let name = ofColumn.split(separator: "/").dropLast().joined(separator: "/")
                series[name, default: []].append(
                    Seen(
                        start: start, end: end, cell: cell, json: json,
                        complete: value.contains("\"complete\":true"), isAbsent: key != ofColumn))
            }
        }
        addSilence(&series)
        let episodes = AlertsByHand.history(outcome, plan).episodes
        var found = volumes(outcome, plan, series, episodes)
        let pools = pooled(series, episodes, plan)
        if WatchesByHand.areThere(plan) { found += WatchesByHand.rollUps(outcome, plan) }
        for (name, windows) in series {
            found += rivals(name, windows, series, plan, outcome)
            for baseline in plan.stream.baselines {
                guard let learning = baseline.learning, baseline.name != "began" else { continue }
                let monitor = monitor(of: baseline)
                var apart = troubles(
                    name, episodes, plan,
                    baseline.name == "recent" ? [monitor, "traffic"] : [monitor])
                // Only a baseline of rows takes note of windows without any.
                var known = windows.filter { baseline.name == "recent" || !$0.isAbsent }
                if learning.isPooled {
                    let length = name.split(separator: "/").last.map(String.init) ?? ""
                    (known, apart) = pools[length] ?? ([], [])
                }
                for window in windows where !window.isAbsent {
                    let want = expected(window, known, learning, apart)
                    let verdict = window.json["verdicts"]?.asArray?.first {
                        $0["monitor"]?.asText == monitor
                    }
                    let drift = window.json["drift"]?.asArray?.first {
                        $0["baseline"]?.asText == baseline.label
                    }
                    let place = "\(name)/\(window.start) \(baseline.name)"
                    if baseline.name == "recent", window.complete, WatchesByHand.areThere(plan) {
                        found += WatchesByHand.differences(
                            WatchesByHand.Window(
                                key: "\(name)/\(window.start)", start: window.start,
                                end: window.end, cell: window.cell,
                                began: began(windows),
                                learned: want.isWhole
                                    ? want.windows.map { ("\(name)/\($0.start)", $0.cell) } : nil),
                            outcome)
                    }
                    if MetricsByHand.areThere(plan) {
                        found += metrics(of: baseline, name, window, want, outcome).map {
                            "\(place): \($0)"
                        }
                    }
                    let isLearning = verdict?["verdict"]?.asText == "learning"
                    if isLearning == want.isWhole {
                        found.append("\(place): learning \(isLearning), by hand \(!want.isWhole)")
                    } else if isLearning {
                        let learned = verdict?["learned"]
                        if learned?["windows"]?.asInteger != Int64(want.windows.count)
                            || learned?["rows"]?.asInteger != Int64(want.rows)
                        {
                            found.append(
                                "\(place): learned \(learned.map { "\($0)" } ?? "nothing"), by hand \(want.windows.count) windows, \(want.rows) rows"
                            )
                        }
                    } else if window.cell.value > 0 {
                        let psi = drift?["tests"]?["psi"]?["value"]?.asNumber ?? -1
                        let hand = Self.psi(window.cell.bins, want.bins)
                        if abs(psi - hand) > 1e-9
                            || drift?["n_baseline"]?.asInteger != Int64(want.bins.reduce(0, +))
                        {
                            found.append("\(place): psi \(psi), by hand \(hand)")
                        }
                    }
                }
            }
        }
        return found
    }

    /// Start of a group's first window: of those that close first the one that closed first.
    private static func began(_ windows: [Seen]) -> Int64 {
        windows.filter { $0.complete && !$0.isAbsent }.min { $0.end < $1.end }?.start ?? .max
    }

    /// Windows of which nothing is published, since the group has no row in them as in the one before.
    private static func addSilence(_ series: inout [String: [Seen]]) {
        for (name, windows) in series {
            let length = name.split(separator: "/").last ?? ""
            let all = Set(
                series.filter { $0.key.hasSuffix("/\(length)") }.values.joined()
                    .filter { $0.complete && !$0.isSilent }.map(\.start))
            let published = Dictionary(grouping: windows.filter(\.complete), by: \.start)
            var last: Seen?
            for start in all.sorted() {
                if let one = published[start]?.first {
                    last = one
                } else if let last, last.isAbsent {
                    series[name, default: []].append(
                        Seen(
                            start: start, end: start + last.end - last.start, cell: last.cell,
                            json: last.json, complete: true, isAbsent: true, isSilent: true))
                }
            }
        }
    }

    /// Records of groups as a whole that are not what the windows before them come to.
    private static func volumes(
        _ outcome: SimulationOutcome, _ plan: Plan, _ series: [String: [Seen]],
        _ episodes: [String: [Range<Int64>]]
    ) -> [String] {
        guard let learning = plan.stream.baselines.first(where: { $0.name == "recent" })?.learning,
            plan.stream.monitors.contains(where: { $0.kind == "volume" })
        else { return [] }
        var found: [String] = []
        for (name, windows) in series {
            let apart = troubles(name, episodes, plan, ["lately", "traffic"])
            let length = name.split(separator: "/").last ?? ""
            // Every window that there was, of any group.
            let all = Set(
                series.filter { $0.key.hasSuffix("/\(length)") }.values.joined()
                    .filter(\.complete).map(\.start))
            let began = windows.filter { $0.complete && !$0.isAbsent }.map(\.start).min() ?? .max
            let missing = all.filter { $0 > began }.subtracting(windows.map(\.start))
            if !missing.isEmpty { found.append("\(name): no record for \(missing.sorted())") }
            for window in windows where !window.isSilent {
                let place = "\(name)/\(window.start) traffic"
                let key = name.replacing("/x/", with: "/-/") + "/\(window.start)"
                guard
                    let json = outcome.aggregates[key]?.first.flatMap({
                        try? JSONValue(parsing: Array($0.utf8))
                    }), let verdict = json["verdicts"]?.asArray?.first
                else {
                    found.append("\(place): not judged")
                    continue
                }
                let rows = window.cell.total
                if json["rows"]?["total"]?.asInteger != Int64(rows) {
                    found.append("\(place): \(json), by hand \(rows) rows")
                }
                let want = expected(window, windows, learning, apart)
                let said = verdict["verdict"]?.asText
                if rows < 2 {
                    if said != "drop" { found.append("\(place): \(rows) rows are \(said ?? "-")") }
                } else if !want.isWhole {
                    if said != "learning" {
                        found.append("\(place): \(said ?? "-") before it is whole")
                    }
                } else if want.windows.count > 1 {
                    let mean = Double(want.rows) / Double(want.windows.count)
                    if abs((verdict["expected"]?.asNumber ?? -1) - mean) > 1e-9 {
                        found.append("\(place): \(verdict), by hand \(mean) expected")
                    }
                    let change = Double(rows) / mean - 1
                    let size = change > 0 ? change / 0.3 : change / -0.2
                    let isFar = said == "drop" || said == "rise"
                    if isFar && size < 1
                        || said == "ok" && verdict["p"]?.asNumber ?? 1 <= 0.2 && size >= 1
                    {
                        found.append("\(place): \(verdict), by hand \(change)")
                    }
                }
            }
        }
        return found
    }

    /// Metrics of a learned baseline that are not what its windows come to.
    private static func metrics(
        of baseline: BaselinePlan, _ name: String, _ window: Seen,
        _ want: (isWhole: Bool, windows: [Seen], rows: Int, bins: [Int]),
        _ outcome: SimulationOutcome
    ) -> [String] {
        func value(_ metric: String, _ start: Int64) -> Double? {
            MetricsByHand.value(metric, "\(name)/\(start)", outcome)
        }
        var hand: [(String, Double?)] = []
        switch baseline.name {
        case "recent":
            let sum = want.windows.reduce(0) { $0 + (value("sum_x", $1.start) ?? 0) }
            hand = [
                ("sum_recent", sum / Double(max(1, want.windows.count))),
                (
                    "shift_recent",
                    window.cell.value > 0 ? Self.psi(window.cell.bins, want.bins) : nil
                ),
            ]
        case "initial":
            hand = [("rows_initial", Double(want.rows) / Double(max(1, want.windows.count)))]
        case "pool":
            let values = want.bins.reduce(0, +)
            hand = [
                (
                    "lacking_pool",
                    want.rows > 0 ? Double(want.rows - values) / Double(want.rows) : nil
                )
            ]
        default: return []
        }
        return hand.compactMap { metric, hand in
            let said = value(metric, window.start)
            let hand = want.isWhole ? hand : nil
            guard let said, let hand else {
                return said == nil && hand == nil
                    ? nil : "\(metric) \(said ?? .nan), by hand \(hand ?? .nan)"
            }
            return abs(said - hand) <= 1e-9 * max(1, abs(hand))
                ? nil : "\(metric) \(said), by hand \(hand)"
        }
    }

    /// The monitor that compares with a baseline.
    private static func monitor(of baseline: BaselinePlan) -> String {
        [
            "recent": "lately", "initial": "since", "usual": "again", "pool": "together",
            "champion": "rival",
        ][baseline.name] ?? ""
    }

    /// By the length of windows: what all groups come to, without those in which an alert is open; and when nothing
    /// was left of a window.
    private static func pooled(
        _ series: [String: [Seen]], _ episodes: [String: [Range<Int64>]], _ plan: Plan
    ) -> [String: ([Seen], [Range<Int64>])] {
        var pools: [String: [Int64: Seen]] = [:]
        var troubled: [String: Set<Int64>] = [:]
        for (name, windows) in series {
            let length = name.split(separator: "/").last.map(String.init) ?? ""
            let apart = troubles(name, episodes, plan, ["together"])
            for window in windows where window.complete && !window.isAbsent {
                var pool = pools[length]?[window.start] ?? window
                if pools[length]?[window.start] == nil { pool.cell = NaiveRecompute.Cell() }
                if apart.contains(where: { $0.contains(window.start) }) {
                    troubled[length, default: []].insert(window.start)
                } else {
                    pool.cell.total += window.cell.total
                    for bin in pool.cell.bins.indices {
                        pool.cell.bins[bin] += window.cell.bins[bin]
                    }
                }
                pools[length, default: [:]][window.start] = pool
            }
        }
        return pools.reduce(into: [:]) { found, pool in
            let apart = pool.value.values.filter {
                $0.cell.total == 0 && troubled[pool.key]?.contains($0.start) == true
            }
            found[pool.key] = (Array(pool.value.values), apart.map { $0.start..<$0.start + 1 })
        }
    }

    /// Windows whose comparison with the group `m0` is not what that group's window comes to.
    private static func rivals(
        _ name: String, _ windows: [Seen], _ series: [String: [Seen]], _ plan: Plan,
        _ outcome: SimulationOutcome
    ) -> [String] {
        guard let baseline = plan.stream.baselines.first(where: { $0.other != nil }),
            let other = baseline.other
        else { return [] }
        var found: [String] = []
        let parts = name.split(separator: "/")
        let isItself = parts[1] == "model=m0"
        let rival = series[name.replacing("/\(parts[1])/", with: "/model=m0/")] ?? []
        for window in windows where window.complete && !window.isAbsent {
            let place = "\(name)/\(window.start) rival"
            let verdict = window.json["verdicts"]?.asArray?.first {
                $0["monitor"]?.asText == "rival"
            }
            guard !isItself else {
                if verdict != nil { found.append("\(place): m0 is compared with itself") }
                if MetricsByHand.value("most_champion", "\(name)/\(window.start)", outcome) != nil {
                    found.append("\(place): a metric of m0 is taken of itself")
                }
                continue
            }
            let cell = rival.first { $0.start == window.start && $0.complete && !$0.isAbsent }?.cell
            let rows = Int64(cell?.total ?? 0)
            if MetricsByHand.areThere(plan) {
                let most = MetricsByHand.value("most_champion", "\(name)/\(window.start)", outcome)
                let hand = cell.flatMap { $0.value > 0 && rows >= other.minRows ? $0.max : nil }
                if most != hand {
                    found.append("\(place): \(most ?? .nan), by hand \(hand ?? .nan)")
                }
            }
            guard rows >= other.minRows, let cell else {
                if verdict?["verdict"]?.asText != "learning"
                    || verdict?["learned"]?["rows"]?.asInteger != rows
                {
                    found.append(
                        "\(place): \(verdict.map { "\($0)" } ?? "-"), by hand \(rows) rows")
                }
                continue
            }
            let drift = window.json["drift"]?.asArray?.first {
                $0["baseline"]?.asText == "champion@model=m0"
            }
            guard window.cell.value > 0 else { continue }
            let psi = drift?["tests"]?["psi"]?["value"]?.asNumber ?? -1
            let hand = Self.psi(window.cell.bins, cell.bins)
            if abs(psi - hand) > 1e-9
                || drift?["n_baseline"]?.asInteger != Int64(cell.bins.reduce(0, +))
            {
                found.append("\(place): psi \(psi), by hand \(hand)")
            }
        }
        return found
    }

    /// When an alert was open that is judged by a learned baseline, of a group and window length:
    /// what happened then is not learned, unless it goes on for too long.
    private static func troubles(
        _ name: String, _ episodes: [String: [Range<Int64>]], _ plan: Plan, _ monitors: [String]
    ) -> [Range<Int64>] {
        let parts = name.split(separator: "/").map(String.init)
        let model = parts[1].dropFirst("model=".count)
        let length = (Int64(parts[3].dropLast()) ?? 0) * 1000
        return monitors.flatMap { monitor in
            let longest =
                plan.stream.monitors.first { $0.name == monitor }?.resolveAfterMs ?? 0
            return (episodes["\(monitor) \(model)/\(length)"] ?? []).map {
                $0.lowerBound..<min($0.upperBound, $0.lowerBound + longest)
            }
        }
    }

    private static func expected(
        _ window: Seen, _ all: [Seen], _ learning: LearningPlan, _ apart: [Range<Int64>]
    ) -> (isWhole: Bool, windows: [Seen], rows: Int, bins: [Int]) {
        let length = window.end - window.start
        let span = (learning.lengthMs + length - 1) / length * length
        // Whole windows that do not overlap.
        let candidates = all.filter { $0.complete && $0.start % length == 0 }
            .sorted { $0.start < $1.start }
        let began = all.filter(\.complete).map(\.start).min() ?? .max
        func rows(_ windows: [Seen]) -> Int { windows.reduce(0) { $0 + $1.cell.total } }
        var taken: [Seen] = []
        let isOld: Bool
        switch learning.span {
        case .first:
            for one in candidates where one.start >= began && one.end <= window.start {
                if one.start >= began + span, rows(taken) >= Int(learning.minRows) { break }
                taken.append(one)
            }
            isOld = window.start >= began + span
        case .trailing:
            let edge = (window.start - learning.skipMs) / length * length
            // Slot by slot, back from the edge; those set apart don't count.
            let usual = candidates.filter { one in
                one.start >= began && !apart.contains { $0.contains(one.start) }
            }
            let unusual = Set(candidates.map(\.start)).subtracting(usual.map(\.start))
            var from = edge
            var slots = span / length
            while slots > 0, from > edge - 1_000_000 {
                from -= length
                if !(from >= began && unusual.contains(from)) { slots -= 1 }
            }
            taken = usual.filter { $0.start >= from && $0.end <= edge }
            isOld = from >= began
        case .sameTime:
            var isKnown = true
            for period in 1...learning.times {
                let then = window.start - period * learning.lengthMs
                let from = (then - learning.aroundMs) / length * length
                let to = min(
                    (then + learning.aroundMs + 2 * length - 1) / length * length,
                    window.start / length * length)
                taken += candidates.filter { one in
                    from <= one.start && one.start < to && one.start >= began
                        && !apart.contains { $0.contains(one.start) }
                }
                if from < began { isKnown = false }
            }
            isOld = isKnown
        }
        let isEarly = window.start < began
        return (
            !isEarly && isOld && rows(taken) >= Int(learning.minRows), taken, rows(taken),
            taken.reduce(Array(repeating: 0, count: 12)) { sum, one in
                zip(sum, one.cell.bins).map { $0 + $1 }
            }
        )
    }

    private static func psi(_ now: [Int], _ then: [Int]) -> Double {
        let places = now.indices.filter { now[$0] + then[$0] > 0 }
        let (n, m) = (Double(now.reduce(0, +)), Double(then.reduce(0, +)))
        return places.reduce(0) { sum, place in
            let k = Double(places.count)
            let p = now[place] > 0 ? Double(now[place]) / n : 0.5 / (n + k / 2)
            let q = then[place] > 0 ? Double(then[place]) / m : 0.5 / (m + k / 2)
            return sum + (p - q) * log(p / q)
        }
    }
}
