import CRdKafka
import TidemarkDataflow
import TidemarkTelemetry

extension Configuration {
    /// A consumer beside the group: it is told what to read, commits nothing, and hears of ends.
    ///
    /// - `group`: the library wants one.
    /// - `isolation`: `read_committed` or `read_uncommitted`.
    static func besideGroup(
        _ settings: KafkaSettings, group: String, isolation: String
    ) throws(ConnectorError) -> Configuration {
        var configuration = Configuration()
        try configuration.set(connection: settings)
        configuration.set("statistics.interval.ms", 0)
        configuration.set("fetch.wait.max.ms", 100)
        configuration.set("fetch.error.backoff.ms", 100)
        configuration.set("check.crcs", "true")
        try configuration.set(properties: settings.properties)
        configuration.set("group.id", group)
        configuration.set("enable.auto.commit", "false")
        configuration.set("enable.auto.offset.store", "false")
        configuration.set("auto.offset.reset", "earliest")
        configuration.set("enable.partition.eof", "true")
        configuration.set("allow.auto.create.topics", "false")
        configuration.set("isolation.level", isolation)
        return configuration
    }
}
