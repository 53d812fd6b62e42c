import TidemarkCore
import TidemarkDataflow
import TidemarkRecords

/// One cause, one page: of the alerts of a model that fire in one window the largest speaks for all.
///
/// The others are published, and muted. So is one that fires later, while an alert of the model speaks that is at
/// least as loud. Each alert keeps a life of its own; which ones are muted is part of their state.
struct AlertGrouping {
    private let plan: Plan
    /// Names of dimensions that are models.
    private let models: Set<String>
    private static let memberCountMax = 100

    init(plan: Plan) {
        self.plan = plan
        models = Set(plan.stream.columns.filter { $0.role == .model }.map(\.name))
    }

    /// Decides who speaks.
    ///
    /// - Returns: the records, models in the order in which they first fired.
    func group(
        _ held: [(series: AlertSeries, record: AlertRecord)], _ states: inout AlertStates,
        _ text: AlertText, _ closing: WindowClosing
    ) -> [AlertRecord] {
        let fresh = Set(held.map(\.series))
        let open = states.speaking(size: closing.size).filter { !fresh.contains($0.series) }
        var order: [[UInt8]] = []
        var byModel: [[UInt8]: [(series: AlertSeries, record: AlertRecord)]] = [:]
        for one in held {
            let model = model(of: one.record.group)
            if byModel[model] == nil { order.append(model) }
            byModel[model, default: []].append(one)
        }
        var said: [AlertRecord] = []
        for model in order {
            let ranked = (byModel[model] ?? []).enumerated().sorted {
                let (a, b) = (rank($0.element.record), rank($1.element.record))
                return a != b ? a > b : $0.offset < $1.offset
            }.map(\.element)
            guard let first = ranked.first else { continue }
            let loudest = loudness(plan.stream.monitors[first.series.monitor].severity)
            let speaker = open.first {
                loudness(plan.stream.monitors[$0.series.monitor].severity) >= loudest
                    && self.model(of: $0.series) == model
            }
            let lead = speaker.map {
                text.id(of: $0.series, openingStartMs: $0.openingStartMs, closing)
            }
            for (place, one) in ranked.enumerated() {
                var record = one.record
                if place == 0, lead == nil {
                    if ranked.count > 1 {
                        record.members = ranked.prefix(Self.memberCountMax).map {
                            member($0.record)
                        }
                    }
                } else {
                    record.mutedBy = AlertMute.grouped.name
                    record.lead = lead ?? first.record.id
                    states.mute(one.series)
                }
                said.append(record)
            }
        }
        return said
    }

    private func member(_ record: AlertRecord) -> AlertMember {
        AlertMember(
            id: record.id, monitor: record.monitor, column: record.column,
            group: String(decoding: record.group.part, as: UTF8.self), times: times(record))
    }

    /// How far an alert is over its bound.
    private func times(_ record: AlertRecord) -> Double? {
        if let size = record.effect, let bound = record.effectBound {
            return bound > 0 ? size / bound : nil
        }
        guard let size = record.effect ?? record.value, record.threshold > 0, record.isAbove else {
            return nil
        }
        return size / record.threshold
    }

    /// Loud ones first, then the largest.
    private func rank(_ record: AlertRecord) -> (Int, Double) {
        (loudness(Severity(rawValue: record.severity) ?? .info), times(record) ?? 0)
    }

    private func loudness(_ severity: Severity) -> Int {
        switch severity {
        case .page: 2
        case .warn: 1
        case .info: 0
        }
    }

    /// The model, or, where there is none, the group as a whole.
    private func model(of group: GroupValues) -> [UInt8] {
        let values = group.dimensions.filter { models.contains($0.name) }
        return values.isEmpty ? group.part : GroupValues(dimensions: values).part
    }

    private func model(of series: AlertSeries) -> [UInt8] {
        let names = plan.stream.segments[series.segment].dimensions.map(\.name)
        return GroupValues(part: series.group, names: names).map { model(of: $0) } ?? series.group
    }
}
