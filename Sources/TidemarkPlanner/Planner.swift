package import TidemarkDataflow
import TidemarkText
import TidemarkTopology

/// Makes plans of topologies.
///
/// It asks for everything outside of the text: files, environment, baselines.
package struct Planner {
    let catalogue: Catalogue
    let loadBaseline: (String) -> Result<BaselineSummary, BaselineProblem>
    let environment: @Sendable (String) -> String?
    let readFile: @Sendable (String) -> Result<[UInt8], FileProblem>

    /// A planner of the language of this catalogue.
    package init(
        catalogue: Catalogue,
        loadBaseline: @escaping (String) -> Result<BaselineSummary, BaselineProblem>,
        environment: @escaping @Sendable (String) -> String?,
        readFile: @escaping @Sendable (String) -> Result<[UInt8], FileProblem>
    ) {
        self.catalogue = catalogue
        self.loadBaseline = loadBaseline
        self.environment = environment
        self.readFile = readFile
    }

    /// The plan of the topology at `path`, with the file `overlay` and then `overrides`
    /// (`PATH=VALUE`) laid over it.
    ///
    /// `schemaOnly`: leaves out baselines and all that may refer to one: for the command
    ///   that is about to make them.
    package func plan(
        path: String, overrides: [String] = [], overlay: String? = nil, schemaOnly: Bool = false
    ) -> PlanResult {
        let reading = Reading(
            parts: catalogue.parts, environment: environment, readFile: readFile)
        var root = tree(path, overrides: overrides, overlay: overlay, reading)
        if schemaOnly { root = root?.without(["baselines", "summaries", "monitors", "metrics"]) }
        // What is said of a line that is no plain YAML would only be its follow-up.
        let brokenLines = Set(
            reading.diagnostics.map { Place(file: $0.file, line: $0.line, column: 1) })
        let syntaxCount = reading.diagnostics.count
        var result = PlanResult(
            plan: nil, dataHash: "", diagnostics: [], facts: PlanFacts(), catalogue: catalogue)
        if let root {
            let resolver = Resolver(
                root: root, path: TopologyPath(text: path), reading: reading, catalogue: catalogue,
                load: loadBaseline)
            (result.plan, result.facts) = resolver.resolve()
        }
        let said = reading.diagnostics.dropFirst(syntaxCount).filter {
            !brokenLines.contains(Place(file: $0.file, line: $0.line, column: 1))
        }
        reading.diagnostics.replaceSubrange(syntaxCount..., with: said)
        result.diagnostics = Self.inOrder(reading.diagnostics, files: [path, overlay ?? path])
        if reading.hasErrors { result.plan = nil }
        guard let plan = result.plan else { return result }
        let hashes = Canonical.hashes(of: plan, budget: result.facts.budget, catalogue)
        result.plan?.revision = hashes.revision
        result.dataHash = hashes.data
        return result
    }

    /// By file, then by place; not more than a person reads.
    private static func inOrder(_ diagnostics: [Diagnostic], files: [String]) -> [Diagnostic] {
        let countMax = 100
        func rank(_ file: String) -> Int { files.firstIndex(of: file) ?? files.count }
        let sorted = diagnostics.enumerated().sorted { a, b in
            let (x, y) = (a.element, b.element)
            return (rank(x.file), x.line, x.column, a.offset) < (
                rank(y.file), y.line, y.column, b.offset
            )
        }.map(\.element)
        guard sorted.count > countMax else { return sorted }
        let errors = sorted.filter { $0.severity == .error }
        return Array((errors.isEmpty ? sorted : errors).prefix(countMax))
    }

    /// The tree of a file with all that is laid over it; `nil` after reporting that there is none.
    private func tree(
        _ path: String, overrides: [String], overlay: String?, _ reading: Reading
    ) -> Node? {
        var root = document(path, reading)
        if let overlay, let over = document(overlay, reading) {
            if let base = root { root = base.merged(with: over) }
        }
        var line = 1
        for text in overrides {
            let over = Self.override(text, line: line, reading)
            line += 1 + text.utf8.count { $0 == 0x0a }
            guard let over, let base = root else { continue }
            root = base.merged(with: over)
        }
        return root
    }

    private func document(_ path: String, _ reading: Reading) -> Node? {
        switch readFile(path) {
        case .failure(let problem):
            reading.say(
                "file-unreadable", at: Place(file: path, line: 1, column: 1),
                "the file \(problem.message)", expected: "a topology that can be read",
                suggestion: problem.message.contains("directory")
                    ? "the path of a file in it" : "another path")
            return nil
        case .success(let bytes):
            let (root, diagnostics) = readYAML(bytes, file: path)
            reading.diagnostics.append(contentsOf: diagnostics)
            return root
        }
    }

    /// `a.b=VALUE` as a map of maps.
    ///
    /// Its places are those in a text of which each override is a line: `line` is the first of this one.
    private static func override(_ text: String, line: Int, _ reading: Reading) -> Node? {
        func place(_ index: String.Index) -> Place {
            Place(
                file: overridesFile, line: line,
                column: 1 + text[..<index].unicodeScalars.count)
        }
        guard let equals = text.firstIndex(of: "=") else {
            reading.say(
                "bad-override", at: place(text.startIndex), "\(shown(text)) has no `=`",
                expected: "PATH=VALUE", suggestion: "`--set limits.memory=1GiB`")
            return nil
        }
        let path = text[..<equals].split(separator: ".", omittingEmptySubsequences: false)
        guard path.count <= 16, !path.contains(where: \.isEmpty) else {
            reading.say(
                "bad-override", at: place(text.startIndex),
                "\(shown(String(text[..<equals]))) is not a path",
                expected: "keys with dots between them", suggestion: "`--set limits.memory=1GiB`")
            return nil
        }
        let value = String(text[text.index(after: equals)...])
        guard value.unicodeScalars.contains(where: { !$0.properties.isWhitespace }) else {
            reading.say(
                "bad-override", at: place(equals),
                "\(shown(String(text[..<equals]))) has no value after its `=`",
                expected: "PATH=VALUE", suggestion: "a value, or `off` where the key takes it")
            return nil
        }
        let (root, diagnostics) = readYAML(Array(value.utf8), file: overridesFile)
        let columns = text[...equals].unicodeScalars.count
        for var diagnostic in diagnostics {
            if diagnostic.line == 1 { diagnostic.column += columns }
            diagnostic.line += line - 1
            reading.diagnostics.append(diagnostic)
        }
        guard var node = root else { return nil }
        node = node.moved(columns: columns, lines: line - 1)
        for key in path.reversed() {
            let start = place(key.startIndex)
            node = Node(
                kind: .map([Node.Entry(key: String(key), keyPlace: start, value: node)]),
                place: start)
        }
        return node
    }
}

/// The name by which findings call what overrides say: not a file.
package let overridesFile = "--set"

extension Node {
    /// This with the places of its first line moved right by `columns`, then all down by `lines`.
    fileprivate func moved(columns: Int, lines: Int) -> Node {
        func moved(_ place: Place) -> Place {
            Place(
                file: place.file, line: place.line + lines,
                column: place.line == 1 ? place.column + columns : place.column)
        }
        let kind: Kind =
            switch kind {
            case .scalar: self.kind
            case .list(let items): .list(items.map { $0.moved(columns: columns, lines: lines) })
            case .map(let entries):
                .map(
                    entries.map {
                        Entry(
                            key: $0.key, keyPlace: moved($0.keyPlace),
                            value: $0.value.moved(columns: columns, lines: lines))
                    })
            }
        return Node(kind: kind, place: moved(place))
    }
}
