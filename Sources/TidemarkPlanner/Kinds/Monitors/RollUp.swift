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
            "monitors of any kind but roll-ups; with `alert: off` they are quiet alone")
        let refused = [
            KeySpec.later(
                "min_rows", "", because: "it counts series, and those of few rows have no verdict",
                instead: "`min_rows` of its members"),
            KeySpec.later(
                "overrides", "", because: "a segment as a whole has one roll-up",
                instead: "`overrides` of its members, or a second roll-up with other `segments`"),
            KeySpec.later(
                "against", "", because: "it counts what its members found",
                instead: "`against` of its members"),
        ]
        let own: [any TopologyKey] =
            [members, atLeast, Reach.segments, Reach.windows] + refused
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
        let begun = start(
            monitor, as: "a roll-up", [atLeast], overridable: nil, scope,
            usual: { ($0.needsCells, $0.minRows) = (false, 0) })
        guard let (f, common) = begun, let node = f[members] else { return }
        var plan = common
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
        found.rollUps.append(
            ReadRollUp(
                name: entry.key, members: names, hasSegments: f.has(Reach.segments),
                hasWindows: f.has(Reach.windows)))
        found.judges.append(ReadMonitor(plan: plan, place: node.place, testPlace: node.place))
    }

    func testCount(_ plan: MonitorPlan, segment: Int, _ scope: Scope) -> Int { 0 }
    func compares(_ plan: MonitorPlan) -> Bool { false }

    // MARK: What a plan says

    private func names(_ plan: MonitorPlan) -> String {
        plan.settings["members"]?.asText ?? ""
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

/// A roll-up as it was read: its members are looked up once all monitors are known.
struct ReadRollUp {
    var name: String
    var members: [Node]
    /// The topology says where it looks.
    var hasSegments: Bool
    var hasWindows: Bool
}

/// What can be a member of a roll-up: a monitor with the place where it looks.
private struct Candidate {
    var monitors: [String]
    var segments: Set<Int>
    /// `nil`: it is a silence, which has no windows.
    var windows: Set<Int>?
}

extension ReadMonitors {
    private static let rollUpKinds = ["any_of", "all_of"]

    /// Finds the members of roll-ups among all monitors; what is none is reported.
    ///
    /// Where a roll-up does not say where it looks, it looks where its members do. A silence has no window: it
    /// counts at the end of those of the roll-up, and where all members are silences these are the shortest.
    mutating func joinRollUps(_ reading: Reading, _ windows: [WindowPlan]) {
        for rollUp in rollUps {
            guard let place = judges.firstIndex(where: { $0.plan.name == rollUp.name }) else {
                continue
            }
            var members: [Candidate] = []
            for node in rollUp.members {
                guard let name = reading.text(node, expected: "a monitor") else { continue }
                guard let found = candidate(name) else {
                    sayNoMember(name, node, reading)
                    continue
                }
                judges[place].plan.members.append(
                    RollUpMember(name, monitors: found.monitors))
                for judge in judges.indices
                where found.monitors.contains(judges[judge].plan.name) {
                    judges[judge].plan.isMember = true
                }
                members.append(found)
            }
            guard !members.isEmpty else { continue }
            let segments = members.reduce(into: Set<Int>()) { $0.formUnion($1.segments) }
            if !rollUp.hasSegments {
                judges[place].plan.segments.removeAll { !segments.contains($0) }
            }
            guard !rollUp.hasWindows else { continue }
            let judged = members.compactMap(\.windows)
            let shortest = windows.indices.min { windows[$0].lengthMs < windows[$1].lengthMs }
            judges[place].plan.windows.removeAll { index in
                judged.isEmpty
                    ? index != shortest : !judged.contains { $0.contains(index) }
            }
        }
    }

    /// The monitors of the plan that a name stands for; `nil`: none that can be a member.
    private func candidate(_ name: String) -> Candidate? {
        if let silence = silences.first(where: { $0.name == name && $0.per != .source }) {
            return Candidate(monitors: [name], segments: Set(silence.segments), windows: nil)
        }
        let found = judges.map(\.plan).filter {
            !Self.rollUpKinds.contains($0.kind)
                && ($0.name == name || $0.name.hasPrefix("\(name)."))
        }
        guard !found.isEmpty else { return nil }
        return Candidate(
            monitors: found.map(\.name), segments: Set(found.flatMap(\.segments)),
            windows: Set(found.flatMap(\.windows)))
    }

    private func sayNoMember(_ name: String, _ node: Node, _ reading: Reading) {
        let judged = judges.filter { !Self.rollUpKinds.contains($0.plan.kind) }.map {
            String($0.plan.name.prefix { $0 != "." })
        }
        let known = Set(judged + silences.filter { $0.per != .source }.map(\.name))
        let expected = "monitors: " + known.sorted().joined(separator: ", ")
        if ofSource.contains(name) {
            reading.say(
                "not-a-member", at: node.place,
                "\(shown(name)) watches the source as a whole: while that is silent no window ends,"
                    + " and nothing is added up",
                expected: expected, suggestion: "`per: segment` or `per: group` in `\(name)`")
            return
        }
        let isRollUp = judges.contains { $0.plan.name == name }
        reading.say(
            isRollUp ? "not-a-member" : "unknown-monitor", at: node.place,
            isRollUp ? "\(shown(name)) adds up others itself" : "no monitor \(shown(name))",
            expected: expected,
            suggestion: isRollUp
                ? "its members" : nearest(name, known.sorted()).map { "`\($0)`" })
    }
}
