/// The functions of one row.
package enum RowFunctions {
    /// In the order in which they are listed to people; a new function is one more line here.
    package static let all: [any RowFunction.Type] = [
        AbsoluteFunction.self, FloorFunction.self, CeilFunction.self, RoundFunction.self,
        SquareRootFunction.self, ExponentialFunction.self, LogarithmFunction.self,
        DecimalLogarithmFunction.self, SignFunction.self, PowerFunction.self,
        RemainderFunction.self, ClampFunction.self, LeastFunction.self, GreatestFunction.self,
        NumberOfTextFunction.self,
        IfFunction.self, CoalesceFunction.self, NullIfFunction.self,
        LowerFunction.self, UpperFunction.self, LengthFunction.self, StartsWithFunction.self,
        EndsWithFunction.self, ContainsFunction.self, MatchesFunction.self, TextOfFunction.self,
        BucketFunction.self,
        HourOfDayFunction.self, DayOfWeekFunction.self, SecondsFunction.self,
        MissingFunction.self, WrongTypeFunction.self, NonFiniteFunction.self,
    ]

    /// What there is to know of each.
    package static let specs: [FunctionSpec] = all.map { $0.spec }

    private static let byName: [String: any RowFunction.Type] = Dictionary(
        uniqueKeysWithValues: all.map { ($0.spec.name, $0) })

    /// The function of a name; `nil`: there is none.
    package static func named(_ name: String) -> (any RowFunction.Type)? { byName[name] }
}
