import TidemarkAlerts
import TidemarkCodec
import TidemarkCore
import TidemarkDataflow
import TidemarkRecords

/// Where monitors bring their verdicts: it knows which of them begin or end an alert.
struct AlertDesk {
    private(set) var states: AlertStates
    private let text: AlertText
    /// What the window at hand brought about.
    private var events: [AlertRecord] = []
    /// Alerts that fire and wait for the others of the window, where one speaks for all.
    private var held: [(series: AlertSeries, record: AlertRecord)] = []
    private let grouping: AlertGrouping?
    /// Some monitors are judged for others alone.
    private let hasSilent: Bool

    init(plan: Plan) {
        grouping = plan.outputs.groupsAlerts ? AlertGrouping(plan: plan) : nil
        states = AlertStates(plan: plan)
        text = AlertText(plan: plan)
        hasSilent = plan.stream.monitors.contains(where: \.isMember)
    }

    /// Takes in the verdict of a monitor on a closed window.
    ///
    /// - `isNear`: it is no breach, and too close to one for an alert to end.
    /// - `record`: makes the record of an event; only called where there is one.
    mutating func take(
        _ verdict: Verdict, isNear: Bool, of monitor: Int, _ window: borrowing WindowEvidence,
        record: (AlertSaying, AlertText) -> AlertRecord
    ) {
        let series = AlertSeries(
            monitor: monitor, segment: window.segment, size: window.closing.size,
            column: window.column, group: window.part)
        if hasSilent, !states.monitor(of: series).alerts { return }
        if let saying = states.observe(series, verdict, isNear: isNear, window.closing) {
            var alert = record(saying, text)
            text.finish(&alert, states.monitor(of: series))
            if grouping != nil, alert.transition == .firing, alert.mutedBy == nil {
                held.append((series, alert))
            } else {
                events.append(alert)
            }
        }
    }

    /// What was brought about since the last time.
    mutating func takeEvents() -> [AlertRecord] {
        guard !events.isEmpty else { return [] }
        defer { events = [] }
        return events
    }

    /// Notes that a window was closed, after all its groups.
    ///
    /// - `isForgotten`: nobody expects the group of a series any more.
    /// - `unjudged`: see `KindSpec`.
    /// - Returns: alerts that waited for each other; and the ends of those that have had no verdict for long, in the
    ///   order of their keys.
    mutating func closed(
        _ closing: WindowClosing, isForgotten: (AlertSeries) -> Bool,
        unjudged: (MonitorPlan) -> (test: String, threshold: Double)
    ) -> [AlertRecord] {
        var said: [AlertRecord] = []
        if let grouping, !held.isEmpty {
            said = grouping.group(held, &states, text, closing)
            held = []
        }
        return said
            + states.closed(closing, isForgotten: isForgotten).compactMap {
                text.expired($0.series, $0.saying, closing, unjudged: unjudged)
            }
    }

    mutating func takeEntries(epoch: Int) -> [StateEntry] { states.takeEntries(epoch: epoch) }

    mutating func restore(_ frame: StateFrame, key: [UInt8]) -> StateRestoration {
        states.restore(frame, key: key)
    }
}
