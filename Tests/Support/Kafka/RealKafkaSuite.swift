package import Testing

/// Gives a suite a Kafka of its own, in `RealKafka.current`, and wipes it afterwards.
///
/// Used with `.enabled(if: RealKafka.isAvailable, …)`, which says why a suite is skipped.
package struct RealKafkaTrait: SuiteTrait, TestScoping {
    let brokers: Int
    let secure: Bool

    package func provideScope(
        for test: Test,
        testCase: Test.Case?,
        performing body: @concurrent @Sendable () async throws -> Void
    ) async throws {
        let kafka = try RealKafka(brokers: brokers, secure: secure)
        defer { kafka.wipe() }
        try await RealKafka.$current.withValue(kafka) { try await body() }
    }
}

extension Trait where Self == RealKafkaTrait {
    package static func realKafka(brokers: Int = 1, secure: Bool = false) -> Self {
        RealKafkaTrait(brokers: brokers, secure: secure)
    }
}

extension RealKafka {
    /// The Kafka of the suite that runs.
    @TaskLocal package static var current: RealKafka?
}
