import Glibc
import TidemarkBatch
import TidemarkCore
package import TidemarkDataflow

/// A file of newline-delimited records, or standard input, as a source of one partition: offsets
/// are numbers of records from 0.
///
/// A record of JSON is a line; one of CSV is a row, whose quotes may hold line ends. Read in blocks,
/// never mapped; unpacked where gzip or Zstandard packed it.
///
/// Without an end (`follows`) it waits at the end of the file for lines to be added.
package final class FileSource: Source, @unchecked Sendable {
    /// A file has one partition for ever.
    package let hasGrown = false
    private let path: String
    private let topic: String
    private let recordByteCountMax: Int
    /// What stands for "now", ms: what the topology names, else the file's modification time.
    ///
    /// `nil` for standard input, where the topology names none.
    package let fixedReferenceMs: Int64?
    /// The reader says when the end is reached.
    package let isBounded = true
    private let descriptor: Int32
    /// Between the fields of a row; `nil`: a record is a line.
    fileprivate let separator: UInt8?
    fileprivate let follows: Bool
    // Used by whoever looks at the first record, before there are readers; then by the one reader that has
    // the partition.
    fileprivate let bytes: InputBytes
    /// What was read to look at the first record.
    fileprivate var head: [UInt8] = []

    /// Opens the file.
    ///
    /// - `path`: `-` is standard input.
    /// - `topic`: the source's id: what stands as the topic of its records.
    /// - `clock`: `.time` fixes the reference clock; otherwise it is the file's modification time,
    /// and standard input has none.
    /// - `encoding`: how records are written.
    /// - `follows`: at its end the file is waited for, as it may grow; one that is packed does not.
    ///
    /// Throws environment errors: no such file, a directory, no permission.
    package init(
        path: String, topic: String, recordByteCountMax: Int, clock: SourcePlan.ReferenceClock,
        encoding: RecordEncoding = .json, follows: Bool = false
    ) throws(ConnectorError) {
        if case .csv(_, let separator) = encoding {
            self.separator = separator
        } else {
            separator = nil
        }
        self.follows = follows
        self.path = path
        self.topic = topic
        self.recordByteCountMax = recordByteCountMax
        var stated: Int64?
        if case .time(let ms) = clock { stated = ms }
        guard path != "-" else {
            descriptor = 0
            bytes = InputBytes(descriptor: 0, path: "standard input")
            fixedReferenceMs = stated
            return
        }
        descriptor = unsafe Glibc.open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            throw ConnectorError(.environment, "cannot read \(path): \(errorText(errno))")
        }
        bytes = InputBytes(descriptor: descriptor, path: path)
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

    /// The first record, without its line end, read ahead: it is still the first one that readers meet.
    ///
    /// - `shouldStop`: looked at while nothing comes.
    /// - Returns: `nil` where the file is empty, or it was stopped.
    package func firstRecord(shouldStop: () -> Bool) throws(ConnectorError) -> [UInt8]? {
        let stepByteCount = 64 << 10
        var scanner = RowScanner(separator: separator ?? 0x0a)
        while head.count < FileReader.spannedByteCountMax {
            var poll = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            guard unsafe Glibc.poll(&poll, 1, 100) != 0 else {
                if shouldStop() { return nil }
                continue
            }
            let from = head.count
            head.append(contentsOf: repeatElement(0, count: stepByteCount))
            var got: Int?
            var failure: ConnectorError?
            unsafe head.withUnsafeMutableBytes { block in
                guard let base = block.baseAddress else { return }
                do throws(ConnectorError) {
                    got = try unsafe bytes.read(into: base + from, count: stepByteCount)
                } catch {
                    failure = error
                }
            }
            head.removeLast(stepByteCount - (got ?? 0))
            if let failure { throw failure }
            let mark = head.starts(with: FileReader.byteOrderMark) ? 3 : 0
            let end = unsafe head.withUnsafeBytes { block in
                unsafe block.baseAddress.flatMap {
                    unsafe scanner.rowEnd($0, from: max(from, mark), to: block.count)
                }
            }
            if end != nil || got == 0 {
                return head.isEmpty ? nil : Array(head[mark..<(end ?? head.count)])
            }
        }
        return nil
    }

    /// One partition, whose end is not known before it was read.
    package func extents() throws(ConnectorError) -> [PartitionExtent] {
        [
            PartitionExtent(
                partition: TopicPartition(topic: topic, partition: 0), beginning: 0, end: 0)
        ]
    }

    /// A file is read from its beginning.
    package func firstOffset(_ extent: PartitionExtent, start: SourcePlan.Start)
        throws(ConnectorError) -> Int64
    { 0 }

    /// A reader for each worker; only the one that the partition is assigned to reads.
    package func open(_ assignments: [[PartitionStart]]) throws(ConnectorError)
        -> [any SourceReader]
    {
        assignments.map { starts in
            FileReader(
                source: self, recordByteCountMax: recordByteCountMax,
                slot: starts.first?.slot ?? 0, isAssigned: !starts.isEmpty)
        }
    }

    /// Not known: nobody counts the records of a file beforehand.
    package func endOffsets() -> [Int64?] { [nil] }
    /// Readers keep the file open for as long as they live.
    package func close(withinMs: Int64) {}
}

/// Reads the records of a `FileSource`.
///
/// The owner is one worker.
@safe
final class FileReader: SourceReader {
    /// Keeps the descriptor open.
    private let source: FileSource
    private let recordByteCountMax: Int
    private let slot: Int
    private let isAssigned: Bool
    private var next: Int64 = 0
    /// The line on which the next record begins, from 1.
    private var line: Int64 = 1
    private var isAtFileEnd = false
    private var hasBegun = false
    /// Bytes of the batch's arena that are read and not yet handed out.
    private var start = 0
    private var end = 0
    /// Where the search for the end of the record goes on.
    private var searched = 0
    /// Bytes of an overlong line that were dropped so far; its head stands at `start`.
    private var droppedCount: Int64 = 0
    /// How far the row at hand was looked at; `nil` where records are lines.
    private var scanner: RowScanner?

    private static let blockByteCount = 1 << 20
    private static let keptByteCount = 64 << 10
    static let byteOrderMark: [UInt8] = [0xef, 0xbb, 0xbf]
    /// A row of CSV that spans lines is no longer than this.
    ///
    /// A quote that nothing closes until then is a mistake in its line: that line is a record by itself,
    /// and the next one begins a row again.
    static let spannedByteCountMax = 1 << 20

    init(source: FileSource, recordByteCountMax: Int, slot: Int, isAssigned: Bool) {
        self.source = source
        self.recordByteCountMax = recordByteCountMax
        self.slot = slot
        self.isAssigned = isAssigned
        scanner = source.separator.map { RowScanner(separator: $0) }
    }

    func position(_ slot: Int) -> Int64 { next }
    func isAtEnd(_ slot: Int) -> Bool { isAtFileEnd && start == end }
    func setPaused(_ paused: Bool, slot: Int) {}
    func wake() {}

    func poll(into batch: RecordBatch, timeoutMs: Int) throws(ConnectorError) {
        batch.clearRecords()
        guard isAssigned else {
            usleep(UInt32(timeoutMs) * 1000)
            return
        }
        handOut(batch)
        source.bytes.patienceMs = Int32(timeoutMs)
        while batch.recordCount == 0 {
            switch try readBlock(batch) {
            case .some: handOut(batch)
            case .nothingNow: return
            case .end:
                // A file that may grow is looked at again, and costs nothing until then.
                if source.follows { usleep(UInt32(timeoutMs) * 1000) }
                return
            }
        }
    }

    /// Rows for the complete records at hand.
    private func handOut(_ batch: RecordBatch) {
        // The records lie in the arena: a batch of them is bounded by its rows alone.
        if scanner == nil { handOutLines(batch) }
        while scanner != nil, batch.recordCount < batch.recordCountMax {
            guard let newline = rowEnd(batch) else { break }
            append(batch, recordEnd: newline)
            start = newline + 1
            searched = start
        }
        if isAtFileEnd, start < end, searched == end, batch.recordCount < batch.recordCountMax {
            // The last line has no newline.
            append(batch, recordEnd: end)
            start = end
        }
    }

    private func newline(_ batch: RecordBatch, from: Int) -> Int? {
        let arena = unsafe batch.arena
        guard from < end, let found = unsafe memchr(arena + from, 0x0a, end - from) else {
            return nil
        }
        return unsafe found - UnsafeMutableRawPointer(arena)
    }

    /// Rows for the lines at hand: what `append` does, without a look at what only rows of CSV have.
    private func handOutLines(_ batch: RecordBatch) {
        let rowCountMax = batch.recordCountMax
        let partition = unsafe batch.partition
        let offset = unsafe batch.offset
        let recordTimeMs = unsafe batch.recordTimeMs
        let valueStart = unsafe batch.valueStart
        let valueLength = unsafe batch.valueLength
        let keyStart = unsafe batch.keyStart
        let keyLength = unsafe batch.keyLength
        let valueLengthWhole = unsafe batch.valueLengthWhole
        let headersLength = unsafe batch.headersLength
        let lines = unsafe batch.line
        let bytes = unsafe UnsafeRawPointer(batch.arena)
        let slot = UInt16(truncatingIfNeeded: slot)
        let (lengthMax, last) = (recordByteCountMax, end)
        // What changes with each line stands in variables until all are done: in the object it would be written each time.
        var (row, at, from) = (batch.recordCount, start, searched)
        var (number, lineNumber, dropped) = (next, line, droppedCount)
        while row < rowCountMax {
            guard from < last, let found = unsafe memchr(bytes + from, 0x0a, last - from) else {
                from = last
                break
            }
            let newline = unsafe UnsafeRawPointer(found) - bytes
            let length = newline - at
            let whole = Int64(length) + dropped
            dropped = 0
            let isTooLong = whole > Int64(lengthMax)
            let kept = isTooLong ? min(Self.keptByteCount, length) : length
            unsafe partition[row] = slot
            unsafe offset[row] = number
            unsafe recordTimeMs[row] = TimeLimit.never
            unsafe keyStart[row] = 0
            unsafe keyLength[row] = -1
            unsafe valueStart[row] = UInt32(truncatingIfNeeded: at)
            unsafe valueLength[row] = Int32(truncatingIfNeeded: kept)
            unsafe valueLengthWhole[row] = whole
            unsafe headersLength[row] = 0
            unsafe lines[row] = lineNumber
            number += 1
            lineNumber += 1
            row += 1
            at = newline + 1
            from = at
        }
        (start, searched) = (at, from)
        (next, line, droppedCount) = (number, lineNumber, dropped)
        batch.use(recordCount: row, arenaCount: batch.arenaCount)
    }

    /// The end of a row: of its line, but where quotes hold the line end.
    private func rowEnd(_ batch: RecordBatch) -> Int? {
        let arena = unsafe batch.arena
        if searched == start, scanner?.isAtStart ?? true {
            // Most rows have no quotes.
            guard let found = newline(batch, from: start) else {
                if isAtFileEnd { return endOfLastRow(batch) }
                return nil
            }
            if unsafe memchr(arena + start, 0x22, found - start) == nil { return found }
        }
        if let found = unsafe scanner?.rowEnd(arena, from: searched, to: end) { return found }
        searched = end
        let isTooLong = end - start > min(Self.spannedByteCountMax, recordByteCountMax)
        guard isAtFileEnd || isTooLong else { return nil }
        return endOfLastRow(batch)
    }

    /// The end of a row whose quotes are not closed where they must be: of its first line.
    private func endOfLastRow(_ batch: RecordBatch) -> Int? {
        if searched < end { _ = unsafe scanner?.rowEnd(batch.arena, from: searched, to: end) }
        searched = end
        guard scanner?.isQuoted ?? false, let first = newline(batch, from: start) else {
            return nil
        }
        scanner?.reset()
        return first
    }

    private func append(_ batch: RecordBatch, recordEnd: Int) {
        let arena = unsafe batch.arena
        var last = recordEnd
        if scanner != nil {
            // Line ends of other systems, and what text files make of them: CR LF, CR CR LF.
            while last > start, unsafe arena.load(fromByteOffset: last - 1, as: UInt8.self) == 0x0d
            {
                last -= 1
            }
        }
        let length = Int64(last - start) + droppedCount
        let isTooLong = length > Int64(recordByteCountMax)
        batch.appendInPlace(
            partition: slot, offset: next, recordTimeMs: TimeLimit.never, valueStart: start,
            valueLength: isTooLong ? min(Self.keptByteCount, last - start) : last - start,
            valueLengthWhole: length, line: line)
        next += 1
        line += 1
        if scanner != nil {
            var at = start
            while let found = newline(batch, from: at), found < recordEnd {
                line += 1
                at = found + 1
            }
        }
        scanner?.reset()
        droppedCount = 0
    }

    private enum Progress { case some, nothingNow, end }

    /// Moves what is left of a record to the front and reads more behind it.
    ///
    /// - Returns: whether there was anything; `end` only for now, if the file may grow.
    private func readBlock(_ batch: RecordBatch) throws(ConnectorError) -> Progress {
        if isAtFileEnd { return .end }
        let left = end - start
        if start > 0 {
            unsafe memmove(batch.arena, batch.arena + start, left)
            searched -= start
            start = 0
            end = left
        }
        if end > recordByteCountMax {
            // Keep the head of the line and drop what follows it.
            let kept = min(end, Self.keptByteCount)
            droppedCount += Int64(end - kept)
            end = kept
            searched = end
            scanner?.enterField()
        }
        batch.useArena(end)
        batch.reserve(Self.blockByteCount)
        let read: Int?
        if !source.head.isEmpty {
            let head = source.head
            source.head = []
            batch.reserve(head.count)
            unsafe head.withUnsafeBytes { bytes in
                if let base = bytes.baseAddress {
                    unsafe (batch.arena + end).copyMemory(from: base, byteCount: bytes.count)
                }
            }
            read = head.count
        } else {
            read = try unsafe source.bytes.read(into: batch.arena + end, count: Self.blockByteCount)
        }
        guard let count = read else { return .nothingNow }
        if count == 0 {
            if source.follows, source.bytes.isPlain { return .end }
            isAtFileEnd = true
            if start < end { handOut(batch) }
            return .end
        }
        end += count
        batch.useArena(end)
        if !hasBegun, end >= 3 {
            hasBegun = true
            let isMarked = unsafe memcmp(batch.arena, Self.byteOrderMark, 3) == 0
            if isMarked {
                start = 3
                searched = 3
                scanner?.reset()
            }
        }
        return .some
    }
}

/// The system's words for an error number.
func errorText(_ code: Int32) -> String {
    unsafe String(cString: strerror(code))
}
