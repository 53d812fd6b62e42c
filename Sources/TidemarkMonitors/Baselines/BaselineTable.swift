import Glibc
import TidemarkCodec
package import TidemarkDataflow
package import TidemarkDrift
import TidemarkText

/// The reference that windows are compared with: for each (group, column) how its values fell
/// into fixed bins or categories.
///
/// Immutable; named by the hash of its file.
package struct BaselineTable: Sendable {
    /// One column of one group.
    package struct Entry: Sendable, Equatable {
        /// Into which cells the values were counted.
        package enum Shape: Sendable, Equatable {
            /// Bin i holds `edges[i] <= x < edges[i+1]`. `isOpen`: the outer bins hold the tails,
            /// so that nothing is under or over.
            case numeric(edges: [Double], isOpen: Bool, under: Int64, counts: [Int64], over: Int64)
            /// The largest categories, in descending order of count, and how many rows had others.
            case categorical(categories: [String], counts: [Int64], other: Int64)
        }
        /// Cells with their counts.
        package var shape: Shape
        /// Rows that have a value.
        package var rowCount: Int64
        /// Rows that were null.
        package var nullCount: Int64
        /// Numbers that have a bin of their own: what falls into it is known to be that value.
        package var atoms: [Double]
        /// Rows of another type among those without a value; `nil`: the file does not part them.
        package var wrongTypeCount: Int64?
        /// Rows that are not finite among those without a value; `nil`: the file does not part them.
        package var nonFiniteCount: Int64?
        /// Every value of a category, where there are more than those that are named; `nil`: nobody listed them.
        package var known: KnownTexts?
        /// Values of a category by cells of their hash, where some are not named; `nil`: nobody counted them so.
        package var hashed: [Int64]?

        package init(shape: Shape, rowCount: Int64, nullCount: Int64, atoms: [Double] = []) {
            self.shape = shape
            self.rowCount = rowCount
            self.nullCount = nullCount
            self.atoms = atoms
        }

        /// How many values are usual that the entry does not know: see `UnknownValues`; `nil`: nobody can tell.
        package var unknown: ShareCount? {
            guard case .categorical(_, let counts, let other) = shape else { return nil }
            if let known { return known.unknown }
            return other == 0 ? UnknownValues.expected(counts) : nil
        }

        /// One cell of many values that holds more than this share of all hides what happens in it.
        package static let blindShare = 0.75

        /// The share of values in the fullest cell that may hold many different ones: a bin without an
        /// atom, what is under or over, or the categories that are not named.
        package var hiddenShare: Double {
            guard rowCount > 0 else { return 0 }
            let most: Int64
            switch shape {
            case .numeric(let edges, let isOpen, let under, let counts, let over):
                var open = counts
                for atom in atoms {
                    let place = edges.lastIndex { $0 <= atom } ?? -1
                    if open.indices.contains(place) { open[place] = 0 }
                }
                most = max(open.max() ?? 0, isOpen ? 0 : max(under, over))
            case .categorical(_, _, let other): most = other
            }
            return Double(most) / Double(rowCount)
        }

        /// Whether most of what may change would not be seen in these cells.
        package var isBlind: Bool { hiddenShare > Self.blindShare }

        /// Where open bins are said to begin and end; of others nothing is known beyond their edges.
        package var openRange: ClosedRange<Double>? {
            guard case .numeric(let edges, true, _, _, _) = shape, let lo = edges.first,
                let hi = edges.last
            else { return nil }
            return lo...hi
        }

        /// Counts of all cells in order: under, bins, over (or the bins alone), or the categories
        /// and other.
        package var cells: [Int64] {
            switch shape {
            case .numeric(_, let isOpen, let under, let counts, let over):
                isOpen ? counts : [under] + counts + [over]
            case .categorical(_, let counts, let other): counts + [other]
            }
        }
    }

    /// A line of the file.
    package struct Record: Sendable, Equatable {
        /// `model=churn`, or `*`: all groups together.
        package var group: String
        /// The column's name.
        package var column: String
        /// What is known of it in that group.
        package var entry: Entry
        package init(group: String, column: String, entry: Entry) {
            self.group = group
            self.column = column
            self.entry = entry
        }
    }

    /// SHA-256 of the file, hex; empty where it comes from none.
    package var contentHash: String
    /// In the order of the file.
    package var records: [Record]
    /// How it was made: free text by name.
    package var made: [(name: String, value: String)]
    private let index: [String: [String: Int]]
    /// Some line is about one group, and not about all rows together.
    private let hasGroups: Bool

    /// A table of these lines; of two for one group and column the later one counts.
    package init(
        records: [Record], made: [(name: String, value: String)] = [], contentHash: String = ""
    ) {
        self.records = records
        self.made = made
        self.contentHash = contentHash
        var index: [String: [String: Int]] = [:]
        for (place, record) in records.enumerated() {
            index[record.group, default: [:]][record.column] = place
        }
        self.index = index
        hasGroups = index.keys.contains { $0 != "*" }
    }

    /// The entry for a group: its own, else the pooled one.
    package func entry(group: String, column: String) -> Entry? {
        (index[group]?[column] ?? index["*"]?[column]).map { records[$0].entry }
    }

    /// Whether that entry is a stand-in: the file has groups, but has this one, or this column of
    /// it, only among all rows together.
    package func isFallback(group: String, column: String) -> Bool {
        guard group != Self.allRows, index[group]?[column] == nil else { return false }
        return index["*"]?[column] != nil && hasGroups
    }

    /// The part of the group of a segment without dimensions, which `*` stands for.
    private static let allRows = "-"

    /// Whether a group has any entry of its own.
    package func hasOwnEntries(group: String) -> Bool { index[group] != nil }

    /// What the planner wants to know.
    package var summary: BaselineSummary {
        var groups: [String] = []
        var columns: [BaselineSummary.Column] = []
        for record in records {
            if !groups.contains(record.group) { groups.append(record.group) }
            if let place = columns.firstIndex(where: { $0.name == record.column }) {
                let (sum, isTooMuch) = columns[place].rowCount.addingReportingOverflow(
                    record.entry.rowCount)
                columns[place].rowCount = isTooMuch ? .max : sum
                continue
            }
            let isNumeric: Bool
            let cellCount: Int
            switch record.entry.shape {
            case .numeric(_, _, _, let counts, _): (isNumeric, cellCount) = (true, counts.count)
            case .categorical(let names, _, _): (isNumeric, cellCount) = (false, names.count)
            }
            columns.append(
                BaselineSummary.Column(
                    name: record.column, isNumeric: isNumeric, cellCount: cellCount,
                    rowCount: record.entry.rowCount))
        }
        let blind = records.filter(\.entry.isBlind).map {
            BaselineSummary.Blind(
                group: $0.group, column: $0.column, share: $0.entry.hiddenShare)
        }
        return BaselineSummary(
            contentHash: contentHash, groups: groups, columns: columns, blind: blind)
    }

    // MARK: The file

    /// What the file says it is.
    package static let format = "tidemark-baseline"

    /// The greatest count that a file may have: each is exact as a double, and a thousand groups of
    /// them add up within 64 bits.
    package static let countMax: Int64 = 1 << 53

    /// Why a file is no baseline, in words for a person.
    package struct Problem: Error, Sendable, Equatable {
        /// Follows the path in a message.
        package var message: String
        /// A problem in these words.
        package init(_ message: String) { self.message = message }
    }

    /// Reads a baseline file.
    ///
    /// - Throws: what is wrong with it, and where.
    package init(reading path: String) throws(Problem) {
        try self.init(bytes: try readWholeFile(path))
    }

    /// Reads the bytes of a baseline file.
    package init(bytes: [UInt8]) throws(Problem) {
        guard !bytes.isEmpty else { throw Problem("is empty") }
        let document: JSONValue
        do throws(JSONError) {
            document = try JSONValue(parsing: bytes)
        } catch {
            throw Problem("is not JSON: \(error.reason)")
        }
        guard document["format"]?.asText == Self.format else {
            throw Problem("is not a baseline: `format` is not \"\(Self.format)\"")
        }
        guard document["v"]?.asInteger == 1 else {
            throw Problem("has a version that this tidemark does not read; expected `v` to be 1")
        }
        guard let rows = document["columns"]?.asArray else {
            throw Problem("has no list `columns`")
        }
        var records: [Record] = []
        for (place, row) in rows.enumerated() {
            guard let group = row["group"]?.asText, let column = row["column"]?.asText else {
                throw Problem("columns[\(place)] has no `group` or no `column`")
            }
            let entry: Entry
            do throws(Problem) {
                entry = try BaselineEntryReader(row).entry()
            } catch {
                throw Problem("columns[\(place)] (\(column) of \(group)): \(error.message)")
            }
            records.append(Record(group: group, column: column, entry: entry))
        }
        let made = document["made"]?.asObject?.compactMap { member in
            member.value.asText.map { (name: member.name, value: $0) }
        }
        self.init(records: records, made: made ?? [], contentHash: sha256Hex(bytes))
    }

    /// The file's bytes: one record a line, so that a diff reads well.
    package func encoded() -> [UInt8] {
        var lines: [[UInt8]] = []
        for record in records {
            var json = JSONWriter()
            json.beginObject()
            json.member("group", record.group)
            json.member("column", record.column)
            switch record.entry.shape {
            case .numeric(let edges, let isOpen, let under, let counts, let over):
                json.key("edges")
                json.beginArray()
                for edge in edges { json.value(edge) }
                json.endArray()
                if isOpen {
                    json.member("outer", "open")
                } else {
                    json.member("under", under)
                    json.member("over", over)
                }
                Self.write("counts", counts, &json)
                if !record.entry.atoms.isEmpty {
                    json.key("atoms")
                    json.beginArray()
                    for atom in record.entry.atoms { json.value(atom) }
                    json.endArray()
                }
            case .categorical(let categories, let counts, let other):
                json.key("categories")
                json.beginArray()
                for category in categories { json.value(category) }
                json.endArray()
                Self.write("counts", counts, &json)
                json.member("other", other)
            }
            json.member("n", record.entry.rowCount)
            json.member("nulls", record.entry.nullCount)
            if let count = record.entry.wrongTypeCount { json.member("wrong_type", count) }
            if let count = record.entry.nonFiniteCount { json.member("non_finite", count) }
            if let known = record.entry.known {
                json.member("unknown", Int64(clamping: known.unknown.count))
                Self.write(
                    "unknown_cells", known.unknownByCell.map { Int64(clamping: $0.count) }, &json)
                json.member("known", known.base64)
            }
            if let hashed = record.entry.hashed { Self.write("hashed", hashed, &json) }
            json.endObject()
            lines.append(json.bytes)
        }
        var head = JSONWriter()
        head.beginObject()
        for (name, value) in made {
            head.key(text: name)
            head.value(value)
        }
        head.endObject()
        var bytes = Array("{\"format\":\"\(Self.format)\",\"v\":1,\"made\":".utf8) + head.bytes
        bytes += Array(",\"columns\":[\n".utf8)
        bytes += lines.joined(separator: Array(",\n".utf8))
        bytes += Array("\n]}\n".utf8)
        return bytes
    }

    private static func write(_ name: StaticString, _ counts: [Int64], _ json: inout JSONWriter) {
        json.key(name)
        json.beginArray()
        for count in counts { json.value(count) }
        json.endArray()
    }
}
