import Testing
import TidemarkLanguage

/// A key is the one place that knows its type, bounds, default and help.
struct KeyTests {
    private enum Colour: String, CaseIterable { case red, green }

    /// The default that people are told, read back.
    private func readBack<Value: Equatable>(_ key: Key<Value>) throws -> Bool {
        let text = try #require(key.spec.defaultText)
        return try key.type.read(text, of: key.spec).get() == key.usual
    }

    @Test func `the text of a default reads back as the default`() throws {
        #expect(try readBack(Key("a", ValueType<Int>.count(1...9), usual: 7, "")))
        #expect(try readBack(Key("a", ValueType.duration(0...weekMs), usual: 90_500, "")))
        #expect(try readBack(Key("a", ValueType<Int>.size(0...1 << 40), usual: 96 << 20, "")))
        #expect(try readBack(Key("a", ValueType.share(max: 1), usual: 0.05, "")))
        #expect(try readBack(Key("a", ValueType.number(-1...1), usual: -0.25, "")))
        #expect(try readBack(Key("a", .boolean, usual: true, "")))
        #expect(try readBack(Key("a", .booleanOrOff, usual: false, "")))
        #expect(try readBack(Key("a", ValueType<Colour>.choice(), usual: .green, "")))
        #expect(
            try readBack(Key("a", ValueType<String>.choice(["x", "y"]), usual: "y", "")))
        #expect(
            try readBack(
                Key("a", ValueType.rate, usual: Rate(count: 2, periodMs: weekMs), "")))
    }

    @Test func `off is a value where the type takes it, and the default may be off`() throws {
        let key = Key("a", ValueType.duration(0...weekMs).orOff, usual: nil, "")
        #expect(key.spec.takesOff)
        #expect(key.spec.defaultText == "off")
        #expect(key.spec.expected == "a duration from 0s to 1w, or off")
        let without = Key("a", ValueType.duration(0...weekMs).optional, "")
        #expect(!without.spec.takesOff)
        #expect(without.spec.defaultText == nil)
    }

    @Test func `a value out of bounds is told with the nearest that is in them`() {
        func problem<Value>(_ key: Key<Value>, _ text: String) -> ScalarProblem? {
            if case .failure(let problem) = key.type.read(text, of: key.spec) { return problem }
            return nil
        }
        let count = problem(Key("a", ValueType<Int>.count(2...9), usual: 2, ""), "1")
        #expect(count?.rule == "out-of-limits")
        #expect(count?.expected == "a count from 2 to 9")
        #expect(count?.suggestion == "`2`")
        let number = problem(Key("a", ValueType.number(0...1), usual: 0, ""), "3")
        #expect(number?.expected == "a number from 0 to 1")
        #expect(number?.suggestion == "`1`")
        let word = problem(
            Key("a", ValueType<Colour>.choice(later: ["blue"]), usual: .red, ""), "blue")
        #expect(word?.rule == "later")
    }

    @Test func `settings give back what a key was given, and its default else`() {
        let trim = Key("trim", ValueType.share(max: 0.5), usual: 0.1, "")
        let top = Key("top", ValueType<Int>.count(1...9).orOff, usual: nil, "")
        let settings = Settings([("trim", 0.25.setting)])
        #expect(settings[trim] == 0.25)
        #expect(settings[top] == nil)
        #expect(Settings()[trim] == 0.1)
        #expect(Settings([("trim", "x".setting)])[trim] == 0.1)
        #expect(settings != Settings([("trim", 0.2.setting)]))
    }

    @Test func `a summary's key says what stands behind it`() {
        let trim = Key("trim", ValueType.share(max: 0.5), usual: 0.1, "cut off at each end")
        let spec = SummarySpec(
            "trimmed_mean", of: .numbers, keys: [SettingKey(trim)], isOrderFree: true,
            cellBytes: { _ in 100 }, "the mean without the ends")
        #expect(spec.ruleKey.expected == "true or 0% to 50% or { trim }, or off")
        #expect(spec.ruleKey.defaultText == "off")
        let part = PartPlan(spec, Settings([("trim", 0.2.setting)]))
        #expect(part.settings[trim] == 0.2)
        #expect(part.cellBytes == 100)
    }
}
