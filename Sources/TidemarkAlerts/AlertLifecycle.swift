package import TidemarkCore

/// How long something must hold.
package enum Hold: Sendable, Hashable {
    /// `count` of the last `of` windows with a verdict.
    case windows(count: Int, of: Int)
    /// Without interruption for this long, from the start of the first window to the end of the
    /// last; milliseconds.
    case duration(ms: Int64)
}

/// When an alert fires and resolves.
package struct AlertOptions: Sendable, Hashable {
    /// How long the condition must hold before the alert fires.
    package var hold: Hold
    /// How long it must be clear before the alert resolves.
    package var clearHold: Hold
    /// So long after resolving, in event time, the next firing is published muted; milliseconds.
    package var coolDownMs: Int64
    /// Alerts on windows that were over for longer when their first row was read are published muted;
    /// milliseconds.
    package var ageMsMax: Int64

    /// Options; by default fires at once, and resolves after two clear windows of two.
    ///
    /// - Precondition: `1 <= count <= of <= 64`; durations are not negative.
    package init(
        hold: Hold = .windows(count: 1, of: 1),
        clearHold: Hold = .windows(count: 2, of: 2),
        coolDownMs: Int64 = 3_600_000,
        ageMsMax: Int64 = 3_600_000
    ) {
        for one in [hold, clearHold] {
            switch one {
            case .windows(let count, let of):
                precondition(1 <= count && count <= of && of <= 64, "the planner checks holds")
            case .duration(let ms):
                precondition(ms >= 0, "the planner checks holds")
            }
        }
        self.hold = hold
        self.clearHold = clearHold
        self.coolDownMs = coolDownMs
        self.ageMsMax = ageMsMax
    }
}

/// Where an alert stands.
package enum AlertPhase: UInt8, Sendable, Hashable {
    /// Nothing breached lately.
    case inactive = 0
    /// Breached, but not long enough.
    case pending = 1
    /// Published as firing.
    case firing = 2
}

/// What the caller has to publish.
package enum AlertAction: Sendable, Hashable {
    /// Nothing.
    case none
    /// The alert fires.
    case fire(AlertEvent)
    /// The alert resolves.
    case resolve(AlertEvent)
}

/// The part of an alert that its life cycle knows.
package struct AlertEvent: Sendable, Hashable {
    /// Start of the window that opened the alert, milliseconds; part of the alert's id.
    package let openingStartMs: Int64
    /// End of that window: when the breach was first seen, milliseconds of event time.
    package let firstSeenMs: Int64
    /// End of the window that made the transition, milliseconds of event time.
    package let atMs: Int64
    /// 0 for firing, 1 for resolved: the number of the event in this alert's life.
    package let sequence: Int

    /// An event with all its parts.
    package init(openingStartMs: Int64, firstSeenMs: Int64, atMs: Int64, sequence: Int) {
        self.openingStartMs = openingStartMs
        self.firstSeenMs = firstSeenMs
        self.atMs = atMs
        self.sequence = sequence
    }
}

/// The life of the alerts of one (monitor, group, column): pending, firing, resolved.
///
/// Windows come in the order of their ends. The rules:
/// - A window without a verdict (too few rows, learning, incomplete) is as if it had not been: it
///   neither counts for, nor against, nor resets, and takes no place among the last n. For
///   durations it is bridged: the time of a gap counts if both neighbours breach.
/// - `hold` as m of n: the alert fires at the breached window that makes m of the last n verdicts.
///   The opening window is the oldest of those m.
/// - `hold` as a duration: it fires at the first window whose end lies at least that long after the
///   start of the first of an uninterrupted row of breached windows, which is the opening window.
///   A window that is no breach interrupts it, however near to one.
/// - `clearHold` likewise over windows that are clear, counted from the opening of the firing on; a
///   breach is not clear, nor is a window near to one. The alert stays the same, with the same id,
///   through all breaches until it resolves.
/// - Verdicts from before a resolution do not count for the next firing, nor do those from before
///   a firing count for its resolution.
///
/// - Memory: 80 B; while pending, 24 B for each breached window among the last n.
/// - Complexity: O(1) a window, O(n) while pending.
package struct AlertLifecycle: Sendable, Hashable {
    /// Where it stands.
    package private(set) var phase: AlertPhase = .inactive
    // While firing, the last verdicts, the newest in bit 0: 1 = clear.
    private var history: UInt64 = 0
    // Start and end of the first window of the uninterrupted row, for durations.
    private var rowStartMs: Int64?
    private var rowEndMs: Int64 = 0
    // Of the alert that fires.
    private var openingStartMs: Int64 = 0
    private var firstSeenMs: Int64 = 0
    // While not firing, the breached windows among the last n, with the ordinals of their verdicts.
    private var breaches: [Breach] = []
    private var ordinal: UInt64 = 0

    private struct Breach: Sendable, Hashable {
        var startMs: Int64
        var endMs: Int64
        var ordinal: UInt64
    }

    /// Inactive.
    package init() {}

    /// Takes the verdict of the next closed window.
    ///
    /// `isNear`: it is no breach, and above `clear_below` all the same, so that it is not clear either.
    /// `complete`: false for a window whose rows may be missing: no verdict.
    package mutating func observe(
        _ verdict: Verdict,
        isNear: Bool = false,
        startMs: Int64,
        endMs: Int64,
        complete: Bool,
        options: AlertOptions
    ) -> AlertAction {
        guard complete, verdict.isBreach || verdict.isCalm else { return .none }
        switch phase {
        case .inactive, .pending:
            return observeBeforeFiring(
                breached: verdict.isBreach, startMs, endMs, options.hold)
        case .firing:
            return observeFiring(
                clear: verdict.isCalm && !isNear, startMs, endMs, options.clearHold)
        }
    }

    private mutating func observeBeforeFiring(
        breached: Bool,
        _ startMs: Int64,
        _ endMs: Int64,
        _ hold: Hold
    ) -> AlertAction {
        ordinal &+= 1
        switch hold {
        case .windows(let count, let of):
            if breached {
                breaches.append(Breach(startMs: startMs, endMs: endMs, ordinal: ordinal))
            }
            breaches.removeAll { $0.ordinal + UInt64(of) <= ordinal }
            guard breached, breaches.count >= count else {
                phase = breaches.isEmpty ? .inactive : .pending
                return .none
            }
            return fire(startMs: breaches[0].startMs, endMs: breaches[0].endMs, at: endMs)
        case .duration(let ms):
            guard breached else {
                rowStartMs = nil
                phase = .inactive
                return .none
            }
            let start = rowStartMs ?? startMs
            if rowStartMs == nil {
                rowStartMs = startMs
                rowEndMs = endMs
            }
            guard endMs - start >= ms else {
                phase = .pending
                return .none
            }
            return fire(startMs: start, endMs: rowEndMs, at: endMs)
        }
    }

    private mutating func fire(startMs: Int64, endMs: Int64, at: Int64) -> AlertAction {
        phase = .firing
        openingStartMs = startMs
        firstSeenMs = endMs
        forget()
        return .fire(
            AlertEvent(
                openingStartMs: openingStartMs,
                firstSeenMs: firstSeenMs,
                atMs: at,
                sequence: 0
            )
        )
    }

    private mutating func observeFiring(
        clear: Bool,
        _ startMs: Int64,
        _ endMs: Int64,
        _ hold: Hold
    ) -> AlertAction {
        switch hold {
        case .windows(let count, let of):
            history = history << 1 | (clear ? 1 : 0)
            let last = of == 64 ? history : history & (1 << UInt64(of) - 1)
            guard clear, last.nonzeroBitCount >= count else { return .none }
        case .duration(let ms):
            guard clear else {
                rowStartMs = nil
                return .none
            }
            let start = rowStartMs ?? startMs
            rowStartMs = start
            guard endMs - start >= ms else { return .none }
        }
        phase = .inactive
        forget()
        return .resolve(
            AlertEvent(
                openingStartMs: openingStartMs,
                firstSeenMs: firstSeenMs,
                atMs: endMs,
                sequence: 1
            )
        )
    }

    /// Ends it without a verdict, as of `atMs`: nothing is to come that could clear it.
    ///
    /// - Returns: the resolution of an alert that fires; nil where there was none.
    package mutating func giveUp(atMs: Int64) -> AlertEvent? {
        let wasFiring = phase == .firing
        phase = .inactive
        forget()
        guard wasFiring else { return nil }
        return AlertEvent(
            openingStartMs: openingStartMs, firstSeenMs: firstSeenMs, atMs: atMs, sequence: 1)
    }

    private mutating func forget() {
        history = 0
        rowStartMs = nil
        rowEndMs = 0
        breaches.removeAll(keepingCapacity: false)
        ordinal = 0
    }

    /// The opening of the alert that fires now; nil in other phases.
    package var firing: (openingStartMs: Int64, firstSeenMs: Int64)? {
        phase == .firing ? (openingStartMs, firstSeenMs) : nil
    }
}

extension AlertLifecycle {
    /// Everything that it knows, as numbers, for a state entry: `init(state:)` makes it again.
    package var state: [Int64] {
        [
            Int64(phase.rawValue), Int64(bitPattern: history), rowStartMs == nil ? 0 : 1,
            rowStartMs ?? 0, rowEndMs, openingStartMs, firstSeenMs, Int64(bitPattern: ordinal),
        ] + breaches.flatMap { [$0.startMs, $0.endMs, Int64(bitPattern: $0.ordinal)] }
    }

    /// A life cycle as `state` gave it; nil if these numbers are none.
    package init?(state: [Int64]) {
        guard state.count >= 8, (state.count - 8) % 3 == 0, state.count <= 8 + 3 * 64,
            let phase = UInt8(exactly: state[0]).flatMap(AlertPhase.init(rawValue:)),
            state[2] == 0 || state[2] == 1
        else { return nil }
        self.init()
        self.phase = phase
        history = UInt64(bitPattern: state[1])
        rowStartMs = state[2] == 1 ? state[3] : nil
        rowEndMs = state[4]
        openingStartMs = state[5]
        firstSeenMs = state[6]
        ordinal = UInt64(bitPattern: state[7])
        breaches = stride(from: 8, to: state.count, by: 3).map { at in
            Breach(
                startMs: state[at], endMs: state[at + 1], ordinal: UInt64(bitPattern: state[at + 2])
            )
        }
    }
}
