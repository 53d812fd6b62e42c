/// A part of some expressions of a program: its values, and how they are computed.
struct RowNode {
    /// How a null of it may come to be, where somebody asks whether it is undefined.
    enum Trace {
        /// It was read, or belongs to another expression: nothing is behind it.
        case value
        /// Of any of what it is computed of.
        case anyInput
        /// Of the branch that was chosen.
        case choice
        /// Of the first of what it is computed of.
        case firstInput
    }

    let register: Register
    /// `nil`: the values are there.
    let kernel: Kernel?
    /// Places of the nodes that it is computed of.
    let inputs: [Int]
    let trace: Trace
}

/// What makes two parts of expressions the same: they are computed once.
struct RowNodeKey: Hashable {
    /// An operator or function.
    var name: String
    /// Places of the nodes that it is computed of.
    var inputs: [Int] = []
    /// What it needs beside them: literals, names of columns.
    var extra: [RowExpression] = []
}
