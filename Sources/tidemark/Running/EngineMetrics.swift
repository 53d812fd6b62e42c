import TidemarkCore
import TidemarkDataflow
import TidemarkRuntime
import TidemarkTelemetry

/// Engine readings as metrics: `docs/metrics.md` lists them, and a test compares the two.
///
/// One thread updates them.
final class EngineMetrics {
    private let telemetry: Telemetry
    private let columnNames: [String]
    private let counters: [(counter: Counter, count: (RunTotals) -> Int64)]
    private let gauges: [(gauge: Gauge, value: (RunProgress) -> Double?)]
    /// The values that the labelled families last had: they are looked up again only when something
    /// changed.
    private var lastWindows = -1
    private var lastSetAside = SetAsideTally()
    private var lastUngrouped = SetAsideTally()
    private var lastUndefined = SetAsideTally()

    init(_ telemetry: Telemetry, plan: Plan) {
        self.telemetry = telemetry
        columnNames = plan.stream.columns.map(\.name)
        telemetry.gauge(
            "tidemark_build_info", labels: [("version", programVersion)],
            help: "1; the label says which version runs."
        ).set(1)
        counters = Self.counters(telemetry)
        gauges = Self.gauges(telemetry)
    }

    /// What became of records, as the list of the counts has it.
    private static func inputCounters(
        _ telemetry: Telemetry
    ) -> [(counter: Counter, count: (RunTotals) -> Int64)] {
        WorkerTally.counts.compactMap { count in
            let counter: Counter
            switch count.metric {
            case .none: return nil
            case .fate(let fate):
                counter = telemetry.counter(
                    "tidemark_records_total", labels: [("fate", fate)],
                    help: "Records read since the start, by what became of them.")
            case .counter(let name, let help): counter = telemetry.counter(name, help: help)
            }
            return (counter, { $0.input[keyPath: count.path] })
        }
    }

    private static func counters(
        _ telemetry: Telemetry
    ) -> [(counter: Counter, count: (RunTotals) -> Int64)] {
        func counter(
            _ name: String, _ help: String, _ count: @escaping (RunTotals) -> Int64
        ) -> (Counter, (RunTotals) -> Int64) {
            (telemetry.counter(name, help: help), count)
        }
        return inputCounters(telemetry) + [
            counter(
                "tidemark_records_lost_total",
                "Records that were gone from the log before they were read."
            ) { $0.lost },
            counter(
                "tidemark_records_passed_over_total",
                "Records before the place where an application without offsets began to read."
            ) { $0.passedOver },
            counter("tidemark_windows_closed_total", "Windows that were published.") {
                Int64($0.windows)
            },
            counter("tidemark_aggregates_total", "Records of aggregates that were published.") {
                Int64($0.aggregates)
            },
            counter("tidemark_alerts_fired_total", "Alerts that began to fire.") {
                Int64($0.alerts)
            },
            counter("tidemark_commits_total", "Units of commit that went through.") {
                Int64($0.commits)
            },
            counter(
                "tidemark_late_partials_total",
                "Panes of a partition that came after their windows were published."
            ) { Int64($0.latePartials) },
            counter(
                "tidemark_idle_floors_total",
                "Times that a quiet partition was recorded as idle, so that windows close without it."
            ) { Int64($0.floorsRecorded) },
            counter(
                "tidemark_snapshots_total",
                "Times that open windows were written to the state topic."
            ) { Int64($0.snapshots) },
        ]
    }

    private static func gauges(
        _ telemetry: Telemetry
    ) -> [(gauge: Gauge, value: (RunProgress) -> Double?)] {
        func gauge(
            _ name: String, _ help: String, _ value: @escaping (RunProgress) -> Double?
        ) -> (Gauge, (RunProgress) -> Double?) {
            (telemetry.gauge(name, help: help), value)
        }
        return [
            gauge("tidemark_consumer_lag_records", "Records not yet read.") {
                $0.lag.map { Double($0) }
            },
            gauge(
                "tidemark_watermark_timestamp_seconds",
                "Event time up to which all windows are closed, seconds since 1970."
            ) {
                $0.watermarkMs == TimeLimit.never ? nil : Double($0.watermarkMs) / 1000
            },
            gauge(
                "tidemark_watermark_held_seconds",
                "How far the slowest partition's watermark is behind the furthest one's."
            ) { Double($0.heldMs) / 1000 },
            gauge("tidemark_windows_open", "Windows that are not published yet.") {
                Double($0.openWindows)
            },
            gauge("tidemark_state_bytes", "Memory of open panes, windows and entry state.") {
                Double($0.stateByteCount)
            },
            gauge(
                "tidemark_memory_over_limit",
                "1 while partitions wait for the slowest one, since panes and windows hold more than their part of limits.memory."
            ) { $0.isOverMemory ? 1 : 0 },
            gauge(
                "tidemark_rebuilding", "1 while records before the committed offset are read again."
            ) { $0.isRebuilding ? 1 : 0 },
            gauge(
                "tidemark_holding", "1 while reading is stopped by limits.bad_rows."
            ) { $0.isHolding ? 1 : 0 },
            gauge(
                "tidemark_groups_without_baseline",
                "Groups seen since the start that a baseline does not have."
            ) { Double($0.totals.groupsWithoutBaseline.count) },
        ]
    }

    /// Takes a reading over.
    func update(_ reading: RunProgress) {
        for (counter, count) in counters {
            counter.raise(to: UInt64(clamping: count(reading.totals)))
        }
        for (gauge, value) in gauges {
            if let value = value(reading) { gauge.set(value) }
        }
        let setAside = reading.totals.input.setAside
        if setAside != lastSetAside {
            lastSetAside = setAside
            for (reason, entry) in setAside.entries {
                telemetry.counter(
                    "tidemark_records_set_aside_total", labels: [("reason", reason)],
                    help: "Dead letters, late and quarantined records, by reason."
                ).raise(to: UInt64(clamping: entry.count))
            }
        }
        let ungrouped = reading.totals.input.ungrouped
        if ungrouped != lastUngrouped {
            lastUngrouped = ungrouped
            for (name, entry) in ungrouped.entries {
                // `dimension reason`: a column's name has no blank.
                let words = name.split(separator: " ").map(String.init)
                telemetry.counter(
                    "tidemark_rows_without_dimension_total",
                    labels: [("dimension", words[0]), ("reason", words.last ?? "")],
                    help: "Rows in the group without a value of a dimension, by reason."
                ).raise(to: UInt64(clamping: entry.count))
            }
        }
        let undefined = reading.totals.input.undefined
        if undefined != lastUndefined {
            lastUndefined = undefined
            for (name, entry) in undefined.entries {
                telemetry.counter(
                    "tidemark_expression_undefined_total", labels: [("expression", name)],
                    help: "Rows in which an expression is undefined: by a division by zero, say."
                ).raise(to: UInt64(clamping: entry.count))
            }
        }
        for kind in SourceCondition.Kind.allCases {
            telemetry.gauge(
                "tidemark_source_condition", labels: [("condition", kind.rawValue)],
                help: "1 while the source has this condition; docs/operations.md explains them."
            ).set(reading.conditions.contains { $0.kind == kind } ? 1 : 0)
        }
        guard reading.totals.windows != lastWindows else { return }
        lastWindows = reading.totals.windows
        for entry in reading.totals.verdicts.entries {
            telemetry.counter(
                "tidemark_verdicts_total",
                labels: [("monitor", entry.monitor), ("verdict", entry.verdict.rawValue)],
                help: "What monitors said of closed windows."
            ).raise(to: UInt64(clamping: entry.count))
        }
        for (name, tally) in zip(columnNames, reading.totals.columns) where tally.emptyWindows > 0 {
            telemetry.counter(
                "tidemark_column_windows_without_value_total", labels: [("column", name)],
                help: "Closed windows with rows of which none had a value of the column."
            ).raise(to: UInt64(clamping: tally.emptyWindows))
        }
    }
}
