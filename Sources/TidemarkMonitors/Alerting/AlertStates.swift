package import TidemarkAlerts
package import TidemarkCodec
import TidemarkCore
import TidemarkDataflow
import TidemarkRecords
import TidemarkText

/// Whose alert it is.
struct AlertSeries: Hashable {
    var monitor: Int
    var segment: Int
    var size: Int
    /// `nil`: the group as a whole.
    var column: Int?
    var group: [UInt8]
}

/// Why an alert is published and nobody is paged.
enum AlertMute: Int64 {
    /// The window was over for longer than the monitor's `max_age` when its first row was read.
    case backfill = 1
    /// The last alert that was not muted resolved less than `cool_down` before, in event time.
    case coolDown = 2
    /// Another alert of the model speaks for it.
    case grouped = 3
    /// The window lies in a planned downtime.
    case planned = 4

    var name: String {
        switch self {
        case .backfill: "backfill"
        case .coolDown: "cool_down"
        case .grouped: "grouped"
        case .planned: "planned"
        }
    }
}

/// An event of an alert that is to be published.
struct AlertSaying {
    var event: AlertEvent
    var transition: AlertRecord.Transition
    /// Why the firing is muted; `nil`: it is not.
    ///
    /// Its resolution is muted too: who was not told of the one does not want to hear of the other.
    var mute: AlertMute?
    /// Why it resolved although no window was clear; `nil`: one was.
    var reason: AlertRecord.Reason?
}

/// The life cycles of all alerts that are pending or firing, and which of them a commit has still
/// to write down.
///
/// An entry says through which window it was applied, and a window is applied once: after a crash
/// between state and offsets (delivery at least once) the windows that come again change nothing.
/// When an alert goes away its entry is first written as inactive, so that it is not mistaken for
/// one that never was. It is taken away when no window that it was applied to can come again.
struct AlertStates {
    private struct Alert {
        var life = AlertLifecycle()
        var appliedThroughMs = TimeLimit.never
        /// When the last alert that was not muted by `cool_down` resolved, ms of event time.
        var resolvedAtMs = TimeLimit.never
        /// Why the alert that fires is muted.
        var mute: AlertMute?
        /// Spans of windows, by their starts, in which it was pending or firing.
        ///
        /// The last span may be open. Spans are forgotten once no window that can come again lies
        /// in them.
        var episodes: [Range<Int64>] = []

        /// Notes that a window was applied.
        mutating func note(startMs: Int64) {
            let isOpen = life.phase != .inactive
            let goesOn = episodes.last?.upperBound == .max
            if isOpen, !goesOn { episodes.append(startMs..<Int64.max) }
            if !isOpen, goesOn, let last = episodes.popLast(), last.lowerBound < startMs {
                episodes.append(last.lowerBound..<startMs)
            }
            // So many between two commits are a flapping alert of very short windows.
            if episodes.count > 64 { episodes.removeFirst() }
        }

        /// Whether it can be forgotten: no window that it was applied to comes again, and its
        /// cool-down is over.
        func isOver(throughMs: Int64, coolDownMs: Int64) -> Bool {
            appliedThroughMs <= throughMs
                && (resolvedAtMs == TimeLimit.never || resolvedAtMs + coolDownMs <= throughMs)
        }
    }

    private let keys: StateKeys
    /// By monitor.
    private let options: [AlertOptions]
    private var alerts: [AlertSeries: Alert] = [:]
    private var entries: EntryStore<AlertSeries>
    /// Alerts that have episodes, by group.
    private var troubled: [[UInt8]: Set<AlertSeries>] = [:]
    /// The earliest time at which an alert of each window length is due to be given up.
    private var giveUpDueMs: [Int64]
    /// By monitor.
    private let resolveAfterMs: [Int64]
    private let isLearned: [Bool]
    private var overridden: OverriddenMonitors
    private let mutes: Mutes
    private let names: [String]
    private let lengthMs: [Int64]

    init(plan: Plan) {
        let keys = StateKeys(plan: plan)
        self.keys = keys
        overridden = OverriddenMonitors(plan)
        mutes = Mutes(plan)
        names = plan.stream.monitors.map(\.name)
        entries = EntryStore(.alert, sizeCount: plan.stream.windows.count) { keys.alert($0) }
        giveUpDueMs = plan.stream.windows.map { _ in .min }
        resolveAfterMs = plan.stream.monitors.map(\.resolveAfterMs)
        lengthMs = plan.stream.windows.map(\.lengthMs)
        isLearned = plan.stream.monitors.map { monitor in
            plan.stream.baselines.indices.contains(monitor.baseline)
                && (plan.stream.baselines[monitor.baseline].learning?.span ?? .first) != .first
        }
        options = plan.stream.monitors.map { AlertOptions($0) }
    }

    /// About what the next unit of commit has to write, bytes.
    var pendingBytes: Int { entries.pendingBytes }

    /// Notes that the entry of an alert has to be written.
    private mutating func write(_ series: AlertSeries, _ alert: Alert, isNew: Bool) {
        entries.write(
            series, isNew: isNew,
            byteCount: series.group.count + 96 + 16 * alert.episodes.count)
    }

    /// Takes in the verdict of a closed window; a window that was applied before changes nothing.
    ///
    /// - Returns: what the alert says of it, if anything.
    ///
    /// `isNear`: see `AlertLifecycle.observe`.
    mutating func observe(
        _ series: AlertSeries, _ verdict: Verdict, isNear: Bool, _ closing: WindowClosing
    ) -> AlertSaying? {
        // Of an incomplete window nothing is learned; it comes again.
        guard closing.complete, verdict.isBreach || verdict.isCalm else { return nil }
        let known = alerts[series]
        var alert = known ?? Alert()
        guard closing.window.endMs > alert.appliedThroughMs else { return nil }
        let options =
            overridden.variant(series.monitor, column: series.column, part: series.group)
            .map { AlertOptions($0) } ?? options[series.monitor]
        let before = alert.life
        let action = alert.life.observe(
            verdict, isNear: isNear, startMs: closing.window.startMs, endMs: closing.window.endMs,
            complete: true, options: options)
        var said: AlertSaying?
        switch action {
        case .none:
            // It goes on after the downtime, of which nobody was told.
            if alert.mute == .planned, verdict.isBreach, let firing = alert.life.firing,
                !isPlanned(series, closing)
            {
                alert.mute = closing.ageMs > options.ageMsMax ? .backfill : nil
                let event = AlertEvent(
                    openingStartMs: firing.openingStartMs, firstSeenMs: firing.firstSeenMs,
                    atMs: closing.window.endMs, sequence: 2)
                said = AlertSaying(event: event, transition: .firing, mute: alert.mute)
            }
        case .fire(let event):
            if isPlanned(series, closing) {
                alert.mute = .planned
            } else if alert.resolvedAtMs != TimeLimit.never,
                closing.window.endMs - alert.resolvedAtMs < options.coolDownMs
            {
                alert.mute = .coolDown
            } else {
                alert.mute = closing.ageMs > options.ageMsMax ? .backfill : nil
            }
            said = AlertSaying(event: event, transition: .firing, mute: alert.mute)
        case .resolve(let event):
            if alert.mute != .coolDown, alert.mute != .planned { alert.resolvedAtMs = event.atMs }
            said = AlertSaying(event: event, transition: .resolved, mute: alert.mute)
            if closing.window.startMs - event.openingStartMs >= resolveAfterMs[series.monitor] {
                said?.reason = isLearned[series.monitor] ? .learned : nil
            }
            alert.mute = nil
        }
        alert.note(startMs: closing.window.startMs)
        // Nobody has read or written an entry of it.
        let isNew = known == nil || entries.isNew(series)
        if isNew, alert.life.phase == .inactive, alert.resolvedAtMs == TimeLimit.never {
            alerts[series] = nil
            if known != nil { entries.remove(series) }
            setTroubled(series, false)
            return said
        }
        alert.appliedThroughMs = closing.window.endMs
        alerts[series] = alert
        setTroubled(series, !alert.episodes.isEmpty)
        if alert.life.phase != .inactive {
            giveUpDueMs[series.size] = min(
                giveUpDueMs[series.size],
                closing.window.endMs + resolveAfterMs[series.monitor])
        }
        if alert.life != before || alert.life.phase != .inactive {
            write(series, alert, isNew: isNew)
        }
        return said
    }

    /// Mutes an alert that has just fired: another one speaks for it.
    mutating func mute(_ series: AlertSeries) {
        guard var alert = alerts[series], alert.life.firing != nil else { return }
        alert.mute = .grouped
        alerts[series] = alert
        write(series, alert, isNew: entries.isNew(series))
    }

    /// The alerts that fire and speak for themselves, with the start of their opening windows.
    func speaking(size: Int) -> [(series: AlertSeries, openingStartMs: Int64)] {
        alerts.compactMap { series, alert in
            guard series.size == size, alert.mute == nil, let firing = alert.life.firing else {
                return nil
            }
            return (series, firing.openingStartMs)
        }.sorted { keys.alert($0.series).precedes(keys.alert($1.series)) }
    }

    /// The monitor of a series, as overrides have it.
    mutating func monitor(of series: AlertSeries) -> MonitorPlan {
        overridden.plan(series.monitor, column: series.column, part: series.group)
    }

    /// Whether a window of a series lies in a planned downtime.
    private func isPlanned(_ series: AlertSeries, _ closing: WindowClosing) -> Bool {
        mutes.holds(monitor: names[series.monitor], part: series.group, closing.window)
    }

    /// Notes that a window was closed, after all its groups, and gives up the alerts of its length
    /// that have had no verdict for long.
    ///
    /// `isForgotten`: nobody expects the group of a series any more, so that it gets no verdict again.
    /// - Returns: the resolutions, in the order of their keys.
    mutating func closed(
        _ closing: WindowClosing, isForgotten: (AlertSeries) -> Bool
    ) -> [(series: AlertSeries, saying: AlertSaying)] {
        entries.close(closing)
        let endMs = closing.window.endMs
        guard closing.complete, endMs >= giveUpDueMs[closing.size] else { return [] }
        var nextMs = Int64.max
        var over: [AlertSeries] = []
        for (series, alert) in alerts
        where series.size == closing.size && alert.life.phase != .inactive {
            let dueMs = alert.appliedThroughMs + resolveAfterMs[series.monitor]
            if dueMs <= endMs || series.column == nil && isForgotten(series) {
                // A window that comes again has had its say.
                if alert.appliedThroughMs < endMs { over.append(series) }
                continue
            }
            nextMs = min(nextMs, dueMs)
            // Groups without rows are forgotten by the day.
            if series.column == nil { nextMs = min(nextMs, Self.nextDayMs(endMs)) }
        }
        giveUpDueMs[closing.size] = nextMs
        var said: [(series: AlertSeries, saying: AlertSaying)] = []
        for series in over.sorted(by: { keys.alert($0).precedes(keys.alert($1)) }) {
            guard var alert = alerts[series] else { continue }
            if let event = alert.life.giveUp(atMs: endMs) {
                if alert.mute != .coolDown { alert.resolvedAtMs = endMs }
                said.append(
                    (
                        series,
                        AlertSaying(
                            event: event, transition: .resolved, mute: alert.mute, reason: .expired)
                    ))
            }
            alert.mute = nil
            alert.note(startMs: closing.window.startMs)
            alert.appliedThroughMs = endMs
            alerts[series] = alert
            setTroubled(series, !alert.episodes.isEmpty)
            write(series, alert, isNew: false)
        }
        return said
    }

    private static func nextDayMs(_ ms: Int64) -> Int64 {
        (ms.flooredDivision(by: 86_400_000) + 1) * 86_400_000
    }

    /// Whether a group was in an episode of an alert when a window was applied, so that it does not say
    /// what is usual: of one of these monitors, and no longer than it takes to be learned all the same.
    func isTroubled(
        _ group: [UInt8], by monitors: Set<Int>, segment: Int, size: Int, startMs: Int64
    ) -> Bool {
        guard !troubled.isEmpty, let series = troubled[group] else { return false }
        return series.contains { one in
            guard monitors.contains(one.monitor), one.segment == segment, one.size == size else {
                return false
            }
            return alerts[one]?.episodes.contains {
                $0.contains(startMs) && startMs - $0.lowerBound < resolveAfterMs[one.monitor]
            } ?? false
        }
    }

    private mutating func setTroubled(_ series: AlertSeries, _ isTroubled: Bool) {
        if isTroubled {
            troubled[series.group, default: []].insert(series)
        } else if troubled[series.group]?.remove(series) != nil,
            troubled[series.group]?.isEmpty == true
        {
            troubled[series.group] = nil
        }
    }

    mutating func takeEntries(epoch: Int) -> [StateEntry] {
        forgetEpisodes()
        let over = entries.letGo { [alerts, options, settled = entries.settled] series in
            alerts[series]?.isOver(
                throughMs: settled.throughMs[series.size],
                coolDownMs: options[series.monitor].coolDownMs) ?? true
        }
        for series in over {
            alerts[series] = nil
            setTroubled(series, false)
        }
        return entries.take(epoch: epoch) { [alerts] series in
            alerts[series].map { alert in
                EntryContent(
                    appliedThroughMs: alert.appliedThroughMs,
                    payload: Self.bytes(
                        [-1, Int64(alert.life.state.count)] + alert.life.state
                            + [alert.resolvedAtMs, alert.mute?.rawValue ?? 0]
                            + alert.episodes.flatMap { [$0.lowerBound, $0.upperBound] }),
                    isLeaving: alert.life.phase == .inactive)
            }
        }
    }

    /// Forgets the spans in which no window that can come again begins.
    private mutating func forgetEpisodes() {
        for series in troubled.values.joined() {
            let settledMs = entries.settled.throughMs[series.size]
            guard settledMs != TimeLimit.never else { continue }
            let startMs = settledMs - lengthMs[series.size]
            alerts[series]?.episodes.removeAll { $0.upperBound <= startMs }
        }
        for series in troubled.values.joined() where alerts[series]?.episodes.isEmpty ?? true {
            setTroubled(series, false)
        }
    }

    mutating func restore(_ frame: StateFrame, key: [UInt8]) -> StateRestoration {
        guard let series = keys.alert(key) else {
            return .unusable("no monitor of this topology owns it")
        }
        guard let parts = frame.alertParts else {
            return .unusable("it is not an alert")
        }
        let life = parts.life
        alerts[series] = Alert(
            life: life, appliedThroughMs: frame.appliedThroughMs,
            resolvedAtMs: parts.resolvedAtMs, mute: parts.mute, episodes: parts.episodes)
        setTroubled(series, !parts.episodes.isEmpty)
        // Written as inactive before the crash; the tombstone is still due.
        if life.phase == .inactive { entries.restoreLeaving(series) }
        return .taken
    }

    private static func bytes(_ numbers: [Int64]) -> [UInt8] {
        numbers.flatMap { number in (0..<8).map { UInt8(truncatingIfNeeded: number >> ($0 * 8)) } }
    }

}

extension AlertOptions {
    /// Those of a monitor.
    fileprivate init(_ monitor: MonitorPlan) {
        self.init(
            hold: monitor.hold.alertHold, clearHold: monitor.clearHold.alertHold,
            coolDownMs: monitor.coolDownMs, ageMsMax: monitor.maxAgeMs)
    }
}

extension TidemarkDataflow.Hold {
    fileprivate var alertHold: TidemarkAlerts.Hold {
        switch self {
        case .duration(let ms): .duration(ms: ms)
        case .windows(let count, let of): .windows(count: count, of: of)
        }
    }
}

extension StateFrame {
    /// The life cycle that an alert's entry holds; nil where it holds none.
    package var alert: AlertLifecycle? { alertParts?.life }

    /// Why the alert of an entry is muted.
    var alertMute: AlertMute? { alertParts?.mute }

    /// What an alert's entry holds.
    fileprivate struct AlertParts {
        var life: AlertLifecycle
        var resolvedAtMs = TimeLimit.never
        var mute: AlertMute?
        var episodes: [Range<Int64>] = []
    }

    /// Reads the life cycle and what stands behind it.
    ///
    /// Where the entry is of a version that has them: when the alert resolved, and why it is muted. Entries
    /// that begin with −1 also have the windows in which it was open.
    fileprivate var alertParts: AlertParts? {
        guard kind == .alert, payload.count % 8 == 0, payload.count >= 64 else { return nil }
        var numbers = stride(from: 0, to: payload.count, by: 8).map { start in
            (0..<8).reduce(0) { $0 | Int64(payload[start + $1]) << Int64($1 * 8) }
        }
        if numbers[0] == -1 {
            guard let count = Int(exactly: numbers[1]), count >= 8, count <= numbers.count - 4,
                numbers.count % 2 == count % 2,
                let life = AlertLifecycle(state: Array(numbers[2..<2 + count]))
            else { return nil }
            var parts = AlertParts(life: life)
            parts.resolvedAtMs = numbers[2 + count]
            parts.mute = AlertMute(rawValue: numbers[3 + count])
            let bounds = Array(numbers[(4 + count)...])
            for place in stride(from: 0, to: bounds.count, by: 2) {
                guard bounds[place] <= bounds[place + 1] else { return nil }
                parts.episodes.append(bounds[place]..<bounds[place + 1])
            }
            return parts
        }
        var (resolvedAtMs, mute) = (TimeLimit.never, AlertMute?.none)
        // A life cycle is eight numbers and three for each breach.
        if (numbers.count - 8) % 3 == 2 {
            mute = AlertMute(rawValue: numbers.removeLast())
            resolvedAtMs = numbers.removeLast()
        }
        return AlertLifecycle(state: numbers).map {
            AlertParts(life: $0, resolvedAtMs: resolvedAtMs, mute: mute)
        }
    }
}

/// `alert/monitor/segment/size/column/group`.
extension StateKeys {
    func alert(_ series: AlertSeries) -> [UInt8] {
        Self.joined([
            Array("alert".utf8), monitors[series.monitor], segments[series.segment],
            sizes[series.size], series.column.map { columns[$0] } ?? Self.whole, series.group,
        ])
    }

    func alert(_ key: [UInt8]) -> AlertSeries? {
        let parts = Self.parts(key)
        guard parts.count == 6, parts[0] == Array("alert".utf8),
            let monitor = monitors.firstIndex(of: parts[1]),
            let segment = segments.firstIndex(of: parts[2]),
            let size = sizes.firstIndex(of: parts[3])
        else { return nil }
        let column = columns.firstIndex(of: parts[4])
        guard column != nil || parts[4] == Self.whole else { return nil }
        return AlertSeries(
            monitor: monitor, segment: segment, size: size, column: column, group: parts[5])
    }
}
