import TidemarkBatch

/// What was worked out once of each text of a dictionary, by its code.
///
/// The owner is a worker.
@safe
final class CodeMemo<Value: BitwiseCopyable> {
    private let texts: TextDictionary
    private let null: Value
    private let compute: (UnsafeRawBufferPointer) -> Value
    private var values: UnsafeMutablePointer<Value>
    private var capacity = 64
    /// Codes that were worked out.
    private var count = 0

    /// Nothing is worked out yet; `null` is what a row without a text has.
    init(
        _ texts: TextDictionary, null: Value, _ compute: @escaping (UnsafeRawBufferPointer) -> Value
    ) {
        self.texts = texts
        self.null = null
        unsafe self.compute = unsafe compute
        unsafe values = .allocate(capacity: 64)
    }

    deinit { unsafe values.deallocate() }

    /// Takes note that codes have other meanings now.
    func forget() { count = 0 }

    /// Works out what the texts give that were added.
    func catchUp() {
        let total = texts.count
        guard count < total else { return }
        if total > capacity {
            let room = max(total, 2 * capacity)
            let grown = UnsafeMutablePointer<Value>.allocate(capacity: room)
            unsafe grown.update(from: values, count: count)
            unsafe values.deallocate()
            unsafe values = grown
            capacity = room
        }
        for code in count..<total {
            unsafe values[code] = compute(texts.text(UInt32(truncatingIfNeeded: code)))
        }
        count = total
    }

    /// Looks the rows at work up.
    func look(
        _ codes: UnsafePointer<UInt32>, _ rowCount: Int, into out: UnsafeMutablePointer<Value>
    ) {
        let bound = UInt32(clamping: count)
        let (values, null) = unsafe (values, null)
        for row in 0..<rowCount {
            let code = unsafe codes[row]
            unsafe out[row] = code < bound ? values[Int(code)] : null
        }
    }
}
