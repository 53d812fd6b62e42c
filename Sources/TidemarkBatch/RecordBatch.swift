import TidemarkCore

/// The records of one poll: their bytes in one arena, their coordinates in parallel arrays.
///
/// A source fills it, decoders read it, and it is then cleared and filled again: one a worker, no
/// allocation a record. All pointers stay valid until `clear()` or the next `reserve`.
/// The owner is one worker; nobody else may touch it.
@safe
package final class RecordBatch {
    /// Records that the arrays hold.
    package let recordCountMax: Int
    /// Records that are in it.
    package private(set) var recordCount = 0

    /// The slot of the record's input partition (its place in the canonical order of partitions).
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
    /// - Precondition: at most 4,096 records: their numbers are 16 bits elsewhere.
    package init(recordCountMax: Int, arenaCapacity: Int) {
        precondition(recordCountMax > 0 && recordCountMax <= 4096, "numbers of records are 16 bits")
        self.recordCountMax = recordCountMax
        unsafe partition = .allocate(capacity: recordCountMax)
        unsafe offset = .allocate(capacity: recordCountMax)
        unsafe recordTimeMs = .allocate(capacity: recordCountMax)
        unsafe valueStart = .allocate(capacity: recordCountMax)
        unsafe valueLength = .allocate(capacity: recordCountMax)
        unsafe keyStart = .allocate(capacity: recordCountMax)
        unsafe keyLength = .allocate(capacity: recordCountMax)
        unsafe valueLengthWhole = .allocate(capacity: recordCountMax)
        unsafe headersStart = .allocate(capacity: recordCountMax)
        unsafe headersLength = .allocate(capacity: recordCountMax)
        unsafe line = .allocate(capacity: recordCountMax)
        unsafe line.initialize(repeating: 0, count: recordCountMax)
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

    /// A batch is also full when its bytes reach this, however few its records.
    package static let byteCountMax = 4 << 20

    /// No record fits any more, or its bytes are many enough.
    package var isFull: Bool { recordCount == recordCountMax || arenaCount >= Self.byteCountMax }

    /// Forgets all records, but not the arena's bytes: for a source that reads blocks into it and
    /// still has lines there.
    package func clearRecords() { recordCount = 0 }

    /// Forgets all records; keeps the memory, but for what a huge record made it grow by.
    package func clear() {
        recordCount = 0
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
    /// - Complexity: amortised O(1); never called for a record that fits.
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

    /// Appends a record whose bytes are copied into the arena.
    ///
    /// - Precondition: not full.
    package func append(
        partition slot: Int, offset at: Int64, recordTimeMs time: Int64,
        key: UnsafeRawBufferPointer?, value: UnsafeRawBufferPointer?,
        valueLengthWhole whole: Int64? = nil, headers: [RecordHeader] = []
    ) {
        let record = recordCount
        precondition(record < recordCountMax, "the source stops at a full batch")
        let headerBytes = RecordHeader.encoded(headers)
        unsafe reserve((key?.count ?? 0) + (value?.count ?? 0) + headerBytes.count)
        unsafe partition[record] = UInt16(truncatingIfNeeded: slot)
        unsafe offset[record] = at
        unsafe recordTimeMs[record] = time
        unsafe keyStart[record] = UInt32(truncatingIfNeeded: arenaCount)
        if let key = unsafe key {
            unsafe keyLength[record] = Int32(truncatingIfNeeded: key.count)
            unsafe append(bytes: unsafe key)
        } else {
            unsafe keyLength[record] = -1
        }
        unsafe valueStart[record] = UInt32(truncatingIfNeeded: arenaCount)
        if let value = unsafe value {
            unsafe valueLength[record] = Int32(truncatingIfNeeded: value.count)
            unsafe valueLengthWhole[record] = whole ?? Int64(value.count)
            unsafe append(bytes: unsafe value)
        } else {
            unsafe valueLength[record] = -1
            unsafe valueLengthWhole[record] = 0
        }
        unsafe headersStart[record] = UInt32(truncatingIfNeeded: arenaCount)
        unsafe headersLength[record] = Int32(truncatingIfNeeded: headerBytes.count)
        unsafe headerBytes.withUnsafeBytes { unsafe append(bytes: $0) }
        recordCount = record + 1
    }

    /// Appends a record whose value lies in the arena already (a block that was read in place).
    package func appendInPlace(
        partition slot: Int, offset at: Int64, recordTimeMs time: Int64, valueStart start: Int,
        valueLength length: Int, valueLengthWhole whole: Int64, line number: Int64 = 0
    ) {
        let record = recordCount
        precondition(record < recordCountMax, "the source stops at a full batch")
        unsafe partition[record] = UInt16(truncatingIfNeeded: slot)
        unsafe offset[record] = at
        unsafe recordTimeMs[record] = time
        unsafe keyStart[record] = 0
        unsafe keyLength[record] = -1
        unsafe valueStart[record] = UInt32(truncatingIfNeeded: start)
        unsafe valueLength[record] = Int32(truncatingIfNeeded: length)
        unsafe valueLengthWhole[record] = whole
        unsafe headersLength[record] = 0
        unsafe line[record] = number
        recordCount = record + 1
    }

    /// Says that the first `byteCount` bytes of the arena are in use (for sources that read into it).
    package func useArena(_ byteCount: Int) {
        precondition(byteCount <= arenaCapacity, "reserved before it is used")
        arenaCount = byteCount
    }

    /// Says that records and arena were filled through the pointers, up to here (for sources whose
    /// callback may touch raw memory only).
    package func use(recordCount count: Int, arenaCount byteCount: Int) {
        precondition(
            count <= recordCountMax && byteCount <= arenaCapacity, "reserved before it is used")
        recordCount = count
        arenaCount = byteCount
    }

    /// The value's bytes in the arena; `nil` for a tombstone.
    package func value(_ record: Int) -> UnsafeRawBufferPointer? {
        let length = Int(unsafe valueLength[record])
        guard length >= 0 else { return nil }
        return unsafe UnsafeRawBufferPointer(start: arena + Int(valueStart[record]), count: length)
    }

    /// The key's bytes; `nil` where the record has none.
    package func key(_ record: Int) -> UnsafeRawBufferPointer? {
        let length = Int(unsafe keyLength[record])
        guard length >= 0 else { return nil }
        return unsafe UnsafeRawBufferPointer(start: arena + Int(keyStart[record]), count: length)
    }

    /// The record's headers, in their order.
    package func headers(_ record: Int) -> [RecordHeader] {
        let length = Int(unsafe headersLength[record])
        guard length > 0 else { return [] }
        return unsafe RecordHeader.decoded(
            UnsafeRawBufferPointer(start: arena + Int(headersStart[record]), count: length))
    }

    private func append(bytes: UnsafeRawBufferPointer) {
        guard let base = bytes.baseAddress, unsafe !bytes.isEmpty else { return }
        unsafe (arena + arenaCount).copyMemory(from: base, byteCount: bytes.count)
        arenaCount += bytes.count
    }
}
