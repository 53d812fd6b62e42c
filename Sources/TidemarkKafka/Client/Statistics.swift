import TidemarkCore

/// What we read of librdkafka's statistics.
struct Statistics {
    struct Broker {
        var name: String
        var roundTripUs: Int64
        var id: Int64 = -1
        /// It is connected, and answered not long ago.
        var isAnswering = false
    }

    struct Partition {
        var partition: TopicPartition
        var fetchQueueCount: Int64
        /// The last stable offset, -1 or less where it is not known.
        var stableEnd: Int64
        var highWater: Int64
        /// Id of the broker that leads it; -1: none.
        var leader: Int64 = -1
    }

    /// A broker that has said nothing for longer does not answer, µs: one whose partitions are read
    /// answers several times a second.
    static let quietUsMax: Int64 = 5_000_000

    var replyQueueCount: Int64 = 0
    var messageCount: Int64 = 0
    var messageByteCount: Int64 = 0
    var brokers: [Broker] = []
    var partitions: [Partition] = []

    /// Reads the text; what it does not understand is left out.
    init(json: UnsafeRawBufferPointer) {
        var reader = unsafe StatisticsReader(bytes: json)
        unsafe reader.readObject { reader, key in
            switch key {
            case "replyq": replyQueueCount = unsafe reader.readNumber()
            case "msg_cnt": messageCount = unsafe reader.readNumber()
            case "msg_size": messageByteCount = unsafe reader.readNumber()
            case "brokers":
                unsafe reader.readObject { reader, name in
                    unsafe brokers.append(Self.broker(&reader, name))
                }
            case "topics":
                unsafe reader.readObject { reader, topic in
                    unsafe reader.readObject { reader, key in
                        guard key == "partitions" else { return unsafe reader.skip() }
                        unsafe reader.readObject { reader, number in
                            let entry = unsafe Self.partition(&reader, topic, number)
                            if let entry { partitions.append(entry) }
                        }
                    }
                }
            default: unsafe reader.skip()
            }
        }
        brokers.removeAll { $0.id < 0 }
    }

    private static func broker(_ reader: inout StatisticsReader, _ name: String) -> Broker {
        var broker = Broker(name: name, roundTripUs: -1)
        var isReal = false
        var isUp = false
        var quietUs: Int64 = -1
        unsafe reader.readObject { reader, key in
            switch key {
            case "nodeid":
                broker.id = unsafe reader.readNumber()
                isReal = broker.id >= 0
            case "state": isUp = unsafe reader.readWord() == "\"UP\""
            case "rxidle": quietUs = unsafe reader.readNumber()
            case "rtt":
                unsafe reader.readObject { reader, key in
                    if key == "avg" {
                        broker.roundTripUs = unsafe reader.readNumber()
                    } else {
                        unsafe reader.skip()
                    }
                }
            default: unsafe reader.skip()
            }
        }
        if !isReal { broker.roundTripUs = -1 }
        broker.isAnswering = isUp && quietUs < Self.quietUsMax
        return broker
    }

    private static func partition(
        _ reader: inout StatisticsReader,
        _ topic: String,
        _ number: String
    ) -> Partition? {
        var isWanted = false
        var entry = Partition(
            partition: TopicPartition(topic: topic, partition: Int32(number) ?? -1),
            fetchQueueCount: 0,
            stableEnd: -1,
            highWater: -1
        )
        unsafe reader.readObject { reader, key in
            switch key {
            case "desired": isWanted = unsafe reader.readWord() == "true"
            case "fetchq_cnt": entry.fetchQueueCount = unsafe reader.readNumber()
            case "ls_offset": entry.stableEnd = unsafe reader.readNumber()
            case "hi_offset": entry.highWater = unsafe reader.readNumber()
            case "leader": entry.leader = unsafe reader.readNumber()
            default: unsafe reader.skip()
            }
        }
        return isWanted && entry.partition.partition >= 0 ? entry : nil
    }
}

/// A reader for the JSON of one known writer: objects, numbers and plain words.
@unsafe
struct StatisticsReader {
    let bytes: UnsafeRawBufferPointer
    var index = 0

    init(bytes: UnsafeRawBufferPointer) {
        unsafe self.bytes = unsafe bytes
    }

    private var next: UInt8 { unsafe index < bytes.count ? bytes[index] : 0 }

    mutating func skipSpace() {
        while unsafe next == 0x20 || next == 0x0A || next == 0x0D || next == 0x09 {
            unsafe index += 1
        }
    }

    /// Calls `body` with each key; `body` must read or skip the value.
    mutating func readObject(_ body: (inout StatisticsReader, String) -> Void) {
        unsafe skipSpace()
        guard unsafe next == 0x7B else { return unsafe skip() }
        unsafe index += 1
        while true {
            unsafe skipSpace()
            if unsafe next == 0x2C {
                unsafe index += 1
                continue
            }
            guard unsafe next == 0x22 else {
                unsafe index += 1  // The closing brace, or the end of the text.
                return
            }
            let key = unsafe readString()
            unsafe skipSpace()
            unsafe index += 1  // The colon.
            unsafe body(&self, key)
        }
    }

    mutating func readString() -> String {
        unsafe index += 1
        let start = unsafe index
        while unsafe index < bytes.count, unsafe next != 0x22 {
            unsafe index += unsafe next == 0x5C ? 2 : 1
        }
        let end = unsafe min(index, bytes.count)
        unsafe index = end + 1
        return unsafe String(decoding: bytes[start..<end], as: UTF8.self)
    }

    mutating func readWord() -> String {
        unsafe skipSpace()
        let start = unsafe index
        while unsafe index < bytes.count, unsafe next != 0x2C, unsafe next != 0x7D,
            unsafe next != 0x5D,
            unsafe next != 0x20, unsafe next != 0x0A
        {
            unsafe index += 1
        }
        return unsafe String(decoding: bytes[start..<index], as: UTF8.self)
    }

    mutating func readNumber() -> Int64 { unsafe Int64(readWord()) ?? -1 }

    mutating func skip() {
        unsafe skipSpace()
        switch unsafe next {
        case 0x22: _ = unsafe readString()
        case 0x7B, 0x5B:
            var depth = 0
            repeat {
                switch unsafe next {
                case 0x7B, 0x5B: depth += 1
                case 0x7D, 0x5D: depth -= 1
                case 0x22:
                    _ = unsafe readString()
                    continue
                default: break
                }
                unsafe index += 1
            } while unsafe depth > 0 && index < bytes.count
        default: _ = unsafe readWord()
        }
    }
}
