import TidemarkExpressions
import TidemarkTestSupport

/// The columns of random rows.
let plainColumns: [ExpressionColumn] = [
    ExpressionColumn(name: "x", type: .number),
    ExpressionColumn(name: "y", type: .number),
    ExpressionColumn(name: "n", type: .number, isWhole: true),
    ExpressionColumn(name: "yes", type: .boolean),
    ExpressionColumn(name: "no", type: .boolean),
    ExpressionColumn(name: "t", type: .text),
    ExpressionColumn(name: "u", type: .text),
    ExpressionColumn(name: "ts", type: .time),
]

/// Draws expressions and rows.
struct PlainDraw {
    var random: SeededRandom
    /// Columns that expressions compute, which later ones may name.
    var computed: [(place: Int, name: String, type: ExpressionType)] = []

    init(_ seed: UInt64) { random = SeededRandom(seed) }

    static let texts = [
        "", "a", "ab", "b", "BR", "br", "Ünï", "ß", "x1", "12.5", "-3", "1e3", "1e999", "abc",
        "true",
        "a b", "a text that is longer than the sixteen bytes of a head", "1.", "0x10", "00",
    ]
    static let numbers: [Double] = [
        0, 1, -1, 2, 10, 100, 0.5, -2.5, 1e-3, 1e300, -1e300, 3, 7, 12.25, 1e16, 3e-308, -7,
    ]

    private mutating func pick<T>(_ list: [T]) -> T { list[random.below(list.count)] }

    mutating func value(_ type: ExpressionType) -> PlainValue {
        switch type {
        case .number:
            .number(
                random.chance(0.6)
                    ? pick(Self.numbers)
                    : Double.random(in: -50...150, using: &random))
        case .boolean: .boolean(random.chance(0.5))
        case .text: .text(pick(Self.texts))
        case .time:
            .time(Double(Int64.random(in: -500_000_000_000...4_000_000_000_000, using: &random)))
        case .duration: .duration(Double(random.below(100_000_000)))
        }
    }

    mutating func row() -> PlainRow {
        var row = PlainRow(values: [], states: [])
        for column in plainColumns {
            let isNull = random.chance(0.15)
            row.states.append(isNull ? pick(["null", "missing", "wrong_type", "non_finite"]) : "")
            var value = isNull ? .null : value(column.type)
            if column.isWhole, case .number(let x) = value { value = .number(x.rounded()) }
            row.values.append(value)
        }
        return row
    }

    /// An expression of a type, so deep at most.
    mutating func expression(_ type: ExpressionType, _ depth: Int) -> Plain {
        if depth == 0 || random.chance(0.1) { return leaf(type) }
        if random.chance(0.2) { return choice(type, depth - 1) }
        switch type {
        case .number: return number(depth - 1)
        case .boolean: return condition(depth - 1)
        case .text: return text(depth - 1)
        case .time:
            return .binary(
                pick(["+", "-"]), expression(.time, depth - 1), expression(.duration, depth - 1))
        case .duration:
            return random.chance(0.5)
                ? .binary("-", expression(.time, depth - 1), expression(.time, depth - 1))
                : .binary("+", expression(.duration, depth - 1), leaf(.duration))
        }
    }

    private mutating func leaf(_ type: ExpressionType) -> Plain {
        let mine = computed.filter { $0.type == type }
        if !mine.isEmpty, random.chance(0.3) {
            let one = pick(mine)
            return .computed(one.place, name: one.name)
        }
        let places = plainColumns.indices.filter { plainColumns[$0].type == type }
        if !places.isEmpty, type == .time || random.chance(0.6) {
            let place = pick(Array(places))
            return .column(place, name: plainColumns[place].name)
        }
        return .literal(value(type))
    }

    private mutating func choice(_ type: ExpressionType, _ depth: Int) -> Plain {
        switch random.below(3) {
        case 0:
            return .call(
                "if",
                [
                    expression(.boolean, depth), expression(type, depth),
                    random.chance(0.2) ? .literal(.null) : expression(type, depth),
                ])
        case 1:
            var parts: [Plain] = []
            for _ in 0...random.below(3) { parts.append(expression(type, depth)) }
            return .call("coalesce", parts)
        default: return .call("null_if", [expression(type, depth), expression(type, depth)])
        }
    }

    private mutating func number(_ depth: Int) -> Plain {
        switch random.below(10) {
        case 0...2:
            return .binary(
                pick(["+", "-", "*", "/"]), expression(.number, depth), expression(.number, depth))
        case 3: return .prefix("-", expression(.number, depth))
        case 4...5:
            return .call(
                pick(["abs", "floor", "ceil", "round", "sqrt", "exp", "log", "log10", "sign"]),
                [expression(.number, depth)])
        case 6:
            return .call(
                pick(["pow", "mod", "round"]),
                [expression(.number, depth), expression(.number, depth)])
        case 7:
            var parts: [Plain] = []
            let name = pick(["clamp", "least", "greatest"])
            for _ in 0..<(name == "clamp" ? 3 : 1 + random.below(4)) {
                parts.append(expression(.number, depth))
            }
            return .call(name, parts)
        case 8: return .call(pick(["number", "length"]), [expression(.text, depth)])
        default:
            switch random.below(3) {
            case 0: return .call("seconds", [expression(.duration, depth)])
            case 1: return .binary("/", expression(.duration, depth), expression(.duration, depth))
            default:
                return .clock(
                    pick(["hour_of_day", "day_of_week"]), expression(.time, depth),
                    offset: pick([nil, "+01:00", "-03:30", "+05:45"]))
            }
        }
    }

    private mutating func condition(_ depth: Int) -> Plain {
        switch random.below(10) {
        case 0...2:
            let type = pick([ExpressionType.number, .number, .text, .time, .duration])
            return .binary(
                pick(["==", "!=", "<", "<=", ">", ">="]), expression(type, depth),
                expression(type, depth))
        case 3:
            return .binary(
                pick(["==", "!="]), expression(.boolean, depth), expression(.boolean, depth))
        case 4:
            return .binary(
                pick(["and", "or"]), expression(.boolean, depth), expression(.boolean, depth))
        case 5: return .prefix("not", expression(.boolean, depth))
        case 6:
            let type = pick(ExpressionType.allCases)
            return .isNull(expression(type, depth), isNot: random.chance(0.5))
        case 7:
            let type = pick([ExpressionType.number, .text, .boolean, .duration])
            var values: [PlainValue] = []
            for _ in 0...random.below(12) { values.append(value(type)) }
            return .isIn(expression(type, depth), values, isNot: random.chance(0.3))
        case 8:
            if random.chance(0.5) {
                return .matches(expression(.text, depth), pick(PlainPattern.all))
            }
            return .call(
                pick(["starts_with", "ends_with", "contains"]),
                [expression(.text, depth), expression(.text, depth)])
        default:
            let place = random.below(plainColumns.count)
            return .state(
                pick(["missing", "wrong_type", "non_finite"]), column: place,
                name: plainColumns[place].name)
        }
    }

    private mutating func text(_ depth: Int) -> Plain {
        switch random.below(4) {
        case 0: return .call(pick(["lower", "upper"]), [expression(.text, depth)])
        case 1:
            let type = pick([ExpressionType.number, .boolean, .time, .text])
            return .call("text", [expression(type, depth)])
        default:
            let bounds = Set((0...random.below(4)).map { _ in Double(random.below(400)) / 4 })
            return .bucket(expression(.number, depth), bounds.sorted())
        }
    }
}
