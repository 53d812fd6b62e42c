import TidemarkBatch
import TidemarkCodec
package import TidemarkDataflow

/// What the first row of a CSV file says of its columns.
package enum CSVHeader: Sendable, Equatable {
    /// It is a row of values: fields are in the order that the topology says.
    case absent
    /// It names the fields: rows are read by its order.
    case obeyed(columns: [String])
    /// It names fields, but not all of those that are read; what is missing.
    case refused(String)

    /// Reads the first row of a file.
    ///
    /// A header names every field that a column reads, or at least holds no value of any column that is a
    /// number, a boolean or a time (so that a header of other names is not taken for a row).
    ///
    /// - `columns`: those that are declared.
    /// - `names`: the fields of a row in the order that the topology says.
    package static func read(
        _ row: [UInt8], columns: [ColumnPlan], names: [String], separator: UInt8
    ) -> CSVHeader {
        guard let found = csvFields(row, separator: separator) else { return .absent }
        var wanted: [String] = []
        for column in columns where column.isRead {
            if case .key(let name)? = column.path.first, !wanted.contains(name) {
                wanted.append(name)
            }
        }
        let missing = wanted.filter { !found.contains($0) }
        if missing.isEmpty, !wanted.isEmpty {
            if let twice = wanted.first(where: { name in found.count { $0 == name } > 1 }) {
                return .refused("the header names `\(shownText(twice))` twice")
            }
            return .obeyed(columns: found)
        }
        let known = found.count { names.contains($0) }
        guard known * 2 > names.count || !holdsValues(row, columns, names, separator) else {
            return .absent
        }
        func list(_ names: [String]) -> String {
            names.prefix(20).map { shownText($0) }.joined(separator: ",")
                + (names.count > 20 ? " and \(names.count - 20) more" : "")
        }
        return .refused(
            "the header has no `\(shownText(missing.first ?? ""))`: it is \(list(found)), the columns are \(list(names))"
        )
    }

    /// Whether any column that is no text has a value in the row, by the declared order.
    private static func holdsValues(
        _ row: [UInt8], _ columns: [ColumnPlan], _ names: [String], _ separator: UInt8
    ) -> Bool {
        let typed = columns.filter { column in
            switch column.type {
            case .category, .text: false
            case .number, .integer, .boolean, .time: column.isRead
            }
        }
        // Texts alone may be anything.
        guard !typed.isEmpty else { return true }
        let decoder = RecordDecoder(
            fields: typed.map(\.field), format: .csv(columns: names, separator: separator),
            rowCountMax: 1, speculates: false)
        let batch = RecordBatch(recordCountMax: 1, arenaCapacity: 4096)
        unsafe row.withUnsafeBytes { bytes in
            unsafe batch.append(
                partition: 0, offset: 0, recordTimeMs: 0, key: nil, value: bytes)
        }
        decoder.decode(batch)
        guard unsafe decoder.frame.verdicts[0] == DecodeVerdict.row.rawValue else {
            // A field too many: what it holds is not known.
            return false
        }
        return decoder.frame.columns.contains { column in
            guard column.exceptionCount > 0 else { return true }
            return unsafe column.exceptionStates[0] != ValueState.wrongType.rawValue
        }
    }
}
