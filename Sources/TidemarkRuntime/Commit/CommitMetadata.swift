import TidemarkCore
import TidemarkText

/// A floor under a partition's watermark: a decision that cannot be read from the log.
///
/// It is written down with a commit before it is obeyed, so that a restart decides the same.
package struct RecordedFloor: Sendable, Equatable {
    /// It counts from this record on.
    package var offset: Int64
    /// The watermark is at least this from then on, ms.
    package var floorMs: Int64

    package init(offset: Int64, floorMs: Int64) {
        self.offset = offset
        self.floorMs = floorMs
    }
}

/// What a commit says beside the next offset, in the group's own offset record.
///
/// From it and the log a process rebuilds what was in memory: it seeks to `low`, reads to `next`
/// without publishing, and goes on.
package struct CommitMetadata: Sendable, Equatable {
    /// Hash of the application's name: another one's metadata is refused.
    package var applicationHash: UInt64
    /// Hash of the cluster's id: offsets of another cluster mean nothing here.
    package var clusterHash: UInt64
    /// Hash of what shapes the data: another one cannot use the floors and windows noted here.
    package var dataHash: UInt64
    /// The offset that is committed; the same as in the offset record, else somebody moved it.
    package var next: Int64
    /// First row of the oldest pane that a window not yet published needs and no snapshot holds.
    package var low: Int64
    /// The partition's clock before the row at `low`.
    package var clock: PartitionClock.Reading
    /// Windows that end at or before it were published, once and for all.
    package var publishedThroughMs: Int64
    /// The greatest end of a window that was published with `complete:false`, and its `rev`.
    package var incompleteThroughMs: Int64
    /// How often that window was published as incomplete before.
    package var incompleteRev: Int
    /// Windows that begin before it lack rows: the log was entered in its middle.
    package var enteredBeforeMs: Int64
    /// Number of the state epoch: entries of earlier ones are taken away.
    package var stateEpoch: Int
    /// Counts the commits of the application, so that no two say the same.
    package var sequence: Int
    /// The snapshot of open windows that goes with it is of the panes that end at or before this.
    package var snapshotThroughMs: Int64
    /// At most `floorCountMax` (the last place is kept for the end of the input), those that count at or after `low`.
    package var floors: [RecordedFloor]

    /// Floors that fit into `byteCountMax` beside everything else.
    package static let floorCountMax = 5
    /// Above this a broker's own limit (4,095) would come into sight.
    package static let byteCountMax = 512

    package init(
        applicationHash: UInt64, clusterHash: UInt64, dataHash: UInt64, next: Int64, low: Int64,
        clock: PartitionClock.Reading, publishedThroughMs: Int64, incompleteThroughMs: Int64,
        incompleteRev: Int, enteredBeforeMs: Int64, stateEpoch: Int, sequence: Int,
        snapshotThroughMs: Int64 = TimeLimit.never, floors: [RecordedFloor]
    ) {
        self.applicationHash = applicationHash
        self.clusterHash = clusterHash
        self.dataHash = dataHash
        self.next = next
        self.low = low
        self.clock = clock
        self.publishedThroughMs = publishedThroughMs
        self.incompleteThroughMs = incompleteThroughMs
        self.incompleteRev = incompleteRev
        self.enteredBeforeMs = enteredBeforeMs
        self.stateEpoch = stateEpoch
        self.sequence = sequence
        self.snapshotThroughMs = snapshotThroughMs
        self.floors = floors
    }

    /// Why a text is of no use.
    package enum Rejection: Error, Equatable, Sendable {
        case absent
        case unreadable
        case otherApplication
        case otherCluster
        case otherTopology
        /// Somebody moved the offset without the metadata.
        case otherOffset
    }

    /// As text: a version, the numbers in base 36, a checksum.
    package func encoded() -> String {
        var fields: [String] = [
            String(applicationHash, radix: 36), String(clusterHash, radix: 36),
            String(dataHash, radix: 36), Self.text(next), Self.text(low),
            Self.text(clock.maxEventMs), Self.text(clock.referenceMs), Self.text(clock.floorMs),
            Self.text(publishedThroughMs), Self.text(incompleteThroughMs),
            Self.text(Int64(incompleteRev)), Self.text(Int64(stateEpoch)),
            Self.text(Int64(sequence)), Self.text(enteredBeforeMs),
            Self.text(snapshotThroughMs), Self.text(clock.leapMs), Self.text(clock.leapScore),
            Self.text(clock.doubtMs),
        ]
        precondition(floors.count <= Self.floorCountMax, "the coordinator merges older floors")
        for floor in floors {
            fields.append(Self.text(floor.offset))
            fields.append(Self.text(floor.floorMs))
        }
        let body = "tm4 " + fields.joined(separator: " ")
        let text = body + " " + String(crc32c(body.utf8), radix: 36)
        precondition(text.utf8.count <= Self.byteCountMax, "every field is bounded")
        return text
    }

    /// Reads metadata and checks that it belongs to this application, cluster, topology and offset.
    ///
    /// `acceptsOtherTopology`: that of an earlier form of the topology, too; it is given this one's hash.
    package init(
        _ text: String, applicationHash: UInt64, clusterHash: UInt64, dataHash: UInt64,
        next: Int64, acceptsOtherTopology: Bool = false
    ) throws(Rejection) {
        guard !text.isEmpty, PositionMark(text) == nil else { throw .absent }
        var words = text.split(separator: " ").map(String.init)
        // `tm1`, from before there were transactions, ends before the sequence, `tm2` before the
        // snapshot, `tm3` before the leap of the clock.
        let fieldCounts = ["tm1": 9, "tm2": 11, "tm3": 12, "tm4": 15]
        guard let fieldCount = words.first.flatMap({ fieldCounts[$0] }) else { throw .unreadable }
        guard words.count >= fieldCount + 5, (words.count - fieldCount - 5) % 2 == 0,
            let sum = words.popLast().flatMap({ UInt32($0, radix: 36) }),
            sum == crc32c(words.joined(separator: " ").utf8)
        else { throw .unreadable }
        let hashes = words[1...3].compactMap { UInt64($0, radix: 36) }
        let numbers = words[4...].compactMap { Self.number($0) }
        guard hashes.count == 3, numbers.count == words.count - 4 else { throw .unreadable }
        guard hashes[0] == applicationHash else { throw .otherApplication }
        guard hashes[1] == clusterHash else { throw .otherCluster }
        guard acceptsOtherTopology || hashes[2] == dataHash else { throw .otherTopology }
        guard numbers[0] == next, numbers[1] <= next else { throw .otherOffset }
        var reading = PartitionClock.Reading()
        reading.maxEventMs = numbers[2]
        reading.referenceMs = numbers[3]
        reading.floorMs = numbers[4]
        if fieldCount > 12 {
            reading.leapMs = numbers[12]
            reading.leapScore = numbers[13]
            reading.doubtMs = numbers[14]
        }
        var floors: [RecordedFloor] = []
        var index = fieldCount
        while index + 1 < numbers.count {
            floors.append(RecordedFloor(offset: numbers[index], floorMs: numbers[index + 1]))
            index += 2
        }
        self.init(
            applicationHash: applicationHash, clusterHash: clusterHash, dataHash: dataHash,
            next: next, low: numbers[1], clock: reading, publishedThroughMs: numbers[5],
            incompleteThroughMs: numbers[6], incompleteRev: Int(numbers[7]),
            enteredBeforeMs: fieldCount > 10 ? numbers[10] : TimeLimit.never,
            stateEpoch: Int(numbers[8]), sequence: fieldCount > 9 ? Int(numbers[9]) : 0,
            snapshotThroughMs: fieldCount > 11 ? numbers[11] : TimeLimit.never, floors: floors)
    }

    private static func text(_ number: Int64) -> String {
        number == TimeLimit.never ? "-" : String(number, radix: 36)
    }

    private static func number(_ text: String) -> Int64? {
        text == "-" ? TimeLimit.never : Int64(text, radix: 36)
    }
}
