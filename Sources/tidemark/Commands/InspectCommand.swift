import Glibc
import TidemarkAlerts
import TidemarkCodec
import TidemarkCore
import TidemarkMonitors
import TidemarkOperators
import TidemarkRecords
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
        let found: String?
        do throws(RecordError) {
            found = try recordText(Array(line))
        } catch {
            printError("tidemark: line \(total) of \(path): \(error.message)\n")
            return ExitCode.findings
        }
        guard let text = found else {
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
    // What is in force from the beginning has no time.
    let through =
        frame.appliedThroughMs == .min ? "the beginning" : timeText(frame.appliedThroughMs)
    switch frame.kind {
    case .alert:
        what =
            "alert, \(frame.alert.map { "\($0.phase)" } ?? "unreadable")"
            + (frame.alert?.firing.map { ", opened \(timeText($0.openingStartMs))" } ?? "")
    case .silence: what = "silence, or condition of the source, that was published"
    case .owner:
        what =
            "the topology that the state belongs to: \(String(decoding: frame.payload, as: UTF8.self))"
    case .topicBaseline:
        what = "part of a baseline of a topic"
    case .baseline: what = frame.learnedText ?? "learned baseline, unreadable"
    case .freshness:
        what = frame.freshnessText ?? "group of a freshness monitor, unreadable"
    case .window: what = "part of an open window"
    case .windowList: what = "list of the open windows of a snapshot"
    }
    return
        "state entry: \(what)\n    epoch \(frame.epoch), applied through \(through),"
        + " \(frame.payload.count) bytes\n"
}

/// A line of an output file, as its type prints it.
private func recordText(_ line: [UInt8]) throws(RecordError) -> String? {
    // A console consumer puts key and headers in front, parted by tabs.
    let shown = line.lastIndex(of: 0x09).map { Array(line[($0 + 1)...]) } ?? line
    guard let record = OutputLine(shown) else { return nil }
    let value = record.value
    if let sketch = try? SketchRecord(headers: record.headers), let text = value.asText,
        let bytes = base64Decoded(text.utf8)
    {
        let family = String(decoding: sketch.family, as: UTF8.self)
        return "\(record.key ?? "-")\n"
            + (sketchText(bytes)?.indented() ?? "    \(family) bytes that cannot be read")
    }
    if AggregateRecord.isLike(value) { return try AggregateRecord.read(value).text }
    if (try? AlertHeaders(headers: record.headers)) != nil || AlertRecord.isLike(value) {
        return try AlertRecord.read(value).text
    }
    if let letter = try? LetterRecord(headers: record.headers) {
        return letter.text(payload: value.asText ?? "-")
    }
    return nil
}

extension String {
    fileprivate func indented() -> String {
        split(separator: "\n", omittingEmptySubsequences: false)
            .map { $0.isEmpty ? "" : "    " + $0 }.joined(separator: "\n")
    }
}
