import TidemarkDataflow

extension StreamPlan {
    /// Places of the monitors of a kind that look at windows of a length in a segment.
    ///
    /// - `column`: those that look at it; `nil`: those that look at groups as a whole.
    func monitors(of kind: String, segment: Int, size: Int, column: Int?) -> [Int] {
        monitors.indices.filter {
            let monitor = monitors[$0]
            return monitor.kind == kind && monitor.segments.contains(segment)
                && monitor.windows.contains(size)
                && (column.map(monitor.columns.contains) ?? monitor.columns.isEmpty)
        }
    }
}

/// Which monitors of a kind look where: worked out once, and asked with every column of every window.
struct MonitorReach {
    /// By segment, by window length, by column, and behind the columns groups as a whole.
    private let monitors: [[[[Int]]]]

    init(_ stream: StreamPlan, kind: String) {
        let columns: [Int?] = stream.columns.indices.map { $0 } + [nil]
        monitors = stream.segments.indices.map { segment in
            stream.windows.indices.map { size in
                columns.map {
                    stream.monitors(of: kind, segment: segment, size: size, column: $0)
                }
            }
        }
    }

    /// Their places in `StreamPlan.monitors`.
    ///
    /// - `column`: `nil`: those that look at groups as a whole.
    func monitors(segment: Int, size: Int, column: Int?) -> [Int] {
        let columns = monitors[segment][size]
        return columns[column ?? columns.count - 1]
    }

    /// Those that judge a window.
    func monitors(of window: borrowing WindowEvidence) -> [Int] {
        monitors(segment: window.segment, size: window.closing.size, column: window.column)
    }
}
