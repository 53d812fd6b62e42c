import Glibc
import TidemarkBatch
import TidemarkCore
package import TidemarkDataflow

/// A file of newline-delimited records, or standard input, as a source of one partition: offsets
/// are line numbers from 0.
///
/// Read in blocks, never mapped.
///
/// Without an end (`follows`) it waits at the end of the file for lines to be added.
package final class FileSource: Source {
    package let hasGrown = false
    private let path: String
    private let topic: String
    private let recordByteCountMax: Int
    package let fixedReferenceMs: Int64?
    package let isBounded = true
    private let descriptor: Int32

    /// Opens the file.
    ///
    /// - `path`: `-` is standard input.
    /// - `topic`: the source's id: what stands as the topic of its records.
    /// - `clock`: `.time` fixes the reference clock; otherwise it is the file's modification time.
    ///
    /// Throws environment errors: no such file, a directory, no permission.
    package init(
        path: String, topic: String, recordByteCountMax: Int, clock: SourcePlan.ReferenceClock
    ) throws(ConnectorError) {
        self.path = path
        self.topic = topic
        self.recordByteCountMax = recordByteCountMax
        var stated: Int64?
        if case .time(let ms) = clock { stated = ms }
        guard path != "-" else {
            descriptor = 0
            fixedReferenceMs = stated
            return
        }
        descriptor = unsafe Glibc.open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            throw ConnectorError(.environment, "cannot read \(path): \(errorText(errno))")
        }
        var status = stat()
        unsafe fstat(descriptor, &status)
        guard status.st_mode & S_IFMT != S_IFDIR else {
            throw ConnectorError(
                .environment, "\(path) is a directory",
                hint: "name a file of newline-delimited JSON")
        }
        let modified =
            Int64(status.st_mtim.tv_sec) * 1000 + Int64(status.st_mtim.tv_nsec) / 1_000_000
        fixedReferenceMs = stated ?? modified
    }

    deinit { if descriptor > 0 { Glibc.close(descriptor) } }

    package func extents() throws(ConnectorError) -> [PartitionExtent] {
        [
            PartitionExtent(
                partition: TopicPartition(topic: topic, partition: 0), beginning: 0, end: 0)
        ]
    }

    package func firstOffset(_ extent: PartitionExtent, start: SourcePlan.Start)
        throws(ConnectorError) -> Int64
    { 0 }

    package func open(_ assignments: [[PartitionStart]]) throws(ConnectorError)
        -> [any SourceReader]
    {
        assignments.map { starts in
            FileReader(
                source: self, descriptor: descriptor, path: path,
                recordByteCountMax: recordByteCountMax,
                slot: starts.first?.slot ?? 0, isAssigned: !starts.isEmpty)
        }
    }

    package func endOffsets() -> [Int64?] { [nil] }
    package func close(withinMs: Int64) {}
}

/// Reads the lines of a `FileSource`.
///
/// The owner is one worker.
@safe
final class FileReader: SourceReader {
    /// Keeps the descriptor open.
    private let source: FileSource
    private let descriptor: Int32
    private let path: String
    private let recordByteCountMax: Int
    private let slot: Int
    private let isAssigned: Bool
    private var line: Int64 = 0
    private var isAtFileEnd = false
    /// Bytes of the batch's arena that are read and not yet handed out.
    private var start = 0
    private var end = 0
    /// Where the search for the next newline goes on.
    private var searched = 0
    /// Bytes of an overlong line that were dropped so far; its head stands at `start`.
    private var droppedCount: Int64 = 0

    private static let blockByteCount = 1 << 20
    private static let keptByteCount = 64 << 10

    init(
        source: FileSource, descriptor: Int32, path: String, recordByteCountMax: Int, slot: Int,
        isAssigned: Bool
    ) {
        self.source = source
        self.descriptor = descriptor
        self.path = path
        self.recordByteCountMax = recordByteCountMax
        self.slot = slot
        self.isAssigned = isAssigned
    }

    func position(_ slot: Int) -> Int64 { line }
    func isAtEnd(_ slot: Int) -> Bool { isAtFileEnd && start == end }
    func setPaused(_ paused: Bool, slot: Int) {}
    func wake() {}

    func poll(into batch: RecordBatch, timeoutMs: Int) throws(ConnectorError) {
        batch.clearRows()
        guard isAssigned else {
            usleep(UInt32(timeoutMs) * 1000)
            return
        }
        handOut(batch)
        while batch.rowCount == 0 {
            guard try readBlock(batch) else {
                if !isAtFileEnd { usleep(UInt32(timeoutMs) * 1000) }
                return
            }
            handOut(batch)
        }
    }

    /// Rows for the complete lines at hand.
    private func handOut(_ batch: RecordBatch) {
        // The lines lie in the arena: a batch of them is bounded by its rows alone.
        while batch.rowCount < batch.rowCountMax {
            let arena = unsafe batch.arena
            guard searched < end,
                let found = unsafe memchr(arena + searched, 0x0a, end - searched)
            else {
                searched = end
                break
            }
            let newline = unsafe found - UnsafeMutableRawPointer(arena)
            append(batch, lineEnd: newline)
            start = newline + 1
            searched = start
        }
        if isAtFileEnd, start < end, searched == end, batch.rowCount < batch.rowCountMax {
            // The last line has no newline.
            append(batch, lineEnd: end)
            start = end
        }
    }

    private func append(_ batch: RecordBatch, lineEnd: Int) {
        let length = Int64(lineEnd - start) + droppedCount
        let isTooLong = length > Int64(recordByteCountMax)
        batch.appendInPlace(
            partition: slot, offset: line, recordTimeMs: TimeLimit.never, valueStart: start,
            valueLength: isTooLong ? Self.keptByteCount : lineEnd - start, valueLengthWhole: length)
        line += 1
        droppedCount = 0
    }

    /// Moves what is left of a line to the front and reads more behind it.
    ///
    /// - Returns: false at the end of the file (for now, if it may grow).
    private func readBlock(_ batch: RecordBatch) throws(ConnectorError) -> Bool {
        if isAtFileEnd { return false }
        let left = end - start
        if start > 0 {
            unsafe memmove(batch.arena, batch.arena + start, left)
            searched -= start
            start = 0
            end = left
        }
        if end > recordByteCountMax {
            // Keep the head of the line and drop what follows it.
            droppedCount += Int64(end - Self.keptByteCount)
            end = Self.keptByteCount
            searched = end
        }
        batch.useArena(end)
        batch.reserve(Self.blockByteCount)
        let count = unsafe read(descriptor, batch.arena + end, Self.blockByteCount)
        if count < 0 {
            if errno == EINTR || errno == EAGAIN { return false }
            throw ConnectorError(.environment, "cannot read \(path): \(errorText(errno))")
        }
        if count == 0 {
            isAtFileEnd = true
            if start < end { handOut(batch) }
            return false
        }
        end += count
        batch.useArena(end)
        return true
    }
}

/// The system's words for an error number.
func errorText(_ code: Int32) -> String {
    unsafe String(cString: strerror(code))
}
