/// An expression as it was written, before anybody asks what its parts mean: of rows and of aggregates alike.
package struct Syntax: Sendable {
    /// What it is made of.
    package indirect enum Kind: Sendable {
        case number(Double)
        case text(String)
        case boolean(Bool)
        /// Milliseconds.
        case duration(Double)
        case null
        /// A column, a metric or a dimension.
        case name(String)
        case call(String, [Argument])
        case list([Syntax])
        case not(Syntax)
        case negate(Syntax)
        case and(Syntax, Syntax)
        case or(Syntax, Syntax)
        case compare(Symbol, Syntax, Syntax)
        case arithmetic(Symbol, Syntax, Syntax)
        case isNull(Syntax, isNot: Bool)
        case isIn(Syntax, [Syntax], isNot: Bool)
    }

    /// An operator as it was written.
    package struct Symbol: Sendable {
        /// `==`, `+`.
        package var text: String
    }

    /// What stands between the parentheses of a function.
    package struct Argument: Sendable {
        /// The value; `nil`: only `where` or `over` is there.
        package var value: Syntax?
        /// Behind `where`: which rows an aggregate takes.
        package var condition: Syntax?
        /// Behind `over`: the baseline that an aggregate is taken of, and its place.
        package var over: (name: String, offset: Int)?
        /// Place of its first character.
        package var offset: Int
    }

    /// What it is.
    package var kind: Kind
    /// Place of its first character in the text.
    package var offset: Int
    /// The place behind its last one.
    package var end: Int

    /// The names of columns, metrics and dimensions in it.
    package var names: Set<String> {
        switch kind {
        case .number, .text, .boolean, .duration, .null: []
        case .name(let name): [name]
        case .list(let parts): parts.reduce(into: []) { $0.formUnion($1.names) }
        case .call(_, let arguments):
            arguments.reduce(into: []) { names, argument in
                names.formUnion(argument.value?.names ?? [])
                names.formUnion(argument.condition?.names ?? [])
            }
        case .not(let a), .negate(let a), .isNull(let a, _), .isIn(let a, _, _): a.names
        case .and(let a, let b), .or(let a, let b), .compare(_, let a, let b),
            .arithmetic(_, let a, let b):
            a.names.union(b.names)
        }
    }
}
