import Glibc
import TidemarkAlerts
import TidemarkCodec
import TidemarkCore
import TidemarkOperators
import TidemarkSketches
import TidemarkText

/// `tidemark inspect FILE|-`: one readable print of any record or sketch of ours.
func inspectCommand(_ invocation: Invocation) throws(UsageError) -> Int32 {
    let path = invocation.arguments[0]
    let most = try invocation.count("--most") ?? 10
    let bytes: [UInt8]
    do throws(BaselineTable.Problem) {
        bytes = try readWholeFile(path == "-" ? "/dev/stdin" : path)
    } catch {
        printError("tidemark: \(path) \(error.message)\n")
        return ExitCode.environment
    }
    if let text = sketchText(bytes) ?? stateText(bytes) {
        printOut(text)
        return ExitCode.done
    }
    if let table = try? BaselineTable(bytes: bytes) {
        printOut(baselineText(table, path))
        return ExitCode.done
    }
    var shown = 0
    var total = 0
    for line in bytes.split(separator: 0x0a) {
        total += 1
        guard shown < most else { continue }
        guard let text = recordText(Array(line)) else {
            printError(
                "tidemark: line \(total) of \(path) is neither a record nor a sketch of ours\n")
            return ExitCode.findings
        }
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        printOut(lines.map { printable(String($0)) }.joined(separator: "\n") + "\n")
        shown += 1
    }
    if total == 0 { printError("tidemark: \(path) is empty\n") }
    if total > shown { printOut("… \(grouped(Int64(total - shown))) more (--most)\n") }
    return total == 0 ? ExitCode.findings : ExitCode.done
}

/// A value of the state topic.
private func stateText(_ bytes: [UInt8]) -> String? {
    guard bytes.starts(with: "TMS".utf8) else { return nil }
    let frame: StateFrame
    do throws(StateFrame.Rejection) {
        frame = try StateFrame(bytes)
    } catch {
        switch error {
        case .newer(let version):
            return "state entry of format \(version): a newer version wrote it\n"
        case .damaged(let why): return "state entry, damaged: \(why)\n"
        }
    }
    let what: String
    switch frame.kind {
    case .alert:
        what =
            "alert, \(frame.alert.map { "\($0.phase)" } ?? "unreadable")"
            + (frame.alert?.firing.map { ", opened \(timeText($0.openingStartMs))" } ?? "")
    case .silence: what = "silence, or condition of the source, that was said"
    case .owner:
        what =
            "the topology that the state belongs to: \(String(decoding: frame.payload, as: UTF8.self))"
    case .baseline: what = frame.learnedText ?? "learned baseline, unreadable"
    case .freshness:
        what = frame.freshnessText ?? "group of a freshness monitor, unreadable"
    case .window: what = "part of an open window"
    case .windowList: what = "list of the open windows of a snapshot"
    }
    return
        "state entry: \(what)\n    epoch \(frame.epoch), applied through \(timeText(frame.appliedThroughMs)),"
        + " \(frame.payload.count) bytes\n"
}

/// A line of an output file.
private func recordText(_ line: [UInt8]) -> String? {
    // A console consumer puts key and headers in front, parted by tabs.
    let shown = line.lastIndex(of: 0x09).map { Array(line[($0 + 1)...]) } ?? line
    guard let json = try? JSONValue(parsing: shown), json.asObject != nil else { return nil }
    // A line of our files is a record in an envelope; an alert has a `value` of its own.
    let headers = json["headers"]
    let value = headers == nil ? json : json["value"] ?? json
    if let family = headers?["family"]?.asText, let text = value.asText,
        let bytes = base64Decoded(text.utf8)
    {
        return "\(json["key"]?.asText ?? "-")\n"
            + (sketchText(bytes)?.indented() ?? "    \(family) bytes that cannot be read")
    }
    if value["rows"] != nil { return aggregateText(value) }
    if headers?["ce_type"] != nil || value["monitor"] != nil && value["state"] != nil {
        return alertText(value)
    }
    if let reason = headers?["reason"]?.asText {
        let place = ["topic", "partition", "offset"].compactMap { headers?[$0]?.asText }
        let payload = (value.asText ?? json["value_base64"]?.asText ?? "-").prefix(100)
        return
            "\(reason)  \(place.joined(separator: "/"))  \(headers?["detail"]?.asText ?? "")\n    \(payload)"
    }
    return nil
}

private func groupText(_ value: JSONValue) -> String {
    let group = value["group"]?.asObject ?? []
    return group.isEmpty
        ? "all rows"
        : group.map { "\($0.name)=\($0.value.asText ?? "null")" }.joined(separator: ",")
}

private func windowText(_ value: JSONValue) -> String {
    let start = value["window"]?["start"]?.asInteger ?? 0
    let end = value["window"]?["end"]?.asInteger ?? 0
    return "\(timeText(start)) + \(lengthText(end &- start))"
}

private func aggregateText(_ value: JSONValue) -> String {
    let rows = value["rows"]
    var text =
        "\(value["operator"]?.asText ?? "-")  \(groupText(value))  \(value["column"]?.asText ?? "-")  \(windowText(value))"
    if value["complete"]?.asBoolean == false { text += "  incomplete" }
    if let rev = value["rev"]?.asInteger, rev > 0 { text += "  rev \(rev)" }
    text += "\n    \(grouped(rows?["total"]?.asInteger ?? 0)) rows"
    for (name, words) in [
        ("null", "null"), ("missing", "missing"), ("wrong_type", "of a wrong type"),
        ("non_finite", "not finite"), ("late", "late"), ("quarantined", "quarantined"),
    ] {
        if let count = rows?[name]?.asInteger, count > 0 { text += ", \(grouped(count)) \(words)" }
    }
    var numbers: [String] = []
    for name in ["min", "mean", "sd", "max", "skewness", "kurtosis"] {
        if let number = value[name]?.asNumber { numbers.append("\(name) \(shortNumber(number))") }
    }
    for (name, number) in value["quantiles"]?.asObject ?? [] {
        numbers.append("\(name) \(shortNumber(number.asNumber))")
    }
    if let distinct = value["distinct"]?["estimate"]?.asNumber {
        numbers.append("distinct about \(fixed(distinct, 0))")
    }
    if !numbers.isEmpty { text += "\n    " + numbers.joined(separator: "  ") }
    if let counts = value["histogram"]?["counts"]?.asArray {
        text +=
            "\n    \(bars(counts.compactMap(\.asInteger)))  \(value["histogram"]?["edges"]?.asText ?? "")"
    }
    if let top = value["top"]?.asArray, !top.isEmpty {
        text +=
            "\n    "
            + top.prefix(5).map {
                "\($0["value"]?.asText ?? "") \(grouped($0["count"]?.asInteger ?? 0))"
            }.joined(separator: ", ")
    }
    text += extrasText(value)
    for verdict in value["verdicts"]?.asArray ?? [] {
        text += "\n    \(verdict["monitor"]?.asText ?? ""): \(verdict["verdict"]?.asText ?? "")"
        if let effect = verdict["effect"]?.asNumber { text += ", effect \(shortNumber(effect))" }
        if let p = verdict["p"]?.asNumber { text += ", p \(p)" }
        if let level = verdict["level"]?.asNumber { text += " against \(level)" }
    }
    return text
}

/// What only some topologies ask for.
private func extrasText(_ value: JSONValue) -> String {
    var text = ""
    if let decayed = value["decayed"] {
        text += "\n    half-life \(lengthText(decayed["half_life_ms"]?.asInteger ?? 0))"
        for name in ["mean", "sd", "rate"] {
            if let number = decayed[name]?.asNumber { text += "  \(name) \(shortNumber(number))" }
        }
        if decayed["rate"] != nil { text += " a second" }
    }
    for pair in value["correlation"]?.asArray ?? [] {
        text += "\n    correlation with \(pair["with"]?.asText ?? "-") "
        text += pair["correlation"]?.asNumber.map { shortNumber($0) } ?? "-"
        text += ", covariance \(pair["covariance"]?.asNumber.map { shortNumber($0) } ?? "-")"
        text += " over \(grouped(pair["n"]?.asInteger ?? 0)) rows"
    }
    if let bins = value["log_linear"] {
        let zero = bins["zero"]?.asInteger ?? 0
        text += "\n    log-linear bins: \(grouped(zero)) at zero"
        for side in ["negative", "positive"] {
            guard let counts = bins[side]?["counts"]?.asArray?.compactMap(\.asInteger),
                let first = bins[side]?["first"]?.asInteger
            else { continue }
            let sum = counts.reduce(Int64(0)) { $0.addingReportingOverflow($1).partialValue }
            text += "\n    \(bars(counts))  \(grouped(sum)) \(side), bins from \(first) on"
        }
    }
    if let values = value["counts"]?["values"]?.asArray {
        text += "\n    \(grouped(Int64(values.count))) values: "
        text += values.prefix(5).map {
            "\($0["value"]?.asText ?? "") \(grouped($0["count"]?.asInteger ?? 0))"
        }.joined(separator: ", ")
        if let other = value["counts"]?["other"]?.asInteger, other > 0 {
            text += ", others \(grouped(other))"
        }
    }
    if let sample = value["sample"]?.asArray, !sample.isEmpty {
        text += "\n    sample of \(grouped(Int64(sample.count))) rows: "
        text += sample.prefix(5).map {
            "\($0["partition"]?.asInteger ?? 0)/\($0["offset"]?.asInteger ?? 0) "
                + shortNumber($0["value"]?.asNumber)
        }.joined(separator: ", ")
    }
    return text
}

private func alertText(_ value: JSONValue) -> String {
    var text =
        "\(value["state"]?.asText ?? "-")  \(value["severity"]?.asText ?? "")  \(value["monitor"]?.asText ?? "")  \(groupText(value))  \(value["column"]?.asText ?? "")  \(windowText(value))"
    if value["muted"]?.asBoolean == true {
        text += "  muted: \(value["muted_by"]?.asText ?? "yes")"
    }
    text += "\n    \(value["summary"]?.asText ?? "")"
    var facts: [String] = []
    if let number = value["value"]?.asNumber {
        facts.append("\(value["test"]?.asText ?? "value") \(shortNumber(number))")
    }
    if let bound = value["threshold"]?.asNumber {
        facts.append("\(value["direction"]?.asText ?? "against") \(shortNumber(bound))")
    }
    if let p = value["p"]?.asNumber { facts.append("p \(p)") }
    if let level = value["level"]?.asNumber { facts.append("level \(level)") }
    for (name, words) in [("n", "rows"), ("n_baseline", "rows of the baseline")] {
        if let count = value[name]?.asInteger, count > 0 {
            facts.append("\(grouped(count)) \(words)")
        }
    }
    if let opened = value["opened"]?.asInteger { facts.append("since \(timeText(opened))") }
    if !facts.isEmpty { text += "\n    " + facts.joined(separator: "  ") }
    for (name, words) in [("current", "now"), ("baseline", "then")] {
        if let counts = value["histogram"]?[name]?.asArray, !counts.isEmpty {
            text += "\n    \(bars(counts.compactMap(\.asInteger)))  \(words)"
        }
    }
    for name in ["description", "runbook", "owner"] {
        if let words = value[name]?.asText { text += "\n    \(name): \(words)" }
    }
    return text
}

extension String {
    fileprivate func indented() -> String {
        split(separator: "\n", omittingEmptySubsequences: false)
            .map { $0.isEmpty ? "" : "    " + $0 }.joined(separator: "\n")
    }
}
