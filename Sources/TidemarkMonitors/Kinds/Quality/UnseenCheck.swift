import TidemarkCore
import TidemarkDrift
import TidemarkLanguage
import TidemarkRecords
import TidemarkText

/// Categories that nobody knows: none of `expect.values`, or none that the baseline has.
///
/// Beside a baseline the law of `UnknownValues` says how many are usual, so that columns with a long tail stay
/// quiet. Where a baseline has more values than it names, those of each of 64 cells by hash are tested too, and p
/// is 65 times the smallest of all: a new value that is frequent stands out in its cell from the longest tail.
///
/// Beside a baseline of the stream, values are those that its windows have seen. Up to 512 are all known; of more they
/// are a sample by hash, in which the same law holds. Where there is a tail, a value that is not known was in less than
/// one row in 200 of the baseline, or would have been frequent: each frequent value of the window is tested against that.
enum UnseenCheck: ShareCheck {
    static let spec = CheckSpec(
        "unseen", of: [.categories],
        contract: ContractSpec(
            "values", .texts, of: [.categories], "the values that there are"),
        compares: .names,
        "values that are none of `expect.values`, or that the baseline does not know")

    static let phrase = "of the values are not known"

    /// Texts in a list.
    private struct Values: TextRule {
        let known: Set<[UInt8]>
        func isBroken(_ text: [UInt8]) -> Bool { !known.contains(text) }
    }

    static func tally(_ expected: JSONValue) -> CheckTally? {
        guard let texts = expected.asArray else { return nil }
        return .texts(Values(known: Set(texts.compactMap { $0.asText.map { Array($0.utf8) } })))
    }

    static func now(_ window: borrowing WindowEvidence) -> ShareCount? {
        window.tally(spec.name).map { ShareCount($0, of: window.rows.value) }
    }

    static func judge(
        _ watch: CheckWatch, _ window: borrowing WindowEvidence, _ record: AggregateRecord
    ) -> CheckFinding? {
        if watch.expected != nil { return judge(watch, now(window), nil) }
        if let learned = window.references[watch.baseline] {
            if learned.isItself { return nil }
            guard learned.isInForce, let then = learned.seen[window.place], let now = window.seen
            else { return CheckFinding(.learning, bound: watch.rule.bound) }
            return judge(
                watch, now, of: window.rows.value, then,
                of: learned.rows[window.place]?.value ?? 0)
        }
        guard let entry = window.known(watch),
            let binning = window.binnings.firstIndex(where: { $0.baseline == watch.baseline })
        else { return CheckFinding(.noBaseline, bound: watch.rule.bound) }
        // A file with more values than it names, and no list of them.
        guard let counts = window.unknownCounts(binning), let usual = entry.unknown else {
            return CheckFinding(.noBaseline, bound: watch.rule.bound)
        }
        let values = window.rows.value
        let total = ShareCount(counts.reduce(0, +), of: values)
        guard watch.rule.most == nil, let cells = entry.known?.unknownByCell else {
            return judge(watch, total, usual)
        }
        // All tests together are as likely to err as one.
        var one = watch
        one.rule.level = watch.rule.level.map { $0 / Double(cells.count + 1) }
        var finding = judge(one, total, usual)
        for (count, cell) in zip(counts, cells) {
            let now = ShareCount(count, of: values)
            guard now.share - cell.share >= watch.rule.ignoreBelow * watch.clearBelow,
                let found = judge(one, now, cell)
            else { continue }
            if found.verdict.isBreach && !(finding?.verdict.isBreach ?? false) { finding = found }
            if found.isNear { finding?.isNear = true }
        }
        if let p = finding?.p { finding?.p = min(1, p * Double(cells.count + 1)) }
        return finding
    }

    /// Judges a window beside what windows of the stream have seen.
    private static func judge(
        _ watch: CheckWatch, _ now: SeenCounts, of values: Int64, _ then: SeenCounts,
        of usualValues: Int64
    ) -> CheckFinding? {
        var watch = watch
        let through = min(now.all.through, then.all.through)
        let isSample = through < .max
        if isSample, values >= Int64(clamping: watch.rule.rowCountMin) {
            // The window has rows enough, of which some are looked at.
            watch.rule.rowCountMin = 0
        }
        var (rows, unknown) = (0 as UInt64, 0 as UInt64)
        for item in now.all.items(through: through) {
            rows &+= item.count
            if !then.all.contains(item.hash) { unknown &+= item.count }
        }
        let total = ShareCount(Int64(clamping: unknown), of: Int64(clamping: rows))
        let usual = UnknownValues.expected(
            then.all.items(through: through).lazy.map { Int64(clamping: $0.count) })
        // Without a tail no new value can hide in it.
        let hasTail = isSample || usual.count > 1
        guard hasTail, watch.rule.most == nil else { return judge(watch, total, usual) }
        // All tests together are as likely to err as one.
        let testCount = Double(SeenCounts.frequentOneIn + 1)
        watch.rule.level = watch.rule.level.map { $0 / testCount }
        var finding = judge(watch, total, usual)
        let bound = ShareCount(usualValues / Int64(SeenCounts.frequentOneIn), of: usualValues)
        for item in now.frequent.items(
            through: min(now.frequent.through, then.frequent.through))
        {
            let own = ShareCount(Int64(clamping: item.count), of: values)
            guard own.share - bound.share >= watch.rule.ignoreBelow * watch.clearBelow,
                !then.frequent.contains(item.hash),
                item.hash > through || !then.all.contains(item.hash),
                let found = judge(watch, own, bound)
            else { continue }
            if found.verdict.isBreach && !(finding?.verdict.isBreach ?? false) { finding = found }
            if found.isNear { finding?.isNear = true }
        }
        if let p = finding?.p { finding?.p = min(1, p * testCount) }
        return finding
    }
}
