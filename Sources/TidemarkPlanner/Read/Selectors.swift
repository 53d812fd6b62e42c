import TidemarkDataflow
import TidemarkLanguage
import TidemarkText
import TidemarkTopology

/// The names that `f0..f11` stands for; `nil`: it is no range; a problem: it is a wrong one.
func rangeNames(_ text: String) -> Result<[String], ScalarProblem>? {
    guard let dots = text.firstRange(ofDots: ()) else { return nil }
    let from = String(text[..<dots.lowerBound])
    let to = String(text[dots.upperBound...])
    func split(_ name: String) -> (stem: String, digits: String) {
        let digits = String(name.reversed().prefix { $0.isASCII && $0.isNumber }.reversed())
        return (String(name.dropLast(digits.count)), digits)
    }
    let a = split(from)
    let b = split(to)
    guard a.stem == b.stem, !a.stem.isEmpty, let first = Int(a.digits), let last = Int(b.digits),
        first <= last, last - first < 4000, a.digits.count <= 9, b.digits.count <= 9,
        a.digits == String(first) || a.digits.count == b.digits.count
    else {
        return .failure(
            ScalarProblem(
                rule: "bad-range", message: "\(shown(text)) is not a range of columns",
                expected: "like f0..f11", suggestion: nil))
    }
    let width = a.digits == String(first) ? 0 : a.digits.count
    return .success(
        (first...last).map { number in
            let digits = String(number)
            return a.stem + String(repeating: "0", count: max(0, width - digits.count)) + digits
        })
}

extension String {
    fileprivate func firstRange(ofDots: Void) -> Range<String.Index>? {
        var index = startIndex
        while index < endIndex {
            let next = self.index(after: index)
            if self[index] == ".", next < endIndex, self[next] == "." {
                return index..<self.index(after: next)
            }
            index = next
        }
        return nil
    }
}

/// Picks columns by name, range, pattern and word.
struct Selector {
    static let words = ColumnWords.selectors.map(\.word)

    /// Columns that a segment watches unless told otherwise.
    static func isWatched(_ role: ColumnRole) -> Bool {
        switch role {
        case .feature, .score, .class, .label: true
        default: false
        }
    }

    /// Columns that can be watched where they are named.
    static func canBeWatched(_ role: ColumnRole) -> Bool {
        switch role {
        case .id, .attribute, .weight, .time, .metric, .rule: false
        default: true
        }
    }

    private static func has(_ column: ColumnPlan, _ word: String) -> Bool {
        guard isWatched(column.role) else { return false }
        switch word {
        case "all": return true
        case "features": return column.role == .feature
        case "scores": return column.role == .score
        case "classes": return column.role == .class
        case "labels": return column.role == .label
        case "numbers": return column.type.isNumeric
        case "categories": return column.type == .category
        case "booleans": return column.type == .boolean
        default: return column.type == .text
        }
    }

    /// The columns picked, in the order of declaration, and those picked by their very names.
    static func read(
        _ node: Node, columns: [ColumnPlan], reading: Reading
    ) -> (picked: [Int], named: Set<Int>)? {
        let items =
            node.text != nil
            ? [node]
            : reading.list(
                node, what: "columns: a name, a range, a pattern or a word", countMax: 4000)
        guard !items.isEmpty else {
            if node.items?.isEmpty ?? false {
                reading.say(
                    "matches-nothing", at: node.place, "no column is named",
                    expected: "at least one", suggestion: "`all`, or `off` instead of the whole map"
                )
            }
            return nil
        }
        var picked: Set<Int> = []
        var named: Set<Int> = []
        var failed = false
        for (place, item) in items.enumerated() {
            guard let full = reading.text(item, expected: "a column") else {
                failed = true
                continue
            }
            let removes = full.hasPrefix("-")
            let text = removes ? String(full.dropFirst()) : full
            // `[-spend]` alone takes away from all.
            if removes, place == 0 {
                picked = Set(columns.indices.filter { has(columns[$0], "all") })
            }
            guard let found = match(text, item, columns, reading) else {
                failed = true
                continue
            }
            if removes {
                picked.subtract(found.columns)
                named.subtract(found.columns)
            } else {
                picked.formUnion(found.columns)
                if found.areNamed { named.formUnion(found.columns) }
            }
        }
        guard !failed else { return nil }
        guard !picked.isEmpty else {
            reading.say(
                "matches-nothing", at: node.place, "no column is left", expected: "at least one",
                suggestion: "`off` instead of the whole map")
            return nil
        }
        return (picked.sorted(), named)
    }

    private static func match(
        _ text: String, _ item: Node, _ columns: [ColumnPlan], _ reading: Reading
    ) -> (columns: [Int], areNamed: Bool)? {
        if words.contains(text) {
            let found = columns.indices.filter { has(columns[$0], text) }
            if found.isEmpty {
                reading.say(
                    "matches-nothing", at: item.place, "\(shown(text)) matches no column",
                    expected: "at least one", suggestion: "`all`")
                return nil
            }
            return (found, false)
        }
        if text.contains("*") || text.contains("?") {
            return pattern(text, item, columns, reading).map { ($0, false) }
        }
        var names = [text]
        switch rangeNames(text) {
        case .success(let range): names = range
        case .failure(let problem):
            reading.say(problem.rule, at: item.place, problem.message, expected: problem.expected)
            return nil
        case nil: break
        }
        var found: [Int] = []
        for name in names {
            guard let index = columns.firstIndex(where: { $0.name == name }) else {
                sayUnknown(name, at: item.place, columns, reading, among: words)
                return nil
            }
            guard canBeWatched(columns[index].role) else {
                reading.say(
                    "not-watched", at: item.place,
                    "\(shown(name)) is declared as \(columns[index].role.rawValue): it is not watched",
                    expected: "a feature, score, class or label",
                    suggestion: columns[index].role == .metric
                        ? "a monitor with `metric: \(name)`" : "another word in `schema`")
                return nil
            }
            found.append(index)
        }
        return (found, true)
    }

    /// The columns that a pattern picks; `nil` after reporting that it picks none.
    private static func pattern(
        _ text: String, _ item: Node, _ columns: [ColumnPlan], _ reading: Reading
    ) -> [Int]? {
        let watched = columns.indices.filter { isWatched(columns[$0].role) }
        let found = watched.filter { matchesPattern(columns[$0].name, text) }
        guard found.isEmpty else { return found }
        // A pattern by another letter that would match most.
        var best: (pattern: String, count: Int)?
        for index in watched {
            guard let first = columns[index].name.first else { continue }
            let pattern = "\(first)*"
            let count = watched.count { matchesPattern(columns[$0].name, pattern) }
            if count > best?.count ?? 0 { best = (pattern, count) }
        }
        reading.say(
            "matches-nothing", at: item.place, "\(shown(text)) matches no column",
            expected: "at least one",
            suggestion: best.map {
                "`\($0.pattern)` (\($0.count) column\($0.count == 1 ? "" : "s"))"
            })
        return nil
    }

    /// Says that there is no column of a name.
    static func sayUnknown(
        _ name: String, at place: Place, _ columns: [ColumnPlan], _ reading: Reading,
        among words: [String] = []
    ) {
        let names = columns.filter { !$0.isHidden }.map(\.name)
        let close = nearest(name, names + words)
        reading.say(
            "unknown-column", at: place, "no column \(shown(name))",
            expected: someOf(names, near: name),
            suggestion: close.map { "`\($0)`" } ?? "declare it in `source.schema`")
    }
}
