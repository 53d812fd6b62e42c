import TidemarkCore
import TidemarkRuntime
import TidemarkTelemetry
import TidemarkText

/// Tells where each partition is read from, and what became of the state.
func logStart(_ reports: [StartReport], _ state: StateReport, _ log: Log) {
    if state.taken > 0 {
        log.info("state restored", ["entries": state.taken, "open_windows": state.windows])
    }
    if let throughMs = state.lostSnapshotThroughMs {
        log.error(
            "the snapshot of open windows is not in the state topic: windows that begin before it are"
                + " incomplete", ["through": timeText(throughMs)])
    }
    if state.stale > 0 {
        log.warning(
            "state entries of an earlier epoch are removed: alerts begin anew",
            ["entries": state.stale])
    }
    for entry in state.unusable {
        log.error(
            "state entry cannot be used and is removed", ["key": entry.key, "why": entry.why])
    }
    for report in reports {
        switch report.kind {
        case .fresh:
            guard report.passedOver > 0 else { break }
            log.warning(
                "no offset was committed: earlier records are not read",
                [
                    "topic": report.partition.topic, "partition": report.partition.partition,
                    "next": report.next, "skipped": report.passedOver,
                ])
        case .foreign:
            log.error(
                "another program set this offset: what lies before it may be in no window, and the first"
                    + " windows are incomplete",
                [
                    "topic": report.partition.topic, "partition": report.partition.partition,
                    "next": report.next, "try": "tidemark offsets show",
                ])
        case .resumed:
            log.info(
                "resumed",
                [
                    "topic": report.partition.topic, "partition": report.partition.partition,
                    "low_water": report.offset, "next": report.next,
                    "reread": report.next - report.offset,
                ])
        case .newEpoch(let why):
            log.warning(
                "new state epoch: the first windows are incomplete",
                [
                    "topic": report.partition.topic, "partition": report.partition.partition,
                    "next": report.next, "metadata": "\(why)",
                ])
        case .expired:
            log.warning(
                "low-water is gone from the log: the first windows are incomplete",
                [
                    "topic": report.partition.topic, "partition": report.partition.partition,
                    "offset": report.offset, "next": report.next, "lost": report.lost,
                ])
        }
    }
}
