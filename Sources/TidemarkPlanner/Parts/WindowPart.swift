import TidemarkDataflow
import TidemarkLanguage
import TidemarkText
import TidemarkTopology

/// Windows and panes.
enum WindowPart {
    private static let expected = "a window like 5m, or 15m every 5m"
    /// Overlapping windows test the same rows again; from here on that is noted.
    private static let sliceCountMax: Int64 = 60

    /// A length or a step of a window.
    static let length = Key(
        "windows", ValueType.duration(secondMs...weekMs), usual: 5 * minuteMs, "length of a window")

    /// The default, as an author would write it.
    static let usualText = "[\(durationText(length.usual))]"
    /// The longest pane, unless the topology says otherwise.
    static let paneMsMax = minuteMs

    /// The windows of a stream.
    static func read(_ top: Fields) -> [WindowPlan] {
        let reading = top.reading
        guard let node = top[TopologyPart.windows] else {
            return [WindowPlan(lengthMs: length.usual, stepMs: length.usual)]
        }
        // A map in place of the list is one window as others write it.
        let items =
            node.entries == nil
            ? reading.list(node, what: "a list of windows", orOne: true, countMax: 8) : [node]
        if node.items?.isEmpty ?? false {
            reading.say(
                "empty-list", at: node.place, "no window is given", expected: "at least one",
                suggestion: "delete the line for the default (\(usualText))")
        }
        var windows: [WindowPlan] = []
        for item in items {
            guard let window = window(item, isAlone: node.entries != nil, reading) else { continue }
            if windows.contains(where: { $0.lengthMs == window.lengthMs }) {
                reading.say(
                    "listed-twice", at: item.place,
                    "there is already a window of \(durationText(window.lengthMs))",
                    expected: "lengths that differ", suggestion: "delete one of them")
                continue
            }
            if window.sliceCount > sliceCountMax {
                reading.say(
                    .note, "windows-overlap", at: item.place,
                    "each row is in \(window.sliceCount) windows: tests repeat the same rows",
                    expected: "at most \(sliceCountMax)", suggestion: "a longer step")
            }
            windows.append(window)
        }
        return windows
    }

    /// A window; `nil` after reporting what is wrong.
    ///
    /// `isAlone`: it stands in place of the list.
    private static func window(_ item: Node, isAlone: Bool, _ reading: Reading) -> WindowPlan? {
        if let entries = item.entries {
            sayMap(entries, at: item.place, isAlone: isAlone, reading)
            return nil
        }
        guard let text = reading.text(item, expected: expected) else { return nil }
        let words = text.split(separator: " ").map(String.init)
        var texts = [text]
        if words.count == 3, words[1] == "every" { texts = [words[0], words[2]] }
        var values: [Int64] = []
        for text in texts {
            guard let ms = reading.scalar(Node(text: text, at: item.place), length) else {
                return nil
            }
            values.append(ms)
        }
        let (lengthMs, stepMs) = (values[0], values.count > 1 ? values[1] : values[0])
        guard stepMs <= lengthMs, lengthMs % stepMs == 0 else {
            let suggestions = steps(of: lengthMs, near: stepMs)
            reading.say(
                "window-step", at: item.place,
                "\(texts[0]) is not a multiple of \(texts.count > 1 ? texts[1] : texts[0])",
                expected: "a step that divides the length",
                suggestion: suggestions.isEmpty
                    ? "`\(durationText(lengthMs))`" : suggestions.joined(separator: " or "))
            return nil
        }
        return WindowPlan(lengthMs: lengthMs, stepMs: stepMs)
    }

    /// Other systems have a length and a step by name.
    private static func sayMap(
        _ entries: [Node.Entry], at place: Place, isAlone: Bool, _ reading: Reading
    ) {
        func text(_ names: [String]) -> String? {
            entries.first { names.contains($0.key) }?.value.text
        }
        let length = text(["size", "length", "duration", "every", "window"])
        let step = text(["step", "slide", "hop", "advance"])
        reading.say(
            "not-a-text", at: place, "found a map", expected: expected,
            suggestion: length.map { length in
                let text = "\(length)\(step.map { " every \($0)" } ?? "")"
                return isAlone ? "`windows: [\(text)]`" : "`\(text)`"
            })
    }

    /// Windows that could have been meant by a step that does not divide the length.
    private static func steps(of lengthMs: Int64, near stepMs: Int64) -> [String] {
        guard stepMs < lengthMs else { return [] }
        let next = (lengthMs / stepMs + 1) * stepMs
        var found = ["`\(durationText(next)) every \(durationText(stepMs))`"]
        let unit: Int64 = lengthMs % minuteMs == 0 ? minuteMs : secondMs
        var divisor = min(stepMs, lengthMs) / unit * unit
        while divisor >= unit, lengthMs % divisor != 0 { divisor -= unit }
        if divisor >= unit, divisor < lengthMs {
            found.append("`\(durationText(lengthMs)) every \(durationText(divisor))`")
        }
        return found
    }

    /// The length of a pane, ms.
    static func paneMs(_ top: Fields, _ windows: [WindowPlan]) -> Int64 {
        var divisor: Int64 = 0
        for window in windows {
            divisor = gcd(gcd(divisor, window.lengthMs), window.stepMs)
        }
        guard divisor > 0 else { return secondMs }
        if let ms = top.value(TopologyPart.pane), let node = top[TopologyPart.pane] {
            if divisor % ms == 0 { return ms }
            top.reading.say(
                "pane-step", at: node.place,
                "\(durationText(ms)) does not divide every length and step of `windows`",
                expected: "a divisor of \(durationText(divisor))",
                suggestion: longestDivisor(of: divisor, upTo: ms).map { "`\(durationText($0))`" })
            return ms
        }
        if let ms = longestDivisor(of: divisor, upTo: paneMsMax) { return ms }
        if !top.has(TopologyPart.pane), let node = top[TopologyPart.windows] {
            top.reading.say(
                "pane-step", at: node.place,
                "the lengths and steps have no common divisor from 1s to 1m",
                expected: "whole seconds", suggestion: "round them")
        }
        return secondMs
    }

    private static func longestDivisor(of value: Int64, upTo limit: Int64) -> Int64? {
        var candidate = min(limit, value)
        while candidate >= secondMs {
            if value % candidate == 0 { return candidate }
            candidate -= 1
        }
        return nil
    }

    private static func gcd(_ a: Int64, _ b: Int64) -> Int64 { b == 0 ? a : gcd(b, a % b) }

    /// Windows of the stream by their lengths; `nil` after reporting that none was found.
    static func named(_ node: Node, in windows: [WindowPlan], _ reading: Reading) -> [Int]? {
        var found: Set<Int> = []
        let lengths = windows.map { durationText($0.lengthMs) }
        for item in reading.list(node, what: "a list of window lengths", orOne: true, countMax: 8) {
            guard let ms = reading.scalar(item, length) else { return nil }
            guard let index = windows.firstIndex(where: { $0.lengthMs == ms }) else {
                // Wrong windows above are said there.
                if !windows.isEmpty {
                    reading.say(
                        "unknown-window", at: item.place, "no window of \(durationText(ms))",
                        expected: alternatives(lengths),
                        suggestion: lengths.first.map { "`\($0)`, or add it to `windows`" })
                }
                return nil
            }
            found.insert(index)
        }
        if found.isEmpty {
            if node.items?.isEmpty ?? false {
                reading.say(
                    "empty-list", at: node.place, "no window is named", expected: "at least one",
                    suggestion: "delete the line for all")
            }
            return nil
        }
        return found.sorted()
    }
}
