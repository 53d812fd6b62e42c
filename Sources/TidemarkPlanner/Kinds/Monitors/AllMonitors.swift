import TidemarkDataflow
import TidemarkLanguage
import TidemarkText
import TidemarkTopology

/// A kind of monitor: its keys, how it is read and checked, and what a plan says of it.
protocol MonitorKind: Sendable {
    /// The key that names it in a monitor.
    var name: String { get }
    /// Its keys; `nil`: it has none yet.
    var part: PartSpec? { get }
    /// A topology may write `NAME: …` and `NAME: off` without the key, for there is a monitor of that name.
    var standsByName: Bool { get }
    /// A later version will have it.
    var isLater: Bool { get }
    /// How urgent its alerts are where a topology says nothing.
    var usualSeverity: Severity { get }

    /// Reads a monitor of the topology; what is wrong with it is reported.
    func read(_ monitor: MonitorEntry, _ scope: inout Scope, into found: inout ReadMonitors)
    /// Adds what is watched without being mentioned.
    func addUnmentioned(
        _ top: Fields, common: MonitorPlan, _ scope: inout Scope, into found: inout ReadMonitors)

    /// Checks a monitor against all that was read; columns that it can't watch are taken out.
    func check(_ read: inout ReadMonitor, _ scope: Scope)
    /// Tests of a group of a segment in each window.
    func testCount(_ plan: MonitorPlan, segment: Int, _ scope: Scope) -> Int
    /// Windows are compared with its baseline. Else the baseline only keeps the names of groups.
    func compares(_ plan: MonitorPlan) -> Bool

    /// What a plan says of monitors that are a list of their own in it; `nil`: this kind has none.
    func own(_ stream: StreamPlan) -> OwnMonitors?

    /// What its row in the plan's text says.
    func cells(_ plan: MonitorPlan) -> MonitorCells
    /// What the plan's JSON says of it beside what all monitors have.
    func facts(_ plan: MonitorPlan, _ stream: StreamPlan) -> [Fact]
    /// What the identity says of it beside what all monitors have.
    func identity(_ plan: MonitorPlan) -> MonitorIdentity
}

extension MonitorKind {
    var standsByName: Bool { true }
    var isLater: Bool { false }
    var usualSeverity: Severity { .page }
    func addUnmentioned(
        _ top: Fields, common: MonitorPlan, _ scope: inout Scope, into found: inout ReadMonitors
    ) {}
    func check(_ read: inout ReadMonitor, _ scope: Scope) {}
    func testCount(_ plan: MonitorPlan, segment: Int, _ scope: Scope) -> Int {
        plan.columns.count { scope.segments.plans[segment].columns.contains($0) }
    }
    func compares(_ plan: MonitorPlan) -> Bool { true }
    func own(_ stream: StreamPlan) -> OwnMonitors? { nil }
    func cells(_ plan: MonitorPlan) -> MonitorCells {
        MonitorCells(test: name, columns: plan.columns.count, ignored: "")
    }
    func facts(_ plan: MonitorPlan, _ stream: StreamPlan) -> [Fact] { [] }
    func identity(_ plan: MonitorPlan) -> MonitorIdentity { MonitorIdentity() }
}

/// A monitor of a topology, before its kind reads it.
struct MonitorEntry {
    let entry: Node.Entry
    /// Where the key of its kind stands; `nil`: its name says the kind.
    let kindPlace: Place?
    /// What `alerts` says for all.
    let common: MonitorPlan

    /// The monitor that a kind has without being mentioned, as if it were written at a place.
    init(unmentioned name: String, at place: Place, common: MonitorPlan) {
        entry = Node.Entry(key: name, keyPlace: place, value: Node(kind: .map([]), place: place))
        kindPlace = nil
        self.common = common
    }

    init(_ entry: Node.Entry, kindPlace: Place?, common: MonitorPlan) {
        self.entry = entry
        self.kindPlace = kindPlace
        self.common = common
    }
}

/// A monitor that was read, with what its checks need to point at.
struct ReadMonitor {
    var plan: MonitorPlan
    /// Where its columns are chosen.
    var place: Place
    /// Columns that are named: they can't be left out without a word.
    var named: Set<Int> = []
    var testPlace: Place
}

/// The monitors of a topology.
struct ReadMonitors {
    /// Monitors that judge windows.
    var judges: [ReadMonitor] = []
    /// Those that add others up.
    var rollUps: [ReadRollUp] = []
    /// Monitors of silence.
    var silences: [FreshnessPlan] = []
    /// Names of those of the source as a whole, though they may not be needed.
    var ofSource: Set<String> = []
    /// What is not watched though it might be thought so, for the plan's text: the name of a row, and what it says.
    var silent: [(name: String, text: String)] = []

    /// Adds what was read of a monitor with one of the several baselines that it compares with.
    ///
    /// Each is a monitor of the plan, named by the monitor and the baseline with a point between: it has verdicts and
    /// alerts of its own, and each draws on the budget. What compares with none is there once.
    mutating func add(
        _ read: ReadMonitors, of entry: Node.Entry, against node: Node, _ scope: Scope
    ) {
        for var judge in read.judges {
            guard scope.baselines.plans.indices.contains(judge.plan.baseline) else {
                if !judges.contains(where: { $0.plan.name == judge.plan.name }) {
                    judges.append(judge)
                }
                continue
            }
            judge.plan.name += ".\(scope.baselines.plans[judge.plan.baseline].name)"
            guard !judges.contains(where: { $0.plan.name == judge.plan.name }) else {
                scope.reading.say(
                    "listed-twice", at: node.place,
                    "\(shown(entry.key)) is compared with \(scope.reading.describe(node)) already",
                    expected: "each baseline once", suggestion: "delete it")
                continue
            }
            judges.append(judge)
        }
        silent += read.silent
    }
}

extension Node.Entry {
    /// This map with another value behind one of its keys.
    fileprivate func with(_ value: Node, for key: String) -> Node.Entry {
        var entries = self.value.entries ?? []
        for place in entries.indices where entries[place].key == key {
            entries[place].value = value
        }
        return Node.Entry(
            key: self.key, keyPlace: keyPlace,
            value: Node(kind: .map(entries), place: self.value.place))
    }
}

/// What the row of a monitor says in the plan's text.
struct MonitorCells {
    var test: String
    /// `nil`: it watches no columns.
    var columns: Int?
    var ignored: String
}

/// What a plan says of monitors that do not judge windows; they are a list of their own in it.
struct OwnMonitors {
    /// The name of their row in the plan's text, and what it says of each.
    var row: (name: String, texts: [String])
    /// Their member of the plan's JSON.
    var fact: Fact
    /// Their lines of what is said about data.
    var identity: [Identity.Line]
}

/// What a kind adds to the identity of a topology.
struct MonitorIdentity {
    /// The tests, in the monitor's line of what shapes data.
    var tests = "auto"
    /// The effects that the tests ignore, in its line of what is said about data.
    var effects = ""
    /// Lines of what shapes data.
    var data: [Identity.Line] = []
    /// Lines of what is said about data.
    var judged: [Identity.Line] = []
}

/// The kinds of monitors that there are.
struct MonitorKinds: Sendable {
    /// The core's own, in the order in which they are listed to people.
    private static func core(_ checks: [CheckSpec]) -> [any MonitorKind] {
        [
            Drift(), Quality(checks),
            Rule(), Volume(), Age(), Freshness(), Metric(), When(),
            RollUp("any_of"), RollUp("all_of"), LaterMonitor("detect"),
        ]
    }

    /// In the order in which they are listed to people.
    let all: [any MonitorKind]
    /// Those of this version.
    let ofNow: [any MonitorKind]

    /// The core's own and the declared ones.
    ///
    /// A declared kind takes the place of a later one of the same name.
    init(_ specs: [MonitorSpec], checks: [CheckSpec] = []) {
        let declared = specs.map { DeclaredMonitor($0) }
        let kinds = Self.core(checks).map { kind -> any MonitorKind in
            declared.first { $0.name == kind.name } ?? kind
        }
        all = kinds + declared.filter { new in !kinds.contains { $0.name == new.name } }
        ofNow = all.filter { !$0.isLater }
    }

    /// Names under which there are monitors without the key of a kind.
    var standing: [String] { all.filter(\.standsByName).map(\.name) }

    /// The kind of a monitor of the plan.
    func kind(of plan: MonitorPlan) -> any MonitorKind {
        guard let kind = all.first(where: { $0.name == plan.kind }) else {
            preconditionFailure("no kind of monitor is called `\(plan.kind)`")
        }
        return kind
    }

    /// The monitors of a topology, with those that exist without being mentioned.
    func read(_ top: Fields, _ scope: inout Scope) -> ReadMonitors {
        let alerts = top.part(TopologyPart.alerts, AlertKeys.part)
        func common(_ kind: any MonitorKind) -> MonitorPlan {
            var common = AlertKeys.usual
            common.severity = kind.usualSeverity
            alerts?.read(AlertKeys.settings, into: &common)
            return common
        }
        let entries =
            top[TopologyPart.monitors].map {
                top.reading.named($0, what: "monitors", item: "a monitor", countMax: 200)
            } ?? []
        var found = ReadMonitors()
        for entry in entries {
            guard let (kind, place) = kind(of: entry, top.reading) else { continue }
            let baselines = Reach.listed(of: entry, kind, top.reading)
            guard !baselines.isEmpty else {
                kind.read(
                    MonitorEntry(entry, kindPlace: place, common: common(kind)), &scope,
                    into: &found)
                continue
            }
            for baseline in baselines {
                let one = entry.with(baseline, for: Reach.against.name)
                var judges = ReadMonitors()
                kind.read(
                    MonitorEntry(one, kindPlace: place, common: common(kind)), &scope, into: &judges
                )
                found.add(judges, of: entry, against: baseline, scope)
            }
        }
        for kind in all where !entries.contains(where: { $0.key == kind.name }) {
            kind.addUnmentioned(top, common: common(kind), &scope, into: &found)
        }
        found.joinRollUps(top.reading, scope.windows)
        return found
    }

    /// The kind of a monitor, and where the key stands that names it; `nil`: it is off, or what is wrong was reported.
    private func kind(
        of entry: Node.Entry, _ reading: Reading
    ) -> (any MonitorKind, Place?)? {
        let name = entry.key
        let byName = standing
        if entry.value.isOff {
            if !byName.contains(name) {
                reading.say(
                    "unknown-monitor", at: entry.keyPlace,
                    "there is no monitor \(shown(name)) to switch off",
                    expected: alternatives(byName),
                    suggestion: nearest(name, byName).map { "`\($0)`" } ?? "delete the line")
            }
            return nil
        }
        guard reading.isName(name, at: entry.keyPlace) else { return nil }
        guard let keys = entry.value.entries else {
            reading.say(
                "not-a-map", at: entry.value.place,
                "monitor \(shown(name)) is \(reading.describe(entry.value))",
                expected: "a map with one kind, or off",
                suggestion: "`\(name): { drift: \(entry.value.text ?? "all") }`")
            return nil
        }
        let kinds = keys.compactMap { key in
            (all + [LaterMonitor("performance")]).first { $0.name == key.key }.map { ($0, key) }
        }
        if kinds.count > 1 {
            let (first, second) = (kinds[0].1, kinds[1].1)
            reading.say(
                "two-kinds", at: second.keyPlace,
                "\(shown(second.key)) is a second kind, after \(shown(first.key)) "
                    + "(\(first.keyPlace.line):\(first.keyPlace.column))", expected: "one",
                suggestion: "two monitors")
            return nil
        }
        if let (kind, key) = kinds.first { return (kind, key.keyPlace) }
        if let kind = all.first(where: { $0.standsByName && $0.name == name }) {
            return (kind, nil)
        }
        sayNoKind(entry, keys, reading)
        return nil
    }

    /// A monitor does not say what it watches.
    private func sayNoKind(_ entry: Node.Entry, _ keys: [Node.Entry], _ reading: Reading) {
        let names = ofNow.map(\.name).joined(separator: ", ")
        // A key that is no key at all is the better thing to say.
        let known = ofNow[0].part?.keys.map(\.name) ?? []
        if let wrong = keys.first(where: { !known.contains($0.key) }),
            let close = nearest(wrong.key, all.map(\.name))
        {
            reading.say(
                "unknown-key", at: wrong.keyPlace,
                "\(shown(wrong.key)) is not a key of a monitor", expected: names,
                suggestion: "`\(close)`")
            return
        }
        reading.say(
            "no-kind", at: entry.keyPlace,
            "monitor \(shown(entry.key)) does not say what it watches",
            expected: "exactly one of " + names, suggestion: "`drift: all`")
    }
}

/// A kind of monitor of the full language that this version refuses.
struct LaterMonitor: MonitorKind {
    let name: String
    let part: PartSpec?
    var standsByName: Bool { part != nil }
    var isLater: Bool { true }

    /// A kind that is not listed.
    init(_ name: String) {
        self.name = name
        part = nil
    }

    /// A kind that is listed, and whose name can be switched off.
    init(
        _ name: String, summary: String, keys: [(name: String, help: String)], example: String
    ) {
        self.name = name
        part = PartSpec(
            name, path: "monitors.\(name)", summary, keys.map { KeySpec.later($0.name, $0.help) },
            example: example)
    }

    func read(_ monitor: MonitorEntry, _ scope: inout Scope, into found: inout ReadMonitors) {
        let entry = monitor.entry
        let kinds = scope.monitorKinds
        scope.reading.say(
            "later", at: monitor.kindPlace ?? entry.keyPlace,
            monitor.kindPlace == nil
                ? "monitor \(shown(entry.key)) comes in a later version"
                : "monitors of kind `\(name)` come in a later version",
            expected: alternatives(kinds.ofNow.map(\.name)),
            suggestion: kinds.standing.contains(entry.key) ? "`\(entry.key): off`" : "delete it")
    }
}
