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
