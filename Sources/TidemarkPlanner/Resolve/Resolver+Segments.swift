import TidemarkDataflow
import TidemarkText
import TidemarkTopology

/// Segments, and what is kept of each column.
extension Resolver {
    func readSegments(_ top: Fields) {
        let byModel = columns.indices.filter {
            columns[$0].role == .model || columns[$0].role == .environment
        }
        func dimensions(_ indices: [Int]) -> [(name: String, column: Int)] {
            indices.map { (columns[$0].name, $0) }.sorted { $0.0 < $1.0 }
        }
        let everyWindow = Array(windows.indices)
        segments = [
            SegmentPlan(
                name: byModel.isEmpty ? "whole" : "by-model", dimensions: dimensions(byModel),
                windows: everyWindow, columns: [])
        ]
        for index in columns.indices where columns[index].role == .segment {
            let name = "by-" + columns[index].name.lowercased()
            guard !segments.contains(where: { $0.name == name }) else { continue }
            segments.append(
                SegmentPlan(
                    name: name, dimensions: dimensions([index]), windows: everyWindow, columns: []))
        }
        guard let node = top["segments"] else { return }
        for entry in reading.named(node, what: "segments", item: "a segment", countMax: 32) {
            let at = segments.firstIndex { $0.name == entry.key }
            if entry.value.isOff {
                if let at {
                    segments.remove(at: at)
                } else {
                    reading.say(
                        "unknown-segment", at: entry.keyPlace,
                        "there is no segment \(shown(entry.key)) to switch off",
                        expected: alternatives(segments.map(\.name)),
                        suggestion: nearest(entry.key, segments.map(\.name)).map { "`\($0)`" })
                }
                continue
            }
            guard Scalars.isName(entry.key) else {
                let problem = Reading.badName(
                    entry.key, "a name (a letter, then letters, digits, _ or -)")
                reading.say(
                    problem.rule, at: entry.keyPlace, problem.message, expected: problem.expected,
                    suggestion: problem.suggestion)
                continue
            }
            guard let f = reading.fields(entry.value, Spec.segment, what: "a segment") else {
                continue
            }
            var segment =
                at.map { segments[$0] }
                ?? SegmentPlan(name: entry.key, dimensions: [], windows: everyWindow, columns: [])
            if let by = f["by"] {
                segment.dimensions = readDimensions(by)
            } else if at == nil {
                reading.say(
                    "missing-key", at: entry.value.place,
                    "segment \(shown(entry.key)) does not say what makes a group",
                    expected: "`by: [ … ]`", suggestion: "`by: []` for one group of all rows")
            }
            if let condition = f["where"], !columns.isEmpty,
                let read = ExpressionReader.condition(
                    condition, what: "`where`", columns: columns, reading: reading)
            {
                segment.condition = read.expression
                used.formUnion(read.columns)
            }
            if let limit = reading.count(f, "limit") {
                segment.groupCountMax = Int(limit)
                writtenLimits[entry.key] = f["limit"]?.place
            }
            if let list = f["windows"] { segment.windows = readWindowNames(list) ?? everyWindow }
            if let selector = f["columns"],
                let picked = Selector.read(selector, columns: columns, reading: reading)
            {
                segment.columns = picked.picked
                narrowed.insert(entry.key)
            }
            if let keep = f["keep"] { segment.keep = readKeep(keep, segment) }
            if segment.keep.count > segment.groupCountMax, let keep = f["keep"] {
                reading.say(
                    "out-of-limits", at: keep.place,
                    "\(segment.keep.count) groups to keep, but a limit of \(segment.groupCountMax)",
                    expected: "at most the limit", suggestion: "a greater `limit`")
            }
            if let at { segments[at] = segment } else { segments.append(segment) }
        }
        if segments.count > 32 {
            reading.say(
                "too-many", at: node.place, "\(segments.count) segments", expected: "at most 32")
        }
        if segments.isEmpty {
            reading.say(
                "nothing-watched", at: node.place, "no segment is left", expected: "at least one",
                suggestion: "`whole: { by: [] }`")
        }
    }

    private func readDimensions(_ node: Node) -> [(name: String, column: Int)] {
        if node.entries != nil {
            reading.say(
                "later", at: node.place, "groups by expression come in a later version",
                expected: "a list of columns", suggestion: nil)
            return []
        }
        var found: [(name: String, column: Int)] = []
        for item in reading.list(
            node, what: "a list of at most 6 columns", orOne: true, countMax: 6)
        {
            guard let name = reading.text(item, expected: "a column") else { continue }
            guard let index = columns.firstIndex(where: { $0.name == name }) else {
                Selector.sayUnknown(name, at: item.place, columns, reading)
                continue
            }
            guard columns[index].type == .category || columns[index].type == .boolean else {
                reading.say(
                    "not-a-dimension", at: item.place,
                    "\(shown(name)) is \(Self.article(columns[index].type)): it can't make groups",
                    expected: "a category or boolean column",
                    suggestion: "declare it as `segment`")
                continue
            }
            if found.contains(where: { $0.column == index }) {
                reading.say(
                    "listed-twice", at: item.place, "\(shown(name)) is in the list already",
                    expected: "once", suggestion: "delete it")
                continue
            }
            found.append((name, index))
        }
        return found.sorted { $0.name < $1.name }
    }

    static func article(_ type: ColumnType) -> String {
        switch type {
        case .number: "a number"
        case .integer: "an integer"
        case .boolean: "a boolean"
        case .category: "a category"
        case .text: "text"
        case .time: "the event time"
        }
    }

    /// Windows of the stream by their lengths.
    func readWindowNames(_ node: Node) -> [Int]? {
        var found: Set<Int> = []
        let lengths = windows.map { durationText($0.lengthMs) }
        for item in reading.list(node, what: "a list of window lengths", orOne: true, countMax: 8) {
            guard let ms = reading.scalar(item, Self.windowSpec, Reading.duration) else {
                return nil
            }
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

    private func readKeep(_ node: Node, _ segment: SegmentPlan) -> [[String]] {
        var keep: [[String]] = []
        for item in reading.list(node, what: "a list of maps column → value", countMax: 100_000) {
            guard let entries = item.entries else {
                reading.say(
                    "not-a-map", at: item.place, "\(reading.describe(item)) stands here",
                    expected: "a map column → value", suggestion: nil)
                continue
            }
            for entry in entries where !segment.dimensions.contains(where: { $0.name == entry.key })
            {
                reading.say(
                    "unknown-column", at: entry.keyPlace,
                    "\(shown(entry.key)) makes no group of this segment",
                    expected: alternatives(segment.dimensions.map(\.name)), suggestion: nil)
            }
            var values: [String] = []
            for dimension in segment.dimensions {
                guard let entry = entries.first(where: { $0.key == dimension.name }) else {
                    reading.say(
                        "missing-key", at: item.place, "the group has no `\(dimension.name)`",
                        expected: "a value for each of "
                            + segment.dimensions.map(\.name).joined(separator: ", "),
                        suggestion: nil)
                    continue
                }
                if let text = reading.text(entry.value) { values.append(text) }
            }
            if values.count == segment.dimensions.count { keep.append(values) }
        }
        return keep
    }

    /// Gives every segment its columns: those it names, else all that are watched.
    func watchNamed() {
        let watched = columns.indices.filter {
            Selector.isWatched(columns[$0].role) || named.contains($0)
        }
        for index in segments.indices where !narrowed.contains(segments[index].name) {
            segments[index].columns = watched
        }
    }

    // MARK: Summaries

    func summaryRules(_ top: Fields) -> [(columns: [Int], fields: Fields)] {
        guard let node = top["summaries"] else { return [] }
        var rules: [(columns: [Int], fields: Fields)] = []
        for item in reading.list(node, what: "a list of rules", countMax: 64) {
            guard let f = reading.fields(item, Spec.summary, what: "a rule of `summaries`"),
                let selector = f["columns"],
                let picked = Selector.read(selector, columns: columns, reading: reading)
            else { continue }
            named.formUnion(picked.named)
            rules.append((picked.picked, f))
        }
        return rules
    }

    func equalEdges(_ from: Double, _ to: Double, _ bins: Int) -> [Double] {
        (0...bins).map { $0 == bins ? to : from + (to - from) * Double($0) / Double(bins) }
    }

    func summarise(_ rules: [(columns: [Int], fields: Fields)]) {
        let watched = Set(segments.flatMap(\.columns))
        for index in watched {
            var summary = ColumnSummary()
            switch columns[index].type {
            case .number, .integer:
                summary.moments = true
                summary.range = true
                summary.quantiles = [0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99]
                let files = baselines.indices.filter { baselines[$0].learning == nil }
                if files.count == 1, let known = summaries[files[0]],
                    known.columns.contains(where: { $0.name == columns[index].name && $0.isNumeric }
                    )
                {
                    summary.histogram = .baseline(files[0])
                } else if let (from, to) = expectedRanges[index] {
                    summary.histogram = .edges(equalEdges(from, to, 20))
                }
            case .category, .boolean:
                summary.distinctLgK = 12
                summary.topCount = 10
            case .text, .time: break
            }
            columns[index].summary = summary
        }
        for rule in rules { apply(rule.fields, to: rule.columns.filter(watched.contains)) }
    }

    private func applyExtras(_ f: Fields, _ numbers: [Int], _ texts: [Int]) {
        if let value = reading.boolean(f, "shape") {
            for index in numbers { columns[index].summary.shape = value }
        }
        if let value = reading.boolean(f, "log_linear") {
            for index in numbers { columns[index].summary.logLinear = value }
        }
        if f.isOff("decay") {
            for index in numbers { columns[index].summary.halfLifeMs = nil }
        } else if let ms = reading.duration(f, "decay") {
            for index in numbers { columns[index].summary.halfLifeMs = ms }
        }
        if f.isOff("counts") {
            for index in texts { columns[index].summary.valueCountMax = nil }
        } else if let count = reading.count(f, "counts") {
            for index in texts { columns[index].summary.valueCountMax = Int(count) }
        }
        if f.isOff("sample") {
            for index in numbers { columns[index].summary.sampleCount = nil }
        } else if let count = reading.count(f, "sample") {
            for index in numbers { columns[index].summary.sampleCount = Int(count) }
            if topicCount > 1, let entry = f.entry("sample") {
                reading.say(
                    "type-of-role", at: entry.keyPlace,
                    "rows are named by partition and offset, and there are \(topicCount) topics",
                    expected: "one topic", suggestion: "delete it")
            }
        }
        applyCorrelation(f, numbers)
    }

    private func applyCorrelation(_ f: Fields, _ numbers: [Int]) {
        let isOff = f.isOff("correlation")
        guard isOff || f["correlation"] != nil else { return }
        if isOff || reading.boolean(f, "correlation") == false {
            correlations = correlations.compactMap { list in
                let rest = list.filter { !numbers.contains($0) }
                return rest.count > 1 ? rest : nil
            }
        } else if 2...64 ~= numbers.count {
            correlations.append(numbers.sorted())
        } else if let entry = f.entry("correlation") {
            reading.say(
                "out-of-range", at: entry.keyPlace,
                "`correlation` of \(numbers.count) number\(numbers.count == 1 ? "" : "s")",
                expected: "2 to 64 columns that are numbers",
                suggestion: "`columns: [age, score]`")
        }
    }

    private func apply(_ f: Fields, to indices: [Int]) {
        let numbers = indices.filter { columns[$0].type.isNumeric }
        let texts = indices.filter {
            columns[$0].type == .category || columns[$0].type == .boolean
        }
        func needs(_ found: [Int], _ key: String, _ what: String) {
            guard found.isEmpty, let entry = f.entry(key), !indices.isEmpty, !entry.value.isOff
            else {
                return
            }
            reading.say(
                "type-of-role", at: entry.keyPlace, "`\(key)` is for \(what); this rule has none",
                expected: "columns that are \(what)", suggestion: "delete it")
        }
        needs(numbers, "histogram", "numbers")
        needs(numbers, "quantiles", "numbers")
        needs(texts, "distinct", "categories")
        needs(texts, "top", "categories")
        needs(texts, "counts", "categories")
        for key in ["shape", "log_linear", "decay", "sample", "correlation"] {
            needs(numbers, key, "numbers")
        }
        applyExtras(f, numbers, texts)
        if let value = reading.boolean(f, "moments") {
            for index in numbers { columns[index].summary.moments = value }
        }
        if let value = reading.boolean(f, "range") {
            for index in numbers { columns[index].summary.range = value }
        }
        if f.isOff("top") {
            for index in texts { columns[index].summary.topCount = nil }
        } else if let count = reading.count(f, "top") {
            for index in texts { columns[index].summary.topCount = Int(count) }
        }
        if let node = f["distinct"] {
            if node.isOff {
                for index in texts { columns[index].summary.distinctLgK = nil }
            } else if let d = reading.fields(
                node, Spec.distinct, what: "`distinct`",
                shape: "{ sketch, lg_k, registers }, or off")
            {
                _ = reading.choice(d, "sketch")
                let lgK = reading.count(d, "lg_k")
                let bits = reading.choice(d, "registers").flatMap { Int($0) }
                for index in texts {
                    if let bits { columns[index].summary.registerBits = bits }
                    columns[index].summary.distinctLgK =
                        lgK.map(Int.init) ?? columns[index].summary.distinctLgK ?? 12
                }
            }
        }
        if let node = f["quantiles"] { applyQuantiles(node, to: numbers) }
        if let node = f["histogram"] { applyHistogram(node, to: numbers) }
    }

    private func applyQuantiles(_ node: Node, to numbers: [Int]) {
        if node.isOff {
            for index in numbers { columns[index].summary.quantiles = [] }
            return
        }
        guard
            let q = reading.fields(
                node, Spec.quantiles, what: "`quantiles`",
                shape: "{ at, sketch, k, relative_error, mapping }, or off")
        else { return }
        let sketch = reading.choice(q, "sketch").flatMap { QuantileSketch(rawValue: $0) }
        let error = reading.share(q, "relative_error")
        if let entry = q.entry("relative_error"), sketch != .ddsketch {
            reading.say(
                "type-of-role", at: entry.keyPlace, "`relative_error` is for ddsketch",
                expected: "`sketch: ddsketch` beside it", suggestion: "delete it, or say `k`")
        } else if let error, error < 0.0001, let entry = q.entry("relative_error") {
            reading.say(
                "out-of-range", at: entry.value.place, "below 0.01% a ddsketch has no use",
                expected: "0.01% to 50%", suggestion: "`1%`")
        }
        let mapping = reading.choice(q, "mapping")
        if let entry = q.entry("mapping"), sketch != .ddsketch {
            reading.say(
                "type-of-role", at: entry.keyPlace, "`mapping` is for ddsketch",
                expected: "`sketch: ddsketch` beside it", suggestion: "delete it")
        }
        var at: [Double]?
        if let list = q["at"] {
            var ranks: Set<Double> = []
            let spec = FieldSpec("at", .share(max: 1), "ranks")
            for item in reading.list(list, what: "a list of shares", orOne: true, countMax: 100) {
                if let rank = reading.scalar(item, spec, { text, _ in Scalars.share(text, max: 1) })
                {
                    ranks.insert(rank)
                }
            }
            if list.items?.isEmpty ?? false {
                reading.say(
                    "empty-list", at: list.place, "no quantile is named", expected: "at least one",
                    suggestion: "`quantiles: off`")
            }
            at = ranks.sorted()
        }
        let k = reading.count(q, "k")
        for index in numbers {
            if let at {
                columns[index].summary.quantiles = at
            } else if columns[index].summary.quantiles.isEmpty {
                columns[index].summary.quantiles = [0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99]
            }
            if let k { columns[index].summary.kllK = Int(k) }
            if let sketch {
                columns[index].summary.quantileSketch = sketch
                columns[index].summary.hasLogarithmicBins = mapping == "log"
            }
            if let error, error >= 0.0001 { columns[index].summary.relativeError = error }
        }
    }

    private func applyHistogram(_ node: Node, to numbers: [Int]) {
        if node.isOff {
            for index in numbers { columns[index].summary.histogram = nil }
            return
        }
        guard
            let h = reading.fields(
                node, Spec.histogram, what: "`histogram`", shape: "{ edges, bins }, or off")
        else { return }
        let bins = reading.count(h, "bins").map(Int.init)
        guard let edges = h["edges"] else {
            for index in numbers {
                if let bins, case .baseline(let baseline) = columns[index].summary.histogram {
                    checkBins(bins, index, baseline, at: h["bins"]?.place ?? node.place)
                } else if let (from, to) = expectedRanges[index] {
                    columns[index].summary.histogram = .edges(equalEdges(from, to, bins ?? 20))
                } else if columns[index].summary.histogram == nil {
                    reading.say(
                        "edges-missing", at: node.place,
                        "nothing says where the bins of \(shown(columns[index].name)) lie",
                        expected: "`edges`", suggestion: "`edges: { from: 0, to: 1 }`")
                    return
                }
            }
            return
        }
        if edges.items != nil {
            let list = reading.list(edges, what: "a list of numbers", countMax: 257).compactMap(
                number)
            guard list.count == edges.items?.count else { return }
            guard list.count >= 3, zip(list, list.dropFirst()).allSatisfy({ $0 < $1 }) else {
                reading.say(
                    "bad-edges", at: edges.place, "these are not edges of bins",
                    expected: "at least 3 numbers, each greater than the one before",
                    suggestion: nil)
                return
            }
            if let bins, bins != list.count - 1, let place = h["bins"]?.place {
                reading.say(
                    "bins-differ", at: place, "the edges make \(list.count - 1) bins",
                    expected: "\(list.count - 1)", suggestion: "delete `bins`")
            }
            for index in numbers { columns[index].summary.histogram = .edges(list) }
            return
        }
        if let entries = edges.entries {
            for entry in entries where entry.key != "from" && entry.key != "to" {
                reading.say(
                    "unknown-key", at: entry.keyPlace,
                    "\(shown(entry.key)) is not a key of `edges`",
                    expected: "from, to",
                    suggestion: nearest(entry.key, ["from", "to"]).map { "`\($0)`" })
            }
            guard let from = edges["from"], let to = edges["to"] else {
                reading.say(
                    "missing-key", at: edges.place, "`edges` lacks one of its ends",
                    expected: "{ from, to }", suggestion: "`{ from: 0, to: 1 }`")
                return
            }
            guard let low = number(from), let high = number(to) else { return }
            guard low < high, (high - low).isFinite else {
                reading.say(
                    "bad-edges", at: to.place, "`to` is not greater than `from`",
                    expected: "above \(numberText(low))", suggestion: nil)
                return
            }
            for index in numbers {
                columns[index].summary.histogram = .edges(equalEdges(low, high, bins ?? 20))
            }
            return
        }
        guard let name = reading.text(edges, expected: "a baseline, a list or { from, to }") else {
            return
        }
        if name == "universal" {
            reading.say(
                "later", at: edges.place, "universal edges come in a later version",
                expected: "a baseline, a list of numbers, or { from, to }", suggestion: nil)
            return
        }
        guard let baseline = baseline(name, at: edges.place) else { return }
        guard baselines[baseline].learning == nil else {
            reading.say(
                "edges-missing", at: edges.place,
                "\(shown(name)) is learned: it counts in bins, and brings none",
                expected: "a baseline from a file, a list of numbers, or { from, to }",
                suggestion: "`{ from: 0, to: 1 }`")
            return
        }
        for index in numbers {
            guard holds(baseline, index) else {
                reading.say(
                    "edges-missing", at: edges.place,
                    "\(Self.fileName(baselines[baseline].path)) has no \(shown(columns[index].name))",
                    expected: "every column of this rule",
                    suggestion: "build it again, or other edges")
                continue
            }
            if let bins { checkBins(bins, index, baseline, at: h["bins"]?.place ?? edges.place) }
            columns[index].summary.histogram = .baseline(baseline)
        }
    }

    private func checkBins(_ bins: Int, _ column: Int, _ baseline: Int, at place: Place) {
        guard
            let known = summaries[baseline]?.columns.first(where: {
                $0.name == columns[column].name
            }),
            known.cellCount != bins
        else { return }
        reading.say(
            .warning, "bins-differ", at: place,
            "\(Self.fileName(baselines[baseline].path)) has \(known.cellCount) bins for "
                + "\(shown(columns[column].name)), which are used",
            expected: "\(known.cellCount)", suggestion: "delete `bins`")
    }

    static func fileName(_ path: String) -> String {
        path.split(separator: "/").last.map(String.init) ?? path
    }

    /// The baseline of a name; `nil` after saying that there is none.
    func baseline(_ name: String, at place: Place) -> Int? {
        if let index = baselines.firstIndex(where: { $0.name == name }) { return index }
        reading.say(
            "unknown-baseline", at: place, "no baseline \(shown(name))",
            expected: baselines.isEmpty ? "a baseline" : alternatives(baselines.map(\.name)),
            suggestion: (nearest(name, baselines.map(\.name))
                ?? (baselines.count == 1 ? baselines[0].name : nil)).map { "`\($0)`" }
                ?? (baselines.isEmpty ? "declare it in `baselines`" : nil))
        return nil
    }
}
