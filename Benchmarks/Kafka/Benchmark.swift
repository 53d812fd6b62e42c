import Glibc
import TidemarkBatch
import TidemarkCore
import TidemarkDataflow
import TidemarkKafka
import TidemarkTelemetry

/// `kafka-bench load BROKERS TOPIC FILE [RECORDS]` fills a topic;
/// `kafka-bench read BROKERS TOPIC [QUEUE-MIB] [WORKERS] [property=value …]` reads it to its end and
/// (with PAUSE_NS, as slowly as that a record) and prints records, a checksum, seconds, CPU-seconds and the peak of memory.
func runBenchmark(_ arguments: [String]) -> Int32 {
    guard arguments.count >= 4 else {
        print(
            "usage: kafka-bench load BROKERS TOPIC FILE [RECORDS] | read BROKERS TOPIC [MIB] [WORKERS] [p=v …]"
        )
        return 2
    }
    var settings = KafkaSettings()
    settings.brokers = arguments[2]
    do throws(ConnectorError) {
        switch arguments[1] {
        case "load":
            let start = SystemTime().nowNs()
            let result = try KafkaLoader.load(
                path: arguments[4],
                topic: arguments[3],
                settings: settings,
                recordCountMax: arguments.count > 5 ? Int(arguments[5]) ?? .max : .max
            )
            print(
                "loaded records=\(result.recordCount) bytes=\(result.byteCount)",
                "seconds=\(seconds(SystemTime().nowNs() - start)) cpu_seconds=\(cpuSeconds())"
            )
        default:
            for argument in arguments.dropFirst(6) {
                let parts = argument.split(separator: "=", maxSplits: 1).map(String.init)
                settings.properties.append((parts[0], Secret(plain: parts[1])))
            }
            try read(
                settings,
                topic: arguments[3],
                queueBytes: (arguments.count > 4 ? Int(arguments[4]) ?? 8 : 8) << 20,
                workers: arguments.count > 5 ? Int(arguments[5]) ?? 1 : 1
            )
        }
    } catch {
        print(error)
        return 4
    }
    return 0
}

private func read(
    _ settings: KafkaSettings,
    topic: String,
    queueBytes: Int,
    workers: Int
) throws(ConnectorError) {
    var limits = Limits()
    limits.memory = MemorySplit(memoryBytes: 12 * queueBytes)
    let telemetry = Telemetry()
    let plan = SourcePlan(topics: [topic])
    let client = try KafkaClient(
        settings: settings,
        app: "bench",
        source: plan,
        limits: limits,
        workers: workers,
        time: SystemTime(),
        log: Log(time: SystemTime(), level: .warning),
        telemetry: telemetry
    )
    let extents = try client.source.extents()
    var starts = [[PartitionStart]](repeating: [], count: workers)
    for (slot, extent) in extents.enumerated() {
        starts[slot % workers].append(
            PartitionStart(slot: slot, partition: extent.partition, offset: extent.beginning)
        )
    }
    let start = SystemTime().nowNs()
    let before = cpuSeconds()
    let readers = try client.source.open(starts)
    let batch = RecordBatch(recordCountMax: 4096, arenaCapacity: 2 << 20)
    let pauseNs = unsafe getenv("PAUSE_NS").map { unsafe UInt32(String(cString: $0)) ?? 0 } ?? 0
    var rowCount = 0
    var checksum: UInt64 = 0
    var pollCount = 0
    while true {
        var isDone = true
        for (worker, reader) in readers.enumerated() {
            batch.clear()
            try reader.poll(into: batch, timeoutMs: workers == 1 ? 100 : 1)
            pollCount += 1
            // Work that a batch would be: a reader slower than the client fills its queue.
            usleep(UInt32(batch.recordCount) * pauseNs / 1000)
            rowCount += batch.recordCount
            for row in 0..<batch.recordCount {
                checksum &+=
                    unsafe UInt64(bitPattern: batch.offset[row])
                    &* UInt64(batch.value(row)?.last ?? 0)
            }
            for entry in starts[worker] where reader.position(entry.slot) < extents[entry.slot].end
            {
                isDone = false
            }
        }
        if isDone { break }
    }
    let cpu = cpuSeconds()
    print(
        "records=\(rowCount) checksum=\(checksum) polls=\(pollCount)",
        "seconds=\(seconds(SystemTime().nowNs() - start)) cpu_seconds=\(cpu - before)",
        "whole_cpu=\(cpu) peak_mb=\(peakMegabytes())"
    )
    client.close(withinMs: 5000)
}

private func seconds(_ ns: Int64) -> Double { Double(ns / 1_000_000) / 1000 }

private func cpuSeconds() -> Double {
    var usage = rusage()
    unsafe getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
    let micros =
        (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1_000_000
        + Int(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec)
    return Double(micros / 1000) / 1000
}

private func peakMegabytes() -> Int {
    var usage = rusage()
    unsafe getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
    return usage.ru_maxrss / 1024
}
