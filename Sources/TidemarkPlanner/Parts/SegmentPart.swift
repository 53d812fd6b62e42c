import TidemarkDataflow
import TidemarkExpressions
import TidemarkLanguage
import TidemarkText
import TidemarkTopology

/// The segments of a stream, and what the topology says of each.
struct Segments {
    var plans: [SegmentPlan] = []
    /// Segments that say how many groups they keep, and where.
    var writtenLimits: [String: Place] = [:]
    /// Segments that say which columns they watch.
    var narrowed: Set<String> = []
    /// Columns that their conditions use.
    var used: Set<Int> = []
    /// Columns that are computed for their groups; they stand behind the others.
    var computed: [ColumnPlan] = []
    /// Columns of monitors' own that some of them watch.
    var own: [(segment: Int, column: Int)] = []

    /// Gives every segment its columns: those it names, else all that are watched.
    mutating func watch(_ columns: [Int]) {
        for index in plans.indices where !narrowed.contains(plans[index].name) {
            plans[index].columns = columns
        }
        for (segment, column) in own { plans[segment].columns.append(column) }
    }

    /// Gives every segment one more column.
    mutating func watch(everywhere column: Int) {
        for index in plans.indices { plans[index].columns.append(column) }
    }
}

/// Rows in groups.
enum SegmentPart {
    private static let usual = SegmentPlan(name: "", dimensions: [], windows: [], columns: [])
    private static let countMax = 32
    static let by = KeySpec(
        "by", .any("a list of columns, or a map dimension → expression"), "what makes a group")
    static let condition = KeySpec("where", .condition, says: "all", "rows of the segment")
    static let limit = Setting(
        "limit", \SegmentPlan.groupCountMax, .count(1...1_000_000), usual: usual, json: "limit",
        "groups kept; the rest is `other`")
    static let windows = KeySpec(
        "windows", .list("a list of window lengths"), says: "all",
        "only these (default: all of the stream)")
    static let columns = KeySpec(
        "columns", .selector, says: "all", "only these (default: all of the stream)")
    static let keep = KeySpec(
        "keep", .list("a list of maps column → value"), says: "[]", "groups kept first")
    static let part = PartSpec(
        "segment", path: "segments.*", "rows in groups",
        [by, condition, limit, windows, columns, keep],
        example: "segments: { by-country: { by: [model, country], limit: 200 } }")

    /// The segments: those that exist without being mentioned, and those of the topology.
    static func read(_ top: Fields, _ columns: [ColumnPlan], _ windows: [WindowPlan]) -> Segments {
        var segments = Segments()
        segments.plans = unmentioned(columns, windows)
        guard let node = top[TopologyPart.segments] else { return segments }
        let reader = Reader(columns: columns, windows: windows, reading: top.reading)
        for entry in top.reading.named(
            node, what: "segments", item: "a segment", countMax: countMax)
        {
            reader.read(entry, into: &segments)
        }
        if segments.plans.count > countMax {
            top.reading.say(
                "too-many", at: node.place, "\(segments.plans.count) segments",
                expected: "at most \(countMax)")
        }
        if segments.plans.isEmpty {
            top.reading.say(
                "nothing-watched", at: node.place, "no segment is left", expected: "at least one",
                suggestion: "`whole: { by: [] }`")
        }
        return segments
    }

    /// By model, and by each segment column.
    private static func unmentioned(
        _ columns: [ColumnPlan], _ windows: [WindowPlan]
    ) -> [SegmentPlan] {
        let byModel = columns.indices.filter {
            columns[$0].role == .model || columns[$0].role == .environment
        }
        func segment(_ name: String, _ indices: [Int]) -> SegmentPlan {
            SegmentPlan(
                name: name,
                dimensions: indices.map { (columns[$0].name, $0) }.sorted { $0.0 < $1.0 },
                windows: Array(windows.indices), columns: [])
        }
        var segments = [segment(byModel.isEmpty ? "whole" : "by-model", byModel)]
        for index in columns.indices where columns[index].role == .segment {
            let name = "by-" + columns[index].name.lowercased()
            guard !segments.contains(where: { $0.name == name }) else { continue }
            segments.append(segment(name, [index]))
        }
        return segments
    }

    /// Reads segments of a topology.
    private struct Reader {
        let columns: [ColumnPlan]
        let windows: [WindowPlan]
        let reading: Reading

        /// Adds, changes or takes away one segment.
        func read(_ entry: Node.Entry, into segments: inout Segments) {
            let at = segments.plans.firstIndex { $0.name == entry.key }
            if entry.value.isOff {
                if let at {
                    segments.plans.remove(at: at)
                } else {
                    let names = segments.plans.map(\.name)
                    reading.say(
                        "unknown-segment", at: entry.keyPlace,
                        "there is no segment \(shown(entry.key)) to switch off",
                        expected: alternatives(names),
                        suggestion: nearest(entry.key, names).map { "`\($0)`" })
                }
                return
            }
            guard reading.isName(entry.key, at: entry.keyPlace),
                let f = reading.fields(entry.value, part, what: "a segment")
            else { return }
            var segment =
                at.map { segments.plans[$0] }
                ?? SegmentPlan(
                    name: entry.key, dimensions: [], windows: Array(windows.indices), columns: [])
            readRows(f, entry, isNew: at == nil, into: &segment, &segments)
            readReach(f, into: &segment, &segments)
            if let at { segments.plans[at] = segment } else { segments.plans.append(segment) }
        }

        /// What makes its groups, and of which rows.
        private func readRows(
            _ f: Fields, _ entry: Node.Entry, isNew: Bool, into segment: inout SegmentPlan,
            _ segments: inout Segments
        ) {
            if let by = f[by] {
                segment.dimensions =
                    by.entries.map { computed($0, of: entry.key, &segments) } ?? dimensions(by)
            } else if isNew {
                reading.say(
                    "missing-key", at: entry.value.place,
                    "segment \(shown(entry.key)) does not say what makes a group",
                    expected: "`by: [ … ]`", suggestion: "`by: []` for one group of all rows")
            }
            if let condition = f[condition], !columns.isEmpty,
                let read = ExpressionReader.condition(
                    condition, for: "`where`", columns: columns, reading: reading)
            {
                segment.condition = read
                segments.used.formUnion(read.columns)
            }
            if limit.read(f, &segment) { segments.writtenLimits[entry.key] = f[limit]?.place }
        }

        /// Its windows and columns, and the groups that it keeps.
        private func readReach(
            _ f: Fields, into segment: inout SegmentPlan, _ segments: inout Segments
        ) {
            if let list = f[SegmentPart.windows] {
                segment.windows =
                    WindowPart.named(list, in: windows, reading) ?? Array(windows.indices)
            }
            if let selector = f[SegmentPart.columns],
                let picked = Selector.read(selector, columns: columns, reading: reading)
            {
                segment.columns = picked.picked
                segments.narrowed.insert(segment.name)
            }
            guard let keep = f[keep] else { return }
            segment.keep = groups(keep, segment)
            if segment.keep.count > segment.groupCountMax {
                reading.say(
                    "out-of-limits", at: keep.place,
                    "\(segment.keep.count) groups to keep, but a limit of \(segment.groupCountMax)",
                    expected: "at most the limit", suggestion: "a greater `limit`")
            }
        }

        private func dimensions(_ node: Node) -> [(name: String, column: Int)] {
            var found: [(name: String, column: Int)] = []
            for item in reading.list(
                node, what: "a list of at most 6 columns", orOne: true, countMax: 6)
            {
                guard let name = reading.text(item, expected: "a column"),
                    let index = dimension(name, at: item.place)
                else { continue }
                if found.contains(where: { $0.column == index }) {
                    reading.say(
                        "listed-twice", at: item.place, "\(shown(name)) is already in the list",
                        expected: "once", suggestion: "delete it")
                    continue
                }
                found.append((name, index))
            }
            return found.sorted { $0.name < $1.name }
        }

        /// Dimensions by expressions; one that is no column by itself becomes a column without a name.
        private func computed(
            _ entries: [Node.Entry], of segment: String, _ segments: inout Segments
        ) -> [(name: String, column: Int)] {
            var found: [(name: String, column: Int)] = []
            if entries.count > 6 {
                reading.say(
                    "too-many", at: entries[6].keyPlace, "\(entries.count) dimensions",
                    expected: "at most 6")
            }
            for entry in entries {
                guard Scalars.isColumnName(entry.key) else {
                    reading.say(
                        "bad-name", at: entry.keyPlace,
                        "\(shown(entry.key)) can't name a dimension",
                        expected: "a letter, then letters, digits or _", suggestion: nil)
                    continue
                }
                guard
                    let typed = ExpressionReader.value(
                        entry.value, for: "a dimension", columns: columns, reading: reading)
                else { continue }
                if case .column(let place) = typed.expression, typed.type != .number,
                    let place = dimension(columns[place].name, at: entry.value.place)
                {
                    found.append((entry.key, place))
                    continue
                }
                guard let column = column(entry, typed, of: segment) else { continue }
                segments.computed.append(column)
                found.append((entry.key, columns.count + segments.computed.count - 1))
            }
            return found.sorted { $0.name < $1.name }
        }

        /// The column that is a dimension's value; `nil` after saying why it can't be.
        private func column(
            _ entry: Node.Entry, _ typed: TypedExpression, of segment: String
        ) -> ColumnPlan? {
            let text = entry.value.text ?? ""
            var expression = typed.expression
            var type = DerivePart.type(of: typed)
            if type == .integer {
                expression = .call("text", [expression])
                type = .category
            }
            guard let type, type.isText else {
                reading.say(
                    "not-a-dimension", at: entry.value.place,
                    "\(shown(text)) is \(typed.type?.article ?? "always null"): it can't make groups",
                    expected: "text, a condition or an integer",
                    suggestion: typed.type == .number ? "`bucket(\(text), [10, 100])`" : nil)
                return nil
            }
            var column = ColumnPlan(
                name: "\(segment).\(entry.key)", role: .attribute, type: type, path: [])
            column.isHidden = true
            column.computation = ColumnPlan.Computation(
                source: "segments.\(segment).by.\(entry.key)", expression: expression)
            return column
        }

        /// The column of a name that makes groups; `nil` after reporting that there is none.
        private func dimension(_ name: String, at place: Place) -> Int? {
            guard let index = columns.firstIndex(where: { $0.name == name }) else {
                Selector.sayUnknown(name, at: place, columns, reading)
                return nil
            }
            guard columns[index].type == .category || columns[index].type == .boolean else {
                reading.say(
                    "not-a-dimension", at: place,
                    "\(shown(name)) is \(ColumnPart.article(columns[index].type)): it can't make groups",
                    expected: "a category or boolean column",
                    suggestion: "declare it as `segment`")
                return nil
            }
            return index
        }

        private func groups(_ node: Node, _ segment: SegmentPlan) -> [[String]] {
            let names = segment.dimensions.map(\.name)
            var keep: [[String]] = []
            for item in reading.list(node, what: "a list of maps column → value", countMax: 100_000)
            {
                guard let entries = item.entries else {
                    reading.say(
                        "not-a-map", at: item.place, "found \(reading.describe(item))",
                        expected: "a map column → value", suggestion: nil)
                    continue
                }
                for entry in entries where !names.contains(entry.key) {
                    reading.say(
                        "unknown-column", at: entry.keyPlace,
                        "\(shown(entry.key)) is not a dimension of this segment",
                        expected: alternatives(names), suggestion: nil)
                }
                var values: [String] = []
                for name in names {
                    guard let entry = entries.first(where: { $0.key == name }) else {
                        reading.say(
                            "missing-key", at: item.place, "the group lacks a value for `\(name)`",
                            expected: "a value for each of " + names.joined(separator: ", "),
                            suggestion: nil)
                        continue
                    }
                    if let text = reading.text(entry.value) { values.append(text) }
                }
                if values.count == names.count { keep.append(values) }
            }
            return keep
        }
    }
}
