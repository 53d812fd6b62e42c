import TidemarkDataflow
import TidemarkLanguage
import TidemarkText

/// The functions of rows: which there are, and what they take and give.
extension RowFunction {
    /// Functions of a window.
    private static let aggregates: Set<String> = [
        "count", "sum", "mean", "sd", "min", "max", "quantile", "median", "distinct", "share",
        "null_share", "correlation", "psi", "ks", "js_distance", "hellinger", "total_variation",
        "l_infinity", "wasserstein", "chi_square", "change",
    ]
    /// Functions of the full language.
    private static let laterFunctions: Set<String> = [
        "log10", "sign", "pow", "mod", "clamp", "if", "null_if", "hour_of_day", "day_of_week",
        "seconds", "matches", "bucket", "missing", "wrong_type", "non_finite", "text", "number",
    ]

    /// The function of a name; an error that says what is known of it.
    static func named(_ name: String, at offset: Int) throws(ExpressionFailure) -> RowFunction {
        if let function = RowFunction(rawValue: name) { return function }
        let names = allCases.map(\.rawValue)
        if aggregates.contains(name) {
            throw ExpressionFailure(
                "aggregate-in-row", offset, "`\(name)` needs a window; a filter sees one row",
                expected: "a row condition", suggestion: "a metric and a `when` monitor")
        }
        if laterFunctions.contains(name) {
            throw ExpressionFailure(
                "later", offset, "`\(name)` comes in a later version",
                expected: names.joined(separator: " "))
        }
        throw ExpressionFailure(
            "unknown-function", offset, "no function \(shown(name))",
            expected: "a row function: " + names.joined(separator: " "),
            suggestion: nearest(name, names).map { "`\($0)`" })
    }

    /// How many arguments it takes, of which type, and what it gives; no type: that of its arguments.
    var signature: (count: ClosedRange<Int>, takes: ExpressionType?, gives: ExpressionType?) {
        switch self {
        case .abs, .floor, .ceil, .sqrt, .exp, .log: (1...1, .number, .number)
        case .round: (1...2, .number, .number)
        case .least, .greatest: (1...32, .number, .number)
        case .coalesce: (1...32, nil, nil)
        case .lower, .upper: (1...1, .text, .text)
        case .length: (1...1, .text, .number)
        case .startsWith, .endsWith, .contains: (2...2, .text, .boolean)
        }
    }
}
