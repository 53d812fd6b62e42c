import TidemarkDataflow
import TidemarkLanguage
import TidemarkText
import TidemarkTopology

/// A kind of monitor that the planner knows by its spec alone.
struct DeclaredMonitor: MonitorKind {
    private let spec: MonitorSpec
    private let columns: KeySpec
    var name: String { spec.name }
    let part: PartSpec?

    init(_ spec: MonitorSpec) {
        self.spec = spec
        columns = KeySpec(spec.name, .selector, says: "all", "the columns")
        let own = [columns] + spec.keys.map(\.spec)
        let reach = (spec.needsBaseline ? [Reach.against] : []) + [Reach.segments, Reach.windows]
        part = PartSpec(
            spec.name, path: "monitors.*", spec.help,
            own as [any TopologyKey] + reach + [OverridesPart.key([])] + AlertKeys.ofMonitor,
            example: spec.example)
    }

    func read(_ monitor: MonitorEntry, _ scope: inout Scope, into found: inout ReadMonitors) {
        let entry = monitor.entry
        guard let (f, common) = start(monitor, as: "a monitor of \(name)", overridable: [], scope)
        else { return }
        var plan = common
        if spec.needsBaseline {
            guard let baseline = Reach.baseline(f, of: entry, &scope) else { return }
            plan.baseline = baseline
        }
        plan.settings = settings(f)
        guard let (picked, named) = Reach.columns(f, columns, of: entry, scope) else { return }
        plan.columns = picked
        scope.named.formUnion(named)
        let place = f[columns]?.place ?? entry.keyPlace
        found.judges.append(
            ReadMonitor(plan: plan, place: place, named: named, testPlace: place))
    }

    /// The values of its keys; what is wrong was reported.
    private func settings(_ f: Fields) -> Settings {
        Settings(
            spec.keys.compactMap { key in
                guard let node = f[key.spec] else { return key.usual.map { (key.spec.name, $0) } }
                if key.spec.takesOff, node.isOff { return (key.spec.name, .null) }
                return f.reading.scalar(node, key.spec, key.read).map { (key.spec.name, $0) }
            })
    }

    func check(_ read: inout ReadMonitor, _ scope: Scope) {
        let others = read.plan.columns.filter { !canWatch(scope.columns[$0].type) }
        let sorts = MonitorSpec.Columns.allCases.filter(spec.columns.contains).map(\.rawValue)
        for index in others where read.named.contains(index) {
            let column = scope.columns[index]
            scope.reading.say(
                "type-of-role", at: read.place,
                "`\(name)` is for \(alternatives(sorts)); \(shown(column.name)) is "
                    + ColumnPart.article(column.type),
                expected: "columns that are \(alternatives(sorts))", suggestion: nil)
        }
        read.plan.columns.removeAll { others.contains($0) }
        if read.plan.columns.isEmpty, read.named.isEmpty, !scope.columns.isEmpty {
            scope.reading.say(
                "matches-nothing", at: read.place,
                "`\(read.plan.name)` has no column that it can watch",
                expected: alternatives(sorts), suggestion: "`\(read.plan.name): off`")
        }
        Reach.checkWatched(read, scope)
    }

    private func canWatch(_ type: ColumnType) -> Bool {
        switch type {
        case .number, .integer: spec.columns.contains(.numbers)
        case .category, .boolean: spec.columns.contains(.categories)
        case .text: spec.columns.contains(.texts)
        case .time: false
        }
    }

    func testCount(_ plan: MonitorPlan, segment: Int, _ scope: Scope) -> Int {
        let watched = scope.segments.plans[segment].columns
        return spec.testCount * plan.columns.count { watched.contains($0) }
    }

    func compares(_ plan: MonitorPlan) -> Bool { spec.needsBaseline }

    // MARK: What a plan says

    func cells(_ plan: MonitorPlan) -> MonitorCells {
        let texts = plan.settings.values.compactMap { setting in
            let key = spec.keys.first { $0.spec.name == setting.name }
            return key?.text(setting.value).map { "\(setting.name) \($0)" }
        }
        return MonitorCells(
            test: name, columns: plan.columns.count, ignored: texts.joined(separator: " "))
    }

    func facts(_ plan: MonitorPlan, _ stream: StreamPlan) -> [Fact] {
        let against: [Fact] =
            spec.needsBaseline ? [("against", .text(stream.baselines[plan.baseline].name))] : []
        return against + [("columns", .texts(plan.columns.map { stream.columns[$0].name }))]
            + plan.settings.values
    }

    func identity(_ plan: MonitorPlan) -> MonitorIdentity {
        var identity = MonitorIdentity()
        identity.tests = name
        let settings = JSONValue.object(plan.settings.values)
        identity.judged = [Identity.Line("settings", plan.name, name, settings)]
        return identity
    }
}
