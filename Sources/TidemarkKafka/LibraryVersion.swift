import CRdKafka

/// The version of librdkafka that is loaded, which may be newer than the one built against.
package func kafkaLibraryVersion() -> String { unsafe String(cString: rd_kafka_version_str()) }
