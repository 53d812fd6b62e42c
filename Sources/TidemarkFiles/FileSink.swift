import Glibc
import TidemarkCodec
package import TidemarkCore
package import TidemarkDataflow

/// Writes each output topic to `DIR/<topic>.ndjson`, a line `{"key":…,"headers":{…},"value":…}` a
/// record, in the order of publication.
///
/// The owner is the coordinator.
package final class FileSink: Sink, @unchecked Sendable {
    // Used by the coordinator's thread alone.
    private final class Output {
        let descriptor: Int32
        var lines = JSONWriter(capacity: FileSink.bufferByteCountMax + 64 << 10)

        init(descriptor: Int32) { self.descriptor = descriptor }
    }

    private let directory: String
    private let appends: Bool
    private var outputs: [String: Output] = [:]
    private var bufferedCount = 0
    private static let bufferByteCountMax = 256 << 10

    /// `appends`: keeps what is there (a source that resumes), else starts anew.
    package init(directory: String, appends: Bool) {
        self.directory = directory
        self.appends = appends
    }

    package func check(topics: [String]) throws(ConnectorError) {
        if unsafe mkdir(directory, 0o777) != 0, errno != EEXIST {
            throw ConnectorError(
                .environment, "cannot make the directory \(directory): \(errorText(errno))")
        }
        for topic in topics {
            let path = "\(directory)/\(topic).ndjson"
            let flags = O_WRONLY | O_CREAT | O_CLOEXEC | (appends ? O_APPEND : O_TRUNC)
            let descriptor = unsafe open(path, flags, 0o666)
            guard descriptor >= 0 else {
                throw ConnectorError(.environment, "cannot write \(path): \(errorText(errno))")
            }
            outputs[topic] = Output(descriptor: descriptor)
        }
    }

    package func produce(_ record: OutputRecord) throws(ConnectorError) -> Bool {
        guard let output = outputs[record.topic] else {
            throw ConnectorError(.environment, "\(record.topic) is no output of this run")
        }
        Self.write(record, into: &output.lines)
        bufferedCount += 1
        if output.lines.count >= Self.bufferByteCountMax { try service(timeoutMs: 0) }
        return true
    }

    package var outstandingCount: Int { bufferedCount }

    package func service(timeoutMs: Int) throws(ConnectorError) {
        for (topic, output) in outputs where output.lines.count > 0 {
            var at = 0
            while at < output.lines.count {
                let written = unsafe output.lines.withBytes { bytes in
                    unsafe Glibc.write(
                        output.descriptor, bytes.baseAddress.map { unsafe $0 + at },
                        bytes.count - at)
                }
                if written < 0 {
                    if errno == EINTR { continue }
                    throw ConnectorError(
                        .environment,
                        "cannot write \(directory)/\(topic).ndjson: \(errorText(errno))")
                }
                at += written
            }
            output.lines.removeAll()
        }
        bufferedCount = 0
    }

    package func close(withinMs: Int64) {
        for output in outputs.values { Glibc.close(output.descriptor) }
        outputs = [:]
    }

    /// One line.
    private static func write(_ record: OutputRecord, into json: inout JSONWriter) {
        json.beginObject()
        if let key = record.key { text("key", key, &json) } else { json.key("key"); json.null() }
        json.key("headers")
        json.beginObject()
        for header in record.headers {
            json.key(text: header.name)
            json.value(utf8: header.value)
        }
        json.endObject()
        if let value = record.value {
            switch record.form {
            case .json:
                json.key("value")
                json.raw(value)
            case .binary:
                json.key("value")
                json.value(base64: value)
            case .foreign: text("value", value, &json)
            }
        } else {
            json.key("value")
            json.null()
        }
        json.endObject()
        json.newline()
    }

    private static func text(_ name: String, _ bytes: [UInt8], _ json: inout JSONWriter) {
        if bytes.allSatisfy({ $0 < 0x80 }) || String(validating: bytes, as: UTF8.self) != nil {
            json.key(text: name)
            json.value(utf8: bytes)
        } else {
            json.key(text: name + "_base64")
            json.value(base64: bytes)
        }
    }
}

/// For sources whose positions nobody keeps: a file is read from its beginning every time.
package final class NoOffsets: OffsetStore {
    package let clusterId = ""
    package init() {}
    package func committed(_ partitions: [TopicPartition]) -> [CommittedOffset] { [] }
    package func commit(_ offsets: [CommittedOffset]) {}
}
