package import TidemarkText

/// The outcome of one test of a window against a baseline.
///
/// A list of them is an object: each under the test's name.
package struct TestRecord: Sendable, Equatable {
    /// As records name it, such as `psi` or `ks`.
    package var name: String
    /// The statistic: the size of the difference, in the test's own unit.
    package var value: Double
    /// Probability of a difference at least as large without any drift; `nil`: the test has none.
    package var p: Double?
    package init(name: String, value: Double, p: Double?) {
        self.name = name
        self.value = value
        self.p = p
    }
}

extension TestRecord: FieldElement {
    package static func listShape() -> FieldShape { .map(.object(facts()), names: nil) }

    package static func write(_ list: [TestRecord], to json: inout JSONWriter) {
        json.beginObject()
        for test in list {
            json.key(text: test.name)
            test.write(to: &json)
        }
        json.endObject()
    }

    package static func readList(_ json: JSONValue) throws(RecordError) -> [TestRecord] {
        guard let members = json.asObject else { throw .wrongType("", expected: "an object") }
        var tests: [TestRecord] = []
        for (name, value) in members {
            do throws(RecordError) {
                var test = try read(value)
                test.name = name
                tests.append(test)
            } catch {
                throw error.inside(name)
            }
        }
        return tests
    }
}

extension TestRecord: RecordFields {
    package static var blank: TestRecord { TestRecord(name: "", value: 0, p: nil) }

    @inline(__always)
    package static func fields<V: FieldVisitor>(_ v: inout V) where V.Record == TestRecord {
        v.field("value", \.value, "the size of the difference, in the test's own unit")
        v.field(
            "p", \.p, unit: .share, when: "of a test that has one",
            "the probability of a difference at least as large without any drift")
    }
}
