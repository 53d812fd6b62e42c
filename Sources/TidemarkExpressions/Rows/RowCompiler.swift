import TidemarkBatch

/// Makes nodes of expressions, equal parts once.
struct RowCompiler {
    private let columns: [ExpressionColumn]
    private let frame: Frame
    /// Columns that are computed, by place: their expressions.
    private let computed: [Int: RowExpression]
    /// Nodes, each behind what it is computed of.
    private(set) var nodes: [RowNode] = []
    /// What has to be done when codes have other meanings.
    let forgetting = Forgetting()
    /// Dictionaries that parts of expressions have for themselves, which grow with what comes.
    private(set) var growing: [TextDictionary] = []
    private var known: [RowNodeKey: Int] = [:]
    /// Roots of computed columns; `nil`: being made.
    private var roots: [Int: Int?] = [:]

    init(columns: [ExpressionColumn], frame: Frame, computed: [Int: RowExpression]) {
        self.columns = columns
        self.frame = frame
        self.computed = computed
    }

    /// The node of an expression; `wanted`: what it is taken for where it is always null.
    mutating func node(_ e: RowExpression, wanted: ExpressionType) -> Int {
        switch e {
        case .number, .text, .boolean, .duration: return constant(e)
        case .null: return constant(e, as: wanted)
        case .column(let place): return column(place)
        case .list: preconditionFailure("a list is an argument")
        case .and(let a, let b), .or(let a, let b):
            let inputs = [node(a, wanted: .boolean), node(b, wanted: .boolean)]
            let isAnd = if case .and = e { true } else { false }
            return add(RowNodeKey(name: isAnd ? "and" : "or", inputs: inputs), .boolean) {
                isAnd
                    ? Operators.and($0[0], $0[1], $1.output) : Operators.or($0[0], $0[1], $1.output)
            }
        case .not(let a):
            let inputs = [node(a, wanted: .boolean)]
            return add(RowNodeKey(name: "not", inputs: inputs), .boolean) {
                Operators.not($0[0], $1.output)
            }
        case .isNull(let a):
            let inputs = [node(a, wanted: .number)]
            return add(RowNodeKey(name: "is null", inputs: inputs), .boolean) {
                Operators.isNull($0[0], $1.output)
            }
        case .isIn(let a, let literals):
            let inputs = [node(a, wanted: .number)]
            return add(RowNodeKey(name: "in", inputs: inputs, extra: literals), .boolean) {
                Operators.isIn(literals, $1)
            }
        case .compare(let comparison, let a, let b): return compare(comparison, a, b)
        case .negate(let a):
            let inputs = [node(a, wanted: .number)]
            return add(RowNodeKey(name: "negate", inputs: inputs), nodes[inputs[0]].register.type) {
                Operators.negate($0[0], $1.output)
            }
        case .arithmetic(let operation, let a, let b):
            let inputs = alike([a, b])
            let types = inputs.map { nodes[$0].register.type }
            let type = RowExpression.type(of: operation, types[0], types[1]) ?? .number
            return add(RowNodeKey(name: operation.rawValue, inputs: inputs), type) {
                Operators.arithmetic(operation, $0[0], $0[1], $1.output)
            }
        case .call(let name, let arguments): return call(name, arguments)
        }
    }

    /// Nodes of parts that have one type; those that are always null have it too.
    private mutating func alike(_ parts: [RowExpression]) -> [Int] {
        var places = parts.map { $0 == .null ? nil : node($0, wanted: .number) }
        let type = places.lazy.compactMap(\.self).first.map { nodes[$0].register.type } ?? .number
        for (place, part) in parts.enumerated() where places[place] == nil {
            places[place] = node(part, wanted: type)
        }
        return places.compactMap(\.self)
    }

    private mutating func compare(
        _ comparison: RowExpression.Comparison, _ a: RowExpression, _ b: RowExpression
    ) -> Int {
        let inputs = alike([a, b])
        let type = nodes[inputs[0]].register.type
        let key = RowNodeKey(name: comparison.rawValue, inputs: inputs)
        return add(key, .boolean, arguments: [a, b]) { registers, site in
            switch type {
            case .number, .time, .duration:
                Operators.compareNumbers(comparison, registers[0], registers[1], site.output)
            case .text: Operators.compareTexts(comparison, site)
            case .boolean:
                Operators.compareTruths(
                    isEqual: comparison == .equal, registers[0], registers[1], site.output)
            }
        }
    }

    private mutating func call(_ name: String, _ arguments: [RowExpression]) -> Int {
        guard let function = RowFunctions.named(name) else {
            preconditionFailure("`\(name)` is a function: it was when the expression was read")
        }
        let spec = function.spec
        var places = [Int?](repeating: nil, count: arguments.count)
        var extra: [RowExpression] = []
        let free = arguments.indices.filter { spec.parameter($0).takes == .any }
        let common = alike(free.map { arguments[$0] })
        for (place, node) in zip(free, common) { places[place] = node }
        for (place, argument) in arguments.enumerated() {
            switch spec.parameter(place).takes {
            case .types(let types): places[place] = node(argument, wanted: types[0])
            case .any: break
            case .bounds, .pattern, .offset, .column: extra.append(argument)
            }
        }
        let type = spec.gives ?? nodes[common[0]].register.type
        let trace: RowNode.Trace =
            name == IfFunction.spec.name
            ? .choice : name == NullIfFunction.spec.name ? .firstInput : .anyInput
        let key = RowNodeKey(name: name, inputs: places.compactMap(\.self), extra: extra)
        let byArgument = places
        return add(key, type, arguments: arguments, byArgument: byArgument, trace: trace) {
            function.kernel($1)
        }
    }

    // MARK: Values that are there

    private mutating func constant(_ literal: RowExpression, as wanted: ExpressionType? = nil)
        -> Int
    {
        let type: ExpressionType =
            switch literal {
            case .number: .number
            case .text: .text
            case .boolean: .boolean
            case .duration: .duration
            default: wanted ?? .number
            }
        let key = RowNodeKey(name: "literal \(type.rawValue)", extra: [literal])
        if let place = known[key] { return place }
        let count = Register.chunk
        let register = Register(type, rowCount: count)
        switch literal {
        case .number(let value), .duration(let value):
            unsafe register.numbers(0..<count).update(repeating: value, count: count)
        case .boolean(let value):
            unsafe register.truths(0..<count).update(repeating: Truth.of(value), count: count)
        case .text(let text):
            let code = register.texts?.code(of: Array(text.utf8)) ?? .max
            unsafe register.codes(0..<count).update(repeating: code, count: count)
        default: break
        }
        return append(
            RowNode(register: register, kernel: nil, inputs: [], trace: .value), as: key)
    }

    private mutating func column(_ place: Int) -> Int {
        let key = RowNodeKey(name: "column", extra: [.column(place)])
        if let known = known[key] { return known }
        if computed[place] != nil {
            // What is undefined there belongs to the column, and not to who uses it.
            let root = root(of: place)
            return append(
                RowNode(
                    register: nodes[root].register, kernel: nil, inputs: [], trace: .value),
                as: key)
        }
        let column = frame.columns[place]
        if columns[place].type == .number, let numbers = unsafe column.numbers {
            return append(
                RowNode(
                    register: unsafe Register(numbers: numbers), kernel: nil, inputs: [],
                    trace: .value), as: key)
        }
        if let codes = unsafe column.codes, let texts = frame.dictionaries[place] {
            let register = unsafe Register(codes: codes, of: texts)
            if columns[place].type == .text {
                return append(
                    RowNode(register: register, kernel: nil, inputs: [], trace: .value), as: key)
            }
            return truths(of: register, texts, as: key)
        }
        guard unsafe column.times != nil else {
            preconditionFailure("a column that an expression names is held by the frame")
        }
        let (frame, out) = (self.frame, Register(.time, rowCount: Register.chunk))
        let kernel: Kernel = { rows in
            let y = unsafe out.numbers(rows)
            guard let times = unsafe frame.columns[place].times else { return false }
            for row in 0..<rows.count {
                let ms = unsafe times[rows.lowerBound + row]
                unsafe y[row] = ms == .min ? .nan : Double(ms)
            }
            return false
        }
        return append(RowNode(register: out, kernel: kernel, inputs: [], trace: .value), as: key)
    }

    /// A boolean column: its texts are `true` and `false`.
    private mutating func truths(
        of codes: Register, _ texts: TextDictionary, as key: RowNodeKey
    ) -> Int {
        let yes = Array("true".utf8)
        let memo = unsafe CodeMemo(texts, null: Truth.null) { text in
            unsafe Truth.of(yes.withUnsafeBytes { unsafe areEqual(text, $0) })
        }
        forgetting.add { memo.forget() }
        let out = Register(.boolean, rowCount: Register.chunk)
        let kernel: Kernel = { rows in
            memo.catchUp()
            unsafe memo.look(codes.codes(rows), rows.count, into: out.truths(rows))
            return false
        }
        return append(RowNode(register: out, kernel: kernel, inputs: [], trace: .value), as: key)
    }

    /// The node of what computes a column.
    mutating func root(of place: Int) -> Int {
        if let root = roots[place] {
            guard let root else {
                preconditionFailure("columns do not need each other in a circle")
            }
            return root
        }
        guard let expression = computed[place] else { preconditionFailure("a computed column") }
        roots[place] = .some(nil)
        let root = node(expression, wanted: columns[place].type)
        roots[place] = root
        return root
    }

    // MARK: Nodes

    private mutating func append(_ node: RowNode, as key: RowNodeKey?) -> Int {
        nodes.append(node)
        if let key { known[key] = nodes.count - 1 }
        return nodes.count - 1
    }

    /// The node of a key; made if there is none yet.
    private mutating func add(
        _ key: RowNodeKey, _ type: ExpressionType, arguments: [RowExpression] = [],
        byArgument: [Int?]? = nil, trace: RowNode.Trace = .anyInput,
        _ make: ([Register], CallSite) -> Kernel
    ) -> Int {
        if let place = known[key] { return place }
        let output = Register(type, rowCount: Register.chunk)
        if let texts = output.texts { growing.append(texts) }
        let inputs: [Int?] = byArgument ?? key.inputs.map { $0 }
        let kernel = make(
            key.inputs.map { nodes[$0].register },
            CallSite(
                arguments: arguments,
                inputs: inputs.map { place in place.map { nodes[$0].register } },
                output: output, frame: frame, forgetting: forgetting))
        return append(
            RowNode(register: output, kernel: kernel, inputs: key.inputs, trace: trace), as: key)
    }

    /// A node that only puts values where they are wanted.
    mutating func addStore(_ register: Register, of input: Int, _ kernel: @escaping Kernel) -> Int {
        append(
            RowNode(register: register, kernel: kernel, inputs: [input], trace: .value), as: nil)
    }
}
