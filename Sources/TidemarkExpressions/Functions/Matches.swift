import TidemarkLanguage

enum MatchesFunction: RowFunction {
    static let spec = FunctionSpec(
        "matches", [.init("t", .text), .init("pattern", .pattern)], gives: .boolean,
        "whether the regular expression (RE2) occurs in t; `^` and `$` tie it to the ends")

    static func kernel(_ site: CallSite) -> Kernel {
        let (input, out) = (site.input(0), site.output)
        guard case .text(let text) = site.arguments[1], let pattern = try? Pattern(text) else {
            preconditionFailure("the pattern was compiled when it was read")
        }
        let memo = unsafe site.memo(input, null: Truth.null) {
            unsafe Truth.of(pattern.occurs(in: $0))
        }
        return { rows in
            memo.catchUp()
            unsafe memo.look(input.codes(rows), rows.count, into: out.truths(rows))
            return false
        }
    }

    static func problem(_ arguments: [RowExpression]) -> (argument: Int, problem: ScalarProblem)? {
        guard case .text(let text) = arguments[1] else { return nil }
        return Pattern.problem(text).map { (1, $0) }
    }
}
