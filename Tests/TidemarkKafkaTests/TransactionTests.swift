import Foundation
import Testing
import TidemarkBatch
import TidemarkCore
import TidemarkDataflow
import TidemarkKafka
import TidemarkRuntime
import TidemarkTelemetry
import TidemarkTestKafka

/// What `TransactionLog` is told by a simulated producer in the simulation, by a real broker here.
extension RealKafkaTests {
    private func log(
        _ client: KafkaClient, app: String, timeoutMs: Int64 = 60_000, stateTopic: String? = nil
    ) throws -> TransactionLog {
        TransactionLog(
            producer: try client.transactions(app: app, timeoutMs: timeoutMs),
            stateTopic: stateTopic,
            reader: stateTopic.map { client.stateReader(app: app, topic: $0, waitMs: 5_000) },
            time: SystemTime(), transactionTimeoutMs: timeoutMs)
    }

    private func unit(
        _ topic: String, _ values: [[UInt8]], form: OutputRecord.Form = .json, input: String,
        next: Int64, entries: [StateEntry] = []
    ) -> CommitUnit {
        CommitUnit(
            records: values.map {
                OutputRecord(topic: topic, key: Array("k".utf8), value: $0, form: form)
            },
            entries: entries,
            offsets: [
                CommittedOffset(
                    partition: TopicPartition(topic: input, partition: 0), next: next,
                    metadata: "unit \(next)")
            ])
    }

    /// Commits, however often it has to be asked.
    private func commit(_ log: TransactionLog, _ unit: CommitUnit, withinSeconds: Double = 60)
        throws
    {
        let until = Date().addingTimeInterval(withinSeconds)
        while try !log.commit(unit, waitMs: 100) {
            try #require(Date() < until, "not committed: \(log.lastReason)")
        }
    }

    /// What a read_committed reader sees.
    private func read(_ topic: String) throws -> [[UInt8]] {
        let client = try makeClient(settings(kafka.bootstrap), topics: [topic], app: "reader")
        defer { client.close(withinMs: 5000) }
        let extents = try client.source.extents()
        let starts = deal(extents, workers: 1)
        let reader = try #require(try client.source.open(starts).first)
        let batch = RecordBatch(recordCountMax: 4096, arenaCapacity: 1 << 20)
        var found: [[UInt8]] = []
        let until = Date().addingTimeInterval(20)
        while extents.indices.contains(where: { reader.position($0) < extents[$0].end }) {
            try #require(Date() < until, "the end was not reached")
            try reader.poll(into: batch, timeoutMs: 100)
            for row in 0..<batch.recordCount {
                found.append(unsafe Array(try #require(batch.value(row))))
            }
        }
        return found
    }

    @Test func `a unit is outputs, state and offsets at once, and a restore reads it back`() throws
    {
        for topic in ["t-in", "t-out", "t-state"] { try kafka.createTopic(topic, partitions: 1) }
        let client = try makeClient(settings(kafka.bootstrap), topics: ["t-in"], app: "whole-unit")
        defer { client.close(withinMs: 5000) }
        let log = try log(client, app: "whole-unit", stateTopic: "t-state")
        try log.check(topics: ["t-out"])
        try log.takeOver()
        let partition = TopicPartition(topic: "t-in", partition: 0)
        #expect(try log.committed([partition]).isEmpty)
        try commit(
            log,
            unit(
                "t-out", [[1], [2]], input: "t-in", next: 7,
                entries: [
                    StateEntry(key: [1], value: [1]), StateEntry(key: [2], value: [2]),
                ]))
        usleep(20_000)
        try commit(
            log,
            unit(
                "t-out", [[3]], input: "t-in", next: 9,
                entries: [StateEntry(key: [1], value: nil), StateEntry(key: [2], value: [9])]))
        #expect(try read("t-out") == [[1], [2], [3]])
        let held = try log.committed([partition])
        #expect(held == [CommittedOffset(partition: partition, next: 9, metadata: "unit 9")])
        var entries: [StateEntry] = []
        try log.restore { entries.append($0) }
        #expect(entries == [StateEntry(key: [2], value: [9])])
        log.close(withinMs: 5000)
    }

    @Test func `what an earlier process left open is decided before state is read`() throws {
        for topic in ["o-in", "o-state"] { try kafka.createTopic(topic, partitions: 1) }
        let earlier = try TestProducer(kafka.bootstrap, transactionalId: "left-open")
        try earlier.begin()
        try earlier.send("o-state", 0, key: [1], value: [1])
        try earlier.commit()
        try earlier.begin()
        try earlier.send("o-state", 0, key: [1], value: [2])
        try earlier.flush()
        let client = try makeClient(settings(kafka.bootstrap), topics: ["o-in"], app: "left-open")
        defer { client.close(withinMs: 5000) }
        let log = try log(client, app: "left-open", stateTopic: "o-state")
        try log.check(topics: [])
        try log.takeOver()
        var entries: [StateEntry] = []
        try log.restore { entries.append($0) }
        #expect(entries == [StateEntry(key: [1], value: [1])])
        log.close(withinMs: 5000)
    }

    @Test func `a state topic that cannot be read whole is an error, not an empty start`() throws {
        try kafka.createTopic("h-state", partitions: 1)
        let other = try TestProducer(kafka.bootstrap, transactionalId: "somebody-else")
        try other.begin()
        try other.send("h-state", 0, key: [1], value: [1])
        try other.flush()
        let client = try makeClient(settings(kafka.bootstrap), topics: ["h-state"], app: "hang")
        defer { client.close(withinMs: 5000) }
        let reader = client.stateReader(app: "hang", topic: "h-state", waitMs: 1_500)
        let error = #expect(throws: ConnectorError.self) {
            try reader.restore { _ in Issue.record("nothing is committed there") }
        }
        #expect(error?.message.contains("was not read to its end") == true)
        try other.abort()
    }

    @Test func `the newest producer fences the older one`() throws {
        for topic in ["f-in", "f-out"] { try kafka.createTopic(topic, partitions: 1) }
        let client = try makeClient(settings(kafka.bootstrap), topics: ["f-in"], app: "fence")
        defer { client.close(withinMs: 5000) }
        let older = try log(client, app: "fence")
        try older.check(topics: ["f-out"])
        try older.takeOver()
        try commit(older, unit("f-out", [[1]], input: "f-in", next: 1))
        let newer = try log(client, app: "fence")
        try newer.check(topics: ["f-out"])
        try newer.takeOver()
        let error = #expect(throws: ConnectorError.self) {
            try commit(older, unit("f-out", [[2]], input: "f-in", next: 2))
        }
        #expect(error?.kind == .fenced)
        try commit(newer, unit("f-out", [[3]], input: "f-in", next: 3))
        #expect(try read("f-out") == [[1], [3]])
        older.close(withinMs: 1000)
        newer.close(withinMs: 5000)
    }

    @Test func `a dead letter over the topic's limit is shortened in its transaction`() throws {
        try kafka.createTopic("l-in", partitions: 1)
        try kafka.createTopic("l-out", partitions: 1)
        let client = try makeClient(settings(kafka.bootstrap), topics: ["l-in"], app: "large")
        defer { client.close(withinMs: 5000) }
        let log = try log(client, app: "large")
        try log.check(topics: ["l-out"])
        try log.takeOver()
        // Such that it does not compress below the limit of a megabyte.
        var state: UInt64 = 1
        let whole = (0..<1_500_000).map { _ -> UInt8 in
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return UInt8(truncatingIfNeeded: state >> 33)
        }
        try commit(log, unit("l-out", [[1], whole, [2]], form: .foreign, input: "l-in", next: 1))
        #expect(log.abortCount >= 1, "the first transaction was lost to it")
        #expect(try read("l-out") == [[1], Array(whole[..<(64 << 10)]), [2]])
        // A result of ours that is too large is replaced by one that says so, and stops nothing.
        try commit(log, unit("l-out", [whole, [3]], form: .json, input: "l-in", next: 2))
        let published = try read("l-out")
        #expect(published.count == 5 && published.last == [3])
        let said = String(decoding: published[3], as: UTF8.self)
        #expect(said.contains("1500000") && said.utf8.count < 1000, "\(said)")
        log.close(withinMs: 5000)
    }

    @Test func `a transaction that outlived its time at a frozen broker is sent again, once`()
        throws
    {
        for topic in ["z-in", "z-out"] { try kafka.createTopic(topic, partitions: 1) }
        let client = try makeClient(settings(kafka.bootstrap), topics: ["z-in"], app: "frozen")
        defer { client.close(withinMs: 5000) }
        let log = try log(client, app: "frozen", timeoutMs: 4_000)
        try log.check(topics: ["z-out"])
        try log.takeOver()
        try commit(log, unit("z-out", [[1]], input: "z-in", next: 1))
        try kafka.pause()
        let second = unit("z-out", (0..<500).map { [UInt8($0 % 251)] }, input: "z-in", next: 2)
        let until = Date().addingTimeInterval(7)
        while Date() < until { #expect(try !log.commit(second, waitMs: 100)) }
        try kafka.resume()
        try commit(log, second)
        #expect(try read("z-out").count == 501)
        try commit(log, unit("z-out", [[3]], input: "z-in", next: 3))
        #expect(try read("z-out").count == 502)
        log.close(withinMs: 5000)
    }
}
