package import TidemarkBatch
import TidemarkCore
package import TidemarkDataflow
import TidemarkTestSupport

/// The shape of workload W1: thirteen numbers with quantiles and bins, three categories, three models.
package func widePlan() -> Plan {
    var plan = simulationPlan(batchRows: 2_000)
    var columns = Array(plan.stream.columns[..<2])
    for place in 0..<16 {
        let isText = place >= 13
        var column = ColumnPlan(
            name: "c\(place)", role: .feature, type: isText ? .category : .number,
            path: [.key("c\(place)")])
        if isText {
            column.summary.distinctLgK = 12
            column.summary.topCount = 10
        } else {
            column.summary.moments = true
            column.summary.range = true
            column.summary.histogram = .edges((0...20).map { Double($0) * 50 })
            column.summary.quantiles = [0.5]
        }
        columns.append(column)
    }
    plan.stream.columns = columns
    plan.stream.segments[0].columns = Array(2..<18)
    plan.stream.monitors = []
    return plan
}

/// A batch of rows, all of one pane.
package func wideBatch(rowCount: Int, seed: UInt64, groupCount: Int = 3) -> RecordBatch {
    var random = SeededRandom(seed)
    let batch = RecordBatch(recordCountMax: rowCount, arenaCapacity: 1 << 20)
    for row in 0..<rowCount {
        var text = "{\"ts\":1700000000000,\"model\":\"m\(row % groupCount)\""
        for place in 0..<13 { text += ",\"c\(place)\":\(random.below(1_000_000)).5" }
        text += ",\"c13\":\"a\(random.below(5))\",\"c14\":\"b\(random.below(300))\""
        text += ",\"c15\":\"c\(random.below(10_000))\"}"
        unsafe Array(text.utf8).withUnsafeBytes { bytes in
            unsafe batch.append(
                partition: 0, offset: Int64(row), recordTimeMs: 0, key: nil, value: bytes)
        }
    }
    return batch
}
