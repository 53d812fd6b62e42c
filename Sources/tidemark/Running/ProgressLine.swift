import TidemarkCore
import TidemarkDataflow
import TidemarkRuntime
import TidemarkTelemetry
import TidemarkText

/// Live progress: a line that is redrawn on a terminal, a log line now and then elsewhere.
final class ProgressLine {
    private let log: Log
    private let time: SystemTime
    private let isQuiet: Bool
    private let isTerminal: Bool
    private var lastNs: Int64
    private var lastRecords: Int64 = 0
    private var wasHolding = false
    private var wasOverMemory = false
    private var noticeCount = 0
    private var told: Set<SourceCondition.Kind> = []
    private var wasSlow = false
    private var lastTroubleNs = Int64.min / 2
    private let columnNames: [String]
    private var lastWindows = 0
    /// Columns without a value and groups without a baseline that were reported: once each.
    private var toldColumns: Set<Int> = []
    private var toldGroups: Set<String> = []
    private static let toldGroupsMax = 20

    init(log: Log, time: SystemTime, plan: Plan, isQuiet: Bool) {
        columnNames = plan.stream.columns.map(\.name)
        self.log = log
        self.time = time
        self.isQuiet = isQuiet
        isTerminal = Log.isTerminal
        lastNs = time.nowNs()
    }

    func update(_ reading: RunProgress) {
        if reading.isHolding, !wasHolding {
            log.error(
                "reading has stopped: too many dead letters in a minute (limits.bad_rows)",
                ["dead_letters": reading.totals.input.deadLetters, "try": "tidemark dlq list"])
            wasHolding = true
        }
        if reading.isOverMemory != wasOverMemory {
            wasOverMemory = reading.isOverMemory
            if wasOverMemory {
                log.warning(
                    "panes and windows hold more than their part of limits.memory: partitions wait"
                        + " for the slowest one", ["mib": reading.stateByteCount >> 20])
            } else {
                log.info("panes and windows are within their part of limits.memory again")
            }
        }
        for notice in reading.notices.dropFirst(noticeCount) {
            log.log(.warning, notice.event, notice.fields)
        }
        noticeCount = reading.notices.count
        tellConditions(reading)
        tellUnknown(reading.totals)
        guard !isQuiet else { return }
        let now = time.nowNs()
        let elapsed = Double(now - lastNs) / 1e9
        guard elapsed >= (isTerminal ? 0.25 : 10) else { return }
        let records = reading.totals.input.records + reading.totals.input.reread
        let rate = Int64(Double(records - lastRecords) / elapsed)
        lastNs = now
        lastRecords = records
        let watermark = reading.watermarkMs == TimeLimit.never ? "-" : timeText(reading.watermarkMs)
        if isTerminal {
            log.setStatus(
                (reading.isRebuilding ? "rebuilding  " : "")
                    + "\(grouped(rate)) records/s  lag \(reading.lag.map { grouped($0) } ?? "-")  watermark \(watermark)  panes \(reading.openPanes)  windows \(reading.totals.windows) (+\(reading.openWindows) open)  alerts \(reading.totals.alerts)"
            )
        } else {
            log.info(
                "progress",
                [
                    "records": records, "records_per_s": rate,
                    "lag": reading.lag.map { "\($0)" } ?? "unknown", "watermark": watermark,
                    "held_by": reading.heldBy.map { "\($0)" } ?? "none",
                    "open_windows": reading.openWindows, "windows": reading.totals.windows,
                    "alerts": reading.totals.alerts,
                ])
        }
    }

    /// Reports conditions of the source, when they begin and when they are over.
    private func tellConditions(_ reading: RunProgress) {
        for condition in reading.conditions where told.insert(condition.kind).inserted {
            log.warning(
                condition.summary, ["condition": condition.kind.rawValue, "value": condition.value])
        }
        for kind in told.sorted(by: { $0.rawValue < $1.rawValue })
        where !reading.conditions.contains(where: { $0.kind == kind }) {
            told.remove(kind)
            log.info("is over", ["condition": kind.rawValue])
        }
        if let trouble = reading.commitTrouble, time.nowNs() - lastTroubleNs > 30_000_000_000 {
            lastTroubleNs = time.nowNs()
            log.warning("results are not committed", ["why": trouble])
        }
        let isSlow = reading.lastUnitMs > RunSettings.unitMsMax
        if isSlow, !wasSlow {
            log.warning(
                "results leave slowly: fewer go into each commit",
                ["commit_ms": reading.lastUnitMs, "bytes_max": reading.unitBytesMax])
        }
        wasSlow = isSlow
    }

    /// Reports, once each, columns without a value in a whole window and groups that no baseline
    /// has.
    private func tellUnknown(_ totals: RunTotals) {
        guard totals.windows != lastWindows else { return }
        lastWindows = totals.windows
        for (place, tally) in totals.columns.enumerated()
        where tally.emptyWindows > 0 && toldColumns.insert(place).inserted {
            log.warning(
                "a column had no value in any row of a window",
                [
                    "column": columnNames[place], "rows": tally.rows.total,
                    "missing": tally.rows.missing, "null": tally.rows.null,
                    "wrong_type": tally.rows.wrongType, "non_finite": tally.rows.nonFinite,
                ])
        }
        guard totals.groupsWithoutBaseline.count > toldGroups.count,
            toldGroups.count < Self.toldGroupsMax
        else { return }
        for group in totals.groupsWithoutBaseline.sorted()
        where toldGroups.count < Self.toldGroupsMax && toldGroups.insert(group).inserted {
            log.warning("a group is not in the baseline: it is not compared", ["group": group])
        }
        if toldGroups.count == Self.toldGroupsMax {
            log.warning("further groups without a baseline are counted, not named")
        }
    }

    func finish() { if !isQuiet, isTerminal { log.setStatus("") } }
}
