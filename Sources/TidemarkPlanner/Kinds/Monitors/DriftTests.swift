import TidemarkDataflow
import TidemarkDrift
import TidemarkLanguage
import TidemarkText
import TidemarkTopology

/// The two-sample tests of a drift monitor.
extension Drift {
    /// What `test` says; `nil` after reporting what is wrong.
    func readTests(_ f: Fields, ignoreBelow: Double?) -> MonitorPlan.Tests? {
        guard let node = f[tests] else { return .automatic }
        var list = TestList(ignoreBelow: ignoreBelow, reading: f.reading)
        if node.text != nil {
            guard let text = f.reading.text(node) else { return nil }
            if text == "auto" { return .automatic }
            list.add(text, at: node.place)
        } else if let items = node.items {
            if items.isEmpty { list.sayEmpty(at: node.place) }
            for item in f.reading.list(node, what: "a list of tests", countMax: 20) {
                guard let text = f.reading.text(item, expected: "a test") else { continue }
                list.add(text, at: item.place)
            }
        } else if let entries = node.entries {
            if entries.isEmpty { list.sayEmpty(at: node.place) }
            for entry in entries { readTest(entry, into: &list) }
        }
        return list.tests.isEmpty ? nil : .named(list.tests)
    }

    /// A test with keys of its own.
    private func readTest(_ entry: Node.Entry, into list: inout TestList) {
        let spec = PartSpec(
            "test", path: "monitors.*.test.*", "a test", [testBelow],
            example: "psi: { ignore_below: 0.2 }")
        guard let test = list.known(entry.key, at: entry.keyPlace),
            let own = list.reading.fields(
                entry.value, spec, what: "a test", shape: "{ ignore_below }")
        else { return }
        list.add(test, own.value(testBelow), at: entry.keyPlace)
    }
}

/// Tests that were named, each once.
private struct TestList {
    /// What holds for tests that have no bound of their own.
    let ignoreBelow: Double?
    let reading: Reading
    private(set) var tests: [MonitorPlan.NamedTest] = []

    init(ignoreBelow: Double?, reading: Reading) {
        self.ignoreBelow = ignoreBelow
        self.reading = reading
    }

    mutating func add(_ name: String, at place: Place) {
        if let test = known(name, at: place) { add(test, nil, at: place) }
    }

    mutating func add(_ test: TestSpec, _ effect: Double?, at place: Place) {
        guard !tests.contains(where: { $0.test == test.name }) else {
            reading.say(
                "listed-twice", at: place, "\(shown(test.name)) is already in the list",
                expected: "once", suggestion: "delete it")
            return
        }
        tests.append(
            MonitorPlan.NamedTest(
                test: test.name, ignoreBelow: effect ?? ignoreBelow ?? test.ignoreBelow))
    }

    func sayEmpty(at place: Place) {
        reading.say(
            "empty-list", at: place, "no test is named", expected: "at least one",
            suggestion: "`test: auto`")
    }

    /// The test of a name; `nil` after reporting that there is none.
    func known(_ name: String, at place: Place) -> TestSpec? {
        if let test = TwoSample.named(name) { return test.spec }
        let names = TestWords.names
        if name == "auto" {
            reading.say(
                "unknown-test", at: place, "`auto` can't stand beside other tests",
                expected: "tests by name",
                suggestion: "`test: auto`")
        } else if let refusal = TwoSample.refused[name] {
            reading.say(
                "later", at: place, "test \(shown(name)) is refused: \(refusal.because)",
                expected: "auto, " + alternatives(names), suggestion: "`\(refusal.instead)`")
        } else {
            reading.say(
                "unknown-test", at: place, "no test \(shown(name))",
                expected: "auto, " + alternatives(names),
                suggestion: nearest(name, ["auto"] + names).map { "`\($0)`" } ?? "`auto`")
        }
        return nil
    }
}
