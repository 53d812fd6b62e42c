import CYAML
import TidemarkText

/// What one file may hold.
package enum YAMLLimit {
    /// 1 MiB.
    package static let byteCountMax = 1 << 20
    /// Lists and maps within each other.
    package static let depthMax = 32
    /// Values of the whole file, lists and maps among them.
    package static let nodeCountMax = 100_000
}

/// Reads YAML text into a tree with the place of every node, or says what stands in the way.
///
/// - Memory: bounded by `YAMLLimit`, checked while scanning.
package func readYAML(_ bytes: [UInt8], file: String) -> (root: Node?, diagnostics: [Diagnostic]) {
    var bytes = bytes
    if bytes.starts(with: [0xef, 0xbb, 0xbf]) { bytes.removeFirst(3) }
    if let problem = checkText(bytes, file: file) { return (nil, [problem]) }
    let reader = YAMLReader(bytes, file: file)
    defer { reader.close() }
    let root = reader.readDocument()
    return (root, reader.diagnostics)
}

/// Size, encoding and control characters.
private func checkText(_ bytes: [UInt8], file: String) -> Diagnostic? {
    let start = Place(file: file, line: 1, column: 1)
    guard bytes.count <= YAMLLimit.byteCountMax else {
        return Diagnostic(
            "file-too-long", at: start, "the file has \(bytes.count) bytes",
            expected: "at most 1 MiB", suggestion: "one topology for each stream")
    }
    var line = 1
    var column = 1
    var index = 0
    while index < bytes.count {
        let place = Place(file: file, line: line, column: column)
        let byte = bytes[index]
        guard let length = lengthOfScalar(bytes, at: index) else {
            return Diagnostic(
                "not-utf8", at: place, "this byte (\(hex(byte))) is not UTF-8",
                expected: "UTF-8", suggestion: "save the file as UTF-8")
        }
        let isControl =
            (byte < 0x20 && byte != 0x09 && byte != 0x0a && byte != 0x0d) || byte == 0x7f
            || (length == 2 && byte == 0xc2 && bytes[index + 1] < 0xa0 && bytes[index + 1] != 0x85)
            || (length == 3 && byte == 0xef && bytes[index + 1] == 0xbf && bytes[index + 2] >= 0xbe)
            || (length == 3 && byte == 0xef && bytes[index + 1] == 0xbb && bytes[index + 2] == 0xbf)
        if isControl {
            return Diagnostic(
                "control-character", at: place,
                "a control character (\(hex(length == 1 ? byte : bytes[index + length - 1])))",
                expected: "text", suggestion: "delete it")
        }
        index += length
        // YAML breaks lines at these.
        let isBreak =
            byte == 0x0a || (byte == 0x0d && !(index < bytes.count && bytes[index] == 0x0a))
        if isBreak {
            line += 1
            column = 1
        } else {
            column += 1
        }
    }
    return nil
}

private func hex(_ byte: UInt8) -> String {
    "0x" + (byte < 16 ? "0" : "") + String(byte, radix: 16)
}

/// How many bytes the UTF-8 scalar at `index` has; `nil`: it is none.
private func lengthOfScalar(_ bytes: [UInt8], at index: Int) -> Int? {
    let first = bytes[index]
    func continues(_ offset: Int, _ range: ClosedRange<UInt8> = 0x80...0xbf) -> Bool {
        index + offset < bytes.count && range.contains(bytes[index + offset])
    }
    switch first {
    case 0..<0x80: return 1
    case 0xc2...0xdf: return continues(1) ? 2 : nil
    case 0xe0: return continues(1, 0xa0...0xbf) && continues(2) ? 3 : nil
    case 0xed: return continues(1, 0x80...0x9f) && continues(2) ? 3 : nil
    case 0xe1...0xef: return continues(1) && continues(2) ? 3 : nil
    case 0xf0: return continues(1, 0x90...0xbf) && continues(2) && continues(3) ? 4 : nil
    case 0xf1...0xf3: return continues(1) && continues(2) && continues(3) ? 4 : nil
    case 0xf4: return continues(1, 0x80...0x8f) && continues(2) && continues(3) ? 4 : nil
    default: return nil
    }
}

/// One pass over libyaml's events.
@safe
private final class YAMLReader {
    private enum Event {
        case stream, document, end
        case alias(String)
        case scalar(String, Node.Style)
        case list(flow: Bool)
        case listEnd
        case map(flow: Bool)
        case mapEnd
    }

    private struct Item {
        var event: Event
        var place: Place
        var hasAnchor = false
        var hasTag = false
    }

    private let file: String
    private let bytes: [UInt8]
    private let parser: UnsafeMutablePointer<yaml_parser_t>
    private let input: UnsafeMutablePointer<UInt8>
    private var nodeCount = 0
    private(set) var diagnostics: [Diagnostic] = []
    /// Reading went as far as it goes.
    private var isOver = false

    init(_ bytes: [UInt8], file: String) {
        self.file = file
        self.bytes = bytes
        unsafe input = UnsafeMutablePointer<UInt8>.allocate(capacity: max(1, bytes.count))
        unsafe input.initialize(repeating: 0, count: max(1, bytes.count))
        for (index, byte) in bytes.enumerated() { unsafe input[index] = byte }
        unsafe parser = UnsafeMutablePointer<yaml_parser_t>.allocate(capacity: 1)
        unsafe parser.initialize(to: yaml_parser_t())
        // It fails only where there is no memory left.
        isOver = unsafe yaml_parser_initialize(parser) == 0
        if !isOver {
            unsafe yaml_parser_set_input_string(parser, input, bytes.count)
            unsafe yaml_parser_set_encoding(parser, YAML_UTF8_ENCODING)
        }
    }

    /// Gives back what libyaml holds.
    func close() {
        unsafe yaml_parser_delete(parser)
        unsafe parser.deallocate()
        unsafe input.deallocate()
    }

    func readDocument() -> Node? {
        var root: Node?
        while let item = next() {
            switch item.event {
            case .stream: continue
            case .end:
                if root == nil, diagnostics.isEmpty { sayEmpty() }
                return root
            case .document:
                if root != nil {
                    say(
                        "yaml-documents", at: item.place, "a second document begins here",
                        expected: "one document in each file", suggestion: "another file")
                    return root
                }
                guard let first = next() else { return nil }
                root = node(first, depth: 1)
                guard root != nil else { return nil }
                if let root, root.isEmpty {
                    sayEmpty()
                    return nil
                }
            default: continue
            }
        }
        return nil
    }

    private func sayEmpty() {
        say(
            "file-empty", at: Place(file: file, line: 1, column: 1), "the file is empty",
            expected: "a topology", suggestion: "`tidemark init --from records.ndjson` writes one")
    }

    private func say(
        _ rule: String, at place: Place, _ message: String, expected: String, suggestion: String
    ) {
        diagnostics.append(
            Diagnostic(rule, at: place, message, expected: expected, suggestion: suggestion))
    }

    // MARK: Nodes

    private func node(_ item: Item, depth: Int, flowDepth: Int = 0) -> Node? {
        nodeCount += 1
        guard nodeCount <= YAMLLimit.nodeCountMax else {
            say(
                "yaml-nodes", at: item.place, "more than 100,000 values", expected: "fewer",
                suggestion: "a range such as `f0..f999: number`")
            isOver = true
            return nil
        }
        if item.hasAnchor {
            say(
                "yaml-anchor", at: item.place, "anchors and aliases are not read",
                expected: "plain YAML", suggestion: "`alerts` for common keys")
        } else if item.hasTag {
            say(
                "yaml-tag", at: item.place, "tags are not read", expected: "plain YAML",
                suggestion: "delete what begins with `!`, or put the value into quotes")
        }
        switch item.event {
        case .scalar(let text, let style):
            return Node(kind: .scalar(text: text, style: style), place: item.place)
        case .alias(let name):
            sayAlias(name, at: item.place)
            return Node(kind: .scalar(text: "*" + name, style: .quoted), place: item.place)
        case .list(let flow):
            guard enter(item, depth) else { return nil }
            var items: [Node] = []
            while let inner = next() {
                if case .listEnd = inner.event {
                    return Node(kind: .list(items), place: item.place)
                }
                guard let value = node(inner, depth: depth + 1, flowDepth: flow ? 1 : 0) else {
                    return nil
                }
                if flow, let text = value.text, isOpen(text, value) {
                    sayComma(text, "[ ]", at: value.place)
                }
                items.append(value)
            }
            return nil
        case .map(let flow):
            guard enter(item, depth) else { return nil }
            return map(item, flow: flow, depth: depth)
        case .stream, .document, .end, .listEnd, .mapEnd: return nil
        }
    }

    private func enter(_ item: Item, _ depth: Int) -> Bool {
        guard depth > YAMLLimit.depthMax else { return true }
        say(
            "yaml-depth", at: item.place, "nested more than 32 deep", expected: "at most 32",
            suggestion: "no part of a topology needs more than 8")
        isOver = true
        return false
    }

    private func map(_ start: Item, flow: Bool, depth: Int) -> Node? {
        var entries: [Node.Entry] = []
        var places: [String: Place] = [:]
        // A comma has cut a value: what follows is its rest.
        var isCut = false
        while let item = next() {
            if case .mapEnd = item.event {
                return Node(kind: .map(entries), place: start.place)
            }
            guard case .scalar(let key, let style) = item.event, !item.hasAnchor, !item.hasTag
            else {
                sayKey(item)
                isOver = true
                return nil
            }
            guard let valueItem = next(),
                let value = node(valueItem, depth: depth + 1, flowDepth: flow ? 1 : 0)
            else { return nil }
            if isCut, value.isEmpty { continue }
            if key == "<<", style == .plain {
                say(
                    "yaml-merge", at: item.place, "merge keys are not read",
                    expected: "plain YAML", suggestion: "`alerts` for common keys")
                continue
            }
            if flow, let text = value.text, isOpen(text, value) {
                sayComma(text, "{ }", at: value.place)
                isCut = true
            }
            if key.isEmpty, style == .plain {
                say(
                    "yaml-key", at: item.place, "a value without a key", expected: "`key: value`",
                    suggestion: "write the key")
                continue
            }
            if let first = places[key] {
                let inside = entries.first { $0.key == key }?.value.entries != nil
                say(
                    "duplicate-key", at: item.place,
                    "\(shown(key)) is already there, at \(first.line):\(first.column)",
                    expected: "once",
                    suggestion: inside ? "move these entries there" : "delete one of them")
                continue
            }
            places[key] = item.place
            entries.append(Node.Entry(key: key, keyPlace: item.place, value: value))
        }
        return nil
    }

    private func sayKey(_ item: Item) {
        switch item.event {
        case .alias(let name): sayAlias(name, at: item.place)
        case .scalar:
            say(
                item.hasAnchor ? "yaml-anchor" : "yaml-tag", at: item.place,
                item.hasAnchor ? "anchors and aliases are not read" : "tags are not read",
                expected: "plain YAML", suggestion: "a plain key")
        default:
            say(
                "yaml-key", at: item.place, "a key that is not text", expected: "`key: value`",
                suggestion: "quotes, if brackets belong to the text")
        }
    }

    private func sayAlias(_ name: String, at place: Place) {
        say(
            "yaml-alias", at: place, "a leading `*` makes this a YAML alias", expected: "quotes",
            suggestion: "`\"*\(name)\"`")
    }

    /// A plain text that opens a parenthesis and does not close it.
    private func isOpen(_ text: String, _ value: Node) -> Bool {
        guard case .scalar(_, .plain) = value.kind else { return false }
        var depth = 0
        for byte in text.utf8 {
            if byte == 0x28 { depth += 1 }
            if byte == 0x29 { depth -= 1 }
        }
        return depth > 0
    }

    private func sayComma(_ text: String, _ brackets: String, at place: Place) {
        // The whole of it, from the source: up to where the parentheses close and a comma or
        // bracket follows.
        var whole = ""
        if let offset = offset(of: place) {
            var depth = 0
            var end = offset
            scan: while end < bytes.count, bytes[end] != 0x0a, end - offset < 200 {
                switch bytes[end] {
                case 0x28: depth += 1
                case 0x29: depth -= 1
                case 0x2c where depth <= 0, 0x7d, 0x5d: break scan
                default: break
                }
                end += 1
            }
            whole = String(decoding: bytes[offset..<end], as: UTF8.self)
            while whole.last == " " { whole.removeLast() }
        }
        say(
            "yaml-comma", at: place, "inside \(brackets) a comma ends the value \(shown(text))",
            expected: "quotes", suggestion: whole.isEmpty ? "quotes around it" : "`\"\(whole)\"`")
    }

    private func offset(of place: Place) -> Int? {
        var line = 1
        var index = 0
        while line < place.line, index < bytes.count {
            if bytes[index] == 0x0a { line += 1 }
            index += 1
        }
        var column = 1
        while column < place.column, index < bytes.count {
            index += lengthOfScalar(bytes, at: index) ?? 1
            column += 1
        }
        return index < bytes.count ? index : nil
    }

    // MARK: Events

    private func place(_ mark: yaml_mark_t) -> Place {
        Place(file: file, line: Int(mark.line) + 1, column: Int(mark.column) + 1)
    }

    private func next() -> Item? {
        guard !isOver else { return nil }
        var event = unsafe yaml_event_t()
        guard unsafe yaml_parser_parse(parser, &event) != 0 else {
            isOver = true
            sayProblem()
            return nil
        }
        defer { unsafe yaml_event_delete(&event) }
        return unsafe item(event)
    }

    private func item(_ event: yaml_event_t) -> Item? {
        let place = unsafe place(event.start_mark)
        switch unsafe event.type {
        case YAML_STREAM_START_EVENT: return Item(event: .stream, place: place)
        case YAML_DOCUMENT_START_EVENT:
            unsafe checkDirectives(event, at: place)
            return Item(event: .document, place: place)
        case YAML_DOCUMENT_END_EVENT: return next()
        case YAML_STREAM_END_EVENT:
            isOver = true
            return Item(event: .end, place: place)
        case YAML_ALIAS_EVENT:
            return unsafe Item(
                event: .alias(event.data.alias.anchor.map { unsafe String(cString: $0) } ?? ""),
                place: place)
        case YAML_SCALAR_EVENT: return unsafe scalar(event, at: place)
        case YAML_SEQUENCE_START_EVENT:
            let start = unsafe event.data.sequence_start
            return unsafe Item(
                event: .list(flow: start.style == YAML_FLOW_SEQUENCE_STYLE), place: place,
                hasAnchor: start.anchor != nil, hasTag: start.tag != nil)
        case YAML_SEQUENCE_END_EVENT: return Item(event: .listEnd, place: place)
        case YAML_MAPPING_START_EVENT:
            let start = unsafe event.data.mapping_start
            return unsafe Item(
                event: .map(flow: start.style == YAML_FLOW_MAPPING_STYLE), place: place,
                hasAnchor: start.anchor != nil, hasTag: start.tag != nil)
        case YAML_MAPPING_END_EVENT: return Item(event: .mapEnd, place: place)
        default:
            isOver = true
            return nil
        }
    }

    private func checkDirectives(_ event: yaml_event_t, at place: Place) {
        let start = unsafe event.data.document_start
        guard
            unsafe start.version_directive != nil
                || start.tag_directives.start != start.tag_directives.end
        else { return }
        say(
            "yaml-directive", at: place, "directives are not read", expected: "plain YAML",
            suggestion: "delete the line that begins with `%`")
    }

    private func scalar(_ event: yaml_event_t, at place: Place) -> Item {
        let scalar = unsafe event.data.scalar
        let text = unsafe String(
            decoding: UnsafeBufferPointer(start: scalar.value, count: scalar.length),
            as: UTF8.self)
        let style: Node.Style =
            switch unsafe scalar.style {
            case YAML_PLAIN_SCALAR_STYLE: .plain
            case YAML_LITERAL_SCALAR_STYLE, YAML_FOLDED_SCALAR_STYLE: .block
            default: .quoted
            }
        return unsafe Item(
            event: .scalar(text, style), place: place, hasAnchor: scalar.anchor != nil,
            hasTag: scalar.tag != nil)
    }

    // MARK: What libyaml could not read

    /// Says in our words what libyaml says in its own.
    private func sayProblem() {
        let problem = unsafe parser.pointee.problem.map { unsafe String(cString: $0) } ?? ""
        let context = unsafe parser.pointee.context.map { unsafe String(cString: $0) } ?? ""
        var place = unsafe place(parser.pointee.problem_mark)
        if unsafe parser.pointee.error == YAML_READER_ERROR {
            place = unsafe self.place(ofByte: Int(parser.pointee.problem_offset))
            say(
                "control-character", at: place, "a character that may not stand in YAML",
                expected: "text", suggestion: "delete it")
            return
        }
        if unsafe parser.pointee.error == YAML_MEMORY_ERROR {
            say(
                "out-of-memory", at: Place(file: file, line: 1, column: 1),
                "no memory is left to read this", expected: "memory", suggestion: "a greater limit")
            return
        }
        diagnostics.append(
            YAMLProblem(
                problem: problem, context: context, place: place,
                contextPlace: unsafe self.place(parser.pointee.context_mark), bytes: bytes,
                offset: offset(of: place)
            ).diagnostic)
    }

    private func place(ofByte offset: Int) -> Place {
        var place = Place(file: file, line: 1, column: 1)
        var index = 0
        while index < min(offset, bytes.count) {
            if bytes[index] == 0x0a {
                place.line += 1
                place.column = 1
            } else {
                place.column += 1
            }
            index += lengthOfScalar(bytes, at: index) ?? 1
        }
        return place
    }
}
