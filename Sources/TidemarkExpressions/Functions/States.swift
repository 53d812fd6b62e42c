import TidemarkBatch

enum MissingFunction: StateFunction {
    static let spec = FunctionSpec(
        "missing", [.init("c", .column)], gives: .boolean,
        "whether the record lacks the field of column c")
    static let state = ValueState.missing
}

enum WrongTypeFunction: StateFunction {
    static let spec = FunctionSpec(
        "wrong_type", [.init("c", .column)], gives: .boolean,
        "whether the record has a value of another type for column c")
    static let state = ValueState.wrongType
}

enum NonFiniteFunction: StateFunction {
    static let spec = FunctionSpec(
        "non_finite", [.init("c", .column)], gives: .boolean,
        "whether the value of column c is NaN, infinite or beyond a double")
    static let state = ValueState.nonFinite
}

/// A function of the reason for which a column has no value in a row; never null.
protocol StateFunction: RowFunction {
    /// What is asked for.
    static var state: ValueState { get }
}

extension StateFunction {
    static func kernel(_ site: CallSite) -> Kernel {
        guard case .column(let place) = site.arguments[0] else {
            preconditionFailure("an argument that names a column")
        }
        let (frame, out, wanted) = (site.frame, site.output, state.rawValue)
        return { rows in
            let truths = unsafe out.truths(rows)
            unsafe truths.update(repeating: Truth.no, count: rows.count)
            let column = frame.columns[place]
            // Exceptions stand in the order of rows.
            var (at, end) = (0, column.exceptionCount)
            while at < end {
                let middle = (at + end) / 2
                if unsafe Int(column.exceptionRows[middle]) < rows.lowerBound {
                    at = middle + 1
                } else {
                    end = middle
                }
            }
            while at < column.exceptionCount {
                let row = unsafe Int(column.exceptionRows[at])
                guard row < rows.upperBound else { break }
                if unsafe column.exceptionStates[at] == wanted {
                    unsafe truths[row - rows.lowerBound] = Truth.yes
                }
                at += 1
            }
            return false
        }
    }
}
