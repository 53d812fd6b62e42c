import TidemarkDataflow
import TidemarkText

/// Metrics of windows, beside what the rows come to one by one.
enum MetricsByHand {
    static func areThere(_ plan: Plan) -> Bool {
        plan.stream.columns.contains { $0.name == "count_x" }
    }

    /// Whether a record is of a metric.
    static func isMetric(_ key: String, _ plan: Plan) -> Bool {
        let name = key.split(separator: "/").dropFirst(2).first.map(String.init) ?? ""
        return plan.stream.columns.contains { $0.name == name && $0.role == .metric }
    }

    /// The value of a metric of the group and window of a record of `x`; `nil`: it has none.
    static func value(_ metric: String, _ key: String, _ outcome: SimulationOutcome) -> Double? {
        record(metric, key, outcome)?["metric"]?["value"]?.asNumber
    }

    private static func record(
        _ metric: String, _ key: String, _ outcome: SimulationOutcome
    ) -> JSONValue? {
        outcome.aggregates[key.replacing("/x/", with: "/\(metric)/")]?.first.flatMap {
            try? JSONValue(parsing: Array($0.utf8))
        }
    }

    /// Metrics of a window that are not what its rows come to.
    static func differences(
        _ key: String, _ cell: NaiveRecompute.Cell, _ outcome: SimulationOutcome
    ) -> [String] {
        let hand: [(String, Double?)] = [
            ("count_x", Double(cell.value)), ("sum_x", cell.sum),
            ("mean_x", cell.value > 0 ? cell.sum / Double(cell.value) : nil),
        ]
        return hand.compactMap { metric, hand in
            guard record(metric, key, outcome) != nil else {
                return "\(key): \(metric) was not published"
            }
            let said = value(metric, key, outcome)
            guard let said, let hand else {
                return said == nil && hand == nil
                    ? nil : "\(key): \(metric) \(said ?? .nan), expected \(hand ?? .nan)"
            }
            return abs(said - hand) <= 1e-9 * max(1, abs(hand))
                ? nil : "\(key): \(metric) \(said), expected \(hand)"
        }
    }
}
