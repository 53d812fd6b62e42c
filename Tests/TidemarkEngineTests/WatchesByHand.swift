import Glibc
import TidemarkDataflow
import TidemarkText

/// What monitors of quality, age, metrics, conditions and roll-ups have to say, worked out from the rows of windows.
enum WatchesByHand {
    /// A window of a group: what it holds, and what a baseline of the stream has learned by then.
    struct Window {
        /// The key of its record of `x`.
        var key: String
        var start: Int64
        var end: Int64
        var cell: NaiveRecompute.Cell
        /// Start of the group's first window.
        var began: Int64
        /// The windows of the baseline, by the keys of their records; `nil`: it is not whole.
        var learned: [(key: String, cell: NaiveRecompute.Cell)]?
    }

    static func areThere(_ plan: Plan) -> Bool {
        plan.stream.monitors.contains { $0.name == "rushed" }
    }

    private static func json(_ key: String, _ outcome: SimulationOutcome) -> JSONValue? {
        outcome.aggregates[key]?.first.flatMap { try? JSONValue(parsing: Array($0.utf8)) }
    }

    private static func verdict(
        _ monitor: String, _ key: String, _ outcome: SimulationOutcome
    ) -> JSONValue? {
        json(key, outcome)?["verdicts"]?.asArray?.first { $0["monitor"]?.asText == monitor }
    }

    // MARK: Metrics

    /// Metrics of a window that are not what its rows come to.
    static func metrics(
        _ key: String, _ cell: NaiveRecompute.Cell, _ outcome: SimulationOutcome
    ) -> [String] {
        let typical = json(key.replacing("/x/", with: "/typical/"), outcome)?["metric"]
        let busy = json(key.replacing("/x/", with: "/busy/"), outcome)?["metric"]
        guard let typical, let busy else { return ["\(key): no metrics"] }
        let mean = cell.total > 0 ? cell.sum / Double(cell.total) : nil
        var found: [String] = []
        let said = typical["value"]?.asNumber
        if (said == nil) != (mean == nil)
            || abs((said ?? 0) - (mean ?? 0)) > 1e-9 * max(1, abs(mean ?? 0))
        {
            found.append("\(key): typical \(said ?? .nan), by hand \(mean ?? .nan)")
        }
        let holds: Bool? = cell.total < 12 ? false : mean.map { $0 > 4 }
        if let mean, abs(mean - 4) < 1e-6 { return found }
        if case .boolean(let value)? = busy["holds"] {
            if value != holds { found.append("\(key): busy \(value), by hand \(holds ?? false)") }
        } else if holds != nil {
            found.append("\(key): busy is not said")
        }
        return found
    }

    // MARK: Windows

    /// Verdicts on a window that are not what it and the windows before it come to.
    static func differences(_ window: Window, _ outcome: SimulationOutcome) -> [String] {
        let cell = window.cell
        let lacking = cell.null + cell.missing
        var want: [(monitor: String, key: String, verdict: String?)] = []
        func at(_ column: String) -> String { window.key.replacing("/x/", with: "/\(column)/") }
        var word = "too_few"
        if cell.total >= 10 {
            let isOver =
                Double(lacking) > 0.1 * Double(cell.total)
                && binomialUpper(lacking, of: cell.total, 0.1) <= 0.05
            word = isOver ? "excess" : "ok"
        }
        want.append(("nulls", window.key, word))
        want.append(("lacking", window.key, self.lacking(window)))
        if cell.total > 0 {
            want.append(
                ("stale", at("-"), window.end - window.began > 200_000 ? "excess" : "ok"))
        }
        want.append(("moved", at("typical"), moved(window, outcome)))
        word = "too_few"
        if case .boolean(let holds)? = json(at("busy"), outcome)?["metric"]?["holds"],
            cell.total >= 10
        {
            word = holds ? "met" : "ok"
        }
        want.append(("rushed", at("busy"), word))
        return want.compactMap { monitor, key, word in
            let said = verdict(monitor, key, outcome)?["verdict"]?.asText
            return word == nil || said == word
                ? nil : "\(key): \(monitor) says \(said ?? "-"), by hand \(word ?? "-")"
        }
    }

    /// Fisher's exact test beside what was learned; `nil`: too close to tell in another order of additions.
    private static func lacking(_ window: Window) -> String? {
        guard let learned = window.learned else { return "learning" }
        let (n, m) = (window.cell.total, learned.reduce(0) { $0 + $1.cell.total })
        guard n >= 10, m > 0 else { return "too_few" }
        let now = window.cell.null + window.cell.missing
        let then = learned.reduce(0) { $0 + $1.cell.null + $1.cell.missing }
        let effect = Double(now) / Double(n) - Double(then) / Double(m)
        if abs(effect - 0.02) < 1e-12 { return nil }
        guard effect >= 0.02 else { return "ok" }
        let all = choose(n + m, n)
        let p = (now...min(n, now + then)).reduce(0) {
            $0 + exp(choose(now + then, $1) + choose(n + m - now - then, n - $1) - all)
        }
        return abs(p - 0.05) < 1e-9 ? nil : p <= 0.05 ? "excess" : "ok"
    }

    /// A relative change of what rows are on average.
    private static func moved(_ window: Window, _ outcome: SimulationOutcome) -> String? {
        func typical(_ key: String) -> Double? {
            json(key.replacing("/x/", with: "/typical/"), outcome)?["metric"]?["value"]?.asNumber
        }
        guard let learned = window.learned else { return "learning" }
        guard window.cell.total >= 10, let now = typical(window.key) else { return "too_few" }
        let rows = learned.reduce(0) { $0 + $1.cell.total }
        let sum = learned.reduce(0) { $0 + (typical($1.key) ?? 0) * Double($1.cell.total) }
        let then = sum / Double(max(1, rows))
        guard then != 0 else { return "too_few" }
        let change = (now - then) / abs(then)
        if abs(abs(change) - 0.15) < 1e-9 { return nil }
        return abs(change) > 0.15 ? (change > 0 ? "rise" : "drop") : "ok"
    }

    private static func choose(_ n: Int, _ k: Int) -> Double {
        guard 0 <= k, k <= n else { return -.infinity }
        return lgamma(Double(n + 1)) - lgamma(Double(k + 1)) - lgamma(Double(n - k + 1))
    }

    private static func binomialUpper(_ k: Int, of n: Int, _ p: Double) -> Double {
        (k...max(k, n)).reduce(0) {
            $0
                + ($1 > n
                    ? 0 : exp(choose(n, $1) + Double($1) * log(p) + Double(n - $1) * log(1 - p)))
        }
    }

    // MARK: Roll-ups

    /// Roll-ups that are not what the verdicts of their windows come to.
    static func rollUps(_ outcome: SimulationOutcome, _ plan: Plan) -> [String] {
        let reached: Set<String> = ["ok", "excess", "rise", "drop", "met"]
        // By window: by monitor, how many verdicts there are and how many are breaches.
        var tallies: [String: [String: (reached: Int, breached: Int)]] = [:]
        var said: [String: [JSONValue]] = [:]
        for (key, values) in outcome.aggregates {
            let place = key.split(separator: "/").suffix(2).joined(separator: "/")
            for value in values where value.contains("\"complete\":true") {
                guard let json = try? JSONValue(parsing: Array(value.utf8)) else { continue }
                let verdicts = json["verdicts"]?.asArray ?? []
                guard !key.hasPrefix("by-model/-/") else {
                    said[place] = verdicts
                    continue
                }
                var tally = tallies[place] ?? [:]
                for verdict in verdicts {
                    guard let word = verdict["verdict"]?.asText, reached.contains(word) else {
                        continue
                    }
                    var own = tally[verdict["monitor"]?.asText ?? ""] ?? (0, 0)
                    own.reached += 1
                    own.breached += word == "ok" ? 0 : 1
                    tally[verdict["monitor"]?.asText ?? ""] = own
                }
                tallies[place] = tally
            }
        }
        var found: [String] = []
        for (place, tally) in tallies {
            for monitor in plan.stream.monitors where !monitor.members.isEmpty {
                let members = monitor.members.map { tally[$0.name] ?? (0, 0) }
                let all = members.reduce(0) { $0 + $1.reached }
                let broken = members.reduce(0) { $0 + $1.breached }
                let isMet =
                    monitor.kind == "any_of"
                    ? broken >= 4
                    : members.allSatisfy {
                        $0.reached > 0 && Double($0.breached) >= 0.3 * Double($0.reached)
                    }
                let word = all == 0 ? "too_few" : isMet ? "met" : "ok"
                let verdict = said[place]?.first { $0["monitor"]?.asText == monitor.name }
                if verdict?["verdict"]?.asText != word {
                    found.append(
                        "\(place): \(monitor.name) says \(verdict.map { "\($0)" } ?? "-"), by hand \(word), \(broken) of \(all)"
                    )
                }
            }
        }
        return found
    }
}
