import TidemarkDataflow
import TidemarkLanguage
import TidemarkText
import TidemarkTopology

/// What the whole plan asks of limits.
struct LimitChecks {
    let top: Fields
    let segments: Segments

    /// Refuses a `max_reread` under which open windows would be written out with every commit.
    func checkReread(_ plan: Plan) {
        let floorMs = plan.rereadFloorMs
        guard plan.limits.maxRereadMs < floorMs else { return }
        let place =
            (top.entry(TopologyPart.limits) ?? top.entry(TopologyPart.source))?.keyPlace
            ?? top.place
        top.reading.say(
            "out-of-limits", at: place,
            "max_reread (\(durationText(plan.limits.maxRereadMs))) is less than a pane, "
                + "out_of_orderness and alignment together (\(durationText(floorMs)))",
            expected: "at least \(durationText(floorMs))",
            suggestion: "`limits: { max_reread: \(durationText(floorMs)) }`")
    }

    /// Notes where records are asked for after longer than Kafka keeps them by default.
    func noteRetention(_ plan: Plan) {
        let usualMs = weekMs
        for need in plan.neededTopics {
            if need.role == .source, let ms = need.rereadMs, ms > usualMs {
                top.reading.say(
                    .note, "retention",
                    at: (top.entry(TopologyPart.windows) ?? top.entry(TopologyPart.source))?
                        .keyPlace ?? top.place,
                    "a restart may read \(durationText(ms)) again, and Kafka keeps 7d by default",
                    expected: "retention.ms over \(ms) on \(shown(need.name))",
                    suggestion: "`tidemark topics check` compares them")
            }
            if let ms = need.openMs, ms > usualMs {
                top.reading.say(
                    .note, "retention",
                    at: top.entry(TopologyPart.alerts)?.keyPlace ?? top.entry(
                        TopologyPart.monitors)?.keyPlace
                        ?? top.place,
                    "an alert may be open for \(durationText(ms)) and longer, and Kafka keeps 7d by default",
                    expected:
                        "cleanup.policy=compact, or retention.ms from \(ms), on \(shown(need.name))",
                    suggestion: "`tidemark topics check` compares them")
            }
        }
    }

    /// Refuses a topology whose own numbers do not fit the memory: groups that a `limit` allows or
    /// a baseline has.
    ///
    /// - Returns: what groups take; `nil` where something is wrong already.
    func checkMemory(_ plan: Plan, _ facts: PlanFacts) -> MemoryEstimate? {
        guard !top.reading.hasErrors else { return nil }
        let estimate = MemoryEstimate(plan)
        let part = plan.limits.memory.paneBytes
        let counts = plan.stream.segments.enumerated().map { index, segment in
            let fact = facts.groups.indices.contains(index) ? facts.groups[index] : (1, false)
            let isWritten = segments.writtenLimits[segment.name] != nil
            let count = fact.1 ? fact.0 : isWritten ? segment.groupCountMax : 1
            return max(1, count, segment.keep.count)
        }
        let need = estimate.bytes(groupCounts: counts)
        let largest = counts.indices.max {
            counts[$0] * estimate.groupBytes[$0] < counts[$1] * estimate.groupBytes[$1]
        }
        if need > part, let largest { sayTooLarge(plan, estimate, counts, largest: largest) }
        return estimate
    }

    /// Reports that the groups of a topology do not fit, and which segment takes most.
    private func sayTooLarge(
        _ plan: Plan, _ estimate: MemoryEstimate, _ counts: [Int], largest: Int
    ) {
        let part = plan.limits.memory.paneBytes
        let need = estimate.bytes(groupCounts: counts)
        let segment = plan.stream.segments[largest]
        // Panes and windows have about a third of the whole.
        let whole = (3 * (need >> 20) / 64 + 1) * 64
        let others = need - counts[largest] * estimate.groupBytes[largest]
        let fitting = estimate.groupCount(segment: largest, bytes: part - others)
        let limitPlace = segments.writtenLimits[segment.name]
        top.reading.say(
            "memory-over-limit",
            at: limitPlace ?? top.entry(TopologyPart.limits)?.value.place ?? top.place,
            "\(counts[largest]) groups of \(shown(segment.name)) take about"
                + " \(estimate.groupBytes[largest] >> 10) KiB each, \(max(1, need >> 20)) MiB with all"
                + " there is; panes and windows have \(part >> 20) of the"
                + " \(plan.limits.memoryBytes >> 20) MiB",
            expected: fitting > 0
                ? "at most \(fitting) groups, or a greater limits.memory"
                : "a greater limits.memory",
            suggestion: limitPlace != nil && fitting > 0
                ? "`limit: \(fitting)`" : "`limits: { memory: \(whole)MiB }`")
    }
}
