import TidemarkLanguage
import TidemarkText

enum HourOfDayFunction: RowFunction {
    static let spec = FunctionSpec(
        "hour_of_day", [.init("t", .time), .init("offset", .offset, isOptional: true)],
        gives: .number, whole: .always, "0 to 23, in UTC or at an offset like \"+01:00\"")

    static func kernel(_ site: CallSite) -> Kernel {
        ofLocalTime(site) { local in
            let hours = (local / 3_600_000).rounded(.down)
            return hours - 24 * (hours / 24).rounded(.down)
        }
    }

    static func problem(_ arguments: [RowExpression]) -> (argument: Int, problem: ScalarProblem)? {
        offsetProblem(arguments)
    }
}

enum DayOfWeekFunction: RowFunction {
    static let spec = FunctionSpec(
        "day_of_week", [.init("t", .time), .init("offset", .offset, isOptional: true)],
        gives: .number, whole: .always,
        "1 (Monday) to 7, in UTC or at an offset like \"+01:00\"")

    static func kernel(_ site: CallSite) -> Kernel {
        ofLocalTime(site) { local in
            // 1970-01-01 was a Thursday.
            let days = (local / 86_400_000).rounded(.down) + 3
            return days - 7 * (days / 7).rounded(.down) + 1
        }
    }

    static func problem(_ arguments: [RowExpression]) -> (argument: Int, problem: ScalarProblem)? {
        offsetProblem(arguments)
    }
}

enum SecondsFunction: NumberFunction {
    static let spec = FunctionSpec(
        "seconds", [.init("d", .duration)], gives: .number, "a duration in seconds")
    static func apply(_ x: Double) -> Double { x / 1000 }
}

/// What the clocks of a fixed offset show, ms since 1970 there.
@inline(__always)
private func ofLocalTime(_ site: CallSite, _ compute: @escaping (Double) -> Double) -> Kernel {
    let (input, out) = (site.input(0), site.output)
    let offsetMs = offsetMs(site.arguments) ?? 0
    return { rows in
        let (x, y) = unsafe (input.numbers(rows), out.numbers(rows))
        for row in 0..<rows.count { unsafe y[row] = compute(x[row] + offsetMs) }
        return false
    }
}

/// The offset that is asked for; `nil`: it is none.
private func offsetMs(_ arguments: [RowExpression]) -> Double? {
    guard arguments.count > 1 else { return 0 }
    guard case .text(let text) = arguments[1], let rules = ZoneRules(fixed: text) else {
        return nil
    }
    return Double(rules.offsets.first ?? 0) * 1000
}

private func offsetProblem(
    _ arguments: [RowExpression]
) -> (argument: Int, problem: ScalarProblem)? {
    guard offsetMs(arguments) == nil, case .text(let text) = arguments[1] else { return nil }
    return argumentProblem(
        1, "bad-offset", "\(shown(text)) is not a fixed offset from UTC",
        expected: "like \"+01:00\"",
        suggestion: text.contains("/")
            ? "the offset of the place: zones that change are not read" : nil)
}
