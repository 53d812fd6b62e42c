import Glibc
import TidemarkBatch
import TidemarkExpressions
import TidemarkLanguage

// What expressions cost, in ns a row: `swift run -c release expressions-bench`.

let rowCount = 4096
let columns = [
    ExpressionColumn(name: "x", type: .number), ExpressionColumn(name: "y", type: .number),
    ExpressionColumn(name: "t", type: .text),
]

func now() -> Double {
    var time = timespec()
    unsafe clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
    return Double(time.tv_sec) * 1e9 + Double(time.tv_nsec)
}

/// The least of several measurements, in ns a row; `prepare` is not in it.
func measured(_ turns: Int, prepare: () -> Void = {}, _ body: () -> Void) -> Double {
    var best = Double.infinity
    for _ in 0..<7 {
        var spent = 0.0
        for _ in 0..<turns {
            prepare()
            let start = now()
            body()
            spent += now() - start
        }
        best = min(best, spent / Double(turns * rowCount))
    }
    return best
}

/// A frame of numbers and texts, with so many columns that are computed.
func makeFrame(computed: Int) -> Frame {
    let storage: [Column.Storage] = [.numbers, .numbers, .codes]
    let frame = Frame(
        storage: storage + [Column.Storage](repeating: .numbers, count: computed),
        rowCountMax: rowCount)
    frame.rows.setOneToOne(rowCount)
    for row in 0..<rowCount {
        unsafe frame.columns[0].numbers?[row] = Double(row * 7919 % 1000) / 10
        unsafe frame.columns[1].numbers?[row] = Double(row * 104_729 % 977) + 1
    }
    return frame
}

func program(_ frame: Frame, _ texts: [String], computed: Bool = false) -> RowProgram {
    var all = columns
    var parts: [RowProgram.Part] = []
    for (number, text) in texts.enumerated() {
        do throws(ExpressionFailure) {
            let use = ExpressionUse(user: "a benchmark")
            let typed = try RowTyping.read(text, columns: columns, use: use)
            parts.append(
                RowProgram.Part(
                    name: text, expression: typed.expression,
                    column: computed ? columns.count + number : nil))
            if computed {
                all.append(ExpressionColumn(name: "c\(number)", type: .number, isRead: false))
            }
        } catch {
            fatalError("\(text): \(error.problem.message)")
        }
    }
    return RowProgram(columns: all, frame: frame, parts: parts)
}

func show(_ what: String, _ ns: Double, _ bound: String) {
    let rounded = (ns * 100).rounded() / 100
    print("\(what): \(rounded) ns a row\(bound)")
}

func checksum(_ program: RowProgram) -> Int {
    let truths = unsafe program.truths(of: 0)
    return (0..<rowCount).reduce(0) { unsafe $0 + Int(truths[$1]) }
}

do {
    let frame = makeFrame(computed: 0)
    for text in ["x > 50", "x > 50 and y < 300", "x / y > 0.5", "log(x) > 2", "x in [1, 2, 3, 4]"] {
        let one = program(frame, [text])
        show(text, measured(400) { one.run() }, text == "x > 50" ? " (bar: 2)" : "")
        print("  checksum \(checksum(one))")
    }
}

do {
    // Every row has a text that was never seen: interning is the decoder's, and not in it.
    let frame = makeFrame(computed: 0)
    let one = program(frame, ["matches(t, \"^[a-z]+-[0-9]{2,8}@(example|test)[.]org$\")"])
    var number = 0
    let prepare = {
        guard let texts = frame.dictionaries[2] else { return }
        if texts.count > 50_000 {
            _ = texts.compact(keeping: [UInt8](repeating: 0, count: texts.count))
            one.forgetCodes()
        }
        for row in 0..<rowCount {
            let end = row % 2 == 0 ? "org" : "com"
            number += 1
            let text = "user-\(number)@example.\(end)"
            unsafe frame.columns[2].codes?[row] = texts.code(of: Array(text.utf8))
        }
    }
    show("matches of distinct texts", measured(40, prepare: prepare) { one.run() }, " (bar: 60)")
    print("  checksum \(checksum(one))")
    show("matches of known texts", measured(400) { one.run() }, "")
}

var counts: [(columns: Int, ns: Double)] = []
for count in [25, 50, 100, 200, 400] {
    let frame = makeFrame(computed: count)
    let many = program(
        frame, (0..<count).map { "(x + \($0)) * y - x / (y + \($0))" }, computed: true)
    let ns = measured(20) { many.run() }
    counts.append((count, ns))
    show("\(count) derived columns", ns, ", \((ns / Double(count) * 100).rounded() / 100) a column")
}
