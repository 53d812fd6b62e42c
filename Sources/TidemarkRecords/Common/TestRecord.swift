/// The outcome of one test of a window against a baseline.
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
