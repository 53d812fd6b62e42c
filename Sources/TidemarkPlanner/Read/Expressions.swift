import TidemarkDataflow
import TidemarkExpressions
import TidemarkLanguage
import TidemarkTopology

/// Reads the expressions of a topology: what is wrong with one is reported at its place in the file.
enum ExpressionReader {
    /// The condition that `node` holds; `nil` after saying why it is none.
    static func condition(
        _ node: Node, for user: String, columns: [ColumnPlan], reading: Reading
    ) -> RowExpression? {
        read(node, reading, expected: "a row condition") { text throws(ExpressionFailure) in
            try RowTyping.condition(
                text, columns: columns.map(\.asExpressionColumn), use: ExpressionUse(user: user))
        }
    }

    /// The expression that `node` holds, of whatever type; `nil` after saying why it is none.
    static func value(
        _ node: Node, for user: String, columns: [ColumnPlan], reading: Reading
    ) -> TypedExpression? {
        read(node, reading, expected: "a row expression") { text throws(ExpressionFailure) in
            try RowTyping.read(
                text, columns: columns.map(\.asExpressionColumn),
                use: ExpressionUse(user: user, wanted: "a row expression"))
        }
    }

    /// The expression over aggregates that `node` holds; `nil` after saying why it is none.
    static func metric(_ node: Node, _ scope: MetricScope, _ reading: Reading) -> MetricExpression?
    {
        read(node, reading, expected: "an expression over aggregates") {
            text throws(ExpressionFailure) in
            try MetricReader.read(text, scope)
        }
    }

    private static func read<Value>(
        _ node: Node, _ reading: Reading, expected: String,
        _ body: (String) throws(ExpressionFailure) -> Value
    ) -> Value? {
        guard let text = reading.text(node, expected: expected) else { return nil }
        do throws(ExpressionFailure) {
            return try body(text)
        } catch {
            reading.say(
                error.problem.rule, at: place(error.offset, in: text, node),
                error.problem.message, expected: error.problem.expected,
                suggestion: error.problem.suggestion)
            return nil
        }
    }

    /// Where a character of an expression stands in the file, as far as that is known.
    static func place(_ offset: Int, in text: String, _ node: Node) -> Place {
        var place = node.place
        if case .scalar(let raw, let style) = node.kind, raw == text {
            switch style {
            case .plain: place.column += offset
            case .quoted: place.column += offset + 1
            case .block: break
            }
        }
        return place
    }
}
