import Glibc
import TidemarkCodec
import TidemarkCore
package import TidemarkDataflow
import TidemarkText

/// Entry state beside outputs that are files: `DIR/<app>-state.ndjson`, a line an entry, the newest line of a
/// key counts.
///
/// The sink appends to it like to any output; a start reads it, and writes it anew without what is outdated.
package final class FileState: StateReader {
    private let path: String

    /// `topic`: what the state topic is called where there is a cluster.
    package init(directory: String, topic: String) { path = "\(directory)/\(topic).ndjson" }

    /// The entries of the file, the newest of each key, in no order.
    package func restore(_ take: (StateEntry) -> Void) throws(ConnectorError) {
        for (key, line) in try latest() {
            take(StateEntry(key: key, value: line.value))
        }
    }

    /// Writes the file anew where most of its lines are outdated; before the sink opens it.
    package func compact() throws(ConnectorError) {
        var lineCount = 0
        let kept = try latest(lineCount: &lineCount)
        guard lineCount > 2 * kept.count + 1000 else { return }
        var bytes: [UInt8] = []
        for (_, line) in kept { bytes += line.text + [0x0a] }
        guard replaceFile(path, bytes) else {
            throw ConnectorError(.environment, "cannot write \(path): \(errorText(errno))")
        }
    }

    private typealias Line = (value: [UInt8], text: [UInt8])

    private func latest() throws(ConnectorError) -> [([UInt8], Line)] {
        var lineCount = 0
        return try latest(lineCount: &lineCount)
    }

    /// The entries that hold, by key.
    private func latest(lineCount: inout Int) throws(ConnectorError) -> [([UInt8], Line)] {
        guard unsafe access(path, F_OK) == 0 else { return [] }
        guard let bytes = readFile(path) else {
            throw ConnectorError(.environment, "cannot read \(path): \(errorText(errno))")
        }
        var found: [[UInt8]: Line] = [:]
        // What stands behind the last line end was not written whole: the sink cuts it off.
        let whole = bytes.lastIndex(of: 0x0a).map { bytes[..<$0] } ?? []
        for text in whole.split(separator: 0x0a) {
            lineCount += 1
            guard let json = try? JSONValue(parsing: Array(text)), let key = Self.key(json) else {
                throw ConnectorError(
                    .environment, "line \(lineCount) of \(path) is not a state entry",
                    hint: "remove the line, or the file: without it alerts begin anew")
            }
            let value = json["value"]?.asText.flatMap { base64Decoded($0.utf8) }
            found[key] = value.map { ($0, Array(text)) }
        }
        return found.map { ($0.key, $0.value) }.sorted { $0.0.lexicographicallyPrecedes($1.0) }
    }

    private static func key(_ json: JSONValue) -> [UInt8]? {
        if let text = json["key"]?.asText { return Array(text.utf8) }
        return json["key_base64"]?.asText.flatMap { base64Decoded($0.utf8) }
    }
}

/// All bytes of a file; `nil` with `errno` set where it can't be read.
private func readFile(_ path: String) -> [UInt8]? {
    let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return nil }
    defer { close(descriptor) }
    var bytes: [UInt8] = []
    var block = [UInt8](repeating: 0, count: 1 << 16)
    while true {
        let count = unsafe read(descriptor, &block, block.count)
        if count < 0 {
            if errno == EINTR { continue }
            return nil
        }
        if count == 0 { return bytes }
        bytes.append(contentsOf: block[..<count])
    }
}

/// Puts bytes in the place of a file, whole or not at all: they are written beside it, to the disk, and take its
/// name.
///
/// What is no regular file (`/dev/stdout`, a pipe) is written as it is.
///
/// - Returns: false with `errno` set where that failed; the earlier file is then as it was.
package func replaceFile(_ path: String, _ bytes: [UInt8]) -> Bool {
    var status = stat()
    let exists = unsafe stat(path, &status) == 0
    if exists, status.st_mode & S_IFMT != S_IFREG {
        let descriptor = unsafe open(path, O_WRONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return false }
        let isWritten = writeAll(descriptor, bytes)
        return close(descriptor) == 0 && isWritten
    }
    // A link keeps pointing where it does.
    let target = unsafe realpath(path, nil)
    defer { unsafe free(target) }
    let place = exists ? unsafe target.map { unsafe String(cString: $0) } ?? path : path
    let beside = "\(place).\(getpid()).tmp"
    let mode = exists ? status.st_mode & 0o7777 : 0o666
    let descriptor = unsafe open(beside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode)
    guard descriptor >= 0 else { return false }
    let isWritten = writeAll(descriptor, bytes) && fsync(descriptor) == 0
    let reason = errno
    if close(descriptor) == 0, isWritten, unsafe rename(beside, place) == 0 { return true }
    let failure = isWritten ? errno : reason
    unsafe unlink(beside)
    errno = failure
    return false
}

private func writeAll(_ descriptor: Int32, _ bytes: [UInt8]) -> Bool {
    var at = 0
    while at < bytes.count {
        let count = unsafe bytes.withUnsafeBytes { bytes in
            unsafe Glibc.write(
                descriptor, bytes.baseAddress.map { unsafe $0 + at }, bytes.count - at)
        }
        if count < 0, errno == EINTR { continue }
        guard count > 0 else { return false }
        at += count
    }
    return true
}
