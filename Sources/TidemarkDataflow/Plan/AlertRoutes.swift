import TidemarkText

/// Where alerts go beside the topic of alerts: another topic, in the same transaction.
package struct AlertDestination: Sendable, Equatable {
    /// As routes name it.
    package var name: String
    /// As the cluster names it.
    package var topic: String

    package init(name: String, topic: String) {
        self.name = name
        self.topic = topic
    }
}

/// Which alerts go to which destinations; of several routes the first that takes an alert decides.
package struct AlertRoute: Sendable, Equatable {
    /// A value of a dimension that a group must have.
    package struct GroupPattern: Sendable, Equatable {
        /// The dimension.
        package var dimension: String
        /// With `*` and `?`.
        package var pattern: String

        package init(dimension: String, pattern: String) {
            self.dimension = dimension
            self.pattern = pattern
        }
    }

    /// Only these; none: all.
    package var severities: [Severity] = []
    /// Patterns of names, of which one must match; none: all.
    package var monitors: [String] = []
    /// All of them must match.
    package var groups: [GroupPattern] = []
    /// Names of destinations; none: nobody is told.
    package var to: [String] = []

    package init() {}

    /// Whether it takes alerts of a monitor.
    ///
    /// A monitor that was made of another one (`drift.training`) goes by that one's name, too.
    package func takes(monitor: String, severity: String) -> Bool {
        guard severities.isEmpty || severities.contains(where: { $0.rawValue == severity }) else {
            return false
        }
        let whole = String(monitor.prefix { $0 != "." })
        return monitors.isEmpty
            || monitors.contains {
                matchesPattern(monitor, $0) || matchesPattern(whole, $0)
            }
    }

    /// Whether it takes alerts of a group: of its dimensions, by name.
    package func takes(group: (String) -> String?) -> Bool {
        groups.allSatisfy { one in
            group(one.dimension).map { matchesPattern($0, one.pattern) } ?? false
        }
    }
}

/// Words that a text of alerts may have in braces, and that are filled in.
package enum AlertWords {
    /// In the order in which people are told of them.
    package static let all = [
        "column", "group", "value", "effect", "threshold", "baseline", "usual", "now", "changes",
        "monitor", "severity",
    ]

    /// The words between braces in a template, in their order.
    package static func used(in template: String) -> [String] {
        var found: [String] = []
        var rest = template[...]
        while let open = rest.firstIndex(of: "{") {
            rest = rest[rest.index(after: open)...]
            guard let close = rest.firstIndex(of: "}") else { break }
            found.append(String(rest[..<close]))
            rest = rest[rest.index(after: close)...]
        }
        return found
    }
}
