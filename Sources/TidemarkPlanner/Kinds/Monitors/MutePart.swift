import TidemarkDataflow
import TidemarkLanguage
import TidemarkText
import TidemarkTopology

/// Planned downtime: `alerts.mute`.
enum MutePart {
    private static let monitors = KeySpec(
        "monitors", .list("a list of names or patterns of monitors"), says: "all", "whose alerts")
    private static let groups = KeySpec(
        "groups", .map("a map dimension → value or pattern"), says: "all",
        shape: .names(.text), "of which groups")
    private static let usual = MutePlan(why: "")
    private static let from = Setting(
        "from", \MutePlan.fromMs, ValueType<Int64>.time.optional, usual: usual,
        "from then on, event time")
    private static let to = Setting(
        "to", \MutePlan.toMs, ValueType<Int64>.time.optional, usual: usual,
        "up to then, event time")
    private static let weekly = KeySpec(
        "weekly", .any("days and hours like `Sun 02:00-04:00`"), "at this time of each week, UTC")
    private static let why = KeySpec(
        "why", .text(lengthMax: 300), required: true, "for people: what is planned")
    static let part = PartSpec(
        "mute", path: "alerts.mute[]", "alerts that are published muted: planned downtime",
        [monitors, groups, from, to, weekly, why],
        example: "- { monitors: [volume], weekly: \"Sun 02:00-04:00\", why: gateway maintenance }")
    static let key = KeySpec(
        "mute", .list("a list of times"), says: "[]", shape: .list(.part("mute")),
        "planned downtime: alerts are published muted")

    /// The entries of the list; what is wrong with them is reported.
    static func read(_ alerts: Fields?, monitors found: ReadMonitors, _ scope: Scope) -> [MutePlan]
    {
        guard let alerts, let node = alerts[key] else { return [] }
        let reading = alerts.reading
        let known = found.judges.map(\.plan.name)
        return reading.list(node, what: "a list of times", countMax: 100).compactMap { item in
            guard let f = reading.fields(item, part, what: "an entry of `mute`"),
                let node = f[why], let text = reading.scalar(node, why, { .success($0) })
            else { return nil }
            var plan = MutePlan(why: text)
            if let node = f[monitors] {
                plan.monitors = names(node, known, silences: found.silences.map(\.name), reading)
            }
            if let node = f[groups] { plan.groups = GroupPatterns.read(node, scope) }
            f.read([from, to], into: &plan)
            if let node = f[weekly] { plan.weekly = span(node, reading) }
            if let fromMs = plan.fromMs, let toMs = plan.toMs, fromMs >= toMs, let node = f[to.spec]
            {
                reading.say(
                    "out-of-limits", at: node.place, "it ends before it begins",
                    expected: "`from` before `to`", suggestion: nil)
            }
            if plan.toMs == nil, plan.weekly == nil {
                reading.say(
                    .warning, "mute-endless", at: f.place, "this has no end",
                    expected: "`to` or `weekly`", suggestion: "`to: 2026-12-31T12:00:00Z`")
            }
            return plan
        }
    }

    private static func names(
        _ node: Node, _ known: [String], silences: [String], _ reading: Reading
    ) -> [String] {
        let heads = known.map { String($0.prefix { $0 != "." }) } + silences
        let all = known + heads
        return reading.list(node, what: "a list of monitors", orOne: true, countMax: 200)
            .compactMap { item in
                guard let name = reading.text(item, expected: "a monitor") else { return nil }
                if !all.contains(where: { matchesPattern($0, name) }) {
                    reading.say(
                        "unknown-monitor", at: item.place, "no monitor is called \(shown(name))",
                        expected: alternatives(Array(Set(heads)).sorted()),
                        suggestion: nearest(name, all).map { "`\($0)`" })
                }
                return name
            }
    }

    private static let days = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]

    /// `Sun 02:00-04:00`.
    private static func span(_ node: Node, _ reading: Reading) -> WeeklySpan? {
        guard let text = reading.text(node, expected: weekly.form.expected) else { return nil }
        let words = text.split(separator: " ")
        if words.count == 2, let day = days.firstIndex(of: String(words[0])) {
            let ends = words[1].split(separator: "-").map(minutes)
            if ends.count == 2, let from = ends[0], let to = ends[1], from != to {
                let startMs = Int64(day) * dayMs
                // Up to a time that is earlier: on the next day.
                let endMs = startMs + to * minuteMs + (to < from ? dayMs : 0)
                return WeeklySpan(fromMs: startMs + from * minuteMs, toMs: endMs % weekMs)
            }
        }
        reading.say(
            "bad-weekly", at: node.place, "\(shown(text)) is no time of the week",
            expected: "a day of \(days.joined(separator: " ")) and hours, UTC",
            suggestion: "`Sun 02:00-04:00`")
        return nil
    }

    /// Minutes since midnight of `02:30`; 24:00 is the day's end.
    private static func minutes(_ text: Substring) -> Int64? {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 2, parts[0].count == 2, parts[1].count == 2,
            let hour = Int64(parts[0]), let minute = Int64(parts[1]), (0...24).contains(hour),
            (0...59).contains(minute), hour * 60 + minute <= 24 * 60
        else { return nil }
        return hour * 60 + minute
    }

    // MARK: What a plan says

    /// A line of what is said about data, where there is any.
    static func identity(_ mutes: [MutePlan]) -> [Identity.Line] {
        mutes.map { mute in
            Identity.Line(
                "mute", mute.monitors, mute.groups.map { [$0.dimension, $0.pattern] }, mute.fromMs,
                mute.toMs, mute.weekly?.fromMs, mute.weekly?.toMs, mute.why)
        }
    }

    /// What the plan's JSON says.
    static func fact(_ mutes: [MutePlan]) -> JSONValue {
        .array(
            mutes.map { mute in
                .object([
                    ("monitors", .texts(mute.monitors)),
                    ("groups", .object(mute.groups.map { ($0.dimension, .text($0.pattern)) })),
                    ("from_ms", .maybe(mute.fromMs)), ("to_ms", .maybe(mute.toMs)),
                    ("weekly_from_ms", .maybe(mute.weekly?.fromMs)),
                    ("weekly_to_ms", .maybe(mute.weekly?.toMs)), ("why", .text(mute.why)),
                ])
            })
    }
}
