/// A value of a topology as it was written: text, a list or a map.
///
/// YAML's own types are not read.
package struct Node: Sendable, Equatable {
    /// The text as it was written, or what it is made of.
    package indirect enum Kind: Sendable, Equatable {
        case scalar(text: String, style: Style)
        case list([Node])
        case map([Entry])
    }

    /// How a text was written: a quoted one is a text even if it looks like a number or null.
    package enum Style: Sendable, Equatable {
        case plain, quoted, block
    }

    /// One line of a map; keys are in the order of the file.
    package struct Entry: Sendable, Equatable {
        /// Without quotes.
        package var key: String
        /// Where the key stands.
        package var keyPlace: Place
        /// What stands behind it.
        package var value: Node

        package init(key: String, keyPlace: Place, value: Node) {
            self.key = key
            self.keyPlace = keyPlace
            self.value = value
        }
    }

    /// What it is.
    package var kind: Kind
    /// Where it begins.
    package var place: Place

    package init(kind: Kind, place: Place) {
        self.kind = kind
        self.place = place
    }

    /// A plain text at a place.
    package init(text: String, at place: Place) {
        self.init(kind: .scalar(text: text, style: .plain), place: place)
    }

    /// The text of a scalar.
    package var text: String? {
        if case .scalar(let text, _) = kind { return text }
        return nil
    }

    /// Those of a map; `nil`: it is none.
    package var entries: [Entry]? {
        if case .map(let entries) = kind { return entries }
        return nil
    }

    /// Those of a list; `nil`: it is none.
    package var items: [Node]? {
        if case .list(let items) = kind { return items }
        return nil
    }

    /// Nothing, `null` or `~`, written without quotes.
    package var isEmpty: Bool {
        guard case .scalar(let text, .plain) = kind else { return false }
        return ["", "~", "null", "Null", "NULL"].contains(text)
    }

    /// `off`, or the `false` that other YAML tools make of it.
    package var isOff: Bool { text == "off" || text == "false" }

    /// The value of a key; `nil`: there is none, or this is no map.
    package subscript(key: String) -> Node? { entries?.first { $0.key == key }?.value }

    /// This without some of its keys.
    package func without(_ keys: Set<String>) -> Node {
        guard case .map(let entries) = kind else { return self }
        return Node(kind: .map(entries.filter { !keys.contains($0.key) }), place: place)
    }

    /// This with `other` laid over it: maps key by key, everything else replaced.
    ///
    /// What stays is where it was.
    package func merged(with other: Node) -> Node {
        guard case .map(var entries) = kind, case .map(let overlay) = other.kind else {
            return other
        }
        for entry in overlay {
            if let index = entries.firstIndex(where: { $0.key == entry.key }) {
                let isKept = entries[index].value.entries != nil && entry.value.entries != nil
                entries[index].value = entries[index].value.merged(with: entry.value)
                if !isKept { entries[index].keyPlace = entry.keyPlace }
            } else {
                entries.append(entry)
            }
        }
        return Node(kind: .map(entries), place: place)
    }
}
