package import TidemarkLanguage

/// What there is to know of a function of one row beside how it is computed.
package struct FunctionSpec: Sendable {
    /// What an argument may be.
    package enum Takes: Sendable, Equatable {
        /// A value of one of these types.
        case types([ExpressionType])
        /// A value of any type; all such arguments are of one.
        case any
        /// Numbers between brackets, ascending.
        case bounds
        /// A regular expression, between quotes.
        case pattern
        /// An offset from UTC, between quotes.
        case offset
        /// The name of a column that is read from records.
        case column
    }

    /// An argument.
    package struct Parameter: Sendable {
        /// By which the help names it.
        package let name: String
        /// What it may be.
        package let takes: Takes
        /// It may be left out.
        package let isOptional: Bool

        /// An argument that takes a value.
        package init(_ name: String, _ takes: Takes, isOptional: Bool = false) {
            self.name = name
            self.takes = takes
            self.isOptional = isOptional
        }

        /// An argument of a type.
        package init(_ name: String, _ type: ExpressionType, isOptional: Bool = false) {
            self.init(name, .types([type]), isOptional: isOptional)
        }
    }

    /// When its numbers are integers.
    package enum Wholeness: Sendable { case never, always, ifArgumentsAre }

    /// As expressions have it.
    package let name: String
    /// Its arguments, those that may be left out at the end.
    package let parameters: [Parameter]
    /// The last one may stand there several times.
    package let repeats: Bool
    /// The type of its value; `nil`: that of its arguments of any type.
    package let gives: ExpressionType?
    /// When its numbers are integers.
    package let wholeness: Wholeness
    /// What it is, for people.
    package let help: String

    /// The most arguments of one that repeats.
    static let argumentCountMax = 32

    package init(
        _ name: String, _ parameters: [Parameter], repeats: Bool = false, gives: ExpressionType?,
        whole: Wholeness = .never, _ help: String
    ) {
        self.name = name
        self.parameters = parameters
        self.repeats = repeats
        self.gives = gives
        wholeness = whole
        self.help = help
    }

    /// How many arguments it takes.
    package var argumentCounts: ClosedRange<Int> {
        parameters.count { !$0.isOptional }...(repeats ? Self.argumentCountMax : parameters.count)
    }

    /// The parameter of an argument.
    package func parameter(_ place: Int) -> Parameter {
        parameters[min(place, parameters.count - 1)]
    }

    /// `round(x[, digits])`.
    package var signature: String {
        var text = ""
        for (place, parameter) in parameters.enumerated() {
            let comma = place > 0 ? ", " : ""
            text += parameter.isOptional ? "[\(comma)\(parameter.name)]" : comma + parameter.name
        }
        return "\(name)(\(text)\(repeats ? ", …" : ""))"
    }
}

/// A function of one row: a type in a file of its family, and its line in `RowFunctions.all`.
package protocol RowFunction: SendableMetatype {
    /// What there is to know of it.
    static var spec: FunctionSpec { get }
    /// What computes it, for the place in an expression where it stands.
    static func kernel(_ site: CallSite) -> Kernel
    /// What is wrong with its arguments beyond their types; `nil`: nothing.
    static func problem(_ arguments: [RowExpression]) -> (argument: Int, problem: ScalarProblem)?
}

extension RowFunction {
    /// Types of arguments are all that it asks for.
    package static func problem(_ arguments: [RowExpression]) -> (
        argument: Int, problem: ScalarProblem
    )? { nil }
}
