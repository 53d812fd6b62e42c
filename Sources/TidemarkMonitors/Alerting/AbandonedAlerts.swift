import TidemarkAlerts
import TidemarkCodec
import TidemarkCore
import TidemarkDataflow
import TidemarkDrift
import TidemarkRecords
import TidemarkText

/// Alerts of an earlier state epoch that still fire: nothing goes on with them, so they are resolved.
///
/// An edit of the topology, or positions that were set by hand, begin a new epoch. Keys of entries name
/// what an alert is about, so its id is the one under which it fired, though the monitor or the column may
/// be gone.
struct AbandonedAlerts {
    private let plan: Plan
    private let identity = AlertIdentity.murmur
    private(set) var records: [AlertRecord] = []

    init(plan: Plan) { self.plan = plan }

    /// Takes an entry of another epoch in.
    mutating func take(_ frame: StateFrame, key: [UInt8]) {
        let parts = key.split(separator: 0x2f, omittingEmptySubsequences: false).map {
            String(decoding: percentDecoded($0), as: UTF8.self)
        }
        let raw = key.split(separator: 0x2f, omittingEmptySubsequences: false).last.map(Array.init)
        switch frame.kind {
        case .alert:
            guard parts.count == 6, let part = raw, let firing = frame.alert?.firing,
                let lengthMs = parts[3].split(separator: "-").first.flatMap(Self.lengthMs),
                let group = Self.group(part)
            else { return }
            let isWhole = parts[4] == "-"
            add(
                monitor: parts[1], operatorName: parts[2], group: group,
                column: isWhole ? "" : parts[4],
                test: isWhole ? "volume" : TwoSample.automatic.spec.name,
                openedMs: firing.openingStartMs,
                openingEndMs: firing.openingStartMs + lengthMs, firstSeenMs: firing.firstSeenMs,
                throughMs: frame.appliedThroughMs, mute: frame.alertMute)
        case .silence:
            // `silence/NAME`, `source/CONDITION`, or `bad_rows`: said of the source as a whole.
            guard parts.count <= 2, let name = parts.last else { return }
            add(
                monitor: name, operatorName: "", group: GroupValues(dimensions: []), column: "",
                test: parts[0] == "silence" ? "freshness" : name, openedMs: frame.appliedThroughMs,
                openingEndMs: frame.appliedThroughMs, firstSeenMs: frame.appliedThroughMs,
                throughMs: frame.appliedThroughMs, mute: nil)
        case .freshness:
            // A group whose silence was said.
            guard parts.count == 4, let part = raw, frame.payload.count == 2,
                frame.payload[0] == 2, let group = Self.group(part)
            else { return }
            add(
                monitor: parts[1], operatorName: parts[2], group: group, column: "",
                test: "freshness", openedMs: frame.appliedThroughMs,
                openingEndMs: frame.appliedThroughMs, firstSeenMs: frame.appliedThroughMs,
                throughMs: frame.appliedThroughMs,
                mute: AlertMute(rawValue: Int64(frame.payload[1])))
        case .baseline, .topicBaseline, .window, .windowList, .owner: break
        }
    }

    private mutating func add(
        monitor: String, operatorName: String, group: GroupValues, column: String, test: String,
        openedMs: Int64, openingEndMs: Int64, firstSeenMs: Int64, throughMs: Int64,
        mute: AlertMute?
    ) {
        let part = String(decoding: group.part, as: UTF8.self)
        let id = identity.alertID(
            monitor: operatorName.isEmpty ? monitor : "\(monitor)/\(operatorName)", group: part,
            column: column, openingStartMs: openedMs, openingEndMs: openingEndMs)
        let drift = plan.stream.monitors.first { $0.name == monitor }
        let freshness = plan.stream.freshness.first { $0.name == monitor }
        let severity = drift?.severity ?? freshness?.severity ?? .page
        var alert = AlertRecord(
            id: id,
            eventId: identity.eventID(
                alert: id, transition: AlertRecord.Transition.resolved.rawValue, sequence: 1),
            transition: .resolved, topology: plan.name, revision: plan.revision,
            monitor: monitor, severity: severity.rawValue,
            summary: "\(column.isEmpty ? test : column) of"
                + " \(operatorName.isEmpty ? "the source" : part): the topology was changed, and this"
                + " alert is not continued",
            operatorName: operatorName, group: group, column: column, test: test, threshold: 0,
            // What was said of the source as a whole has no window: the moment that it was said for.
            window: Window(startMs: openedMs, endMs: max(openedMs &+ 1, throughMs)),
            openedMs: openedMs, firstSeenMs: firstSeenMs, backfill: mute == .backfill, n: 0,
            nBaseline: 0, baseline: "")
        alert.mutedBy = mute?.name
        alert.reason = .changed
        alert.owner = plan.owner
        alert.labels = plan.labels
        records.append(alert)
    }

    /// The milliseconds of a length as keys write it: `60s`, `1500ms`.
    private static func lengthMs(_ text: Substring) -> Int64? {
        if text.hasSuffix("ms") { return Int64(text.dropLast(2)) }
        guard text.hasSuffix("s"), let seconds = Int64(text.dropLast()), seconds < 1 << 40 else {
            return nil
        }
        return seconds * 1000
    }

    /// The group that a part names, with the dimensions that stand in the part itself.
    private static func group(_ part: [UInt8]) -> GroupValues? {
        if part == [0x2d] { return GroupValues(dimensions: []) }
        let names = part.split(separator: 0x2c, omittingEmptySubsequences: false).map { text in
            String(decoding: percentDecoded(text.prefix { $0 != 0x3d }), as: UTF8.self)
        }
        return GroupValues(part: part, names: names)
    }
}
