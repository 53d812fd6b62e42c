/// The tests of a window against one baseline.
package struct DriftRecord: Sendable, Equatable {
    /// As records name it.
    package var baseline: String
    /// Values of the window that were compared.
    package var n: Int64
    /// Values of the baseline.
    package var nBaseline: Int64
    /// In the order in which they were run.
    package var tests: [TestRecord]

    package init(baseline: String, n: Int64, nBaseline: Int64, tests: [TestRecord]) {
        self.baseline = baseline
        self.n = n
        self.nBaseline = nBaseline
        self.tests = tests
    }
}

extension DriftRecord: RecordFields {
    package static var blank: DriftRecord {
        DriftRecord(baseline: "", n: 0, nBaseline: 0, tests: [])
    }

    @inline(__always)
    package static func fields<V: FieldVisitor>(_ v: inout V) where V.Record == DriftRecord {
        v.field("baseline", \.baseline, "what the window was compared with")
        v.field("n", \.n, "values of the window that were compared")
        v.field("n_baseline", \.nBaseline, "values of the baseline")
        v.field(
            "tests", \.tests,
            "by the name of a test its outcome; what it measures says [topology.md](topology.md#two-sample-tests)"
        )
    }
}
