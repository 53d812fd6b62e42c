import TidemarkAllocations
import TidemarkBatch
import TidemarkExpressions
import TidemarkLanguage
import TidemarkTestSupport
import Testing

/// A frame of random rows, and the same rows as plain values.
struct RandomFrame {
    let frame: Frame
    private(set) var rows: [PlainRow] = []

    static func storage(_ type: ExpressionType) -> Column.Storage {
        switch type {
        case .number: .numbers
        case .boolean, .text: .codes
        case .time, .duration: .times
        }
    }

    init(columns: [ExpressionColumn], rowCountMax: Int) {
        frame = Frame(storage: columns.map { Self.storage($0.type) }, rowCountMax: rowCountMax)
    }

    /// Draws new rows; some are none, and hold whatever was there.
    mutating func fill(_ count: Int, _ draw: inout PlainDraw) {
        rows = (0..<count).map { _ in draw.row() }
        frame.rows.setOneToOne(count)
        for place in plainColumns.indices { frame.columns[place].exceptionCount = 0 }
        for (number, row) in rows.enumerated() {
            let isRow = !draw.random.chance(0.05)
            unsafe frame.verdicts[number] = isRow ? 0 : 1
            guard isRow else {
                garble(number)
                continue
            }
            for (place, value) in row.values.enumerated() {
                set(place, number, value, row.states[place])
            }
        }
    }

    /// What a row that is none holds may be anything.
    private func garble(_ row: Int) {
        let numbers = [Double.infinity, -.infinity, .nan, 1e308, -1e-300, .greatestFiniteMagnitude]
        for place in plainColumns.indices {
            let column = frame.columns[place]
            unsafe column.numbers?[row] = numbers[row % numbers.count]
            unsafe column.times?[row] = [Int64.min, .max, -1, 1 << 60][row % 4]
            unsafe column.codes?[row] = [UInt32.max, .max - 1, 0, 7][row % 4]
        }
    }

    private func set(_ place: Int, _ row: Int, _ value: PlainValue, _ state: String) {
        let column = frame.columns[place]
        switch value {
        case .number(let x): unsafe column.numbers?[row] = x
        case .time(let ms): unsafe column.times?[row] = Int64(ms)
        case .boolean(let flag): setText(place, row, "\(flag)")
        case .text(let text): setText(place, row, text)
        case .null, .duration:
            let states = [
                "null": ValueState.null, "missing": .missing, "wrong_type": .wrongType,
                "non_finite": .nonFinite,
            ]
            frame.setException(place, row: row, states[state] ?? .null)
        }
    }

    private func setText(_ place: Int, _ row: Int, _ text: String) {
        unsafe frame.columns[place].codes?[row] =
            frame.dictionaries[place]?.code(of: Array(text.utf8)) ?? .max
    }

    /// What a column of the frame says.
    func value(_ place: Int, _ row: Int, _ type: ExpressionType) -> PlainValue {
        let column = frame.columns[place]
        if let x = unsafe column.numbers?[row] { return x.isNaN ? .null : .number(x) }
        guard let code = unsafe column.codes?[row], code < UInt32(frame.textCount(place)) else {
            return .null
        }
        let text = unsafe String(decoding: frame.text(place, code: code), as: UTF8.self)
        return type == .boolean ? .boolean(text == "true") : .text(text)
    }
}

@Suite struct PropertyTests {
    /// A program of random expressions: columns first, which others name, then conditions.
    private struct Drawn {
        var columns = plainColumns
        var plain: [Plain] = []
        var parts: [RowProgram.Part] = []

        init(_ draw: inout PlainDraw) throws {
            draw.computed = []
            for number in 0..<8 {
                let type: ExpressionType =
                    number < 5 ? [.number, .text, .boolean, .number, .text][number] : .boolean
                let expression = draw.expression(type, 1 + draw.random.below(5))
                let text = expression.written
                guard text.utf8.count <= 4_000 else { continue }
                let typed: TypedExpression
                do {
                    typed = try RowTyping.read(
                        text, columns: columns, use: ExpressionUse(user: "a test"))
                } catch {
                    // What is compared with null, or nested too deep, is refused.
                    #expect(
                        ["compares-null", "too-deep", "type-mismatch"].contains(error.problem.rule),
                        "\(error) of \(text)")
                    continue
                }
                guard typed.type == type else { continue }
                var part = RowProgram.Part(name: "e\(number)", expression: typed.expression)
                if number < 5 {
                    part.column = columns.count
                    draw.computed.append((columns.count, "c\(columns.count)", type))
                    columns.append(
                        ExpressionColumn(name: "c\(columns.count)", type: type, isRead: false))
                }
                plain.append(expression)
                parts.append(part)
            }
        }
    }

    private static func agree(_ a: PlainValue, _ b: PlainValue) -> Bool { a == b }

    /// Compares a batch; the number of pairs.
    private func compare(_ drawn: Drawn, _ program: RowProgram, _ source: RandomFrame) -> Int {
        program.run()
        var undefined: Set<[Int]> = []
        program.forEachUndefined { undefined.insert([$0, $1]) }
        var (pairs, failures) = (0, 0)
        for (number, row) in source.rows.enumerated()
        where unsafe source.frame.verdicts[number] == 0 {
            var row = row
            for (place, part) in drawn.parts.enumerated() {
                let wanted = drawn.plain[place].evaluate(row)
                let found: PlainValue
                if let column = part.column {
                    found = source.value(column, number, drawn.columns[column].type)
                    row.values.append(wanted.value)
                } else {
                    let truth = unsafe program.truths(of: place)[number]
                    found = truth == Truth.null ? .null : .boolean(truth == Truth.yes)
                }
                pairs += 1
                let isUndefined = undefined.contains([place, number])
                guard found != wanted.value || isUndefined != wanted.isUndefined, failures < 3
                else {
                    continue
                }
                failures += 1
                Issue.record(
                    "\(drawn.plain[place].written) of \(row.values): \(wanted), found \(found), undefined: \(isUndefined)"
                )
            }
        }
        return pairs
    }

    /// Rows without a value of a computed column are told, once and in their order.
    private func checkExceptions(_ drawn: Drawn, _ source: RandomFrame) {
        for part in drawn.parts {
            guard let place = part.column else { continue }
            let column = source.frame.columns[place]
            let told = (0..<column.exceptionCount).map { unsafe Int(column.exceptionRows[$0]) }
            let wanted = source.rows.indices.filter {
                unsafe source.frame.verdicts[$0] == 0
                    && source.value(place, $0, drawn.columns[place].type) == .null
            }
            #expect(told == wanted)
        }
    }

    @Test(arguments: 0..<8)
    func `kernels give what a plain interpreter gives`(share: Int) throws {
        let seed = environment("TIDEMARK_SEED").flatMap(UInt64.init) ?? 20_261_130
        var draw = PlainDraw(seed &+ UInt64(share))
        var pairs = 0
        while pairs < 150_000 {
            let drawn = try Drawn(&draw)
            var source = RandomFrame(columns: drawn.columns, rowCountMax: 1_100)
            let program = RowProgram(
                columns: drawn.columns, frame: source.frame, parts: drawn.parts)
            for count in [1, 37, 512, 1, 513, 1_100] {
                source.fill(count, &draw)
                pairs += compare(drawn, program, source)
                checkExceptions(drawn, source)
                // Once in a while codes get other meanings.
                guard draw.random.chance(0.2) else { continue }
                for dictionary in source.frame.dictionaries.compactMap(\.self) {
                    _ = dictionary.compact(
                        keeping: [UInt8](repeating: 0, count: dictionary.count))
                }
                program.forgetCodes()
            }
        }
        #expect(pairs >= 150_000)
    }

    @Test func `a batch of known texts allocates nothing`() throws {
        var draw = PlainDraw(7)
        var programs: [(RowProgram, RandomFrame, String)] = []
        for _ in 0..<40 {
            let drawn = try Drawn(&draw)
            var source = RandomFrame(columns: drawn.columns, rowCountMax: 1_000)
            source.fill(1_000, &draw)
            programs.append(
                (
                    RowProgram(columns: drawn.columns, frame: source.frame, parts: drawn.parts),
                    source, drawn.plain.map(\.written).joined(separator: " ; ")
                ))
        }
        for (program, _, _) in programs { for _ in 0..<2 { program.run() } }
        for (program, _, text) in programs {
            let before = ta_allocation_count()
            program.run()
            let count = ta_allocation_count() - before
            #expect(count == 0, "\(text)")
        }
    }
}
