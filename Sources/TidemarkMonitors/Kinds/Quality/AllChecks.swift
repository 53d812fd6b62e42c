package import TidemarkLanguage

/// All checks of data quality, in the order in which they speak.
package enum QualityChecks {
    /// A new check is one more line here.
    static let all: [any QualityCheck.Type] = [
        NullCheck.self, WrongTypeCheck.self, NonFiniteCheck.self, OutOfRangeCheck.self,
        UnseenCheck.self, PatternCheck.self, LengthCheck.self, DistinctCheck.self,
        ConstantCheck.self, DuplicatesCheck.self, ColumnsCheck.self,
    ]

    /// What the language has to know of them: for `Catalogue(checks:)`.
    package static let specs: [CheckSpec] = all.map { $0.spec }

    /// The check of a name.
    static func named(_ name: String) -> any QualityCheck.Type {
        guard let check = all.first(where: { $0.spec.name == name }) else {
            preconditionFailure("the planner knows no other checks")
        }
        return check
    }

    /// What cells count for the check of a name, by what is expected of a column.
    package static func tally(_ name: String, _ expected: Settings) -> CheckTally? {
        let check = named(name)
        guard let key = check.spec.contract?.key.name,
            let value = expected[key]
        else { return nil }
        return check.tally(value)
    }
}
