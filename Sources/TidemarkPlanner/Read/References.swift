import TidemarkDataflow
import TidemarkLanguage
import TidemarkText
import TidemarkTopology

/// `${env:NAME}` and `${file:PATH}`.
extension Reading {
    /// The text of a scalar with `${…}` replaced; `nil` after saying why not.
    func text(_ node: Node, expected: String = "text") -> String? {
        guard let raw = node.text else {
            // A list of texts is often one text with commas, as brokers are.
            let texts = (node.items ?? []).compactMap(\.text)
            let isOfTexts = !texts.isEmpty && texts.count == node.items?.count
            say(
                "not-a-text", at: node.place, "found \(describe(node))", expected: expected,
                suggestion: isOfTexts ? "one text: `\(texts.joined(separator: ","))`" : nil)
            return nil
        }
        guard raw.contains("$") else { return raw }
        switch expand(raw) {
        case .success(let text):
            if text != raw { replaced[node.place] = (raw, text) }
            return text
        case .failure(let problem):
            say(
                problem.rule, at: node.place, problem.message, expected: problem.expected,
                suggestion: problem.suggestion)
            return nil
        }
    }

    private func expand(_ raw: String) -> Result<String, ScalarProblem> {
        var out = ""
        var rest = Substring(raw)
        while let dollar = rest.firstIndex(of: "$") {
            out += rest[..<dollar]
            rest = rest[dollar...]
            if rest.hasPrefix("$${") {
                out += "${"
                rest = rest.dropFirst(3)
                continue
            }
            guard rest.hasPrefix("${") else {
                out += "$"
                rest = rest.dropFirst()
                continue
            }
            guard let end = rest.firstIndex(of: "}") else {
                return .failure(
                    ScalarProblem(
                        rule: "bad-reference", message: "a `${` that is never closed",
                        expected: "`${env:NAME}` or `${file:PATH}`",
                        suggestion: "`$${` is a literal `${`"))
            }
            let inner = String(rest[rest.index(rest.startIndex, offsetBy: 2)..<end])
            rest = rest[rest.index(after: end)...]
            switch Self.resolve(inner, environment: environment, readFile: readFile) {
            case .success(let text): out += text
            case .failure(let problem): return .failure(problem)
            }
            guard out.utf8.count <= 1 << 20 else {
                return .failure(
                    ScalarProblem(
                        rule: "bad-reference",
                        message: "more than 1 MiB after replacing references",
                        expected: "less", suggestion: nil))
            }
        }
        return .success(out + rest)
    }

    private static func resolve(
        _ inner: String, environment: (String) -> String?,
        readFile: (String) -> Result<[UInt8], FileProblem>
    ) -> Result<String, ScalarProblem> {
        if inner.hasPrefix("env:") {
            var name = String(inner.dropFirst(4))
            var fallback: String?
            let bytes = Array(name.utf8)
            if let cut = bytes.indices.first(where: {
                bytes[$0] == 0x3a && $0 + 1 < bytes.count && bytes[$0 + 1] == 0x2d
            }) {
                fallback = String(decoding: bytes[(cut + 2)...], as: UTF8.self)
                name = String(decoding: bytes[..<cut], as: UTF8.self)
            }
            if let value = environment(name), !(value.isEmpty && fallback != nil) {
                return .success(value)
            }
            if let fallback { return .success(fallback) }
            return .failure(
                ScalarProblem(
                    rule: "env-unset", message: "\(name) is not set", expected: "a value",
                    suggestion: "set it, or `${env:\(name):-default}`"))
        }
        if inner.hasPrefix("file:") {
            let path = String(inner.dropFirst(5))
            switch readFile(path) {
            case .success(var bytes):
                if bytes.last == 0x0a { bytes.removeLast() }
                if bytes.last == 0x0d { bytes.removeLast() }
                return .success(String(decoding: bytes, as: UTF8.self))
            case .failure(let problem):
                return .failure(
                    ScalarProblem(
                        rule: "file-unreadable", message: "\(path) \(problem.message)",
                        expected: "a file that can be read", suggestion: nil))
            }
        }
        return .failure(
            ScalarProblem(
                rule: "unknown-reference", message: "\(shown("${\(inner)}")) has no meaning here",
                expected: "`${env:NAME}` or `${file:PATH}`",
                suggestion: "`${env:\(inner)}`; parameters come in a later version"))
    }

    /// A secret: exactly one reference.
    func secret(_ node: Node) -> Secret? {
        guard let raw = node.text else {
            _ = text(node, expected: "a reference")
            return nil
        }
        let inner = raw.dropFirst(2).dropLast()
        guard raw.hasPrefix("${env:") || raw.hasPrefix("${file:"), raw.hasSuffix("}"),
            !inner.contains("}"), !inner.contains("{")
        else {
            say(
                "secret-literal", at: node.place, "a secret may not stand in a topology",
                expected: "a reference",
                suggestion: "`${file:/run/secrets/kafka}`; and change this one, it is in a file now"
            )
            return nil
        }
        guard !inner.contains(":-") else {
            say(
                "secret-literal", at: node.place, "a secret may not have a default in a topology",
                expected: "a reference", suggestion: "the reference without `:-…`")
            return nil
        }
        return reference(raw)
    }

    /// What `raw` stands for when it is asked for, never before.
    func reference(_ raw: String) -> Secret {
        let environment = environment
        let readFile = readFile
        return Secret(reference: raw) {
            let reading = Reading(parts: [], environment: environment, readFile: readFile)
            if case .success(let text) = reading.expand(raw) { return text }
            return nil
        }
    }
}
