import TidemarkDataflow
import TidemarkLanguage
import TidemarkText
import TidemarkTopology

/// Series of other monitors in breach: of any of them, or of each.
struct RollUp: MonitorKind {
    let name: String
    private let members: KeySpec
    private let atLeast = Setting(
        "at_least", \MonitorPlan.atLeast, Self.bound, usual: AlertKeys.usual, json: "at_least",
        "how many of their series are in breach, or which share of those that have a verdict; of `all_of` for each member"
    )
    let part: PartSpec?
    var standsByName: Bool { false }
    var usualSeverity: Severity { .warn }
    private static let countMax = 32

    /// `3`, or `20%`.
    private static let bound = ValueType<RollUpBound>(
        .any("a count, or a share such as 20%"),
        parse: { text, spec in
            text.hasSuffix("%")
                ? ValueType.share(max: 1).read(text, of: spec).map { .share($0) }
                : ValueType<Int64>.count(1...1_000_000).read(text, of: spec).map { .count($0) }
        },
        text: { text($0) },
        json: { bound in
            switch bound {
            case .count(let count): .integer(count)
            case .share(let share): .text(shareText(share))
            }
        })

    private static func text(_ bound: RollUpBound) -> String {
        switch bound {
        case .count(let count): "\(count)"
        case .share(let share): shareText(share)
        }
    }

    /// `name`: any_of or all_of.
    init(_ name: String) {
        self.name = name
        members = KeySpec(
            name, .list("a list of monitors"), required: true,
            "monitors of windows; with `alert: off` they are quiet alone")
        let own: [any TopologyKey] = [members, atLeast, Reach.segments, Reach.windows]
        part = PartSpec(
            name, path: "monitors.*",
            name == "any_of"
                ? "series of any of some monitors in breach"
                : "series of each of some monitors in breach",
            own + AlertKeys.ofMonitor,
            example:
                "monitors: { many: { \(name): [drift, volume], at_least: 20%, severity: page } }")
    }

    func read(_ monitor: MonitorEntry, _ scope: inout Scope, into found: inout ReadMonitors) {
        let entry = monitor.entry
        guard let part,
            let f = scope.reading.fields(entry.value, part, what: "a roll-up"),
            let node = f[members]
        else { return }
        var plan = monitor.common
        (plan.name, plan.kind, plan.baseline) = (entry.key, name, -1)
        (plan.needsCells, plan.minRows) = (false, 0)
        f.read(AlertKeys.ofMonitor + [atLeast], into: &plan)
        Reach.read(f, scope, into: &plan)
        let names = scope.reading.list(
            node, what: "a list of monitors", orOne: true, countMax: Self.countMax)
        guard !names.isEmpty else {
            scope.reading.say(
                "empty-list", at: node.place, "`\(name)` has no monitor in it",
                expected: "monitors", suggestion: "`\(name): [drift, volume]`")
            return
        }
        plan.settings = Settings([
            ("members", .text(names.compactMap(\.text).joined(separator: ",")))
        ])
        found.rollUps.append((entry.key, names))
        found.judges.append(ReadMonitor(plan: plan, place: node.place, testPlace: node.place))
    }

    func testCount(_ plan: MonitorPlan, segment: Int, _ scope: Scope) -> Int { 0 }
    func compares(_ plan: MonitorPlan) -> Bool { false }

    // MARK: What a plan says

    private func names(_ plan: MonitorPlan) -> String {
        plan.settings.values.first { $0.name == "members" }?.value.asText ?? ""
    }

    func cells(_ plan: MonitorPlan) -> MonitorCells {
        MonitorCells(
            test: name, columns: nil, ignored: "at least \(Self.text(plan.atLeast))")
    }

    func facts(_ plan: MonitorPlan, _ stream: StreamPlan) -> [Fact] {
        [("members", .texts(names(plan).split(separator: ",").map(String.init)))]
            + [atLeast.fact(plan)].compactMap(\.self)
    }

    func identity(_ plan: MonitorPlan) -> MonitorIdentity {
        var identity = MonitorIdentity()
        identity.tests = name
        identity.judged = [
            Identity.Line("members", plan.name, names(plan), Self.text(plan.atLeast))
        ]
        return identity
    }
}

extension ReadMonitors {
    /// Finds the members of roll-ups among all monitors; what is none is reported.
    mutating func joinRollUps(_ reading: Reading) {
        let kinds = ["any_of", "all_of"]
        let known = judges.filter { !kinds.contains($0.plan.kind) }.map {
            String($0.plan.name.prefix { $0 != "." })
        }
        for (rollUp, nodes) in rollUps {
            guard let place = judges.firstIndex(where: { $0.plan.name == rollUp }) else { continue }
            for node in nodes {
                guard let name = reading.text(node, expected: "a monitor") else { continue }
                let members = judges.indices.filter {
                    !kinds.contains(judges[$0].plan.kind)
                        && (judges[$0].plan.name == name
                            || judges[$0].plan.name.hasPrefix("\(name)."))
                }
                guard !members.isEmpty else {
                    sayNoMember(name, node, known, reading)
                    continue
                }
                judges[place].plan.members.append(members)
                for member in members { judges[member].plan.isMember = true }
            }
        }
    }

    private func sayNoMember(
        _ name: String, _ node: Node, _ known: [String], _ reading: Reading
    ) {
        let isSilence = silences.contains { $0.name == name }
        let isRollUp = judges.contains { $0.plan.name == name }
        reading.say(
            isSilence || isRollUp ? "not-a-member" : "unknown-monitor", at: node.place,
            isSilence
                ? "\(shown(name)) watches silence, which is told between windows"
                : isRollUp
                    ? "\(shown(name)) adds up others itself" : "no monitor \(shown(name))",
            expected: "monitors of windows: "
                + Array(Set(known)).sorted().joined(separator: ", "),
            suggestion: nearest(name, known).map { "`\($0)`" })
    }
}
