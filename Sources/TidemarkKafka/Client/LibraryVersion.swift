import CRdKafka

/// The version of librdkafka that is loaded, which may be newer than the one built against.
package func kafkaLibraryVersion() -> String { unsafe String(cString: rd_kafka_version_str()) }

/// That version as a number to compare: `0xMMmmrrpp`.
func kafkaLibraryNumber() -> UInt32 { UInt32(bitPattern: rd_kafka_version()) }
