import TidemarkCore
import TidemarkDataflow
import TidemarkDrift

/// Groups that a monitor's baseline file does not have: each is said once, by this process.
///
/// - Memory: a name for each of the first 1,000 groups.
struct UnknownGroups {
    private static let countMax = 1_000
    private var known: Set<[UInt8]> = []

    /// Looks at the verdicts of a record.
    mutating func note(_ record: AggregateRecord, _ tally: inout WindowTally) {
        for verdict in record.verdicts
        where verdict.verdict == DriftVerdict.noBaseline.rawValue && known.count < Self.countMax {
            let name =
                Array(verdict.monitor.utf8) + [0x2f] + Array(record.operatorName.utf8) + [0x2f]
                + record.group.part
            guard known.insert(name).inserted else { continue }
            tally.notices.append(
                Notice(
                    "the baseline does not have this group: it is not compared with anything",
                    [
                        ("monitor", verdict.monitor), ("baseline", verdict.baseline),
                        ("segment", record.operatorName),
                        ("group", String(decoding: record.group.part, as: UTF8.self)),
                        ("column", record.column),
                    ]))
        }
    }
}
