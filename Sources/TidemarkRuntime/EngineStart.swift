package import TidemarkCore
import TidemarkDataflow
import TidemarkText

/// What became of a partition's committed position at the start.
package struct StartReport: Sendable, Equatable {
    /// Which partition.
    package var partition: TopicPartition
    /// Where reading begins: low-water, or the first record where nothing can be rebuilt.
    package var offset: Int64
    /// The committed offset; records below it are read without being published.
    package var next: Int64
    /// Records before `offset` that are in the log and were never read, where nothing was committed.
    package var passedOver: Int64 = 0
    /// Records that were to be read next, and are not in the log any more.
    package var lost: Int64 = 0
    /// How the committed position could be used.
    package enum Kind: Sendable, Equatable {
        /// Nothing was committed.
        case fresh
        /// Somebody else set the offset: there is nothing of ours with it.
        case foreign
        /// Rebuilds from low-water to the committed offset.
        case resumed
        /// Metadata could not be used: a new state epoch, the first windows are incomplete.
        case newEpoch(CommitMetadata.Rejection)
        /// Low-water is gone from the log (retention): the first windows are incomplete.
        case expired
    }
    /// How the committed position could be used.
    package var kind: Kind
}

/// What the state topic held at the start.
package struct StateReport: Sendable {
    /// Entries that were restored.
    package var taken = 0
    /// Entries of earlier state epochs; taken away with the first commit.
    package var stale = 0
    /// Entries that nothing could be made of, by key, with the reason; taken away too.
    package var unusable: [(key: String, why: String)] = []
    /// Open windows that a snapshot held.
    package var windows = 0
    /// The offsets speak of a snapshot that is not there: windows that begin before this lack rows.
    package var lostSnapshotThroughMs: Int64?
    package init() {}
}

/// What was committed, partition by partition, and what can be made of it.
struct StartPositions {
    var offsets: [Int64] = []
    var nexts: [Int64] = []
    var metadata: [CommitMetadata?] = []
    var reports: [StartReport] = []
    var applicationHash: UInt64
    var clusterHash: UInt64
    /// The state epoch that the metadata names; `nil`: a new one has to begin.
    var epoch: Int?
    /// What an earlier form of the topology published through; windows that begin before may lack
    /// rows, since its windows may have been others.
    var editedThroughMs = TimeLimit.never
    var epochMax = 0
    /// Whether a partition is read on from where an earlier form of the topology was.
    func isContinued(_ slot: Int) -> Bool {
        metadata[slot] != nil && reports[slot].kind == .newEpoch(.otherTopology)
    }

    var snapshotThroughMs: Int64 { greatest(\.snapshotThroughMs) }
    var publishedThroughMs: Int64 { greatest(\.publishedThroughMs) }

    private func greatest(_ field: (CommitMetadata) -> Int64) -> Int64 {
        metadata.compactMap { $0.map(field) }.max() ?? TimeLimit.never
    }
}

/// What was restored from the state topic.
struct RestoredState {
    /// The state epoch: that of the commits, or a new one.
    var epoch: Int
    /// Tombstones of entries that are of no use.
    var stale: [StateEntry]
    /// Open windows that a snapshot holds.
    var windows: [WindowSnapshot]
    var report: StateReport
}

extension CoordinatorStart {
    /// From what a start has found, partition by partition.
    init(
        _ partitions: [TopicPartition], _ positions: StartPositions, _ state: RestoredState,
        dataHash: UInt64
    ) {
        self.init(
            partitions: partitions, offsets: positions.offsets,
            nexts: positions.nexts, metadata: positions.metadata,
            applicationHash: positions.applicationHash, clusterHash: positions.clusterHash,
            dataHash: dataHash, stateEpoch: state.epoch, windows: state.windows,
            snapshotThroughMs: positions.snapshotThroughMs,
            incompleteBeforeMs: max(
                positions.editedThroughMs, state.report.lostSnapshotThroughMs ?? TimeLimit.never))
        lost = positions.reports.reduce(0) { $0 + $1.lost }
        passedOver = positions.reports.reduce(0) { $0 + $1.passedOver }
        conditions = Engine.conditions(positions.reports, state.report)
    }
}

/// What a start finds in the log of commits: positions, and state.
extension Engine {
    /// What was found at the start and somebody must know of: records that no window will hold.
    static func conditions(
        _ reports: [StartReport], _ state: StateReport
    ) -> [SourceCondition] {
        var found: [SourceCondition] = []
        let lost = reports.reduce(0) { $0 + $1.lost }
        // An application without state is new: it may begin where it likes.
        let passedOver =
            state.taken + state.stale > 0 ? reports.reduce(0) { $0 + $1.passedOver } : 0
        if lost + passedOver > 0 {
            var parts: [String] = []
            if lost > 0 { parts.append("\(lost) records are no longer in the log") }
            if passedOver > 0 {
                parts.append(
                    "the group's offsets are gone, and \(passedOver) records lie before the place where"
                        + " reading begins anew")
            }
            found.append(
                SourceCondition(
                    .recordsSkipped, value: Double(lost + passedOver), threshold: 0,
                    summary: parts.joined(separator: "; ") + ": they are in no window"))
        }
        let foreign = reports.filter { $0.kind == .foreign }
        if let first = foreign.first {
            found.append(
                SourceCondition(
                    .foreignOffsets, value: Double(foreign.count), threshold: 0,
                    summary:
                        "another program committed offsets of \(foreign.count) partitions, as"
                        + " \(first.next) of \(first.partition): what lies between that and our last"
                        + " position is in no window, or twice"))
        }
        return found
    }

    /// Commits the first position of partitions that the topic has grown by, and from where on they
    /// count: what they bring for windows that were published without them is late, row by row.
    ///
    /// A decision that the log does not hold, so it is written down before it is obeyed.
    static func join(
        _ extents: [PartitionExtent], _ plan: Plan, _ dataHash: UInt64, _ parts: EngineParts,
        _ patience: Patience
    ) throws(ConnectorError) -> [TopicPartition] {
        let committed = try patience.retry { () throws(ConnectorError) in
            try parts.log.committed(extents.map(\.partition))
        }
        let topics = Set(committed.map(\.partition.topic))
        let known = Set(committed.map(\.partition))
        let new = extents.filter {
            topics.contains($0.partition.topic) && !known.contains($0.partition)
        }
        guard !new.isEmpty else { return [] }
        let old = try positions(
            extents.filter { known.contains($0.partition) }, committed, plan, dataHash, parts,
            patience)
        var clock = PartitionClock.Reading()
        clock.floorMs = old.publishedThroughMs
        let latest = old.metadata.compactMap(\.self).max { $0.sequence < $1.sequence }
        let offsets = new.map { extent in
            let metadata = CommitMetadata(
                applicationHash: old.applicationHash, clusterHash: old.clusterHash,
                dataHash: dataHash, next: extent.beginning, low: extent.beginning, clock: clock,
                publishedThroughMs: old.publishedThroughMs,
                incompleteThroughMs: latest?.incompleteThroughMs ?? TimeLimit.never,
                incompleteRev: latest?.incompleteRev ?? 0,
                enteredBeforeMs: latest?.enteredBeforeMs ?? TimeLimit.never,
                stateEpoch: old.epochMax, sequence: (latest?.sequence ?? 0) + 1,
                snapshotThroughMs: old.snapshotThroughMs, floors: [])
            return CommittedOffset(
                partition: extent.partition, next: extent.beginning, metadata: metadata.encoded())
        }
        let unit = CommitUnit(records: [], entries: [], offsets: offsets)
        let deadlineNs = parts.time.nowNs() + plan.run.stopWithinMs * 1_000_000
        while !(try parts.log.commit(unit, waitMs: 100)) {
            guard parts.time.nowNs() < deadlineNs else {
                throw ConnectorError(
                    .retriable, "the positions of new partitions could not be committed")
            }
            parts.time.sleep(ms: 10)
        }
        return new.map(\.partition)
    }

    static func positions(
        _ extents: [PartitionExtent], _ committed: [CommittedOffset], _ plan: Plan,
        _ dataHash: UInt64, _ parts: EngineParts, _ patience: Patience
    ) throws(ConnectorError) -> StartPositions {
        var found = StartPositions(
            applicationHash: fnv1a(plan.app), clusterHash: fnv1a(parts.log.clusterId))
        var isNewEpoch = committed.isEmpty
        for extent in extents {
            var offset: Int64
            var known: CommitMetadata?
            var kind = StartReport.Kind.fresh
            var (passedOver, lost): (Int64, Int64) = (0, 0)
            let next: Int64
            if let position = committed.first(where: { $0.partition == extent.partition }) {
                next = position.next
                offset = next
                do throws(CommitMetadata.Rejection) {
                    let read = try CommitMetadata(
                        position.metadata, applicationHash: found.applicationHash,
                        clusterHash: found.clusterHash, dataHash: dataHash, next: next)
                    known = read
                    offset = read.low
                    kind = .resumed
                    found.epochMax = max(found.epochMax, read.stateEpoch)
                } catch {
                    kind = .newEpoch(error)
                    if PositionMark(position.metadata) == nil {
                        switch error {
                        case .absent, .unreadable, .otherOffset: kind = .foreign
                        case .otherApplication, .otherCluster, .otherTopology: break
                        }
                    }
                    isNewEpoch = true
                    if error == .otherTopology,
                        let edited = Self.continued(position, found, dataHash)
                    {
                        known = edited
                        offset = edited.low
                        found.epochMax = max(found.epochMax, edited.stateEpoch)
                        found.editedThroughMs = max(
                            found.editedThroughMs, edited.publishedThroughMs)
                    }
                    if let mark = PositionMark(position.metadata) {
                        found.epochMax = max(found.epochMax, mark.stateEpoch - 1)
                    }
                }
                if offset < extent.beginning {
                    // What was published stays published; what was open lost rows.
                    lost = max(0, extent.beginning - next)
                    offset = extent.beginning
                    kind = .expired
                }
            } else {
                offset = try patience.retry { () throws(ConnectorError) in
                    try parts.source.firstOffset(extent, start: plan.stream.source.start)
                }
                next = offset
                passedOver = max(0, offset - extent.beginning)
            }
            found.offsets.append(offset)
            found.nexts.append(max(next, offset))
            found.metadata.append(known)
            var report = StartReport(
                partition: extent.partition, offset: offset, next: next, kind: kind)
            (report.passedOver, report.lost) = (passedOver, lost)
            found.reports.append(report)
        }
        if !isNewEpoch { found.epoch = found.epochMax }
        return found
    }

    /// What an edited topology goes on from: rows of windows that its earlier form did not publish are
    /// read again, by the clock that they were read by, and what it published stays published.
    ///
    /// Open windows in snapshots are of the earlier form: they are lost, and said to be.
    static func continued(
        _ position: CommittedOffset, _ found: StartPositions, _ dataHash: UInt64
    ) -> CommitMetadata? {
        try? CommitMetadata(
            position.metadata, applicationHash: found.applicationHash,
            clusterHash: found.clusterHash, dataHash: dataHash, next: position.next,
            acceptsOtherTopology: true)
    }

    static func restore(
        into stage: any StageTwo, _ positions: StartPositions, _ log: any CommitLog
    ) throws(ConnectorError) -> RestoredState {
        var report = StateReport()
        var stale: [StateEntry] = []
        var epochMax = positions.epochMax
        var newer: (key: String, version: Int)?
        var owner: String?
        try log.restore { entry in
            let outcome = stage.restore(entry, epoch: positions.epoch ?? -1)
            if case .otherTopology(let name) = outcome {
                owner = name
                return
            }
            if case .taken = outcome {
                report.taken += 1
                return
            }
            stale.append(StateEntry(key: entry.key, value: nil))
            switch outcome {
            case .taken, .otherTopology: break
            case .otherEpoch(let epoch):
                report.stale += 1
                epochMax = max(epochMax, epoch)
            case .unusable(let why):
                report.unusable.append((String(decoding: entry.key, as: UTF8.self), why))
            case .newer(let version):
                newer = (String(decoding: entry.key, as: UTF8.self), version)
            }
        }
        if let owner {
            throw ConnectorError(
                .environment,
                "the state of this `app` belongs to topology '\(owner)': two topologies with one `app`"
                    + " would fence each other and remove each other's state",
                hint:
                    "give one of them another `app`; or, if '\(owner)' was renamed: tidemark reset")
        }
        if let newer {
            throw ConnectorError(
                .environment,
                "state entry '\(newer.key)' has format \(newer.version), which a newer version of"
                    + " tidemark wrote: this one cannot read it",
                hint: "run the newer version, or give up alert states with: tidemark reset")
        }
        let windows = stage.restoreWindows(
            throughMs: positions.snapshotThroughMs,
            publishedThroughMs: positions.publishedThroughMs)
        report.windows = windows?.count ?? 0
        if windows == nil, positions.snapshotThroughMs != TimeLimit.never {
            report.lostSnapshotThroughMs = positions.snapshotThroughMs
        }
        return RestoredState(
            epoch: positions.epoch ?? epochMax + 1, stale: stale, windows: windows ?? [],
            report: report)
    }
}
