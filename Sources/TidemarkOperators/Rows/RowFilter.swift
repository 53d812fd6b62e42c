import Glibc
package import TidemarkBatch
package import TidemarkDataflow

/// Evaluates a row condition over a frame, column by column.
///
/// Numbers are vectors in which NaN is null; conditions are bytes: false, true, null. A condition
/// on one text column is decided once a dictionary code, then looked up. The owner is one worker.
package final class RowFilter {
    /// What a condition is for a row, a byte each.
    package enum Truth {
        /// It is false.
        package static let no: UInt8 = 0
        /// It is true.
        package static let yes: UInt8 = 1
        /// It is null: a value that it needs is missing.
        package static let null: UInt8 = 2
    }

    private let expression: RowExpression
    /// By column of the plan, and so of the frame: how its values are read.
    private let types: [ColumnType]
    private let frame: Frame
    /// What each dictionary code gives, by the node's place in a walk of the tree.
    private var memo: [Int: [UInt8]] = [:]
    private var nodeIndex = 0

    /// `types`: of the frame's columns, in their order.
    package init(_ expression: RowExpression, types: [ColumnType], frame: Frame) {
        self.expression = expression
        self.types = types
        self.frame = frame
    }

    /// Forgets what codes gave: they have other meanings now.
    package func forgetCodes() { memo = [:] }

    /// One truth value a row of the frame.
    package func evaluate() -> [UInt8] {
        nodeIndex = 0
        return condition(expression, frame.rowCount)
    }

    // MARK: Conditions

    private func condition(_ node: RowExpression, _ count: Int) -> [UInt8] {
        nodeIndex += 1
        let index = nodeIndex
        switch node {
        case .boolean(let value):
            return Array(repeating: value ? Truth.yes : Truth.no, count: count)
        case .null: return Array(repeating: Truth.null, count: count)
        case .and(let a, let b):
            return combine(condition(a, count), condition(b, count)) { x, y in
                x == Truth.no || y == Truth.no
                    ? Truth.no : x == Truth.null || y == Truth.null ? Truth.null : Truth.yes
            }
        case .or(let a, let b):
            return combine(condition(a, count), condition(b, count)) { x, y in
                x == Truth.yes || y == Truth.yes
                    ? Truth.yes : x == Truth.null || y == Truth.null ? Truth.null : Truth.no
            }
        case .not(let a):
            return condition(a, count).map { $0 == Truth.null ? $0 : 1 - $0 }
        case .isNull(let a):
            if isNumeric(a) { return number(a, count).map { $0.isNaN ? Truth.yes : Truth.no } }
            if isText(a) {
                return byText(node, index, count) { [self] row in
                    text(a, row) == nil ? Truth.yes : Truth.no
                }
            }
            return condition(a, count).map { $0 == Truth.null ? Truth.yes : Truth.no }
        case .compare(let comparison, let a, let b):
            if isNumeric(a) || isNumeric(b) {
                return combine(number(a, count), number(b, count)) { x, y in
                    x.isNaN || y.isNaN ? Truth.null : Self.truth(Self.holds(comparison, x, y))
                }
            }
            if isText(a) || isText(b) {
                return byText(node, index, count) { [self] row in
                    guard let x = text(a, row), let y = text(b, row) else { return Truth.null }
                    return Self.truth(Self.holds(comparison, Order(x), Order(y)))
                }
            }
            return combine(condition(a, count), condition(b, count)) { x, y in
                x == Truth.null || y == Truth.null
                    ? Truth.null : Self.truth(Self.holds(comparison, x, y))
            }
        case .isIn(let a, let literals):
            if isNumeric(a) {
                let wanted = literals.compactMap { literal -> Double? in
                    if case .number(let value) = literal { return value }
                    return nil
                }
                return number(a, count).map {
                    $0.isNaN ? Truth.null : Self.truth(wanted.contains($0))
                }
            }
            let wanted = literals.compactMap { literal -> [UInt8]? in
                if case .text(let value) = literal { return Array(value.utf8) }
                return nil
            }
            return byText(node, index, count) { [self] row in
                guard let value = text(a, row) else { return Truth.null }
                return Self.truth(wanted.contains(value))
            }
        case .column(let column):
            // A boolean column: its texts are `true` and `false`.
            let yes = Array("true".utf8)
            return byText(node, index, count) { [self] row in
                guard let value = text(.column(column), row) else { return Truth.null }
                return Self.truth(value == yes)
            }
        case .call(let function, let arguments) where arguments.count == 2:
            return byText(node, index, count) { [self] row in
                guard let value = text(arguments[0], row), let other = text(arguments[1], row)
                else { return Truth.null }
                return Self.truth(Self.matches(function, value, other))
            }
        default: return Array(repeating: Truth.null, count: count)
        }
    }

    private static func truth(_ value: Bool) -> UInt8 { value ? Truth.yes : Truth.no }

    private func combine<T>(_ a: [T], _ b: [T], _ body: (T, T) -> UInt8) -> [UInt8] {
        zip(a, b).map(body)
    }

    private static func holds<T: Comparable>(_ c: RowExpression.Comparison, _ a: T, _ b: T) -> Bool
    {
        switch c {
        case .equal: a == b
        case .notEqual: a != b
        case .less: a < b
        case .lessOrEqual: a <= b
        case .greater: a > b
        case .greaterOrEqual: a >= b
        }
    }

    private static func matches(_ function: RowFunction, _ value: [UInt8], _ other: [UInt8]) -> Bool
    {
        switch function {
        case .startsWith: value.starts(with: other)
        case .endsWith: value.reversed().starts(with: other.reversed())
        case .contains:
            other.isEmpty
                || value.indices.contains { value[$0...].starts(with: other) }
        default: false
        }
    }

    /// Decides a condition on texts: once a code where it asks for one column alone, else row by
    /// row.
    private func byText(
        _ node: RowExpression, _ index: Int, _ count: Int, _ decide: (Int) -> UInt8
    ) -> [UInt8] {
        let columns = Self.columns(of: node)
        guard columns.count == 1, let column = columns.first,
            let codes = unsafe frame.columns[column].codes
        else { return (0..<count).map(decide) }
        let unknown: UInt8 = 255
        var known = memo[index] ?? []
        let codeCount = frame.textCount(column)
        if known.count < codeCount {
            known.append(contentsOf: repeatElement(unknown, count: codeCount - known.count))
        }
        var out = [UInt8](repeating: Truth.null, count: count)
        for row in 0..<count {
            let code = unsafe codes[row]
            guard code != .max, Int(code) < known.count else {
                out[row] = decide(row)
                continue
            }
            if known[Int(code)] == unknown { known[Int(code)] = decide(row) }
            out[row] = known[Int(code)]
        }
        memo[index] = known
        return out
    }

    // MARK: Numbers

    private func number(_ node: RowExpression, _ count: Int) -> [Double] {
        nodeIndex += 1
        switch node {
        case .number(let value): return Array(repeating: value, count: count)
        case .column(let column):
            guard let values = unsafe frame.columns[column].numbers else {
                return Array(repeating: .nan, count: count)
            }
            return (0..<count).map { unsafe values[$0] }
        case .negate(let a): return number(a, count).map { -$0 }
        case .arithmetic(let operation, let a, let b):
            return zip(number(a, count), number(b, count)).map { x, y in
                let value: Double =
                    switch operation {
                    case .add: x + y
                    case .subtract: x - y
                    case .multiply: x * y
                    case .divide: x / y
                    }
                return value.isFinite ? value : .nan
            }
        case .call(.length, let arguments) where arguments.count == 1:
            return (0..<count).map { row in
                text(arguments[0], row).map { bytes in
                    Double(String(decoding: bytes, as: UTF8.self).unicodeScalars.count)
                } ?? .nan
            }
        case .call(.coalesce, let arguments):
            var out = [Double](repeating: .nan, count: count)
            for values in arguments.map({ number($0, count) }) {
                for row in 0..<count where out[row].isNaN { out[row] = values[row] }
            }
            return out
        case .call(let function, let arguments):
            let values = arguments.map { number($0, count) }
            return (0..<count).map { row in
                let value = Self.apply(function, values.map { $0[row] })
                return value.isFinite ? value : .nan
            }
        default: return Array(repeating: .nan, count: count)
        }
    }

    private static func apply(_ function: RowFunction, _ a: [Double]) -> Double {
        guard let x = a.first, !a.contains(where: \.isNaN) else { return .nan }
        switch function {
        case .abs: return x.magnitude
        case .floor: return x.rounded(.down)
        case .ceil: return x.rounded(.up)
        case .round:
            let scale = a.count > 1 ? Glibc.pow(10, a[1]) : 1
            return (x * scale).rounded(.toNearestOrAwayFromZero) / scale
        case .sqrt: return x < 0 ? .nan : x.squareRoot()
        case .exp: return Glibc.exp(x)
        case .log: return x <= 0 ? .nan : Glibc.log(x)
        case .least: return a.min() ?? .nan
        case .greatest: return a.max() ?? .nan
        default: return .nan
        }
    }

    // MARK: Texts

    private func text(_ node: RowExpression, _ row: Int) -> [UInt8]? {
        switch node {
        case .text(let value): return Array(value.utf8)
        case .column(let column):
            guard let codes = unsafe frame.columns[column].codes,
                case let code = unsafe codes[row],
                // A row that was not decoded has any code at all.
                code < UInt32(clamping: frame.textCount(column))
            else { return nil }
            return unsafe Array(frame.text(column, code: code))
        case .call(.lower, let a):
            return a.first.flatMap { text($0, row) }.map {
                Array(String(decoding: $0, as: UTF8.self).lowercased().utf8)
            }
        case .call(.upper, let a):
            return a.first.flatMap { text($0, row) }.map {
                Array(String(decoding: $0, as: UTF8.self).uppercased().utf8)
            }
        case .call(.coalesce, let arguments):
            for argument in arguments {
                if let value = text(argument, row) { return value }
            }
            return nil
        default: return nil
        }
    }

    private func isNumeric(_ node: RowExpression) -> Bool {
        switch node {
        case .number, .arithmetic, .negate: true
        case .column(let column): types[column].isNumeric
        case .call(let function, let arguments):
            switch function {
            case .abs, .floor, .ceil, .round, .sqrt, .exp, .log, .least, .greatest, .length: true
            case .coalesce: arguments.contains(where: isNumeric)
            default: false
            }
        default: false
        }
    }

    private func isText(_ node: RowExpression) -> Bool {
        switch node {
        case .text: true
        case .column(let column):
            types[column].isText && types[column] != .boolean
        case .call(let function, let arguments):
            switch function {
            case .lower, .upper: true
            case .coalesce: arguments.contains(where: isText)
            default: false
            }
        default: false
        }
    }

    private static func columns(of node: RowExpression) -> Set<Int> {
        switch node {
        case .column(let column): [column]
        case .number, .text, .boolean, .null: []
        case .compare(_, let a, let b), .and(let a, let b), .or(let a, let b),
            .arithmetic(_, let a, let b):
            columns(of: a).union(columns(of: b))
        case .not(let a), .isNull(let a), .negate(let a), .isIn(let a, _): columns(of: a)
        case .call(_, let arguments): arguments.reduce(into: []) { $0.formUnion(columns(of: $1)) }
        }
    }

    /// Texts compare byte by byte.
    private struct Order: Comparable {
        let bytes: [UInt8]
        init(_ bytes: [UInt8]) { self.bytes = bytes }
        static func < (a: Order, b: Order) -> Bool { a.bytes.lexicographicallyPrecedes(b.bytes) }
    }
}
