package import TidemarkAlerts
package import TidemarkCodec
import TidemarkCore
import TidemarkDataflow

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

    var name: String {
        switch self {
        case .backfill: "backfill"
        case .coolDown: "cool_down"
        }
    }
}

/// What an alert has to say of a window.
struct AlertSaying {
    var event: AlertEvent
    var transition: AlertRecord.Transition
    /// Of the firing; its resolution has the same, for whoever was not told of the one does not want to
    /// hear of the other.
    var mute: AlertMute?
}

/// The life cycles of all alerts that are pending or firing, and which of them a commit has still
/// to write down.
///
/// An entry says through which window it was applied, and a window is applied once: after a crash
/// between state and offsets (delivery at least once) the windows that come again change nothing.
/// So that an alert that went away is not taken for one that never was, its entry is written once
/// more as inactive, and taken away when no window that it was applied to can come again.
struct AlertStates {
    private struct Alert {
        var life = AlertLifecycle()
        var appliedThroughMs = TimeLimit.never
        /// When the last one that was not muted by `cool_down` resolved.
        var resolvedAtMs = TimeLimit.never
        /// Of the one that fires.
        var mute: AlertMute?
        /// The state topic may hold it.
        var isStored = false

        /// No window that it was applied to comes again, and no window to come is in its cool-down.
        func isOver(throughMs: Int64, coolDownMs: Int64) -> Bool {
            appliedThroughMs <= throughMs
                && (resolvedAtMs == TimeLimit.never || resolvedAtMs + coolDownMs <= throughMs)
        }
    }

    private let keys: StateKeys
    /// By monitor.
    private let options: [AlertOptions]
    private var alerts: [AlertSeries: Alert] = [:]
    private var dirty: Set<AlertSeries> = []
    /// Written as inactive.
    private var leaving: Set<AlertSeries> = []
    private var settled: SettledWindows

    init(plan: Plan) {
        keys = StateKeys(plan: plan)
        settled = SettledWindows(plan: plan)
        options = plan.stream.monitors.map { monitor in
            AlertOptions(
                hold: monitor.hold.alertHold, clearHold: monitor.clearHold.alertHold,
                coolDownMs: monitor.coolDownMs, ageMsMax: monitor.maxAgeMs)
        }
    }

    /// Alerts that are remembered.
    var count: Int { alerts.count }

    /// Takes the verdict of a closed window in; a window that was applied before does nothing.
    ///
    /// - Returns: what the alert says of it, if anything.
    mutating func observe(
        _ series: AlertSeries, _ verdict: AlertVerdict, _ closing: WindowClosing
    ) -> AlertSaying? {
        // Of an incomplete window nothing is learned; it comes again.
        guard closing.complete, verdict != .none else { return nil }
        var alert = alerts[series] ?? Alert()
        guard closing.window.endMs > alert.appliedThroughMs else { return nil }
        let before = alert.life
        let action = alert.life.observe(
            verdict, startMs: closing.window.startMs, endMs: closing.window.endMs,
            complete: true, options: options[series.monitor])
        let options = options[series.monitor]
        var said: AlertSaying?
        switch action {
        case .none: break
        case .fire(let event):
            if alert.resolvedAtMs != TimeLimit.never,
                closing.window.endMs - alert.resolvedAtMs < options.coolDownMs
            {
                alert.mute = .coolDown
            } else {
                alert.mute = closing.ageMs > options.ageMsMax ? .backfill : nil
            }
            said = AlertSaying(event: event, transition: .firing, mute: alert.mute)
        case .resolve(let event):
            if alert.mute != .coolDown { alert.resolvedAtMs = event.atMs }
            said = AlertSaying(event: event, transition: .resolved, mute: alert.mute)
            alert.mute = nil
        }
        if alert.life.phase == .inactive, !alert.isStored, alert.resolvedAtMs == TimeLimit.never {
            alerts[series] = nil
            dirty.remove(series)
            return said
        }
        alert.appliedThroughMs = closing.window.endMs
        alerts[series] = alert
        if alert.life != before || alert.life.phase != .inactive { dirty.insert(series) }
        return said
    }

    /// Says that a window was closed, after all its groups.
    mutating func closed(_ closing: WindowClosing) { settled.close(closing) }

    mutating func takeEntries(epoch: Int) -> [StateEntry] {
        var entries: [StateEntry] = []
        leaving.subtract(dirty)
        for series in leaving {
            let isOver = alerts[series]?.isOver(
                throughMs: settled.throughMs[series.size],
                coolDownMs: options[series.monitor].coolDownMs)
            guard isOver ?? true else { continue }
            alerts[series] = nil
            leaving.remove(series)
            entries.append(StateEntry(key: keys.alert(series), value: nil))
        }
        for series in dirty {
            guard var alert = alerts[series] else { continue }
            if alert.life.phase == .inactive { leaving.insert(series) }
            alert.isStored = true
            alerts[series] = alert
            let frame = StateFrame(
                kind: .alert, epoch: epoch, appliedThroughMs: alert.appliedThroughMs,
                payload: Self.bytes(
                    alert.life.state + [alert.resolvedAtMs, alert.mute?.rawValue ?? 0]))
            entries.append(StateEntry(key: keys.alert(series), value: frame.encoded()))
        }
        dirty = []
        settled.settle()
        return entries
    }

    mutating func restore(_ frame: StateFrame, key: [UInt8]) -> StateRestoration {
        guard let series = keys.alert(key) else {
            return .unusable("no monitor of this topology has it")
        }
        guard let (life, resolvedAtMs, mute) = frame.alertParts else {
            return .unusable("it is no alert")
        }
        alerts[series] = Alert(
            life: life, appliedThroughMs: frame.appliedThroughMs, resolvedAtMs: resolvedAtMs,
            mute: mute, isStored: true)
        // Written as inactive before the crash; the tombstone is still due.
        if life.phase == .inactive { leaving.insert(series) }
        return .taken
    }

    private static func bytes(_ numbers: [Int64]) -> [UInt8] {
        numbers.flatMap { number in (0..<8).map { UInt8(truncatingIfNeeded: number >> ($0 * 8)) } }
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

    /// What an alert's entry holds: the life cycle, and behind it, but in entries of versions that did
    /// not know it, when it resolved and why it is muted.
    fileprivate var alertParts: (life: AlertLifecycle, resolvedAtMs: Int64, mute: AlertMute?)? {
        guard kind == .alert, payload.count % 8 == 0, payload.count >= 64 else { return nil }
        var numbers = stride(from: 0, to: payload.count, by: 8).map { start in
            (0..<8).reduce(0) { $0 | Int64(payload[start + $1]) << Int64($1 * 8) }
        }
        var (resolvedAtMs, mute) = (TimeLimit.never, AlertMute?.none)
        // A life cycle is eight numbers and three for each breach.
        if (numbers.count - 8) % 3 == 2 {
            mute = AlertMute(rawValue: numbers.removeLast())
            resolvedAtMs = numbers.removeLast()
        }
        return AlertLifecycle(state: numbers).map { ($0, resolvedAtMs, mute) }
    }
}
