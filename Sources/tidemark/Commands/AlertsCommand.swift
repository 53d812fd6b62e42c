import TidemarkCodec
import TidemarkCore
import TidemarkDataflow
import TidemarkKafka
import TidemarkMonitors
import TidemarkRecords
import TidemarkText

/// `tidemark alerts TOPOLOGY`: what is open now, as the alerts topic tells it.
func alertsCommand(_ invocation: Invocation) throws(UsageError) -> Int32 {
    guard let (plan, _) = handPlan(invocation.arguments[0], invocation) else {
        return ExitCode.topology
    }
    var book = AlertBook()
    do throws(ConnectorError) {
        if let directory = invocation.value("--from") {
            try book.read(directory: directory, topic: plan.outputs.alerts)
        } else {
            let client = try handClient(plan)
            defer { client.close(withinMs: 2000) }
            let found = try client.scan(plan.outputs.alerts, group: "\(plan.app)-alerts") {
                record in
                book.take(record.value)
                return true
            }
            guard found != nil else {
                throw ConnectorError(
                    .environment, "there is no topic `\(plan.outputs.alerts)`",
                    hint: "tidemark topics create \(invocation.arguments[0])")
            }
        }
    } catch {
        return printFailure(error)
    }
    let events = invocation.has("--all") ? book.all : book.open
    printOut(invocation.has("--json") ? json(events) : text(events, book))
    return ExitCode.done
}

/// Alerts by id, from their events in the order of the topic.
private struct AlertBook {
    private var latest: [String: AlertRecord] = [:]
    /// Records that are no alert of ours.
    private(set) var foreignCount = 0

    mutating func take(_ value: [UInt8]?) {
        guard let value, let event = try? AlertRecord(reading: value) else {
            foreignCount += 1
            return
        }
        latest[event.id] = event
    }

    /// Reads what `run --output DIR` wrote.
    mutating func read(directory: String, topic: String) throws(ConnectorError) {
        let path = "\(directory)/\(topic).ndjson"
        let bytes: [UInt8]
        do throws(BaselineTable.Problem) {
            bytes = try readWholeFile(path)
        } catch {
            throw ConnectorError(
                .environment, "\(path) \(error.message)",
                hint: "the directory that `run --output` wrote to")
        }
        for line in bytes.split(separator: 0x0a) {
            guard let line = OutputLine(Array(line)), let event = try? AlertRecord.read(line.value)
            else {
                foreignCount += 1
                continue
            }
            latest[event.id] = event
        }
    }

    /// The last event of every alert, the oldest alert first.
    var all: [AlertRecord] {
        latest.values.sorted { ($0.openedMs, $0.id) < ($1.openedMs, $1.id) }
    }

    /// Alerts that nothing has ended.
    var open: [AlertRecord] { all.filter { !$0.isResolved } }
}

private func text(_ events: [AlertRecord], _ book: AlertBook) -> String {
    var text = ""
    for event in events {
        text += event.line + "\n"
        var facts = "since \(timeText(event.openedMs))  monitor \(event.monitor)"
        if !event.operatorName.isEmpty { facts += "  segment \(event.operatorName)" }
        let group = event.group.text
        if !group.isEmpty { facts += "  \(group)" }
        if !event.column.isEmpty { facts += "  column \(event.column)" }
        text += "    \(printable(facts))\n"
    }
    text += "\(grouped(Int64(book.open.count))) open\n"
    if book.foreignCount > 0 {
        text +=
            "\(grouped(Int64(book.foreignCount))) records of the topic are not alerts of Tidemark\n"
    }
    return text
}

private func json(_ events: [AlertRecord]) -> String {
    var json = JSONWriter()
    json.objects(events) { json, event in
        json.member("id", event.id)
        json.member("state", event.transition.rawValue)
        json.member("severity", event.severity)
        json.member("monitor", event.monitor)
        json.member("segment", event.operatorName)
        json.member("group", event.group.text)
        json.member("column", event.column)
        json.member("opened", event.openedMs)
        json.member("window_start", event.window.startMs)
        json.member("window_end", event.window.endMs)
        json.member("muted", event.mutedBy != nil)
        if let mutedBy = event.mutedBy { json.member("muted_by", mutedBy) }
        json.member("summary", event.summary)
    }
    return String(decoding: json.bytes, as: UTF8.self) + "\n"
}
