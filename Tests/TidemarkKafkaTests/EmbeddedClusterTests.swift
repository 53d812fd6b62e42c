import Foundation
import Synchronization
import Testing
import TidemarkBatch
import TidemarkCore
import TidemarkDataflow
import TidemarkKafka
import TidemarkTelemetry

@Suite(.serialized) struct EmbeddedClusterTests {
    @Test func `murmur2 gives what Kafka's Java client gives`() {
        // Source: org.apache.kafka.common.utils.UtilsTest.testMurmur2.
        let cases: [(String, Int32)] = [
            ("21", -973_932_308), ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971), ("abc", 479_470_107),
        ]
        for (text, hash) in cases {
            #expect(Int32(bitPattern: murmur2(Array(text.utf8).span)) == hash, "\(text)")
        }
        #expect(javaPartition(Array("foobar".utf8).span, partitionCount: 1_000) == 166)
    }

    @Test
    func `more partitions than the memory limit has queues for are an error that says how much`()
        throws
    {
        let settings = KafkaSettings()
        let many = try makeClient(
            settings, topics: ["in"], memoryBytes: 96 << 20, partitionCount: 128)
        many.close(withinMs: 1000)
        do {
            _ = try makeClient(
                settings, topics: ["in"], memoryBytes: 96 << 20, partitionCount: 129)
            Issue.record("129 partitions share 8 MiB")
        } catch let error as ConnectorError {
            #expect(error.kind == .environment)
            #expect(error.hint == "limits.memory of at least 97MiB")
        }
    }

    @Test func `two workers read what a paced producer wrote, far beyond what the cluster keeps`()
        async throws
    {
        let cluster = try EmbeddedCluster()
        defer { cluster.close() }
        try cluster.createTopic("in", partitions: 4)
        let client = try makeClient(cluster.settings, topics: ["in"], workers: 2)
        defer { client.close(withinMs: 5000) }
        let extents = try client.source.extents()
        #expect(extents.map(\.partition.partition) == [0, 1, 2, 3])
        #expect(extents.allSatisfy { $0.beginning == 0 && $0.end == 0 })
        let starts = deal(extents, workers: 2)
        let readers = try client.source.open(starts)
        let positions = Positions()
        let perPartition: Int64 = 24_000  // 400 bytes each: 9.6 MB a partition.

        let all = try await withThrowingTaskGroup(of: OrderCheck?.self) { group in
            for (worker, reader) in readers.enumerated() {
                let kafka = try #require(reader as? KafkaReader)
                let mine = starts[worker]
                group.addTask {
                    try await onThread {
                        var check = OrderCheck()
                        let ends = Dictionary(
                            uniqueKeysWithValues: mine.map { ($0.slot, perPartition) }
                        )
                        try drain(kafka, ends: ends) { batch in
                            check.take(batch)
                            for start in mine {
                                positions[start.partition] = kafka.position(start.slot)
                            }
                        }
                        return check
                    }
                }
            }
            group.addTask {
                let counts = try await onThread {
                    let producer = try EmbeddedProducer(cluster) { positions[$0] }
                    let value = [UInt8](repeating: 0x61, count: 400)
                    for _ in 0..<perPartition {
                        for extent in extents { try producer.send(extent.partition, value: value) }
                    }
                    return try producer.finish()
                }
                #expect(counts.values.reduce(0, +) == 4 * perPartition)
                return nil
            }
            var checks: [OrderCheck] = []
            for try await check in group { if let check { checks.append(check) } }
            return checks
        }
        #expect(all.flatMap(\.faults) == [])
        #expect(all.map(\.rowCount).reduce(0, +) == Int(4 * perPartition))
    }

    @Test func `keys, tombstones, empty values and times come as they were written`() throws {
        let cluster = try EmbeddedCluster()
        defer { cluster.close() }
        try cluster.createTopic("in", partitions: 1)
        let partition = TopicPartition(topic: "in", partition: 0)
        let producer = try EmbeddedProducer(cluster) { _ in .max }
        try producer.send(partition, key: [1, 2], value: [3], timestampMs: 1_700_000_000_123)
        try producer.send(partition, key: [4], value: nil, timestampMs: 5)
        try producer.send(partition, key: nil, value: [], timestampMs: 6)
        try producer.send(
            partition,
            key: [],
            value: [UInt8](repeating: 7, count: 200_000),
            timestampMs: 7
        )
        try producer.send(partition, key: nil, value: [8], headers: [("h", [9])], timestampMs: 8)
        #expect(try producer.finish()[partition] == 5)

        let client = try makeClient(cluster.settings, topics: ["in"], recordBytes: 100_000)
        defer { client.close(withinMs: 5000) }
        let reader = try #require(
            try client.source.open(deal(try client.source.extents(), workers: 1)).first
        )
        var rows: [Row] = []
        try drain(reader, ends: [0: 5]) { rows += $0.rows }
        #expect(rows.map(\.offset) == [0, 1, 2, 3, 4])
        #expect(rows.map(\.timeMs) == [1_700_000_000_123, 5, 6, 7, 8])
        #expect(rows.map(\.key) == [[1, 2], [4], nil, [], nil])
        #expect(rows[0].value == [3] && rows[1].value == nil && rows[2].value == [])
        // Over limits.record: the first 64 KiB, and how long it was.
        #expect(rows[3].value == [UInt8](repeating: 7, count: 65_536))
        #expect(rows.map(\.valueLengthWhole) == [1, 0, 0, 200_000, 1])
        #expect(rows[4].value == [8])
    }

    @Test func `headers come with the one record that has them, wherever it stands`() throws {
        let cluster = try EmbeddedCluster()
        defer { cluster.close() }
        try cluster.createTopic("in", partitions: 1)
        let partition = TopicPartition(topic: "in", partition: 0)
        let producer = try EmbeddedProducer(cluster) { _ in .max }
        // Lengths whose varints have one, two and three bytes, at their edges too.
        let lengths = [1, 63, 64, 353]
        let headed = [0: 1, 63: 2, 64: 0, 5000: 3, 9999: 1]
        for row in 0..<10_000 {
            try producer.send(
                partition, key: row % 2 == 0 ? nil : [1],
                value: [UInt8](
                    repeating: 0x7b,
                    count: row % 1000 < 2 ? 8191 + row % 2 : lengths[row % lengths.count]),
                headers: (0..<(headed[row] ?? 0)).map { ("h\($0)", [UInt8]([7, UInt8($0)])) },
                timestampMs: 8)
        }
        // As many headers as a count of two bytes has, a value without a byte, and one that is not there.
        try producer.send(
            partition, value: [1], headers: (0..<70).map { ("h\($0)", [7, UInt8($0)]) },
            timestampMs: 8)
        try producer.send(partition, value: [], headers: [("h0", [7, 0])], timestampMs: 8)
        try producer.send(partition, value: nil, headers: [("h0", [7, 0])], timestampMs: 8)
        _ = try producer.finish()
        let client = try makeClient(cluster.settings, topics: ["in"])
        defer { client.close(withinMs: 5000) }
        let reader = try #require(
            try client.source.open(deal(try client.source.extents(), workers: 1)).first
        )
        var found: [Int64: Int] = [:]
        try drain(reader, ends: [0: 10_003]) { batch in
            for row in 0..<batch.recordCount where !batch.headers(row).isEmpty {
                let headers = batch.headers(row)
                unsafe found[batch.offset[row]] = headers.count
                #expect(
                    headers
                        == headers.indices.map {
                            RecordHeader(name: Array("h\($0)".utf8), value: [7, UInt8($0)])
                        })
            }
        }
        #expect(
            found == [0: 1, 63: 2, 5000: 3, 9999: 1, 10_000: 70, 10_001: 1, 10_002: 1])
    }

    @Test func `whether there may be headers is read off a message of format 2 alone`() {
        func varint(_ number: Int) -> [UInt8] {
            var rest = UInt64(number) << 1
            var bytes: [UInt8] = []
            while rest > 0x7f {
                bytes.append(UInt8(rest & 0x7f) | 0x80)
                rest >>= 7
            }
            return bytes + [UInt8(rest)]
        }
        func asks(_ front: [UInt8], _ length: Int, _ behind: [UInt8]) -> Bool {
            let bytes = front + [UInt8](repeating: 0, count: length) + behind
            return unsafe bytes.withUnsafeBytes {
                unsafe mayHaveHeaders($0.baseAddress.map { unsafe $0 + front.count }, length)
            }
        }
        let lengths =
            Array(1...20_000) + [1 << 20, (1 << 20) - 1, (1 << 20) + 1, 1 << 21, 20_000_000]
        for length in lengths {
            let big = [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: length >> $0) }
            #expect(!asks([9, 9, 9, 9] + varint(length), length, [0]))
            #expect(asks([9, 9, 9, 9] + varint(length), length, [2]))
            // Of the formats before it: nothing that stands behind is looked at.
            #expect(asks([9, 9, 0xff, 0xff, 0xff, 0xff] + big, length, []))
        }
        #expect(asks([0, 0, 0, 0], 0, [0]))
        let asksWithoutValue = mayHaveHeaders(nil, 0)
        #expect(asksWithoutValue)
    }

    @Test func `a batch ends before it is much larger than its share of memory`() throws {
        let cluster = try EmbeddedCluster()
        defer { cluster.close() }
        try cluster.createTopic("in", partitions: 1)
        let partition = TopicPartition(topic: "in", partition: 0)
        let producer = try EmbeddedProducer(cluster) { _ in .max }
        for _ in 0..<40 {
            try producer.send(partition, value: [UInt8](repeating: 1, count: 100_000))
        }
        _ = try producer.finish()
        let client = try makeClient(cluster.settings, topics: ["in"], memoryBytes: 6 << 20)
        defer { client.close(withinMs: 5000) }
        let reader = try #require(
            try client.source.open(deal(try client.source.extents(), workers: 1)).first
        )
        var check = OrderCheck()
        var largest = 0
        try drain(reader, ends: [0: 40]) { batch in
            check.take(batch)
            largest = max(largest, batch.arenaCount)
        }
        #expect(check.rowCount == 40 && check.faults == [])
        #expect(largest < 800_000)
    }

    @Test func `pausing and resuming in mid-stream loses nothing and repeats nothing`() throws {
        let cluster = try EmbeddedCluster()
        defer { cluster.close() }
        try cluster.createTopic("in", partitions: 2)
        let producer = try EmbeddedProducer(cluster) { _ in .max }
        for number in 0..<20_000 {
            for partition in 0..<Int32(2) {
                try producer.send(
                    TopicPartition(topic: "in", partition: partition),
                    value: Array("\(number)".utf8)
                )
            }
        }
        _ = try producer.finish()
        let client = try makeClient(cluster.settings, topics: ["in"])
        defer { client.close(withinMs: 5000) }
        let reader = try #require(
            try client.source.open(deal(try client.source.extents(), workers: 1)).first
        )
        try pauseResume(reader, ends: [0: 20_000, 1: 20_000])
    }

    @Test func `offsets and their metadata come back`() throws {
        let cluster = try EmbeddedCluster()
        defer { cluster.close() }
        try cluster.createTopic("in", partitions: 2)
        let client = try makeClient(cluster.settings, topics: ["in"])
        defer { client.close(withinMs: 5000) }
        let partitions = try client.source.extents().map(\.partition)
        #expect(try client.offsets.committed(partitions) == [])
        let offset = CommittedOffset(
            partition: partitions[1],
            next: 42,
            metadata: String(repeating: "m", count: 512)
        )
        try client.offsets.commit([offset])
        #expect(try client.offsets.committed(partitions) == [offset])
        #expect(client.offsets.clusterId != "")
    }

    @Test func `a full producer queue says no, and takes records again once they are acknowledged`()
        throws
    {
        let cluster = try EmbeddedCluster()
        defer { cluster.close() }
        try cluster.createTopic("out", partitions: 2)
        let client = try makeClient(cluster.settings, topics: [], memoryBytes: 6 << 20)
        defer { client.close(withinMs: 5000) }
        let sink = try client.sink()
        try sink.check(topics: ["out"])
        cluster.setBroker(1, isUp: false)
        let record = OutputRecord(
            topic: "out",
            key: Array("k".utf8),
            value: [UInt8](repeating: 0x61, count: 10_000)
        )
        var takenCount = 0
        while try sink.produce(record) {
            takenCount += 1
            try #require(takenCount < 1000, "the queue has a limit of 1 MiB")
        }
        #expect(takenCount > 50 && sink.outstandingCount == takenCount)
        cluster.setBroker(1, isUp: true)
        let deadline = Date().addingTimeInterval(30)
        while sink.outstandingCount > 0 && Date() < deadline { try sink.service(timeoutMs: 100) }
        #expect(sink.outstandingCount == 0)
        #expect(try sink.produce(record))
        sink.close(withinMs: 10_000)
        #expect(sink.outstandingCount == 0)
    }

    @Test func `an unreachable broker is named, with what the client said, in bounded time`() throws
    {
        let start = Date()
        let client = try makeClient(settings("127.0.0.1:1"), topics: ["in"], connectMs: 1500)
        defer { client.close(withinMs: 5000) }
        let error = #expect(throws: ConnectorError.self) { try client.source.extents() }
        #expect(Date().timeIntervalSince(start) < 4)
        #expect(error?.kind == .environment)
        let message = error?.message ?? ""
        #expect(message.contains("no answer from Kafka at 127.0.0.1:1 within 1.5 s"), "\(message)")
        #expect(message.contains("Connection refused"), "\(message)")
    }

    @Test func `settings that are wrong say which, and never print a secret`() throws {
        func message(_ name: String, _ value: Secret) -> String {
            var settings = settings("127.0.0.1:1")
            settings.properties = [(name, value)]
            do {
                try makeClient(settings, topics: []).close(withinMs: 1000)
                return ""
            } catch {
                return "\(error)"
            }
        }
        #expect(message("fetch.mni.bytes", Secret(plain: "1")).contains("fetch.mni.bytes"))
        #expect(message("group.id", Secret(plain: "x")).contains("may not set group.id"))
        let secret = Secret(reference: "${env:FETCH}") { "hunter2hunter2" }
        let refused = message("fetch.min.bytes", secret)
        #expect(refused.contains("kafka.properties.fetch.min.bytes: the value is refused"))
        #expect(!refused.contains("hunter2"))
        let missing = message("ssl.key.password", Secret(reference: "${env:NO_SUCH}") { nil })
        #expect(missing.contains("${env:NO_SUCH} has no value"))
    }

    @Test func `a closed client closes again without harm`() throws {
        let cluster = try EmbeddedCluster()
        try cluster.createTopic("in", partitions: 1)
        let client = try makeClient(cluster.settings, topics: ["in"])
        let readers = try client.source.open(deal(try client.source.extents(), workers: 1))
        client.source.close(withinMs: 1000)
        client.close(withinMs: 5000)
        client.close(withinMs: 5000)
        let batch = RecordBatch(recordCountMax: 16, arenaCapacity: 1024)
        #expect(throws: ConnectorError.self) { try readers[0].poll(into: batch, timeoutMs: 1) }
        cluster.close()
    }
}

/// Reads to the ends, pausing and resuming partitions in turn, and checks every offset.
func pauseResume(_ reader: any SourceReader, ends: [Int: Int64]) throws {
    var check = OrderCheck()
    var random = SystemRandomNumberGenerator()
    let slots = ends.keys.sorted()
    var paused: Set<Int> = []
    var pauseCount = 0
    let batch = RecordBatch(recordCountMax: 300, arenaCapacity: 1 << 20)
    let deadline = Date().addingTimeInterval(90)
    while slots.contains(where: { reader.position($0) < ends[$0, default: 0] }) {
        try #require(Date() < deadline, "at \(slots.map { reader.position($0) })")
        let slot = slots[Int.random(in: 0..<slots.count, using: &random)]
        let before = slots.map { reader.position($0) }
        if paused.contains(slot) {
            try reader.setPaused(false, slot: slot)
            paused.remove(slot)
        } else if Int.random(in: 0..<3, using: &random) == 0 {
            try reader.setPaused(true, slot: slot)
            paused.insert(slot)
            pauseCount += 1
        }
        for _ in 0..<Int.random(in: 1...4, using: &random) {
            batch.clear()
            try reader.poll(into: batch, timeoutMs: 20)
            check.take(batch)
        }
        for (place, slot) in slots.enumerated() where paused.contains(slot) {
            #expect(reader.position(slot) == before[place], "a paused partition stands still")
        }
    }
    #expect(check.faults == [])
    #expect(check.next == ends)
    #expect(pauseCount > 5)
}
