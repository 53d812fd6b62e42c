import TidemarkDataflow

/// Baselines that files stand in for, beside those that topics have.
final class GivenBaselines: SideReader {
    private var records: [SideRecord]
    private let inner: (any SideReader)?

    init(_ records: [SideRecord], beside inner: (any SideReader)?) {
        self.records = records
        self.inner = inner
    }

    func poll() throws(ConnectorError) -> [SideRecord] {
        defer { records = [] }
        return records + (try inner?.poll() ?? [])
    }

    func close(withinMs: Int64) { inner?.close(withinMs: withinMs) }
}
