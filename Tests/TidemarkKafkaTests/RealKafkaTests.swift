import Foundation
import Synchronization
import Testing
import TidemarkAllocations
import TidemarkBatch
import TidemarkCore
import TidemarkDataflow
import TidemarkKafka
import TidemarkTelemetry
import TidemarkTestKafka
import TidemarkTestSupport

@Suite(
    .serialized,
    .enabled(if: RealKafka.isAvailable, "\(RealKafka.skipReason)"),
    .realKafka(secure: true)
)
struct RealKafkaTests {
    let kafka: RealKafka

    init() throws {
        kafka = try #require(RealKafka.current)
    }

    private func fill(_ topic: String, partitions: Int, rows: Int, bytes: Int = 300) throws {
        try kafka.createTopic(topic, partitions: partitions)
        let producer = try TestProducer(kafka.bootstrap)
        for row in 0..<rows {
            for partition in 0..<partitions {
                var value = Array("\(row):".utf8)
                value += [UInt8](repeating: 0x61, count: bytes)
                try producer.send(topic, Int32(partition), value: value)
            }
        }
        try producer.flush()
    }

    @Test func `two workers read every offset of four partitions once and in order`() async throws {
        try fill("whole", partitions: 4, rows: 50_000)
        let telemetry = Telemetry()
        let client = try makeClient(
            settings(kafka.bootstrap),
            topics: ["whole"],
            workers: 2,
            telemetry: telemetry
        )
        defer { client.close(withinMs: 5000) }
        let extents = try client.source.extents()
        #expect(extents.map(\.end) == [50_000, 50_000, 50_000, 50_000])
        let starts = deal(extents, workers: 2)
        let readers = try client.source.open(starts)
        let checks = try await withThrowingTaskGroup(of: OrderCheck.self) { group in
            for (worker, reader) in readers.enumerated() {
                let kafka = try #require(reader as? KafkaReader)
                let ends = Dictionary(
                    uniqueKeysWithValues: starts[worker].map { ($0.slot, Int64(50_000)) }
                )
                group.addTask {
                    try await onThread {
                        var check = OrderCheck()
                        try drain(kafka, ends: ends) { check.take($0) }
                        return check
                    }
                }
            }
            return try await group.reduce(into: [OrderCheck]()) { $0.append($1) }
        }
        #expect(checks.flatMap(\.faults) == [])
        #expect(checks.map(\.rowCount) == [100_000, 100_000])
        #expect(telemetry.counter("tidemark_source_records_total").value == 200_000)
        #expect(client.source.endOffsets() == [50_000, 50_000, 50_000, 50_000])
    }

    @Test func `reading allocates nothing a batch, nor a record`() throws {
        try fill("counted", partitions: 2, rows: 60_000)
        let client = try makeClient(settings(kafka.bootstrap), topics: ["counted"])
        defer { client.close(withinMs: 5000) }
        let readers = try client.source.open(deal(try client.source.extents(), workers: 1))
        let reader = try #require(readers.first)
        let batch = RecordBatch(recordCountMax: 4096, arenaCapacity: 4 << 20)
        var rows = 0
        var counted = 0
        var polls: UInt64 = 0
        var allocations: UInt64 = 0
        let deadline = Date().addingTimeInterval(60)
        while rows < 120_000, Date() < deadline {
            batch.clear()
            // Of this thread: what the client's own threads allocate a message is theirs.
            let before = ta_allocation_count()
            try reader.poll(into: batch, timeoutMs: 50)
            if rows > 40_000 {
                allocations += ta_allocation_count() - before
                counted += batch.recordCount
                polls += 1
            }
            rows += batch.recordCount
        }
        #expect(rows == 120_000)
        #expect(allocations == 0, "in \(counted) records")
        #expect(polls < UInt64(counted) / 100, "\(polls) polls of \(counted) records")
    }

    @Test func `what trickles comes in a few answers, and a backlog at once`() throws {
        let rows = 400
        try kafka.createTopic("trickle", partitions: 1)
        let client = try makeClient(
            settings(kafka.bootstrap), topics: ["trickle"], fetchWaitMs: 200)
        defer { client.close(withinMs: 5000) }
        let extents = try client.source.extents()
        let reader = try #require(try client.source.open(deal(extents, workers: 1)).first)
        let producer = try TestProducer(kafka.bootstrap)
        let batch = RecordBatch(recordCountMax: 4096, arenaCapacity: 1 << 20)
        let began = Date()
        var check = OrderCheck()
        var fullCount = 0
        func poll(timeoutMs: Int) throws {
            batch.clear()
            try reader.poll(into: batch, timeoutMs: timeoutMs)
            check.take(batch)
            if batch.recordCount > 0 { fullCount += 1 }
        }
        for row in 0..<rows {
            try producer.send("trickle", 0, value: Array("\(row)".utf8))
            try producer.flush()
            try poll(timeoutMs: 0)
            usleep(1000)
        }
        while check.rowCount < rows, Date().timeIntervalSince(began) < 60 {
            try poll(timeoutMs: 50)
        }
        #expect(check.faults == [])
        #expect(check.rowCount == rows)
        // One answer each 200 ms, which two polls may share.
        let answerCount = Date().timeIntervalSince(began) / 0.2 + 2
        #expect(Double(fullCount) <= 2 * answerCount)
        #expect(fullCount < rows / 4)

        try fill("backlog", partitions: 1, rows: 100_000)
        let slow = try makeClient(
            settings(kafka.bootstrap), topics: ["backlog"], fetchWaitMs: 1000)
        defer { slow.close(withinMs: 5000) }
        let behind = try #require(
            try slow.source.open(deal(try slow.source.extents(), workers: 1)).first)
        // Thirty megabytes are sixty answers: a second before each would be a minute.
        try drain(behind, ends: [0: 100_000], seconds: 30) { check.rowCount += $0.recordCount }
        #expect(check.rowCount == rows + 100_000)
    }

    @Test func `pausing and resuming in mid-stream loses nothing and repeats nothing`() throws {
        try fill("pause", partitions: 3, rows: 60_000)
        let client = try makeClient(
            settings(kafka.bootstrap),
            topics: ["pause"],
            memoryBytes: 24 << 20
        )
        defer { client.close(withinMs: 5000) }
        let reader = try #require(
            try client.source.open(deal(try client.source.extents(), workers: 1)).first
        )
        try pauseResume(reader, ends: [0: 60_000, 1: 60_000, 2: 60_000])
    }

    @Test func `one worker pauses while another reads on`() async throws {
        try fill("two", partitions: 4, rows: 60_000)
        let client = try makeClient(
            settings(kafka.bootstrap),
            topics: ["two"],
            memoryBytes: 24 << 20,
            workers: 2
        )
        defer { client.close(withinMs: 5000) }
        let readers = try client.source.open(deal(try client.source.extents(), workers: 2))
        try await withThrowingTaskGroup(of: Void.self) { group in
            for (worker, reader) in readers.enumerated() {
                let kafka = try #require(reader as? KafkaReader)
                group.addTask {
                    try await onThread {
                        try pauseResume(kafka, ends: [worker: 60_000, worker + 2: 60_000])
                    }
                }
            }
            try await group.waitForAll()
        }
    }

    @Test func `a position reaches the end past commit markers and aborted records`() throws {
        try kafka.createTopic("txn", partitions: 1)
        let producer = try TestProducer(kafka.bootstrap, transactionalId: "writer")
        try producer.begin()
        for row in 0..<10 { try producer.send("txn", 0, value: [UInt8(row)]) }
        try producer.commit()
        try producer.begin()
        for row in 10..<15 { try producer.send("txn", 0, value: [UInt8(row)]) }
        try producer.flush()
        try producer.abort()
        // 10 records and a marker, 5 aborted ones and a marker: the end is 17, the last record 9.
        let client = try makeClient(settings(kafka.bootstrap), topics: ["txn"])
        defer { client.close(withinMs: 5000) }
        // The coordinator answers before the last marker is written.
        var extents = try client.source.extents()
        for _ in 0..<100 where extents.map(\.end) != [17] {
            usleep(50_000)
            extents = try client.source.extents()
        }
        #expect(extents.map(\.end) == [17])
        let reader = try #require(try client.source.open(deal(extents, workers: 1)).first)
        var rows: [Row] = []
        try drain(reader, ends: [0: 17], seconds: 20) { rows += $0.rows }
        #expect(rows.map(\.offset) == Array(0..<10))
        #expect(reader.position(0) == 17)

        // An open transaction is not yet the log: neither its records nor lag.
        try producer.begin()
        try producer.send("txn", 0, value: [99])
        try producer.flush()
        #expect(try client.source.extents().map(\.end) == [17])
        let batch = RecordBatch(recordCountMax: 16, arenaCapacity: 1024)
        let deadline = Date().addingTimeInterval(2.5)
        while Date() < deadline {
            batch.clear()
            try reader.poll(into: batch, timeoutMs: 100)
            #expect(batch.recordCount == 0)
        }
        #expect(client.source.endOffsets() == [17])
        try producer.commit()
        try drain(reader, ends: [0: 19], seconds: 20) { rows += $0.rows }
        #expect(rows.last?.value == [99])

        // Reading everything, aborted records are there.
        let all = try makeClient(
            settings(kafka.bootstrap),
            topics: ["txn"],
            app: "all",
            committed: false
        )
        defer { all.close(withinMs: 5000) }
        let whole = try #require(
            try all.source.open(deal(try all.source.extents(), workers: 1)).first
        )
        var offsets: [Int64] = []
        try drain(whole, ends: [0: 19], seconds: 20) { offsets += $0.rows.map(\.offset) }
        #expect(offsets == Array(0..<10) + Array(11..<16) + [17])
    }

    @Test func `offsets and metadata come back in another process of the group`() throws {
        try kafka.createTopic("offsets", partitions: 2)
        let partitions = [
            TopicPartition(topic: "offsets", partition: 0),
            TopicPartition(topic: "offsets", partition: 1),
        ]
        let first = try makeClient(settings(kafka.bootstrap), topics: ["offsets"], app: "store")
        #expect(try first.offsets.committed(partitions) == [])
        let offsets = partitions.map {
            CommittedOffset(
                partition: $0,
                next: 7 + Int64($0.partition),
                metadata: "v1 low=3 crc=ab"
            )
        }
        try first.offsets.commit(offsets)
        let clusterId = first.offsets.clusterId
        #expect(clusterId.count > 10)
        first.close(withinMs: 5000)
        let second = try makeClient(settings(kafka.bootstrap), topics: ["offsets"], app: "store")
        defer { second.close(withinMs: 5000) }
        #expect(try second.offsets.committed(partitions) == offsets)
        #expect(second.offsets.clusterId == clusterId)
        let report = try kafka.run("groups", "--describe", "--group", "store")
        #expect(report.contains("offsets"))
    }

    @Test func `a partition without an offset begins where the topology says`() throws {
        try kafka.createTopic("start", partitions: 1)
        let producer = try TestProducer(kafka.bootstrap)
        for row in 0..<10 {
            try producer.send("start", 0, value: [1], timestampMs: Int64(1000 + row * 10))
        }
        try producer.flush()
        let client = try makeClient(settings(kafka.bootstrap), topics: ["start"])
        defer { client.close(withinMs: 5000) }
        let extent = try #require(try client.source.extents().first)
        #expect(try client.source.firstOffset(extent, start: .earliest) == 0)
        #expect(try client.source.firstOffset(extent, start: .latest) == 10)
        #expect(try client.source.firstOffset(extent, start: .committed) == 10)
        #expect(try client.source.firstOffset(extent, start: .time(ms: 1045)) == 5)
        #expect(try client.source.firstOffset(extent, start: .time(ms: 5000)) == 10)
    }

    @Test func `an offset that the log no longer has is an error and no silent jump`() throws {
        try fill("short", partitions: 1, rows: 10)
        let client = try makeClient(settings(kafka.bootstrap), topics: ["short"])
        defer { client.close(withinMs: 5000) }
        let extent = try #require(try client.source.extents().first)
        let reader = try #require(
            try client.source.open([
                [PartitionStart(slot: 0, partition: extent.partition, offset: 500)]
            ])
            .first
        )
        let batch = RecordBatch(recordCountMax: 16, arenaCapacity: 1024)
        let error = #expect(throws: ConnectorError.self) {
            for _ in 0..<100 {
                batch.clear()
                try reader.poll(into: batch, timeoutMs: 100)
            }
        }
        #expect(error?.kind == .environment)
        #expect(
            error?.message.contains("short[0]: offset 500 is no longer in the log") == true,
            "\(error as Any)"
        )
    }

    @Test func `topics that do not exist are named, with the command that makes them`() throws {
        let client = try makeClient(settings(kafka.bootstrap), topics: ["no-such"])
        defer { client.close(withinMs: 5000) }
        let missing = #expect(throws: ConnectorError.self) { try client.source.extents() }
        #expect(missing?.kind == .environment)
        #expect(missing?.message == "input topic 'no-such' does not exist at \(kafka.bootstrap)")
        let sink = try client.sink()
        defer { sink.close(withinMs: 1000) }
        let output = #expect(throws: ConnectorError.self) { try sink.check(topics: ["no-output"]) }
        #expect(output?.kind == .environment)
        #expect(
            output?.hint?.hasPrefix(
                "kafka-topics.sh --bootstrap-server \(kafka.bootstrap) --create --topic no-output --partitions "
            ) == true
        )
        #expect(try !kafka.run("topics", "--list").contains("no-"))
    }

    @Test func `a wrong password is said at once and printed nowhere`() throws {
        let lines = Lines()
        func client(_ password: String) throws -> KafkaClient {
            var settings = settings(kafka.secureBootstrap)
            var tls = KafkaSettings.TLS()
            tls.caPath = kafka.certificateAuthority
            settings.tls = tls
            var sasl = KafkaSettings.SASL(mechanism: "PLAIN")
            sasl.username = "alice"
            sasl.password = Secret(reference: "${env:KAFKA_PASSWORD}") { password }
            settings.sasl = sasl
            return try makeClient(settings, topics: ["secured"], log: lines.log())
        }
        try kafka.createTopic("secured", partitions: 1)
        let good = try client("alice-secret")
        #expect(try good.source.extents().count == 1)
        good.close(withinMs: 5000)
        let bad = try client("wrong-horse-battery")
        defer { bad.close(withinMs: 5000) }
        let start = Date()
        let error = #expect(throws: ConnectorError.self) { try bad.source.extents() }
        #expect(Date().timeIntervalSince(start) < 5)
        #expect(error?.kind == .environment)
        let message = error?.description ?? ""
        #expect(message.contains("refused the connection"), "\(message)")
        #expect(message.contains("uthentication"), "\(message)")
        #expect(message.contains("kafka.sasl"), "\(message)")
        for text in [message, lines.text] {
            #expect(!text.contains("wrong-horse") && !text.contains("alice-secret"))
        }
    }

    @Test func `records go where Kafka's Java producer would put them, with their headers`() throws
    {
        try kafka.createTopic("out", partitions: 8)
        let client = try makeClient(settings(kafka.bootstrap), topics: ["out"])
        defer { client.close(withinMs: 5000) }
        let sink = try client.sink()
        try sink.check(topics: ["out"])
        for number in 0..<200 {
            let taken = try sink.produce(
                OutputRecord(
                    topic: "out",
                    key: Array("key-\(number)".utf8),
                    value: number % 10 == 0 ? nil : Array("value-\(number)".utf8),
                    headers: [("h", Array("x\(number)".utf8)), ("empty", [])],
                    partitionKey: number % 2 == 0 ? Array("series".utf8) : nil
                )
            )
            #expect(taken)
        }
        while sink.outstandingCount > 0 { try sink.service(timeoutMs: 100) }
        sink.close(withinMs: 5000)
        let extents = try client.source.extents()
        let reader = try #require(try client.source.open(deal(extents, workers: 1)).first)
        var rows: [Row] = []
        let ends = Dictionary(
            uniqueKeysWithValues: extents.enumerated().map { ($0.offset, $0.element.end) }
        )
        try drain(reader, ends: ends) { rows += $0.rows }
        #expect(rows.count == 200)
        for row in rows {
            let key = try #require(row.key)
            let text = String(decoding: key, as: UTF8.self)
            let number = try #require(Int(text.dropFirst(4)))
            let chooser = number % 2 == 0 ? Array("series".utf8) : key
            #expect(row.slot == Int(javaPartition(chooser.span, partitionCount: 8)))
            #expect(row.value == (number % 10 == 0 ? nil : Array("value-\(number)".utf8)))
        }
        let seen = try kafka.run(
            "consume",
            "--topic",
            "out",
            "--from-beginning",
            "--max-messages",
            "200",
            "--property",
            "print.headers=true"
        )
        #expect(seen.contains("h:x17,empty:\tvalue-17"))
    }

    @Test func `a record over the topic's limit is an error that says so`() throws {
        try kafka.createTopic("narrow", partitions: 1, config: ["max.message.bytes=2000"])
        let client = try makeClient(settings(kafka.bootstrap), topics: [])
        defer { client.close(withinMs: 5000) }
        let sink = try client.sink()
        defer { sink.close(withinMs: 1000) }
        var random = SystemRandomNumberGenerator()
        let value = (0..<50_000).map { _ in UInt8.random(in: 0...255, using: &random) }
        #expect(try sink.produce(OutputRecord(topic: "narrow", key: nil, value: value)))
        let error = #expect(throws: ConnectorError.self) {
            for _ in 0..<100 { try sink.service(timeoutMs: 100) }
        }
        #expect(error?.kind == .environment)
        #expect(error?.message.contains("'narrow' is over the topic's max.message.bytes") == true)
    }

    @Test func `of somebody else's record over the topic's limit the first bytes arrive`() throws {
        try kafka.createTopic("letters", partitions: 1, config: ["max.message.bytes=100000"])
        let client = try makeClient(settings(kafka.bootstrap), topics: ["letters"])
        defer { client.close(withinMs: 5000) }
        let sink = try client.sink()
        defer { sink.close(withinMs: 1000) }
        var random = SystemRandomNumberGenerator()
        let value = (0..<300_000).map { _ in UInt8.random(in: 0...255, using: &random) }
        let small = OutputRecord(topic: "letters", key: nil, value: [1], form: .foreign)
        let large = OutputRecord(
            topic: "letters",
            key: [2],
            value: value,
            headers: [("reason", [3])],
            form: .foreign
        )
        for record in [small, large, small] {
            #expect(try sink.produce(record))
            while sink.outstandingCount > 0 { try sink.service(timeoutMs: 100) }
        }
        let reader = try #require(
            try client.source.open(deal(try client.source.extents(), workers: 1)).first
        )
        var rows: [Row] = []
        try drain(reader, ends: [0: 3]) { rows += $0.rows }
        #expect(rows.map { $0.value?.count } == [1, 65_536, 1])
        #expect(rows[1].key == [2] && rows[1].value == Array(value.prefix(65_536)))
        let seen = try kafka.run(
            "dump-log",
            "--print-data-log",
            "--files",
            "\(kafka.directory)/1/log/letters-0/00000000000000000000.log"
        )
        #expect(seen.contains("headerKeys: [reason,length]"))
    }

    @Test func `a reader slower than the network is fed without pauses of a second`() throws {
        try fill("slow", partitions: 4, rows: 50_000)
        let client = try makeClient(
            settings(kafka.bootstrap),
            topics: ["slow"],
            memoryBytes: 24 << 20
        )
        defer { client.close(withinMs: 5000) }
        let reader = try #require(
            try client.source.open(deal(try client.source.extents(), workers: 1)).first
        )
        var check = OrderCheck()
        let start = Date()
        // 1 µs a record is 0.2 s in all; one queue of 2 MiB a second would be half a minute.
        try drain(reader, ends: [0: 50_000, 1: 50_000, 2: 50_000, 3: 50_000]) { batch in
            check.take(batch)
            usleep(UInt32(batch.recordCount))
        }
        #expect(check.faults == [] && check.rowCount == 200_000)
        #expect(Date().timeIntervalSince(start) < 5)
    }

    @Test func `a broker that stands still for five seconds holds back and loses nothing`()
        async throws
    {
        try fill("still", partitions: 2, rows: 100_000)
        try kafka.createTopic("copy", partitions: 2)
        let client = try makeClient(
            settings(kafka.bootstrap),
            topics: ["still"],
            memoryBytes: 24 << 20
        )
        defer { client.close(withinMs: 5000) }
        let reader = try #require(
            try client.source.open(deal(try client.source.extents(), workers: 1)).first
                as? KafkaReader
        )
        let sink = try client.sink()
        try sink.check(topics: ["copy"])
        let kafka = kafka
        async let frozen: Void = onThread {
            usleep(200_000)
            try kafka.pause()
            sleep(5)
            try kafka.resume()
        }
        let (check, seconds) = try await onThread {
            var check = OrderCheck()
            let start = Date()
            try drain(reader, ends: [0: 100_000, 1: 100_000], seconds: 90) { batch in
                check.take(batch)
                for row in batch.rows {
                    let record = OutputRecord(
                        topic: "copy",
                        key: Array("\(row.slot)".utf8),
                        value: row.value
                    )
                    while try !sink.produce(record) { try sink.service(timeoutMs: 100) }
                }
                try sink.service(timeoutMs: 0)
            }
            while sink.outstandingCount > 0 { try sink.service(timeoutMs: 100) }
            return (check, Date().timeIntervalSince(start))
        }
        try await frozen
        #expect(check.faults == [] && check.rowCount == 200_000)
        // Where the queues of reader and sink are when the broker stops differs from run to run: either may be
        // what waits. Nothing is through before the broker goes on.
        #expect(seconds > 4)
        sink.close(withinMs: 5000)
        let copy = try makeClient(settings(kafka.bootstrap), topics: ["copy"], app: "copy")
        defer { copy.close(withinMs: 5000) }
        #expect(try copy.source.extents().reduce(0) { $0 + $1.end } == 200_000)
    }
}
