import TidemarkDataflow
import TidemarkFiles
import TidemarkOperators
import TidemarkTelemetry

/// How rows are read after the first one of a file was looked at: by its header, where it has one.
///
/// - `shouldStop`: looked at while nothing comes.
/// - Throws: an environment error where the header lacks a column that is read.
func obeyed(
    _ file: FileSource, columns: [ColumnPlan], encoding: RecordEncoding, path: String, log: Log?,
    shouldStop: () -> Bool
) throws(ConnectorError) -> RecordEncoding {
    guard case .csv(let names, let separator) = encoding,
        let first = try file.firstRecord(shouldStop: shouldStop)
    else { return encoding }
    switch CSVHeader.read(first, columns: columns, names: names, separator: separator) {
    case .absent: return encoding
    case .obeyed(let found):
        if found != names {
            log?.info(
                "the header's order of columns is obeyed",
                ["columns": printable(found.joined(separator: ","))])
        }
        return .csv(columns: found, separator: separator)
    case .refused(let why):
        throw ConnectorError(
            .environment, "\(path == "-" ? "standard input" : path):1: \(why)",
            hint: "`columns` of `source.decode` names the fields of the file")
    }
}
