import TidemarkLanguage
import TidemarkText
import TidemarkTopology

/// What to say of a key that a part does not have.
extension Reading {
    /// Words that people try, and the key that they mean here.
    private static let hints: [(word: String, key: String, text: String)] = [
        (
            "threshold", "ignore_below",
            "`ignore_below`; how often it may be wrong is set once, in `budget`"
        ),
        (
            "p_value", "ignore_below",
            "`budget`; the size that is worth hearing is `ignore_below`"
        ),
        ("enabled", "", "`off` instead of the whole map"),
        ("type", "drift", "write the kind as the key: `drift: all`"),
        ("bootstrap_servers", "brokers", "`brokers`"),
        ("columns", "drift", "write the columns after the kind: `drift: [score, amount]`"),
        ("group_by", "by", "`by`"),
        ("lateness", "out_of_orderness", "`out_of_orderness`"),
        ("allowed_lateness", "out_of_orderness", "`out_of_orderness`"),
        ("group_id", "app", "`app` at the top level"),
        (
            "slack", "",
            "alerts are records of a topic: whatever forwards them (to Slack, a pager, mail) reads that topic"
        ),
        (
            "webhook", "",
            "alerts are records of a topic: whatever forwards them reads that topic"
        ),
        (
            "email", "",
            "alerts are records of a topic: whatever forwards them reads that topic"
        ),
        (
            "pagerduty", "",
            "alerts are records of a topic: whatever forwards them reads that topic"
        ),
    ]

    func sayUnknown(_ entry: Node.Entry, _ spec: PartSpec, _ what: String) {
        let names = spec.keys.filter { !$0.isLater }.map(\.name)
        let list = names.joined(separator: ", ")
        let message = "\(shown(entry.key)) is not a key of \(what)"
        // Of so many findings none is shown any more: what was meant is not looked for.
        guard diagnostics.count < 1000 else {
            say("unknown-key", at: entry.keyPlace, message, expected: list, suggestion: nil)
            return
        }
        if let hint = Self.hints.first(where: {
            $0.word == entry.key
                || (abs($0.word.utf8.count - entry.key.utf8.count) <= 1
                    && editDistance($0.word, entry.key) == 1)
        }), hint.key.isEmpty || names.contains(hint.key) {
            say(
                "unknown-key", at: entry.keyPlace, message, expected: list, suggestion: hint.text)
            return
        }
        // One level up or down?
        if spec.path != "", parts.contains(where: { $0.path == "" && $0.key(entry.key) != nil }) {
            say(
                "misplaced-key", at: entry.keyPlace, message, expected: "at the top level",
                suggestion: spec.path.contains(".")
                    ? "move it to the left margin" : "move it out two spaces")
            return
        }
        if let close = nearest(entry.key, spec.keys.map(\.name)) {
            say(
                "unknown-key", at: entry.keyPlace, message, expected: list, suggestion: "`\(close)`"
            )
            return
        }
        if let owner = parts.first(where: {
            $0.path != spec.path && $0.path != "" && !$0.path.contains("*")
                && !$0.path.contains("[")
                && $0.key(entry.key) != nil
        }) {
            say(
                "misplaced-key", at: entry.keyPlace, message, expected: "in `\(owner.path)`",
                suggestion: "move it there")
            return
        }
        say("unknown-key", at: entry.keyPlace, message, expected: list, suggestion: nil)
    }
}
