import TidemarkBatch
import TidemarkCore
import TidemarkDataflow
import TidemarkExpressions
import TidemarkRecords

/// Works out the metrics of groups in closed windows.
///
/// The aggregates of a group are a row of a table, and metrics are expressions over its columns. Two rows more for
/// each aggregate that is not certain say what the metrics would be, were it one standard error smaller or larger.
/// - Memory: a table of two rows for each aggregate.
/// - Complexity: O(aggregates · metrics) a group and window.
final class MetricEvaluator {
    private let metrics: [MetricPlan]
    /// All aggregates of all metrics, each once; columns of the table in this order.
    private let inputs: [MetricInput]
    /// Behind them the dimensions that metrics name.
    private let dimensions: [String]
    /// By metric: places of its aggregates in `inputs`.
    private let used: [[Int]]
    private let frame: Frame
    private let program: RowProgram
    /// By segment, by column of the plan: its place in the segment.
    private let places: [[Int: Int]]
    /// By metric: the column of its standard error, where it has an expression of its own.
    private let errorColumns: [Int?]

    /// Texts of dimensions are forgotten when there are more.
    private static let textCountMax = 65_536

    /// `nil`: the stream has no metrics.
    init?(_ stream: StreamPlan) {
        metrics = stream.metrics
        guard !metrics.isEmpty else { return nil }
        var inputs: [MetricInput] = []
        var dimensions: [String] = []
        for metric in metrics {
            for input in metric.inputs where !inputs.contains(input) { inputs.append(input) }
            for name in metric.metric.dimensions where !dimensions.contains(name) {
                dimensions.append(name)
            }
        }
        used = metrics.map { $0.inputs.compactMap(inputs.firstIndex) }
        var parts: [RowProgram.Part] = []
        let columnCount = inputs.count + dimensions.count
        func inTable(_ expression: RowExpression, of metric: MetricPlan) -> RowExpression {
            let own = metric.metric
            return expression.replacingColumns { column in
                column < own.aggregates.count
                    ? .column(inputs.firstIndex(of: metric.inputs[column]) ?? 0)
                    : .column(
                        inputs.count
                            + (dimensions.firstIndex(
                                of: own.dimensions[column - own.aggregates.count])
                                ?? 0))
            }
        }
        for (place, metric) in metrics.enumerated() {
            parts.append(
                RowProgram.Part(
                    name: "metrics.\(stream.columns[metric.column].name)",
                    expression: inTable(metric.metric.expression, of: metric),
                    column: metric.isCondition ? nil : columnCount + place))
        }
        var errorCount = 0
        errorColumns = metrics.map { metric in
            guard let error = metric.metric.standardError else { return nil }
            let column = columnCount + stream.metrics.count + errorCount
            errorCount += 1
            parts.append(
                RowProgram.Part(
                    name: "metrics.\(stream.columns[metric.column].name)",
                    expression: inTable(error, of: metric), column: column))
            return column
        }
        let frame = Frame(
            storage: inputs.map { _ in .numbers } + dimensions.map { _ in .codes }
                + metrics.map { $0.isCondition ? nil : .numbers }
                + (0..<errorCount).map { _ in .numbers },
            rowCountMax: 1 + 2 * inputs.count)
        program = RowProgram(
            columns: inputs.indices.map {
                ExpressionColumn(name: "\($0)", type: .number, isRead: false)
            } + dimensions.map { ExpressionColumn(name: $0, type: .text, isRead: false) }
                + metrics.indices.map {
                    ExpressionColumn(name: "metric \($0)", type: .number, isRead: false)
                }
                + (0..<errorCount).map {
                    ExpressionColumn(name: "error \($0)", type: .number, isRead: false)
                },
            frame: frame, parts: parts)
        self.frame = frame
        self.inputs = inputs
        self.dimensions = dimensions
        places = stream.segments.map { segment in
            Dictionary(uniqueKeysWithValues: zip(segment.columns, 0...))
        }
    }

    /// The metrics of a group, in the order of the plan.
    ///
    /// - `beside`: an aggregate that has to do with a baseline.
    func evaluate(
        _ cell: GroupCell, segment: Int, beside: (MetricInput) -> MetricTaken
    ) -> [MetricRecord] {
        let taken = inputs.map { input in
            input.baseline == nil
                ? cell.taken(input) { places[segment][$0] } : beside(input)
        }
        var rowOf: [Int: Int] = [:]
        for (place, one) in taken.enumerated() {
            if case .standardError = one.certainty, one.value != nil {
                rowOf[place] = 1 + 2 * rowOf.count
            }
        }
        fill(taken, rowOf, cell.shape.values)
        program.run()
        return metrics.indices.map { record($0, taken, rowOf) }
    }

    /// Fills the table.
    private func fill(_ taken: [MetricTaken], _ rowOf: [Int: Int], _ group: GroupValues) {
        let rowCount = 1 + 2 * rowOf.count
        frame.rows.setOneToOne(rowCount)
        for (place, one) in taken.enumerated() {
            guard let numbers = unsafe frame.columns[place].numbers else { continue }
            for row in 0..<rowCount { unsafe numbers[row] = one.value ?? .nan }
            guard let row = rowOf[place], let value = one.value,
                case .standardError(let error) = one.certainty
            else { continue }
            unsafe numbers[row] = value - error
            unsafe numbers[row + 1] = value + error
        }
        for (number, name) in dimensions.enumerated() {
            let place = inputs.count + number
            guard let codes = unsafe frame.columns[place].codes,
                let texts = frame.dictionaries[place]
            else { continue }
            if texts.count > Self.textCountMax {
                _ = texts.compact(keeping: [UInt8](repeating: 0, count: texts.count))
                program.forgetCodes()
            }
            let value = group.dimensions.first { $0.name == name }.flatMap(\.value)
            let code = value.map { texts.code(of: $0) } ?? .max
            for row in 0..<rowCount { unsafe codes[row] = code }
        }
    }

    private func record(
        _ metric: Int, _ taken: [MetricTaken], _ rowOf: [Int: Int]
    ) -> MetricRecord {
        var record = MetricRecord()
        guard !metrics[metric].isCondition else {
            let truth = unsafe program.truths(of: metric)[0]
            record.holds = truth == Truth.null ? nil : truth == Truth.yes
            return record
        }
        let column = inputs.count + dimensions.count + metric
        guard let numbers = unsafe frame.columns[column].numbers, unsafe !numbers[0].isNaN else {
            return record
        }
        record.value = unsafe numbers[0]
        if let column = errorColumns[metric] {
            let error = unsafe frame.columns[column].numbers?[0] ?? .nan
            if !error.isNaN { record.standardError = error }
            return record
        }
        // One aggregate alone: a step of its error may be less than its last digit.
        if case .column(let own) = metrics[metric].metric.expression,
            used[metric].indices.contains(own),
            case .standardError(let error) = taken[used[metric][own]].certainty
        {
            record.standardError = error
            return record
        }
        // Of several aggregates of the same rows nobody knows how they vary together.
        var unsure: Set<Int?> = []
        var square = 0.0
        for place in used[metric] {
            switch taken[place].certainty {
            case .exact: continue
            case .unknown: return record
            case .standardError:
                guard let row = rowOf[place], unsure.insert(inputs[place].baseline).inserted else {
                    return record
                }
                let half = unsafe (numbers[row + 1] - numbers[row]) / 2
                guard half.isFinite else { return record }
                square += half * half
            }
        }
        if !unsure.isEmpty { record.standardError = square.squareRoot() }
        return record
    }
}
