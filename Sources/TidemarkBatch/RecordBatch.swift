import TidemarkCore

/// The records of one poll: their bytes in one arena, their coordinates in parallel arrays.
///
/// A source fills it, decoders read it, and it is then cleared and filled again: one a worker, no
/// allocation a record. All pointers stay valid until `clear()` or the next `reserve`.
/// The owner is one worker; nobody else may touch it.
@safe
package final class RecordBatch {
    /// Rows that the arrays hold.
    package let rowCountMax: Int
    /// Rows that are in it.
    package private(set) var rowCount = 0

    /// The slot of the row's input partition (its place in the canonical order of partitions).
    package let partition: UnsafeMutablePointer<UInt16>
    /// The record's offset in its partition; of a file its number, from 0.
    package let offset: UnsafeMutablePointer<Int64>
    /// Record time, ms since 1970; `TimeLimit.never` where the record has none.
    package let recordTimeMs: UnsafeMutablePointer<Int64>
    /// Where the value begins in `arena`.
    package let valueStart: UnsafeMutablePointer<UInt32>
    /// Bytes of the value that are in the arena; -1 is a tombstone.
    package let valueLength: UnsafeMutablePointer<Int32>
    /// Where the key begins in `arena`.
    package let keyStart: UnsafeMutablePointer<UInt32>
    /// -1: the record has no key.
    package let keyLength: UnsafeMutablePointer<Int32>
    /// The whole length of the value: more than `valueLength` if the record was over
    /// `limits.record` and only its first bytes were kept.
    package let valueLengthWhole: UnsafeMutablePointer<Int64>
    /// Where the record's headers begin in `arena`, in the form that `RecordHeader` describes.
    package let headersStart: UnsafeMutablePointer<UInt32>
    /// 0: the record has none.
    package let headersLength: UnsafeMutablePointer<Int32>
    /// Of records of a file: the line on which each begins, from 1.
    package let line: UnsafeMutablePointer<Int64>

    /// Payload bytes; at least `padding` readable bytes follow the last one.
    package private(set) var arena: UnsafeMutableRawPointer
    /// Bytes that the arena takes without growing.
    package private(set) var arenaCapacity: Int
    /// Bytes of it that are in use.
    package private(set) var arenaCount = 0

    /// Readable bytes after the last payload that decoders may count on.
    package static let padding = 64

    /// An empty batch.
    ///
    /// - Precondition: at most 4,096 rows: row numbers are 16 bits elsewhere.
    package init(rowCountMax: Int, arenaCapacity: Int) {
        precondition(rowCountMax > 0 && rowCountMax <= 4096, "row numbers are 16 bits")
        self.rowCountMax = rowCountMax
        unsafe partition = .allocate(capacity: rowCountMax)
        unsafe offset = .allocate(capacity: rowCountMax)
        unsafe recordTimeMs = .allocate(capacity: rowCountMax)
        unsafe valueStart = .allocate(capacity: rowCountMax)
        unsafe valueLength = .allocate(capacity: rowCountMax)
        unsafe keyStart = .allocate(capacity: rowCountMax)
        unsafe keyLength = .allocate(capacity: rowCountMax)
        unsafe valueLengthWhole = .allocate(capacity: rowCountMax)
        unsafe headersStart = .allocate(capacity: rowCountMax)
        unsafe headersLength = .allocate(capacity: rowCountMax)
        unsafe line = .allocate(capacity: rowCountMax)
        unsafe line.initialize(repeating: 0, count: rowCountMax)
        self.arenaCapacity = arenaCapacity
        unsafe arena = .allocate(byteCount: arenaCapacity + Self.padding, alignment: 64)
    }

    deinit {
        unsafe partition.deallocate()
        unsafe offset.deallocate()
        unsafe recordTimeMs.deallocate()
        unsafe valueStart.deallocate()
        unsafe valueLength.deallocate()
        unsafe keyStart.deallocate()
        unsafe keyLength.deallocate()
        unsafe valueLengthWhole.deallocate()
        unsafe headersStart.deallocate()
        unsafe headersLength.deallocate()
        unsafe line.deallocate()
        unsafe arena.deallocate()
    }

    /// A batch is also full when its bytes reach this, however few its rows.
    package static let byteCountMax = 4 << 20

    /// No row fits any more, or its bytes are many enough.
    package var isFull: Bool { rowCount == rowCountMax || arenaCount >= Self.byteCountMax }

    /// Forgets all rows, but not the arena's bytes: for a source that reads blocks into it and
    /// still has lines there.
    package func clearRows() { rowCount = 0 }

    /// Forgets all rows; keeps the memory, but for what a huge record made it grow by.
    package func clear() {
        rowCount = 0
        arenaCount = 0
        guard arenaCapacity > 2 * Self.byteCountMax else { return }
        unsafe arena.deallocate()
        arenaCapacity = Self.byteCountMax
        unsafe arena = .allocate(byteCount: arenaCapacity + Self.padding, alignment: 64)
    }

    /// Makes room for `byteCount` more payload bytes.
    ///
    /// The arena may move.
    ///
    /// - Complexity: amortised O(1); never called for a row that fits.
    package func reserve(_ byteCount: Int) {
        guard arenaCount + byteCount > arenaCapacity else { return }
        var capacity = arenaCapacity
        while arenaCount + byteCount > capacity { capacity *= 2 }
        let larger = UnsafeMutableRawPointer.allocate(
            byteCount: capacity + Self.padding, alignment: 64)
        unsafe larger.copyMemory(from: arena, byteCount: arenaCount)
        unsafe arena.deallocate()
        unsafe arena = larger
        arenaCapacity = capacity
    }

    /// Appends a row whose bytes are copied into the arena.
    ///
    /// - Precondition: not full.
    package func append(
        partition slot: Int, offset at: Int64, recordTimeMs time: Int64,
        key: UnsafeRawBufferPointer?, value: UnsafeRawBufferPointer?,
        valueLengthWhole whole: Int64? = nil, headers: [RecordHeader] = []
    ) {
        let row = rowCount
        precondition(row < rowCountMax, "the source stops at a full batch")
        let headerBytes = RecordHeader.encoded(headers)
        unsafe reserve((key?.count ?? 0) + (value?.count ?? 0) + headerBytes.count)
        unsafe partition[row] = UInt16(truncatingIfNeeded: slot)
        unsafe offset[row] = at
        unsafe recordTimeMs[row] = time
        unsafe keyStart[row] = UInt32(truncatingIfNeeded: arenaCount)
        if let key = unsafe key {
            unsafe keyLength[row] = Int32(truncatingIfNeeded: key.count)
            unsafe append(bytes: unsafe key)
        } else {
            unsafe keyLength[row] = -1
        }
        unsafe valueStart[row] = UInt32(truncatingIfNeeded: arenaCount)
        if let value = unsafe value {
            unsafe valueLength[row] = Int32(truncatingIfNeeded: value.count)
            unsafe valueLengthWhole[row] = whole ?? Int64(value.count)
            unsafe append(bytes: unsafe value)
        } else {
            unsafe valueLength[row] = -1
            unsafe valueLengthWhole[row] = 0
        }
        unsafe headersStart[row] = UInt32(truncatingIfNeeded: arenaCount)
        unsafe headersLength[row] = Int32(truncatingIfNeeded: headerBytes.count)
        unsafe headerBytes.withUnsafeBytes { unsafe append(bytes: $0) }
        rowCount = row + 1
    }

    /// Appends a row whose value lies in the arena already (a block that was read in place).
    package func appendInPlace(
        partition slot: Int, offset at: Int64, recordTimeMs time: Int64, valueStart start: Int,
        valueLength length: Int, valueLengthWhole whole: Int64, line number: Int64 = 0
    ) {
        let row = rowCount
        precondition(row < rowCountMax, "the source stops at a full batch")
        unsafe partition[row] = UInt16(truncatingIfNeeded: slot)
        unsafe offset[row] = at
        unsafe recordTimeMs[row] = time
        unsafe keyStart[row] = 0
        unsafe keyLength[row] = -1
        unsafe valueStart[row] = UInt32(truncatingIfNeeded: start)
        unsafe valueLength[row] = Int32(truncatingIfNeeded: length)
        unsafe valueLengthWhole[row] = whole
        unsafe headersLength[row] = 0
        unsafe line[row] = number
        rowCount = row + 1
    }

    /// Says that the first `byteCount` bytes of the arena are in use (for sources that read into it).
    package func useArena(_ byteCount: Int) {
        precondition(byteCount <= arenaCapacity, "reserved before it is used")
        arenaCount = byteCount
    }

    /// Says that rows and arena were filled through the pointers, up to here (for sources whose
    /// callback may touch raw memory only).
    package func use(rowCount count: Int, arenaCount byteCount: Int) {
        precondition(
            count <= rowCountMax && byteCount <= arenaCapacity, "reserved before it is used")
        rowCount = count
        arenaCount = byteCount
    }

    /// The value's bytes in the arena; `nil` for a tombstone.
    package func value(_ row: Int) -> UnsafeRawBufferPointer? {
        let length = Int(unsafe valueLength[row])
        guard length >= 0 else { return nil }
        return unsafe UnsafeRawBufferPointer(start: arena + Int(valueStart[row]), count: length)
    }

    /// The key's bytes; `nil` where the record has none.
    package func key(_ row: Int) -> UnsafeRawBufferPointer? {
        let length = Int(unsafe keyLength[row])
        guard length >= 0 else { return nil }
        return unsafe UnsafeRawBufferPointer(start: arena + Int(keyStart[row]), count: length)
    }

    /// The record's headers, in their order.
    package func headers(_ row: Int) -> [RecordHeader] {
        let length = Int(unsafe headersLength[row])
        guard length > 0 else { return [] }
        return unsafe RecordHeader.decoded(
            UnsafeRawBufferPointer(start: arena + Int(headersStart[row]), count: length))
    }

    private func append(bytes: UnsafeRawBufferPointer) {
        guard let base = bytes.baseAddress, unsafe !bytes.isEmpty else { return }
        unsafe (arena + arenaCount).copyMemory(from: base, byteCount: bytes.count)
        arenaCount += bytes.count
    }
}
