import TidemarkDataflow
import TidemarkLanguage
import TidemarkText
import TidemarkTopology

/// Where alerts go beside their own topic, and which of them.
enum AlertRoutesPart {
    static let destinations = KeySpec(
        "destinations", .map("a map name → { topic }"), says: "{}",
        shape: .names(.part("destination")), "topics that some alerts go to as well")
    static let routes = KeySpec(
        "routes", .list("a list of { severity, monitors, groups, to }"), says: "[]",
        shape: .list(.part("route")), "which alerts go where: the first that takes one decides")

    static let group = Setting(
        "group", \OutputsPlan.groupsAlerts, .choice([("none", false), ("model", true)]),
        usual: OutputsPlan(aggregates: nil, alerts: "", deadLetters: "", late: nil), json: "group",
        "model: of the alerts of a model that fire together one speaks for all, with the others as its members"
    )

    private static let topic = KeySpec(
        "topic", .text(lengthMax: 249), "a topic of the same cluster")
    static let destination = PartSpec(
        "destination", path: "alerts.destinations.*",
        "a topic that alerts go to, in one transaction with all else",
        [
            topic, KeySpec.later("webhook", "an address that alerts are sent to"),
            KeySpec.later("slack", "a channel"), KeySpec.later("pagerduty", "a service"),
            KeySpec.later("alertmanager", "of Prometheus"),
        ],
        example: "alerts: { destinations: { oncall: { topic: alerts-oncall } } }")

    private static let severity = KeySpec(
        "severity", .list("page, warn or info, or a list of them"), says: "all",
        shape: .either([.words(severities), .list(.words(severities))]), "how urgent")
    private static let monitors = KeySpec(
        "monitors", .list("names of monitors, or patterns"), says: "all", "of which monitors")
    private static let groups = KeySpec(
        "groups", .map("a map dimension → pattern"), says: "all", "of which groups")
    private static let to = KeySpec(
        "to", .list("names of destinations"), required: true, "who hears of it")
    static let route = PartSpec(
        "route", path: "alerts.routes[]", "which alerts go where",
        [severity, monitors, groups, to],
        example:
            "alerts: { destinations: { oncall: { topic: t-oncall } }, routes: [{ severity: page, to: oncall }] }"
    )

    private static let severities = Severity.allCases.map(\.rawValue)
    private static let countMax = 100

    /// What speaks: a monitor, or a condition of the source.
    private struct Speaker {
        var name: String
        var severity: String
    }

    /// Reads destinations and routes, once it is known which monitors there are.
    static func read(_ top: Fields, _ stream: StreamPlan, into outputs: inout OutputsPlan) {
        // Its keys were checked when monitors were read: the same finding is said once.
        guard let f = top.part(TopologyPart.alerts, AlertKeys.part) else { return }
        group.read(f, &outputs)
        if let node = f[destinations] { outputs.destinations = readDestinations(node, f.reading) }
        guard let node = f[routes] else {
            sayUnused(outputs, routed: [], f, speakers(stream))
            return
        }
        var places: [Place] = []
        let known = outputs.destinations.map(\.name)
        for item in f.reading.list(node, what: "a list of routes", countMax: countMax) {
            guard let route = readRoute(item, known, stream, f.reading) else { continue }
            outputs.routes.append(route)
            places.append(item.place)
        }
        let speakers = speakers(stream)
        sayUnreachable(outputs.routes, places, speakers, f.reading)
        sayUnused(outputs, routed: outputs.routes, f, speakers)
    }

    private static func readDestinations(_ node: Node, _ reading: Reading) -> [AlertDestination] {
        reading.named(
            node, what: "destinations", item: "a destination, `{ topic: … }`", countMax: 32
        ).compactMap { entry in
            guard !entry.value.isOff, reading.isName(entry.key, at: entry.keyPlace),
                let f = reading.fields(entry.value, destination, what: "a destination")
            else { return nil }
            guard f.has(topic) else {
                let hasLater = entry.value.entries?.contains {
                    destination.key($0.key)?.isLater ?? false
                }
                if hasLater != true {
                    reading.say(
                        "missing-key", at: entry.keyPlace,
                        "\(shown(entry.key)) does not say where alerts go", expected: "`topic`",
                        suggestion: "`\(entry.key): { topic: alerts-\(entry.key) }`")
                }
                return nil
            }
            return f.topic(topic).map { AlertDestination(name: entry.key, topic: $0) }
        }
    }

    /// One route; `nil` after reporting that it is none.
    private static func readRoute(
        _ node: Node, _ destinations: [String], _ stream: StreamPlan, _ reading: Reading
    ) -> AlertRoute? {
        guard let f = reading.fields(node, route, what: "a route", shape: "{ severity, to }"),
            let target = f[to]
        else { return nil }
        var plan = AlertRoute()
        if let node = f[severity] {
            plan.severities = words(node, severities, "a severity", reading).compactMap {
                Severity(rawValue: $0)
            }
        }
        if let node = f[monitors] { plan.monitors = readMonitors(node, stream, reading) }
        for entry in f[groups]?.entries ?? [] {
            let names = stream.segments.flatMap { $0.dimensions.map(\.name) }
            guard names.contains(entry.key) else {
                reading.say(
                    "unknown-dimension", at: entry.keyPlace,
                    "no segment has the dimension \(shown(entry.key))",
                    expected: alternatives(Set(names).sorted()),
                    suggestion: nearest(entry.key, names).map { "`\($0)`" })
                continue
            }
            guard let pattern = reading.text(entry.value, expected: "a pattern") else { continue }
            plan.groups.append(.init(dimension: entry.key, pattern: pattern))
        }
        plan.to = words(target, destinations, "a destination", reading)
        return plan
    }

    /// A list of some of these words; those that are none are reported.
    private static func words(
        _ node: Node, _ known: [String], _ what: String, _ reading: Reading
    ) -> [String] {
        reading.list(node, what: "a list: \(what) each", orOne: true, countMax: 32).compactMap {
            item in
            guard let text = reading.text(item, expected: what) else { return nil }
            if known.contains(text) { return text }
            reading.say(
                "unknown-word", at: item.place, "\(shown(text)) is not \(what)",
                expected: known.isEmpty ? "one of `destinations`" : alternatives(known),
                suggestion: nearest(text, known).map { "`\($0)`" })
            return nil
        }
    }

    /// Names or patterns of monitors, each of which has to match one.
    private static func readMonitors(
        _ node: Node, _ stream: StreamPlan, _ reading: Reading
    ) -> [String] {
        let names = speakers(stream).map(\.name)
        return reading.list(node, what: "names of monitors", orOne: true, countMax: 100).filter {
            item in
            guard let text = reading.text(item, expected: "the name of a monitor") else {
                return false
            }
            var one = AlertRoute()
            one.monitors = [text]
            if names.contains(where: { one.takes(monitor: $0, severity: "") }) { return true }
            reading.say(
                "matches-nothing", at: item.place, "\(shown(text)) matches no monitor",
                expected: "at least one", suggestion: nearest(text, names).map { "`\($0)`" })
            return false
        }.compactMap(\.text)
    }

    /// All that alerts.
    private static func speakers(_ stream: StreamPlan) -> [Speaker] {
        stream.monitors.filter(\.alerts).map {
            Speaker(name: $0.name, severity: $0.severity.rawValue)
        }
            + stream.freshness.map { Speaker(name: $0.name, severity: $0.severity.rawValue) }
            + (SourceCondition.Kind.allCases.map(\.rawValue) + ["bad_rows"]).map {
                Speaker(name: $0, severity: Severity.page.rawValue)
            }
    }

    /// Warns of routes that no alert gets to.
    private static func sayUnreachable(
        _ routes: [AlertRoute], _ places: [Place], _ speakers: [Speaker], _ reading: Reading
    ) {
        for (index, route) in routes.enumerated() {
            let taken = speakers.filter { route.takes(monitor: $0.name, severity: $0.severity) }
            guard !taken.isEmpty else {
                reading.say(
                    .warning, "route-unreachable", at: places[index],
                    "no monitor alerts with this severity",
                    expected: "a severity of one of its monitors", suggestion: "delete it")
                continue
            }
            let before = routes[..<index].filter { $0.groups.isEmpty || $0.groups == route.groups }
            let isHidden = taken.allSatisfy { one in
                before.contains { $0.takes(monitor: one.name, severity: one.severity) }
            }
            guard isHidden else { continue }
            reading.say(
                .warning, "route-unreachable", at: places[index],
                "routes before this one take all of its alerts",
                expected: "a narrower one before it", suggestion: "move it up, or delete it")
        }
    }

    /// Warns of pages that go to no destination, and of destinations that nothing goes to.
    private static func sayUnused(
        _ outputs: OutputsPlan, routed routes: [AlertRoute], _ f: Fields, _ speakers: [Speaker]
    ) {
        guard !outputs.destinations.isEmpty, let node = f[destinations] else { return }
        let used = Set(routes.flatMap(\.to))
        for entry in node.entries ?? []
        where outputs.destinations.contains(where: { $0.name == entry.key })
            && !used.contains(entry.key)
        {
            f.reading.say(
                .warning, "destination-unused", at: entry.keyPlace,
                "no route goes to \(shown(entry.key))", expected: "a route",
                suggestion: "`routes: [{ severity: page, to: [\(entry.key)] }]`")
        }
        let whole = routes.filter { $0.groups.isEmpty && !$0.to.isEmpty }
        let silent = speakers.filter { one in
            one.severity == Severity.page.rawValue
                && !whole.contains { $0.takes(monitor: one.name, severity: one.severity) }
        }
        guard let first = silent.first, !routes.isEmpty else { return }
        f.reading.say(
            .warning, "page-unrouted", at: f[Self.routes]?.place ?? node.place,
            "pages of \(shown(first.name))"
                + (silent.count > 1 ? " and \(silent.count - 1) more" : "")
                + " go to no destination, or not for all groups: nobody is told",
            expected: "a route for every page",
            suggestion: outputs.destinations.first.map {
                "`{ severity: page, to: [\($0.name)] }` at the end"
            })
    }

    // MARK: What a plan says

    /// What the plan's JSON says of destinations and routes; nothing where there are none.
    static func facts(_ plan: OutputsPlan) -> [Fact] {
        let grouped = plan.groupsAlerts ? [group.fact(plan)].compactMap(\.self) : []
        guard !plan.destinations.isEmpty || !plan.routes.isEmpty else { return grouped }
        return grouped + [
            (
                "destinations",
                .object(plan.destinations.map { ($0.name, .object([("topic", .text($0.topic))])) })
            ),
            (
                "routes",
                .array(
                    plan.routes.map { route in
                        .object([
                            ("severity", .texts(route.severities.map(\.rawValue))),
                            ("monitors", .texts(route.monitors)),
                            (
                                "groups",
                                .object(route.groups.map { ($0.dimension, .text($0.pattern)) })
                            ),
                            ("to", .texts(route.to)),
                        ])
                    })
            ),
        ]
    }

    /// Their lines of what is said about data.
    static func identity(_ plan: OutputsPlan) -> [Identity.Line] {
        (plan.groupsAlerts ? [Identity.Line("grouped", true)] : [])
            + plan.destinations.map { Identity.Line("destination", $0.name, $0.topic) }
            + plan.routes.map { route in
                Identity.Line(
                    "route", route.severities.map(\.rawValue), route.monitors,
                    route.groups.map { [$0.dimension, $0.pattern] }, route.to)
            }
    }
}

extension ValueType where Value == String {
    /// The text of an alert, with words in braces that are filled in.
    static var template: ValueType {
        let text = ValueType<String>.text(lengthMax: 300)
        return ValueType(
            text.form,
            parse: { written, spec in
                switch text.read(written, of: spec) {
                case .failure(let problem): return .failure(problem)
                case .success(let template):
                    let unknown = AlertWords.used(in: template).first {
                        !AlertWords.all.contains($0)
                    }
                    guard let unknown else { return .success(template) }
                    return .failure(
                        ScalarProblem(
                            rule: "unknown-word",
                            message: "`{\(unknown)}` is not filled in",
                            expected: alternatives(AlertWords.all.map { "{\($0)}" }),
                            suggestion: nearest(unknown, AlertWords.all).map { "`{\($0)}`" }))
                }
            },
            text: { text.text($0) }, json: { text.json($0) })
    }
}
