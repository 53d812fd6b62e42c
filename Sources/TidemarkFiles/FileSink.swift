import Glibc
import TidemarkCodec
package import TidemarkCore
package import TidemarkDataflow
package import TidemarkTelemetry
import TidemarkText

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
    /// Files that the run reads: none of them may be written.
    private let inputs: [String]
    private let log: Log?
    private var outputs: [String: Output] = [:]
    private var bufferedCount = 0
    private static let bufferByteCountMax = 256 << 10

    /// `appends`: keeps what is there (a source that resumes), else starts anew.
    ///
    /// `inputs`: paths that the run reads, as far as they are files.
    package init(directory: String, appends: Bool, inputs: [String] = [], log: Log? = nil) {
        self.log = log
        self.directory = directory
        self.appends = appends
        self.inputs = inputs
    }

    /// Makes the directory and opens a file for each topic.
    package func check(topics: [String]) throws(ConnectorError) {
        if unsafe mkdir(directory, 0o777) != 0, errno != EEXIST {
            throw ConnectorError(
                .environment, "cannot make the directory \(directory): \(errorText(errno))")
        }
        for topic in topics {
            let path = "\(directory)/\(topic).ndjson"
            let flags = O_RDWR | O_CREAT | O_CLOEXEC | (appends ? O_APPEND : 0)
            let descriptor = unsafe open(path, flags, 0o666)
            guard descriptor >= 0 else {
                throw ConnectorError(.environment, "cannot write \(path): \(errorText(errno))")
            }
            outputs[topic] = Output(descriptor: descriptor)
            try prepare(path, descriptor, topic: topic)
        }
    }

    /// Empties a file that is written anew; of one that goes on, cuts off a line that was not written to its end.
    ///
    /// What stood in such a line was not committed and comes again.
    private func prepare(
        _ path: String, _ descriptor: Int32, topic: String
    ) throws(ConnectorError) {
        var status = stat()
        unsafe fstat(descriptor, &status)
        for input in inputs {
            var other = stat()
            guard unsafe stat(input, &other) == 0, other.st_dev == status.st_dev,
                other.st_ino == status.st_ino
            else { continue }
            throw ConnectorError(
                .environment, "the output \(path) would overwrite what the run reads (\(input))",
                hint: "give --output another directory")
        }
        guard status.st_mode & S_IFMT == S_IFREG else { return }
        let keptCount = appends ? Self.wholeLineByteCount(descriptor, status.st_size) : 0
        guard keptCount < status.st_size else { return }
        guard ftruncate(descriptor, keptCount) == 0 else {
            throw ConnectorError(.environment, "cannot write \(path): \(errorText(errno))")
        }
        if appends {
            log?.warning(
                "half a line at the end of an output was cut off: it was not committed and comes again",
                ["file": path, "bytes": status.st_size - keptCount])
        }
    }

    /// How many bytes of a file lie in lines that have an end.
    private static func wholeLineByteCount(_ descriptor: Int32, _ byteCount: Int) -> Int {
        var block = [UInt8](repeating: 0, count: 1 << 16)
        var end = byteCount
        while end > 0 {
            let start = max(0, end - block.count)
            let count = unsafe pread(descriptor, &block, end - start, start)
            guard count == end - start else { return byteCount }
            if let last = block[..<count].lastIndex(of: 0x0a) { return start + last + 1 }
            end = start
        }
        return 0
    }

    /// Takes the record always: what is buffered is written out when it is much.
    package func produce(_ record: OutputRecord) throws(ConnectorError) -> Bool {
        guard let output = outputs[record.topic] else {
            throw ConnectorError(.environment, "\(record.topic) is not an output of this run")
        }
        Self.write(record, into: &output.lines)
        bufferedCount += 1
        if output.lines.count >= Self.bufferByteCountMax { try service(timeoutMs: 0) }
        return true
    }

    /// Records that are buffered and not written.
    package var outstandingCount: Int { bufferedCount }

    /// Writes what is buffered; where the file goes on, to the disk.
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
            // Positions that are committed elsewhere must not be ahead of what the disk has.
            if appends, fdatasync(output.descriptor) != 0, errno != EINVAL {
                throw ConnectorError(
                    .environment,
                    "cannot write \(directory)/\(topic).ndjson: \(errorText(errno))")
            }
        }
        bufferedCount = 0
    }

    /// Closes the files; what is still buffered is lost.
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
        let headers = record.headers
        for place in headers.indices {
            // Several of one name are a list, where the first of them stands.
            guard !has(headers, headers[place].name, in: 0..<place) else { continue }
            let name = headers[place].name
            guard has(headers, name, in: place + 1..<headers.count) else {
                text(name, headers[place].value, &json)
                continue
            }
            let values = headers.filter { $0.name == name }.map(\.value)
            let areTexts = values.allSatisfy(isText)
            json.key(text: areTexts ? name : name + "_base64")
            json.beginArray()
            for value in values {
                if areTexts { json.value(utf8: value) } else { json.value(base64: value) }
            }
            json.endArray()
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

    /// Whether one of those places has the name; lengths tell most names apart.
    private static func has(
        _ headers: [(name: String, value: [UInt8])], _ name: String, in places: Range<Int>
    ) -> Bool {
        for place in places
        where headers[place].name.utf8.count == name.utf8.count && headers[place].name == name {
            return true
        }
        return false
    }

    private static func isText(_ bytes: [UInt8]) -> Bool {
        bytes.allSatisfy { $0 < 0x80 } || String(validating: bytes, as: UTF8.self) != nil
    }

    private static func text(_ name: String, _ bytes: [UInt8], _ json: inout JSONWriter) {
        if isText(bytes) {
            json.key(text: name)
            json.value(utf8: bytes)
        } else {
            json.key(text: name + "_base64")
            json.value(base64: bytes)
        }
    }
}
