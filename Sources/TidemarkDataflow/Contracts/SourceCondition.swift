/// Something about the source that a person has to know: rows are set aside, time stands still, records
/// are gone.
///
/// Seen by the process on its wall clock, like the silence of a source; no result depends on it.
package struct SourceCondition: Sendable, Equatable {
    /// What is so; the raw value names the alert's monitor and test.
    package enum Kind: String, Sendable, CaseIterable {
        /// Far more rows than usual are late.
        case lateRows = "late_rows"
        /// Rows are further ahead of the reference clock than `skew`.
        case quarantinedRows = "quarantined_rows"
        /// Record times are none, in another unit perhaps, or far ahead of those around them.
        case recordTimes = "record_times"
        /// Rows arrive on a partition, and its watermark does not move.
        case watermarkStill = "watermark_still"
        /// A partition holds windows open: there is something to read that cannot be read.
        case partitionHeld = "partition_held"
        /// Records between what was read last and where reading began are gone, or were passed over.
        case recordsSkipped = "records_skipped"
        /// The group's offsets were set by somebody else.
        case foreignOffsets = "foreign_offsets"
        /// The group has members, and none of them is ours.
        case foreignMembers = "foreign_members"

        /// How loud the alert is.
        package var severity: Severity {
            switch self {
            case .lateRows, .recordTimes: .warn
            default: .page
            }
        }
    }

    /// What is so.
    package var kind: Kind
    /// What it is measured by; the unit depends on the kind.
    package var value: Double
    /// The bound that `value` is over, in the same unit.
    package var threshold: Double
    /// For a person: which partition, how much, why.
    package var summary: String

    package init(_ kind: Kind, value: Double, threshold: Double, summary: String) {
        self.kind = kind
        self.value = value
        self.threshold = threshold
        self.summary = summary
    }
}
