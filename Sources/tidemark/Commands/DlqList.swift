import TidemarkCore
import TidemarkDataflow
import TidemarkKafka
import TidemarkRecords
import TidemarkText

/// What a topic of letters holds, by reason.
private struct LetterCounts {
    /// Letters that are counted together.
    struct Kind: Hashable {
        var reason: String
        var topology: String
        var source: TopicPartition
    }

    /// A letter that is shown.
    struct Sample {
        /// Where the record came from.
        var place: String
        /// Where the letter is.
        var own: String
        var detail: String
        var timeMs: Int64?
    }

    let topic: String
    /// How many letters of a reason are shown.
    let sampleCountMax: Int
    private var counts: [Kind: Int] = [:]
    private var samples: [String: [Sample]] = [:]
    /// Records that are no letters of ours.
    var foreignCount = 0
    private var firstMs = Int64.max
    private var lastMs = Int64.min

    init(topic: String, sampleCountMax: Int) {
        self.topic = topic
        self.sampleCountMax = sampleCountMax
    }

    mutating func add(_ letter: LetterRecord, _ record: ScannedRecord) {
        let kind = Kind(
            reason: letter.reason, topology: letter.topology ?? "-", source: letter.source)
        counts[kind, default: 0] += 1
        if let ms = record.timestampMs {
            firstMs = min(firstMs, ms)
            lastMs = max(lastMs, ms)
        }
        guard samples[letter.reason, default: []].count < sampleCountMax else { return }
        samples[letter.reason, default: []].append(
            Sample(
                place: letter.place,
                own: "\(record.place.topic)/\(record.place.partition)/\(record.offset)",
                detail: letter.detail ?? "", timeMs: record.timestampMs))
    }

    private var kinds: [Kind] {
        counts.keys.sorted { a, b in
            (a.reason, a.source, a.topology) < (b.reason, b.source, b.topology)
        }
    }

    private var total: Int { counts.values.reduce(0, +) }

    func json() -> String {
        var json = JSONWriter()
        json.beginObject()
        json.member("topic", topic)
        json.member("letters", total)
        json.member("foreign", foreignCount)
        json.key("counts")
        json.objects(kinds) { json, kind in
            json.member("reason", kind.reason)
            json.member("operator", kind.topology)
            json.member("topic", kind.source.topic)
            json.member("partition", Int(kind.source.partition))
            json.member("count", counts[kind] ?? 0)
        }
        json.key("samples")
        let shown = samples.keys.sorted().flatMap { reason in
            (samples[reason] ?? []).map { (reason, $0) }
        }
        json.objects(shown) { json, item in
            let (reason, sample) = item
            json.member("reason", reason)
            json.member("place", sample.place)
            json.member("letter", sample.own)
            json.member("detail", sample.detail)
            if let ms = sample.timeMs { json.member("time", ms) }
        }
        json.endObject()
        return String(decoding: json.bytes, as: UTF8.self) + "\n"
    }

    func text() -> String {
        var text = "\(topic)  \(grouped(Int64(total))) letters"
        if total > 0, firstMs <= lastMs { text += "  \(timeText(firstMs)) to \(timeText(lastMs))" }
        text += "\n"
        if foreignCount > 0 {
            text += "\(grouped(Int64(foreignCount))) records that are not our letters\n"
        }
        let rows = kinds.map {
            [$0.reason, $0.topology, "\($0.source)", grouped(Int64(counts[$0] ?? 0))]
        }
        let widths = (0..<4).map { column in rows.map { $0[column].count }.max() ?? 0 }
        for row in rows {
            text +=
                "  " + zip(row, widths).map { $0.padded($1) }.joined(separator: "  ").trimmedEnd
                + "\n"
        }
        for reason in samples.keys.sorted() {
            text += "\(reason)\n"
            for sample in samples[reason] ?? [] {
                text += "    \(sample.place)  in \(sample.own)  \(sample.detail)".trimmedEnd + "\n"
            }
        }
        return text
    }
}

/// Prints what the topic of letters holds.
func listLetters(
    _ plan: Plan,
    _ client: KafkaClient,
    _ filter: LetterFilter,
    samples: Int,
    asJSON: Bool
) throws(ConnectorError) -> Int32 {
    var counts = LetterCounts(topic: plan.outputs.deadLetters, sampleCountMax: samples)
    let read = try client.scan(counts.topic, group: "\(plan.app)-dlq") { record in
        if let letter = LetterRecord(record) {
            if filter.takes(letter, record) { counts.add(letter, record) }
        } else {
            counts.foreignCount += 1
        }
        return true
    }
    guard read != nil else { throw missingLetters(plan, client.admin.brokers) }
    printOut(asJSON ? counts.json() : counts.text())
    return ExitCode.done
}
