/// A test or distance between two samples that fell into the same cells.
///
/// A conformer is one file of this folder and its line in `TwoSample.all`. The planner, the
/// monitors, the schema and the reference take what they say of tests from that list.
package protocol TwoSampleTest: SendableMetatype {
    /// What it is called, what it needs, and what it says.
    static var spec: TestSpec { get }

    /// Compares the current window with the baseline; both have the same cells.
    ///
    /// It allocates nothing, and looks at each cell a fixed number of times.
    /// - Returns: nil where a side has no values.
    static func compare(_ now: borrowing Evidence, _ then: borrowing Evidence) -> TestResult?
}

/// What a two-sample test says.
package struct TestResult: Sendable, Equatable {
    /// The test's own statistic: D of KS, χ² of chi-square, PSI.
    package let value: Double
    /// The two-sided p-value; nil where the test has none.
    package let p: Double?
    /// The size of the difference in the test's own measure: the value, or Cramér's V.
    package let effect: Double

    /// A result with all its parts.
    package init(value: Double, p: Double?, effect: Double) {
        self.value = value
        self.p = p
        self.effect = effect
    }
}

/// What there is to know of a two-sample test beside the test itself.
package struct TestSpec: Sendable {
    /// What a test needs to know of the cells beside their counts.
    package struct Needs: OptionSet, Sendable {
        /// One bit for each need.
        package let rawValue: UInt8

        /// Needs by their bits.
        package init(rawValue: UInt8) { self.rawValue = rawValue }

        /// The cells ascend.
        package static let order = Needs(rawValue: 1)
        /// Where each cell begins and ends.
        package static let edges = Needs(rawValue: 2)
    }

    /// Kinds of columns that a test can be asked of.
    package struct Columns: OptionSet, Sendable {
        /// One bit for each kind.
        package let rawValue: UInt8

        /// Kinds by their bits.
        package init(rawValue: UInt8) { self.rawValue = rawValue }

        /// Numbers and integers: cells are bins.
        package static let numbers = Columns(rawValue: 1)
        /// Categories and booleans: cells are values.
        package static let categories = Columns(rawValue: 2)
        /// Whatever is counted in cells.
        package static let all: Columns = [.numbers, .categories]
    }

    /// As topologies and records have it.
    package let name: String
    /// One line for a person: what is measured.
    package let help: String
    /// Beside the counts.
    package let needs: Needs
    /// What it can be asked of.
    package let columns: Columns
    /// The smallest effect worth hearing, unless a topology says otherwise: default of `ignore_below`.
    package let ignoreBelow: Double
    /// What the effect is called where it isn't the value: Cramér's V.
    package let effectName: String?
    /// It has a p-value of its own.
    package let hasP: Bool
    /// Where it is from.
    package let source: String

    /// A spec with all its parts.
    package init(
        _ name: String, _ help: String, needs: Needs = [], columns: Columns = .all,
        ignoreBelow: Double, effectName: String? = nil, hasP: Bool = false, source: String
    ) {
        self.name = name
        self.help = help
        self.needs = needs
        self.columns = columns
        self.ignoreBelow = ignoreBelow
        self.effectName = effectName
        self.hasP = hasP
        self.source = source
    }
}
