import Glibc

/// What an expression comes to for a row.
enum PlainValue: Equatable {
    case null
    case number(Double)
    case boolean(Bool)
    case text(String)
    case time(Double)
    case duration(Double)
}

/// A result, and whether it is null since an operation had all that it needs and no value.
struct PlainResult {
    var value: PlainValue
    var isUndefined = false

    static let undefined = PlainResult(value: .null, isUndefined: true)
    init(_ value: PlainValue, isUndefined: Bool = false) {
        self.value = value
        self.isUndefined = isUndefined
    }
    init(value: PlainValue, isUndefined: Bool) { self.init(value, isUndefined: isUndefined) }
    /// A number, or nothing where it is none.
    init(finite number: Double) {
        self = number.isFinite ? PlainResult(.number(number)) : .undefined
    }
}

/// An expression as a test makes it: it writes itself in the language, and knows what it means by the words of
/// the language's definition, row by row and value by value.
indirect enum Plain {
    case literal(PlainValue)
    case column(Int, name: String)
    /// A column that another expression computes: what is undefined there is none of its business.
    case computed(Int, name: String)
    case binary(String, Plain, Plain)
    case prefix(String, Plain)
    case isNull(Plain, isNot: Bool)
    case isIn(Plain, [PlainValue], isNot: Bool)
    case call(String, [Plain])
    case matches(Plain, PlainPattern)
    case bucket(Plain, [Double])
    case state(String, column: Int, name: String)
    case clock(String, Plain, offset: String?)

    // MARK: Text

    var written: String {
        switch self {
        case .literal(let value): Self.written(value)
        case .column(_, let name), .computed(_, let name): name
        case .binary(let symbol, let a, let b): "(\(a.written) \(symbol) \(b.written))"
        case .prefix(let word, let a): "(\(word) (\(a.written)))"
        case .isNull(let a, let isNot): "((\(a.written)) is \(isNot ? "not " : "")null)"
        case .isIn(let a, let values, let isNot):
            "((\(a.written)) \(isNot ? "not " : "")in [\(values.map(Self.written).joined(separator: ", "))])"
        case .call(let name, let a): "\(name)(\(a.map(\.written).joined(separator: ", ")))"
        case .matches(let a, let pattern): "matches(\(a.written), \"\(pattern.text)\")"
        case .bucket(let a, let bounds):
            "bucket(\(a.written), [\(bounds.map { "\($0)" }.joined(separator: ", "))])"
        case .state(let name, _, let column): "\(name)(\(column))"
        case .clock(let name, let a, let offset):
            "\(name)(\(a.written)\(offset.map { ", \"\($0)\"" } ?? ""))"
        }
    }

    private static func written(_ value: PlainValue) -> String {
        switch value {
        case .null, .time: "null"
        case .number(let x): "\(x)"
        case .boolean(let b): "\(b)"
        case .text(let t): "\"\(t)\""
        case .duration(let ms): "\(Int64(ms))ms"
        }
    }

    // MARK: Meaning

    func evaluate(_ row: PlainRow) -> PlainResult {
        switch self {
        case .literal(let value): return PlainResult(value)
        case .column(let place, _), .computed(let place, _): return PlainResult(row.values[place])
        case .state(let name, let place, _):
            return PlainResult(.boolean(row.states[place] == name))
        case .binary("and", let a, let b):
            return Self.logic(a.evaluate(row), b.evaluate(row), absorbing: false)
        case .binary("or", let a, let b):
            return Self.logic(a.evaluate(row), b.evaluate(row), absorbing: true)
        case .binary(let symbol, let a, let b):
            return Self.strict([a.evaluate(row), b.evaluate(row)]) {
                Self.binary(symbol, $0[0], $0[1])
            }
        case .prefix(let word, let a):
            return Self.strict([a.evaluate(row)]) { values in
                switch values[0] {
                case .boolean(let b) where word == "not": PlainResult(.boolean(!b))
                case .number(let x): PlainResult(.number(-x))
                case .duration(let x): PlainResult(.duration(-x))
                default: fatalError("no such prefix")
                }
            }
        case .isNull(let a, let isNot):
            return PlainResult(.boolean((a.evaluate(row).value == .null) != isNot))
        case .isIn(let a, let values, let isNot):
            return Self.strict([a.evaluate(row)]) { given in
                PlainResult(.boolean(values.contains(given[0]) != isNot))
            }
        case .matches(let a, let pattern):
            return Self.strict([a.evaluate(row)]) { values in
                guard case .text(let text) = values[0] else { fatalError("text") }
                return PlainResult(.boolean(pattern.occurs(text)))
            }
        case .bucket(let a, let bounds):
            return Self.strict([a.evaluate(row)]) { values in
                guard case .number(let x) = values[0] else { fatalError("number") }
                return PlainResult(.text(Self.bucket(x, bounds)))
            }
        case .clock(let name, let a, let offset):
            return Self.strict([a.evaluate(row)]) { values in
                guard case .time(let ms) = values[0] else { fatalError("time") }
                return PlainResult(.number(Self.clock(name, ms, offset)))
            }
        case .call("if", let a):
            let isTrue = a[0].evaluate(row).value == .boolean(true)
            return a[isTrue ? 1 : 2].evaluate(row)
        case .call("coalesce", let a):
            let all = a.map { $0.evaluate(row) }
            return all.first { $0.value != .null }
                ?? PlainResult(.null, isUndefined: all.contains(where: \.isUndefined))
        case .call("null_if", let a):
            let (first, second) = (a[0].evaluate(row), a[1].evaluate(row))
            return first.value != .null && first.value == second.value ? PlainResult(.null) : first
        case .call(let name, let a):
            return Self.strict(a.map { $0.evaluate(row) }) { Self.call(name, $0) }
        }
    }

    /// Null of null; else what the values give.
    private static func strict(
        _ parts: [PlainResult], _ compute: ([PlainValue]) -> PlainResult
    ) -> PlainResult {
        guard !parts.contains(where: { $0.value == .null }) else {
            return PlainResult(.null, isUndefined: parts.contains(where: \.isUndefined))
        }
        return compute(parts.map(\.value))
    }

    private static func logic(
        _ a: PlainResult, _ b: PlainResult, absorbing: Bool
    ) -> PlainResult {
        if a.value == .boolean(absorbing) || b.value == .boolean(absorbing) {
            return PlainResult(.boolean(absorbing))
        }
        return strict([a, b]) { _ in PlainResult(.boolean(!absorbing)) }
    }

    private static func binary(_ symbol: String, _ a: PlainValue, _ b: PlainValue) -> PlainResult {
        func order(_ isLess: Bool, _ isEqual: Bool) -> PlainResult {
            let holds =
                switch symbol {
                case "==": isEqual
                case "!=": !isEqual
                case "<": isLess
                case "<=": isLess || isEqual
                case ">": !isLess && !isEqual
                default: !isLess
                }
            return PlainResult(.boolean(holds))
        }
        let isComparison = ["==", "!=", "<", "<=", ">", ">="].contains(symbol)
        switch (a, b) {
        case (.number(let x), .number(let y)), (.time(let x), .time(let y)),
            (.duration(let x), .duration(let y)):
            if isComparison { return order(x < y, x == y) }
            break
        case (.boolean(let x), .boolean(let y)): return order(false, x == y)
        case (.text(let x), .text(let y)):
            let (first, second) = (Array(x.utf8), Array(y.utf8))
            return order(first.lexicographicallyPrecedes(second), first == second)
        default: break
        }
        switch (symbol, a, b) {
        case ("+", .number(let x), .number(let y)): return PlainResult(finite: x + y)
        case ("-", .number(let x), .number(let y)): return PlainResult(finite: x - y)
        case ("*", .number(let x), .number(let y)): return PlainResult(finite: x * y)
        case ("/", .number(let x), .number(let y)): return PlainResult(finite: x / y)
        case ("/", .duration(let x), .duration(let y)): return PlainResult(finite: x / y)
        case ("-", .time(let x), .time(let y)): return PlainResult(.duration(x - y))
        case ("+", .time(let x), .duration(let y)): return PlainResult(.time(x + y))
        case ("-", .time(let x), .duration(let y)): return PlainResult(.time(x - y))
        case ("+", .duration(let x), .duration(let y)): return PlainResult(.duration(x + y))
        default: fatalError("\(symbol) of \(a) and \(b)")
        }
    }

    private static func bucket(_ x: Double, _ bounds: [Double]) -> String {
        func text(_ bound: Double) -> String {
            bound == bound.rounded() ? "\(Int(bound))" : "\(bound)"
        }
        if x < bounds[0] { return "<\(text(bounds[0]))" }
        for (low, high) in zip(bounds, bounds.dropFirst()) where x >= low && x < high {
            return "\(text(low))..\(text(high))"
        }
        return ">=\(text(bounds[bounds.count - 1]))"
    }

    /// Year, month, day, hour, minute, second and day of the week (0 is Sunday), by the C library.
    private static func broken(_ ms: Double) -> [Int] {
        var seconds = time_t((ms / 1000).rounded(.down))
        var parts = unsafe tm()
        _ = unsafe gmtime_r(&seconds, &parts)
        return unsafe [
            1900 + Int(parts.tm_year), Int(parts.tm_mon) + 1, Int(parts.tm_mday),
            Int(parts.tm_hour),
            Int(parts.tm_min), Int(parts.tm_sec), Int(parts.tm_wday),
        ]
    }

    private static func clock(_ name: String, _ ms: Double, _ offset: String?) -> Double {
        let shifts = ["+01:00": 3600.0, "-03:30": -12_600.0, "+05:45": 20_700.0]
        let parts = broken(ms + 1000 * (offset.flatMap { shifts[$0] } ?? 0))
        if name == "hour_of_day" { return Double(parts[3]) }
        return parts[6] == 0 ? 7 : Double(parts[6])
    }

    private static func call(_ name: String, _ a: [PlainValue]) -> PlainResult {
        let x = a.map { if case .number(let value) = $0 { value } else { Double.nan } }
        let t = a.map { if case .text(let value) = $0 { value } else { "" } }
        switch name {
        case "abs": return PlainResult(.number(Swift.abs(x[0])))
        case "floor": return PlainResult(.number(Glibc.floor(x[0])))
        case "ceil": return PlainResult(.number(Glibc.ceil(x[0])))
        case "round":
            guard a.count > 1 else { return PlainResult(.number(Glibc.round(x[0]))) }
            guard x[1] == Glibc.round(x[1]), Swift.abs(x[1]) <= 308 else { return .undefined }
            let scale = Glibc.pow(10, x[1])
            return (x[0] * scale).isInfinite
                ? PlainResult(.number(x[0]))
                : PlainResult(finite: Glibc.round(x[0] * scale) / scale)
        case "sqrt": return x[0] < 0 ? .undefined : PlainResult(.number(Glibc.sqrt(x[0])))
        case "exp": return PlainResult(finite: Glibc.exp(x[0]))
        case "log": return x[0] <= 0 ? .undefined : PlainResult(finite: Glibc.log(x[0]))
        case "log10": return x[0] <= 0 ? .undefined : PlainResult(finite: Glibc.log10(x[0]))
        case "sign": return PlainResult(.number(x[0] < 0 ? -1 : x[0] > 0 ? 1 : 0))
        case "pow": return PlainResult(finite: Glibc.pow(x[0], x[1]))
        case "mod": return PlainResult(finite: Glibc.fmod(x[0], x[1]))
        case "clamp":
            guard x[1] <= x[2] else { return .undefined }
            return PlainResult(.number(x[0] < x[1] ? x[1] : x[0] > x[2] ? x[2] : x[0]))
        case "least": return PlainResult(.number(x.reduce(x[0]) { $1 < $0 ? $1 : $0 }))
        case "greatest": return PlainResult(.number(x.reduce(x[0]) { $1 > $0 ? $1 : $0 }))
        case "seconds":
            guard case .duration(let ms) = a[0] else { fatalError("duration") }
            return PlainResult(.number(ms / 1000))
        case "number":
            let isDecimal = t[0].wholeMatch(of: /-?[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]+)?/) != nil
            return isDecimal ? PlainResult(finite: Double(t[0]) ?? .nan) : .undefined
        case "length": return PlainResult(.number(Double(t[0].unicodeScalars.count)))
        case "lower": return PlainResult(.text(t[0].lowercased()))
        case "upper": return PlainResult(.text(t[0].uppercased()))
        case "starts_with":
            return PlainResult(.boolean(Array(t[0].utf8).starts(with: Array(t[1].utf8))))
        case "ends_with":
            return PlainResult(
                .boolean(Array(t[0].utf8).reversed().starts(with: Array(t[1].utf8).reversed())))
        case "contains":
            let (whole, part) = (Array(t[0].utf8), Array(t[1].utf8))
            return PlainResult(
                .boolean((0...whole.count).contains { whole[$0...].starts(with: part) }))
        case "text": return PlainResult(.text(text(a[0])))
        default: fatalError("no function \(name)")
        }
    }

    private static func text(_ value: PlainValue) -> String {
        switch value {
        case .text(let text): return text
        case .boolean(let value): return "\(value)"
        case .number(let x):
            return x == Glibc.trunc(x) && Swift.abs(x) < 9e15 ? "\(Int64(x))" : "\(x)"
        case .time(let ms):
            let parts = broken(ms)
            func two(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }
            let date = "\(parts[0])-\(two(parts[1]))-\(two(parts[2]))"
            let clock = "\(two(parts[3])):\(two(parts[4])):\(two(parts[5]))"
            let rest = "\(1000 + Int64(ms - 1000 * (ms / 1000).rounded(.down)))".dropFirst()
            return "\(date)T\(clock).\(rest)Z"
        case .null, .duration: fatalError("no text")
        }
    }
}

/// A regular expression, and the same in plain words.
struct PlainPattern {
    var text: String
    var occurs: @Sendable (String) -> Bool

    static let all = [
        PlainPattern(text: "^a") { $0.utf8.first == 0x61 },
        PlainPattern(text: "b$") { $0.utf8.last == 0x62 },
        PlainPattern(text: "[0-9]") { $0.utf8.contains { (0x30...0x39).contains($0) } },
        PlainPattern(text: "^$") { $0.isEmpty },
        PlainPattern(text: "") { _ in true },
        PlainPattern(text: "(?i)br") { text in
            let letters = text.unicodeScalars.map { $0.value | 0x20 }
            return zip(letters, letters.dropFirst()).contains { $0 == 0x62 && $1 == 0x72 }
        },
        PlainPattern(text: "^.{2,3}$") { (2...3).contains($0.unicodeScalars.count) },
    ]
}

/// A row: its values by column, and why it lacks some.
struct PlainRow {
    var values: [PlainValue]
    var states: [String]
}
