/// What the language has to know of a check of data quality: a key of `checks`, and what `expect` may say of it.
///
/// The code that judges declares its check in one of these, and the list is handed to the planner's `init`. Nothing
/// else names it: reading, the plan, its identity, the JSON Schema and the reference are derived.
package struct CheckSpec: Sendable {
    /// The columns that it can watch.
    package enum Columns: String, Sendable, CaseIterable {
        case numbers, categories, texts
        /// Columns of role id, which are watched only where a check asks.
        case ids
    }

    /// What it looks at in a baseline.
    package enum Comparison: Sendable {
        /// What became of the rows.
        case rows
        /// How many values fell into each cell.
        case cells
        /// Which values there were: of baselines from files, and where the topology names the check of those of the
        /// stream as well.
        case names
    }

    /// As `checks` has it.
    package var name: String
    /// What it counts, in a few words.
    package var help: String
    /// Columns that it can watch.
    package var columns: Set<Columns>
    /// What a column's `expect` may say of it; `nil`: nothing.
    package var contract: ContractSpec?
    /// With `auto` and no contract, the baseline says what is usual; `nil`: the check is silent there.
    package var compares: Comparison?
    /// A share of rows may be given in place of `auto`.
    package var takesShare: Bool
    /// Tests of a column of a group in a window that draw on the budget of false alerts.
    package var testCount: Int
    /// Its alerts page, whatever the monitor's `severity` is.
    package var pages: Bool

    package init(
        _ name: String, of columns: Set<Columns>, contract: ContractSpec? = nil,
        compares: Comparison? = nil, takesShare: Bool = true, testCount: Int = 1,
        pages: Bool = false, _ help: String
    ) {
        self.name = name
        self.help = help
        self.columns = columns
        self.contract = contract
        self.compares = compares
        self.takesShare = takesShare
        self.testCount = testCount
        self.pages = pages
    }
}

/// A key of `expect`: what a column's values are promised to be.
package struct ContractSpec: Sendable {
    /// What its value looks like.
    package enum Form: Sendable {
        /// A share of rows.
        case share
        /// `[least, most]`, numbers.
        case numbers
        /// `[least, most]`, counts.
        case counts
        /// A list of texts.
        case texts
        /// A regular expression.
        case pattern
    }

    /// The key.
    package var key: KeySpec
    /// What its value looks like.
    package var form: Form
    /// Columns that it can stand at.
    package var columns: Set<CheckSpec.Columns>
    /// The value is the share that is allowed; else it says which values are right, and none may be wrong unless
    /// the monitor allows a share.
    package var isShare: Bool { form == .share }

    package init(
        _ name: String, _ form: Form, of columns: Set<CheckSpec.Columns>, _ help: String
    ) {
        let value: ValueForm =
            switch form {
            case .share: .share(max: 1)
            case .numbers: .list("two numbers, [least, most]")
            case .counts: .list("two counts, [least, most]")
            case .texts: .list("a list of texts")
            case .pattern: .text(lengthMax: 1024)
            }
        key = KeySpec(name, value, help)
        self.form = form
        self.columns = columns
    }
}
