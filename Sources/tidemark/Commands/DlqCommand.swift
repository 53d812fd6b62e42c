import TidemarkDataflow
import TidemarkKafka
import TidemarkPlanner
import TidemarkRecords
import TidemarkTelemetry
import TidemarkText

extension LetterRecord {
    /// What the headers of a record of the topic say; `nil`: it is no letter of ours.
    init?(_ record: ScannedRecord) {
        do throws(RecordError) {
            try self.init(headers: record.headers)
        } catch {
            return nil
        }
    }

    /// Where the record came from.
    var place: String { "\(topic)/\(partition)/\(offset)" }
}

/// What `--reason` and `--since` let through.
struct LetterFilter {
    var reasons: Set<String>
    var sinceMs: Int64?

    func takes(_ letter: LetterRecord, _ record: ScannedRecord) -> Bool {
        if !reasons.isEmpty, !reasons.contains(letter.reason) { return false }
        guard let sinceMs else { return true }
        return (record.timestampMs ?? .min) >= sinceMs
    }
}

/// `tidemark dlq list|replay TOPOLOGY`.
func dlqCommand(_ invocation: Invocation) throws(UsageError) -> Int32 {
    let action = invocation.arguments[0]
    guard action == "list" || action == "replay" else {
        throw UsageError(
            message: "`dlq` does not know `\(action)`",
            hint: "tidemark dlq \(nearest(action, ["list", "replay"]) ?? "list") TOPOLOGY"
        )
    }
    guard invocation.arguments.count == 2 else {
        throw UsageError(
            message: "`dlq \(action)` needs TOPOLOGY",
            hint: "tidemark dlq \(action) TOPOLOGY"
        )
    }
    let filter = LetterFilter(
        reasons: Set(invocation.values("--reason")),
        sinceMs: try invocation.value("--since").map(parsedSince)
    )
    let limit = try invocation.count("--limit")
    let samples = try invocation.count("--samples") ?? 3
    guard let (plan, _) = handPlan(invocation.arguments[1], invocation) else {
        return ExitCode.topology
    }
    do throws(ConnectorError) {
        let client = try handClient(plan)
        defer { client.close(withinMs: 2000) }
        if action == "list" {
            return try listLetters(
                plan,
                client,
                filter,
                samples: samples,
                asJSON: invocation.has("--json")
            )
        }
        return try replayLetters(
            plan,
            client,
            filter,
            limit: limit,
            to: invocation.value("--to"),
            isDry: invocation.has("--dry-run"),
            asJSON: invocation.has("--json")
        )
    } catch {
        return printFailure(error)
    }
}

private func parsedSince(_ text: String) throws(UsageError) -> Int64 {
    if let ms = timeMs(text) { return ms }
    if let ms = durationMs(text) { return SystemTime().wallMs() - ms }
    throw UsageError(
        message: "`--since \(text)` is no time",
        hint: "--since 2h, or --since 2026-01-31T12:00:00Z"
    )
}

/// The topic of letters is not there.
func missingLetters(_ plan: Plan, _ brokers: String) -> ConnectorError {
    ConnectorError(
        .environment,
        "dead-letter topic '\(plan.outputs.deadLetters)' does not exist at \(brokers)",
        hint: "tidemark topics check TOPOLOGY"
    )
}
