import TidemarkDataflow
import TidemarkLanguage
import TidemarkTopology

/// What is never exceeded.
enum LimitsPart {
    private static let usual = Limits()
    static let memory = Setting(
        "memory", \Limits.memoryBytes, .size(32 << 20...1 << 40), usual: usual,
        json: "memory_bytes", "queues, batches, panes, entries")
    static let record = Setting(
        "record", \Limits.recordBytes, .size(1 << 10...64 << 20), usual: usual,
        json: "record_bytes", "a longer one is a dead letter")
    static let maxReread = Setting(
        "max_reread", \Limits.maxRereadMs, .duration(10 * secondMs...3600 * secondMs),
        usual: usual, json: "max_reread_ms",
        "event time read again after a restart; open windows beyond it are written out")
    static let badRows = Setting(
        "bad_rows", \Limits.badRowShare, ValueType.share(max: 1).orOff, usual: usual,
        "more dead letters than this for a minute, or of 100,000 records: reading stops, with a page; of a whole file: exit code 1"
    )
    /// What the plan's JSON tells.
    static let told = [memory, record, maxReread]
    static let part = PartSpec(
        "limits", path: "limits", "what is never exceeded",
        [
            memory, record, maxReread, badRows,
            KeySpec.later(
                "dead_letters", "dead letters a second",
                because: "which records have a letter would depend on how fast they were read",
                instead: "`bad_rows`, above which reading stops and a page goes out"),
            KeySpec.later(
                "alerts", "alerts a minute",
                because: "an alert that is left out is one that nobody hears of",
                instead: "`group: model` or `cool_down` in `alerts`, or a smaller `budget`"),
        ],
        example: "limits: { memory: 96MiB }")

    static func read(_ top: Fields) -> Limits {
        var limits = usual
        top.part(TopologyPart.limits, part)?.read(
            [memory, record, maxReread, badRows], into: &limits)
        limits.memory = MemorySplit(memoryBytes: limits.memoryBytes)
        return limits
    }
}

/// How it is run.
enum RunPart {
    private static let usual = RunSettings()
    static let delivery = Setting(
        "delivery", \RunSettings.delivery, .choice(), usual: usual, "what a crash may repeat")
    static let merge = Key(
        "merge",
        ValueType<String>.choice(
            ["local"],
            refused: [
                "kafka":
                    "one process merges all partitions; more threads are `workers`, and what they give is the same"
            ]), usual: "local",
        "where partitions are merged")
    static let commit = Setting(
        "commit", \RunSettings.commitMs, .duration(100...10 * secondMs), usual: usual,
        "longest wait between commits")
    static let workers = KeySpec(
        "workers", .any("a count from 1 to 1024, or auto"), says: "auto", "threads")
    static let batchRows = Setting(
        "batch_rows", \RunSettings.batchRows, .count(1...4096), usual: usual, "rows of a batch")
    static let stopWithin = Setting(
        "stop_within", \RunSettings.stopWithinMs, .duration(secondMs...10 * minuteMs),
        usual: usual, "longest time from SIGTERM to exit")
    static let part = PartSpec(
        "run", path: "run", "how it is run; results do not depend on it",
        [delivery, merge, commit, workers, batchRows, stopWithin],
        example: "run: { commit: 200ms, workers: 4 }")
    private static let workerCount = Key(
        "workers", ValueType<Int>.count(1...1024), usual: 1, "threads")

    static func read(_ top: Fields) -> RunSettings {
        var settings = usual
        guard let f = top.part(TopologyPart.run, part) else { return settings }
        f.read([delivery, commit, batchRows, stopWithin], into: &settings)
        _ = f.value(merge)
        if let node = f[workers], node.text != "auto" {
            settings.workers = top.reading.scalar(node, workerCount)
        }
        return settings
    }
}
