import TidemarkCodec
import TidemarkCore
import TidemarkDataflow
import TidemarkRuntime
import TidemarkText

/// What a run came to, for its last lines and for `--json`.
struct RunSummary {
    var totals: RunTotals
    /// How the last engine stood when it ended.
    var last: RunProgress
    /// Names of the plan's columns, in its order.
    var columnNames: [String]
    /// Monitors that come to verdicts, and that the topology asks for.
    var monitorCount: Int
    /// The input was read to its end.
    var untilEnd: Bool
    /// More dead letters than this share are too many; `nil`: never.
    var badRowShare: Double?
    var seconds: Double
    var cpuSeconds: Double
    var peakMemoryBytes: Int64
    var clockMs: Int64?
    /// The input was standard input, which has no time of its own.
    var isPipe: Bool

    init(
        _ plan: Plan, totals: RunTotals, last: RunProgress, untilEnd: Bool, seconds: Double,
        clockMs: Int64?, isPipe: Bool = false
    ) {
        self.totals = totals
        self.last = last
        self.untilEnd = untilEnd
        badRowShare = plan.limits.badRowShare
        self.seconds = seconds
        self.clockMs = clockMs
        self.isPipe = isPipe
        columnNames = plan.stream.columns.map(\.name)
        monitorCount = plan.stream.monitors.count { $0.alerts && !$0.isUnmentioned }
        cpuSeconds = processCPUSeconds()
        peakMemoryBytes = processPeakMemoryBytes()
    }

    /// Columns of which rows came, and no row had a value, in one window at least.
    var columnsWithoutValue: [(name: String, tally: ColumnTally)] {
        zip(columnNames, totals.columns).filter { $0.1.emptyWindows > 0 }.map { ($0, $1) }
    }

    /// Why a run that read its input to the end has nothing to say of it; `nil` where it has.
    ///
    /// Whoever runs a check in a script must be able to tell "all is well" from "nothing was looked at".
    var emptiness: String? {
        guard untilEnd else { return nil }
        let input = totals.input
        if input.records == 0, input.reread == 0 {
            return "nothing was read: the input has no records from where reading began"
        }
        if input.rows == 0, input.reread == 0 {
            return "no record is in a window: all were set aside"
        }
        guard monitorCount > 0, totals.verdicts.reachedCount == 0 else { return nil }
        let kinds = totals.verdicts.sorted.map { "\(grouped($0.count)) \($0.verdict.rawValue)" }
        return kinds.isEmpty
            ? "nothing was tested: no whole window was closed"
            : "nothing was tested: \(kinds.joined(separator: ", "))"
    }

    /// Why the input of a run that read it to the end is not what was expected; `nil` where it is.
    var badness: String? {
        guard untilEnd, let badRowShare, totals.input.records > 0 else { return nil }
        let share = Double(totals.input.deadLetters) / Double(totals.input.records)
        guard share > badRowShare else { return nil }
        return
            "\(fixed(share * 100, 1))% of the records were dead letters, more than limits.bad_rows allows"
    }

    /// The code that a run ends with.
    var exitCode: Int32 {
        emptiness == nil && badness == nil ? ExitCode.done : ExitCode.findings
    }

    func json() -> String {
        var json = JSONWriter()
        json.beginObject()
        for count in WorkerTally.counts {
            json.member(count.name, totals.input[keyPath: count.path])
        }
        json.member("accounted", totals.input.accounted)
        json.member("lost", totals.lost)
        json.member("passed_over", totals.passedOver)
        json.member("windows_without_a_partition", totals.forcedFloors)
        json.member("late_partials", totals.latePartials)
        json.member("seconds", seconds)
        json.member("cpu_seconds", cpuSeconds)
        json.member("closing_cpu_seconds", Double(totals.closingCPUNs) / 1e9)
        json.member("peak_memory_bytes", peakMemoryBytes)
        json.member("windows", totals.windows)
        json.member("aggregates", totals.aggregates)
        json.member("alerts", totals.alerts)
        json.member("commits", totals.commits)
        json.member("snapshots", totals.snapshots)
        json.member("snapshot_bytes", totals.snapshotBytes)
        json.member("open_windows", last.openWindows)
        json.member("dropped_notices", last.droppedNoticeCount)
        if let clockMs { json.member("reference_clock", clockMs) }
        writeTold(&json)
        writeConditions(&json)
        json.endObject()
        return String(decoding: json.bytes, as: UTF8.self)
    }

    /// What is so with the source at the end.
    private func writeConditions(_ json: inout JSONWriter) {
        json.key("conditions")
        json.objects(last.conditions) { json, condition in
            json.member("condition", condition.kind.rawValue)
            json.member("summary", condition.summary)
        }
    }

    /// The lists: what was set aside, the verdicts, columns and groups that nothing is known of.
    private func writeTold(_ json: inout JSONWriter) {
        json.key("set_aside")
        json.objects(totals.input.setAside.sorted) { json, item in
            let (reason, entry) = item
            json.member("reason", reason)
            json.member("count", entry.count)
            json.member("example", entry.example)
        }
        json.key("rows_without_dimension")
        json.objects(totals.input.ungrouped.sorted) { json, item in
            let (reason, entry) = item
            json.member("reason", reason)
            json.member("count", entry.count)
            json.member("example", entry.example)
        }
        json.key("undefined_results")
        json.objects(totals.input.undefined.sorted) { json, item in
            let (name, entry) = item
            json.member("expression", name)
            json.member("count", entry.count)
            json.member("example", entry.example)
        }
        json.key("verdicts")
        json.objects(totals.verdicts.sorted) { json, entry in
            json.member("monitor", entry.monitor)
            json.member("verdict", entry.verdict.rawValue)
            json.member("count", entry.count)
        }
        json.key("columns_without_value")
        json.objects(columnsWithoutValue) { json, item in
            let (name, tally) = item
            json.member("column", name)
            json.member("windows", tally.emptyWindows)
            json.member("rows", tally.rows.total)
            json.member("values", tally.rows.value)
            json.member("null", tally.rows.null)
            json.member("missing", tally.rows.missing)
            json.member("wrong_type", tally.rows.wrongType)
            json.member("non_finite", tally.rows.nonFinite)
        }
        json.key("groups_without_baseline")
        json.beginArray()
        for name in totals.groupsWithoutBaseline.sorted() { json.value(name) }
        json.endArray()
        if let badness { json.member("bad_rows", badness) }
        if let emptiness { json.member("nothing_tested", emptiness) }
    }

    func text() -> String {
        let input = totals.input
        let rate = seconds > 0 ? Double(input.records) / seconds : 0
        var lines = [
            "\(grouped(input.records)) records (\(fixed(Double(input.bytes) / 1e6, 1)) MB) in \(fixed(seconds, 2)) s: \(grouped(Int64(rate))) records/s, \(fixed(cpuSeconds, 2)) CPU-s, peak \(fixed(Double(peakMemoryBytes) / 1e6, 1)) MB",
            "\(counted(Int64(totals.windows), "window")), \(counted(Int64(totals.aggregates), "aggregate")), \(counted(Int64(totals.alerts), "alert"))",
        ]
        lines.append(accountText)
        var odd: [String] = []
        func note(_ count: Int64, _ name: String) {
            if count > 0 { odd.append("\(grouped(count)) \(name)") }
        }
        note(input.beyondEnd, "beyond the end")
        note(input.reread, "read again to rebuild")
        note(input.skipped, "offsets without a record")
        note(
            input.lateForSome, "of those in windows came too late for some of their windows")
        note(Int64(totals.latePartials), "late partials")
        note(input.oddTimes, "impossible record times")
        note(input.refusedLeaps, "leaps of the record time that were not believed")
        note(totals.lost, "gone from the log before they were read")
        note(totals.passedOver, "passed over: before the place where reading began")
        note(
            Int64(totals.forcedFloors),
            "times that windows went on without a partition whose end was not reached")
        if !odd.isEmpty { lines.append(odd.joined(separator: ", ")) }
        for (reason, entry) in input.setAside.sorted {
            lines.append(
                "set aside: \(grouped(entry.count)) \(reason), for example \(entry.example)")
        }
        for (reason, entry) in input.ungrouped.sorted {
            lines.append(
                "no group: \(grouped(entry.count)) rows without a value of the dimension \(reason), for example \(entry.example)"
            )
        }
        for (name, entry) in input.undefined.sorted {
            lines.append(
                "undefined: \(grouped(entry.count)) rows of the expression \(name), for example \(entry.example)"
            )
        }
        if input.assumedUTC > 0 {
            lines.append(
                "\(counted(input.assumedUTC, "time")) without an offset, read as UTC: `zone:` on the column says otherwise"
            )
        }
        lines += verdictLines + columnLines
        if !totals.groupsWithoutBaseline.isEmpty {
            let names = totals.groupsWithoutBaseline.sorted()
            let more = names.count > 5 ? " and \(grouped(Int64(names.count - 5))) more" : ""
            lines.append(
                "no baseline: \(counted(Int64(names.count), "group")), \(names.prefix(5).joined(separator: ", "))\(more)"
            )
        }
        if last.droppedNoticeCount > 0 {
            lines.append(
                "\(counted(Int64(last.droppedNoticeCount), "further notice")) that the log does not have: there were too many"
            )
        }
        if last.openWindows > 0 {
            lines.append(
                "\(counted(Int64(last.openWindows), "window")) left open for the next start"
                    + (last.heldBy.map { ", held by \($0)" } ?? ""))
        }
        for condition in last.conditions { lines.append(condition.summary) }
        if let clockMs {
            lines.append("reference clock \(timeText(clockMs))")
        } else if isPipe {
            lines.append(
                "no reference clock: standard input has none, so no row is ahead of it; `source.clock` names one"
            )
        }
        if let badness { lines.append(badness) }
        if let emptiness { lines.append(emptiness) }
        return lines.map { printable($0) }.joined(separator: "\n") + "\n"
    }

    /// Every record that was read, and what became of it.
    private var accountText: String {
        let input = totals.input
        let parts: [(Int64, String)] = [
            (input.rows - input.withdrawn, "in windows"), (input.withdrawn, "withdrawn"),
            (input.deadLetters, "dead letters"), (input.late, "late"),
            (input.quarantined, "quarantined"), (input.tombstones - input.headers, "tombstones"),
            (input.headers, "headers"),
            (input.filteredOut + input.filteredNull, "filtered out"),
        ]
        let said = parts.filter { $0.0 > 0 }.map { "\(grouped($0.0)) \($0.1)" }
        let sum = said.isEmpty ? "0" : said.joined(separator: " + ")
        let adds = input.accounted == input.records ? "" : "   DOES NOT ADD UP"
        return "\(grouped(input.records)) read = \(sum)\(adds)"
    }

    private var verdictLines: [String] {
        var lines: [String] = []
        var monitor: String?
        for entry in totals.verdicts.sorted {
            let kind = "\(grouped(entry.count)) \(entry.verdict.rawValue)"
            if entry.monitor == monitor {
                lines[lines.count - 1] += ", \(kind)"
            } else {
                lines.append("verdicts of \(entry.monitor): \(kind)")
                monitor = entry.monitor
            }
        }
        return lines
    }

    private var columnLines: [String] {
        columnsWithoutValue.map { name, tally in
            let rows = tally.rows
            let states: [(Int64, String)] = [
                (rows.missing, "missing"), (rows.null, "null"),
                (rows.wrongType, "of a wrong type"), (rows.nonFinite, "not finite"),
            ]
            let said = states.filter { $0.0 > 0 }.map { "\(grouped($0.0)) \($0.1)" }
            return
                "no value: column \(name) in \(counted(Int64(tally.emptyWindows), "window"))"
                + " (\(counted(rows.total, "row")): \(said.joined(separator: ", ")))"
        }
    }
}
