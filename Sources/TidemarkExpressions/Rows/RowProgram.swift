package import TidemarkBatch

/// All expressions over the rows of a frame: it computes columns and conditions, equal parts once.
///
/// Rows are computed some hundreds at a time, so that what is in between stays in the nearest cache. Nothing is
/// allocated once the texts are known. The owner is one worker.
package final class RowProgram {
    /// An expression of a program.
    package struct Part: Sendable {
        /// As messages and metrics name it: `derive.ratio`.
        package var name: String
        /// What is computed.
        package var expression: RowExpression
        /// The column of the frame that takes the values; `nil`: it is a condition.
        package var column: Int?

        package init(name: String, expression: RowExpression, column: Int? = nil) {
            self.name = name
            self.expression = expression
            self.column = column
        }
    }

    /// An expression, and in which rows it is undefined.
    @safe
    private struct Root {
        var node: Int
        /// A bit a row of the frame.
        var undefined: UnsafeMutablePointer<UInt64>
        var hasUndefined = false
        /// Of conditions: a truth a row of the frame.
        var truths: Register?
    }

    /// The expressions, in the order in which they were given.
    package let parts: [Part]
    private let frame: Frame
    private let nodes: [RowNode]
    /// Nodes that have something to compute.
    private let steps: [(node: Int, kernel: Kernel)]
    /// By node: the expressions that it is part of.
    private let owners: [[Int]]
    private var roots: [Root]
    private let forgetting: Forgetting
    private let growing: [TextDictionary]
    private let computed: [Int]
    /// Nodes that had an undefined row among those at work.
    private var undefinedNodes: [Bool]
    private var isDirty: [Bool]
    private let wordCount: Int

    /// Texts of a part of an expression are forgotten when there are more.
    private static let textCountMax = 65_536

    /// A program over a frame.
    ///
    /// - Precondition: the frame holds all columns that expressions name, and those that are computed; none of
    ///   these needs itself.
    package init(columns: [ExpressionColumn], frame: Frame, parts: [Part]) {
        self.parts = parts
        self.frame = frame
        var compiler = RowCompiler(
            columns: columns, frame: frame,
            computed: Dictionary(
                parts.compactMap { part in part.column.map { ($0, part.expression) } }
            ) { first, _ in first })
        let count = frame.rows.rowCountMax
        let wordCount = (count + 63) / 64
        self.wordCount = wordCount
        var roots: [Root] = []
        for part in parts {
            let undefined = UnsafeMutablePointer<UInt64>.allocate(capacity: wordCount)
            unsafe undefined.initialize(repeating: 0, count: wordCount)
            var root = unsafe Root(node: 0, undefined: undefined)
            if let column = part.column {
                root.node = compiler.root(of: column)
                Self.store(root.node, column, frame, &compiler)
            } else {
                root.node = compiler.node(part.expression, wanted: .boolean)
                let truths = Register(.boolean, rowCount: count, isWhole: true)
                let input = compiler.nodes[root.node].register
                _ = compiler.addStore(truths, of: root.node) { rows in
                    unsafe truths.truths(rows).update(from: input.truths(rows), count: rows.count)
                    return false
                }
                root.truths = truths
            }
            roots.append(root)
        }
        self.roots = roots
        nodes = compiler.nodes
        steps = nodes.enumerated().compactMap { place, node in
            node.kernel.map { (place, $0) }
        }
        forgetting = compiler.forgetting
        growing = compiler.growing
        computed = parts.compactMap(\.column)
        owners = Self.owners(roots.map(\.node), nodes)
        undefinedNodes = nodes.map { _ in false }
        isDirty = parts.map { _ in false }
    }

    deinit { for root in roots { unsafe root.undefined.deallocate() } }

    /// By node: the expressions that it is part of.
    private static func owners(_ roots: [Int], _ nodes: [RowNode]) -> [[Int]] {
        var owners = [[Int]](repeating: [], count: nodes.count)
        for (part, root) in roots.enumerated() {
            var todo = [root]
            var seen: Set<Int> = []
            while let node = todo.popLast() {
                guard seen.insert(node).inserted else { continue }
                owners[node].append(part)
                todo += nodes[node].inputs
            }
        }
        return owners
    }

    // MARK: Columns

    /// Puts the values of a node into a column of the frame, with its rows that have none.
    private static func store(
        _ node: Int, _ column: Int, _ frame: Frame, _ compiler: inout RowCompiler
    ) {
        let input = compiler.nodes[node].register
        if let numbers = unsafe frame.columns[column].numbers {
            let register = unsafe Register(numbers: numbers)
            _ = compiler.addStore(register, of: node) { rows in
                let (x, y) = unsafe (input.numbers(rows), register.numbers(rows))
                var nulls: UInt64 = 0
                for row in 0..<rows.count {
                    let value = unsafe x[row]
                    unsafe y[row] = value
                    nulls |= value.isNaN ? 1 : 0
                }
                if nulls != 0 { sayNull(column, frame, rows) { unsafe x[$0].isNaN } }
                return false
            }
            return
        }
        guard let codes = unsafe frame.columns[column].codes, let texts = frame.dictionaries[column]
        else { preconditionFailure("a computed column is of numbers, texts or conditions") }
        let register = unsafe Register(codes: codes, of: texts)
        let translate = translation(of: input, register, &compiler)
        _ = compiler.addStore(register, of: node) { rows in
            translate(rows)
            let y = unsafe register.codes(rows)
            var nulls: UInt64 = 0
            for row in 0..<rows.count { nulls |= unsafe y[row] == .max ? 1 : 0 }
            if nulls != 0 { sayNull(column, frame, rows) { unsafe y[$0] == .max } }
            return false
        }
    }

    /// What writes texts or truths as codes of another dictionary.
    private static func translation(
        of input: Register, _ output: Register, _ compiler: inout RowCompiler
    ) -> (Range<Int>) -> Void {
        guard let texts = output.texts else { preconditionFailure("an output of texts") }
        if let source = input.texts {
            let memo = unsafe CodeMemo(source, null: UInt32.max) { unsafe texts.code(of: $0) }
            compiler.forgetting.add { memo.forget() }
            return { rows in
                memo.catchUp()
                unsafe memo.look(input.codes(rows), rows.count, into: output.codes(rows))
            }
        }
        let words = TruthWords(output, compiler.forgetting)
        return { rows in
            let (no, yes) = words.codes
            let (x, y) = unsafe (input.truths(rows), output.codes(rows))
            for row in 0..<rows.count {
                let truth = unsafe x[row]
                unsafe y[row] = truth == Truth.yes ? yes : truth == Truth.no ? no : .max
            }
        }
    }

    private static func sayNull(
        _ column: Int, _ frame: Frame, _ rows: Range<Int>, _ isNull: (Int) -> Bool
    ) {
        for row in rows where unsafe isNull(row - rows.lowerBound) && frame.verdicts[row] == 0 {
            frame.setException(column, row: row, .null)
        }
    }

    // MARK: Batches

    /// Computes everything for the rows of the frame.
    package func run() {
        if growing.contains(where: { $0.count > Self.textCountMax }) { forgetTexts() }
        for column in computed { frame.columns[column].exceptionCount = 0 }
        for place in roots.indices where roots[place].hasUndefined {
            roots[place].hasUndefined = false
            unsafe roots[place].undefined.update(repeating: 0, count: wordCount)
        }
        var start = 0
        while start < frame.rowCount {
            let rows = start..<min(frame.rowCount, start + Register.chunk)
            var isUndefined = false
            for (node, kernel) in steps where kernel(rows) {
                undefinedNodes[node] = true
                isUndefined = true
            }
            if isUndefined { noteUndefined(rows) }
            start = rows.upperBound
        }
    }

    /// Truths of a condition, a byte a row of the frame; see `Truth`.
    ///
    /// - Precondition: the part is a condition.
    package func truths(of part: Int) -> UnsafePointer<UInt8> {
        guard let truths = roots[part].truths else { preconditionFailure("a condition") }
        return unsafe UnsafePointer(truths.truths(0..<1))
    }

    /// Takes note that the codes of the frame's dictionaries have other meanings now.
    package func forgetCodes() { forgetting.run() }

    /// Forgets texts that parts of expressions were made of: memory is bounded by what a batch brings.
    private func forgetTexts() {
        for texts in growing {
            _ = texts.compact(keeping: [UInt8](repeating: 0, count: texts.count))
        }
        forgetCodes()
    }

    // MARK: What is undefined

    /// Rows of the batch in which an expression is null though all that it needs is there: by a division by
    /// zero, say.
    package func forEachUndefined(_ body: (_ part: Int, _ row: Int) -> Void) {
        for (part, root) in roots.enumerated() where root.hasUndefined {
            for word in 0..<wordCount {
                var bits = unsafe root.undefined[word]
                while bits != 0 {
                    body(part, word * 64 + bits.trailingZeroBitCount)
                    bits &= bits - 1
                }
            }
        }
    }

    /// Notes the rows at work in which an expression is undefined: few, so they are looked at one by one.
    private func noteUndefined(_ rows: Range<Int>) {
        for node in nodes.indices where undefinedNodes[node] {
            for part in owners[node] { isDirty[part] = true }
        }
        for part in isDirty.indices where isDirty[part] {
            isDirty[part] = false
            for row in rows where unsafe frame.verdicts[row] == 0 {
                guard isUndefined(roots[part].node, row - rows.lowerBound, rows) else { continue }
                unsafe roots[part].undefined[row / 64] |= 1 << UInt64(row % 64)
                roots[part].hasUndefined = true
            }
        }
        for node in nodes.indices { undefinedNodes[node] = false }
    }

    /// Whether a row has no value of a node since one of its parts is undefined.
    private func isUndefined(_ place: Int, _ row: Int, _ rows: Range<Int>) -> Bool {
        let node = nodes[place]
        guard node.register.isNull(row, rows) else { return false }
        switch node.trace {
        case .value: return false
        case .firstInput: return isUndefined(node.inputs[0], row, rows)
        case .choice:
            let condition = unsafe nodes[node.inputs[0]].register.truths(rows)[row]
            return isUndefined(node.inputs[condition == Truth.yes ? 1 : 2], row, rows)
        case .anyInput:
            if undefinedNodes[place],
                node.inputs.allSatisfy({ !nodes[$0].register.isNull(row, rows) })
            {
                return true
            }
            return node.inputs.contains { isUndefined($0, row, rows) }
        }
    }
}
