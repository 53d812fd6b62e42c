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
        /// The state topic may hold it.
        var isStored = false
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
    ) -> (event: AlertEvent, transition: AlertRecord.Transition)? {
        // Of an incomplete window nothing is learned; it comes again.
        guard closing.complete, verdict != .none else { return nil }
        var alert = alerts[series] ?? Alert()
        guard closing.window.endMs > alert.appliedThroughMs else { return nil }
        let before = alert.life
        let action = alert.life.observe(
            verdict, startMs: closing.window.startMs, endMs: closing.window.endMs,
            complete: true, options: options[series.monitor])
        let said: (event: AlertEvent, transition: AlertRecord.Transition)? =
            switch action {
            case .none: nil
            case .fire(let event): (event, .firing)
            case .resolve(let event): (event, .resolved)
            }
        if alert.life.phase == .inactive && !alert.isStored {
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
        for series in leaving
        where alerts[series].map({ $0.appliedThroughMs <= settled.throughMs[series.size] }) ?? true
        {
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
                payload: Self.bytes(alert.life.state))
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
        guard let life = frame.alert else {
            return .unusable("it is no alert")
        }
        alerts[series] = Alert(
            life: life, appliedThroughMs: frame.appliedThroughMs, isStored: true)
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
    package var alert: AlertLifecycle? {
        guard kind == .alert, payload.count % 8 == 0 else { return nil }
        return AlertLifecycle(
            state: stride(from: 0, to: payload.count, by: 8).map { start in
                (0..<8).reduce(0) { $0 | Int64(payload[start + $1]) << Int64($1 * 8) }
            })
    }
}
