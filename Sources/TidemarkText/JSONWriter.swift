internal import CText

/// Writes JSON text into bytes, without a tree.
///
/// Commas are put where they belong; the caller opens and closes what it opened.
/// - Memory: what is written, at most doubled; `removeAll` keeps it.
@safe
package struct JSONWriter: ~Copyable, @unchecked Sendable {
    // Raw memory that nobody else sees: an array's checks would cost more than most of what is written.
    @usableFromInline var start: UnsafeMutablePointer<UInt8>
    @usableFromInline var capacity: Int
    /// How many bytes were written.
    package private(set) var count: Int {
        @inlinable get { written }
        set { written = newValue }
    }
    @usableFromInline var written = 0
    @usableFromInline var needsComma = false

    /// An empty text, with room for this many bytes.
    package init(capacity: Int = 256) {
        self.capacity = max(64, capacity)
        unsafe start = .allocate(capacity: self.capacity)
    }

    deinit { unsafe start.deallocate() }

    /// What was written.
    package var bytes: [UInt8] { unsafe Array(UnsafeBufferPointer(start: start, count: count)) }

    /// What was written, for the length of the call.
    package borrowing func withBytes<T>(_ body: (UnsafeRawBufferPointer) -> T) -> T {
        unsafe body(UnsafeRawBufferPointer(start: start, count: count))
    }

    /// Forgets what was written; the next value stands by itself.
    package mutating func removeAll() {
        count = 0
        needsComma = false
    }

    /// Ends a line: the next value stands by itself.
    package mutating func newline() {
        append(0x0a)
        needsComma = false
    }

    /// `{`; a comma before it where one belongs.
    @inlinable
    package mutating func beginObject() { open(0x7b) }
    /// `}`.
    @inlinable
    package mutating func endObject() { close(0x7d) }
    /// `[`; a comma before it where one belongs.
    @inlinable
    package mutating func beginArray() { open(0x5b) }
    /// `]`.
    @inlinable
    package mutating func endArray() { close(0x5d) }

    /// A list of objects, of whose members `body` writes those of one.
    package mutating func objects<Elements: Sequence>(
        _ elements: Elements, _ body: (inout JSONWriter, Elements.Element) -> Void
    ) {
        beginArray()
        for element in elements {
            beginObject()
            body(&self, element)
            endObject()
        }
        endArray()
    }

    /// A name that the program knows: ASCII without anything to escape.
    @inlinable
    package mutating func key(_ name: StaticString) {
        let length = name.utf8CodeUnitCount
        reserve(length &+ 4)
        var to = unsafe start + written
        if needsComma {
            unsafe to.pointee = 0x2c
            unsafe to += 1
        }
        unsafe to.pointee = 0x22
        unsafe (to + 1).update(from: name.utf8Start, count: length)
        unsafe to[length &+ 1] = 0x22
        unsafe to[length &+ 2] = 0x3a
        written &+= length &+ (needsComma ? 4 : 3)
        needsComma = false
    }

    /// A name of any letters: it is escaped.
    package mutating func key(text name: String) {
        separate()
        quote(name)
        append(0x3a)
        needsComma = false
    }

    /// A text, in quotes and escaped.
    package mutating func value(_ text: String) {
        separate()
        quote(text)
        needsComma = true
    }

    /// Bytes that are UTF-8 already.
    package mutating func value(utf8: [UInt8]) {
        separate()
        unsafe utf8.withUnsafeBufferPointer { unsafe quote($0) }
        needsComma = true
    }

    /// Bytes of any kind, as base64: nothing of it needs escaping.
    package mutating func value(base64 binary: [UInt8]) {
        separate()
        append(0x22)
        let length = base64Count(binary.count)
        reserve(length)
        unsafe binary.withUnsafeBufferPointer { unsafe writeBase64($0, to: start + count) }
        count &+= length
        append(0x22)
        needsComma = true
    }

    /// `true` or `false`.
    package mutating func value(_ flag: Bool) { write(flag ? "true" : "false") }
    /// A whole number.
    @inlinable
    package mutating func value(_ number: Int) { value(Int64(number)) }

    /// A whole number.
    @inlinable
    package mutating func value(_ number: Int64) {
        separate()
        needsComma = true
        if number < 0 { append(0x2d) }
        var magnitude = number.magnitude
        var length = 1
        var bound: UInt64 = 10
        while length < 20, magnitude >= bound {
            length &+= 1
            if length < 20 { bound &*= 10 }
        }
        reserve(length)
        var at = unsafe start + (written &+ length)
        written &+= length
        for _ in 0..<length {
            unsafe at -= 1
            unsafe at.pointee = UInt8(truncatingIfNeeded: 0x30 + magnitude % 10)
            magnitude /= 10
        }
    }

    /// The shortest text that reads back as the same double.
    ///
    /// - Precondition: finite: a number that does not exist is left out by the caller.
    package mutating func value(_ number: Double) {
        precondition(number.isFinite, "a number that does not exist is absent")
        if number == number.rounded(.towardZero), number.magnitude < 9_007_199_254_740_992 {
            return value(Int64(number))
        }
        reserve(32)
        let comma = needsComma ? 1 : 0
        let length = unsafe tm_json_write_number(
            number,
            UnsafeMutableRawPointer(start + count + comma).assumingMemoryBound(to: CChar.self))
        guard length > 0 else { return write(number.description) }
        separate()
        count &+= length
        needsComma = true
    }

    /// The shortest text that reads back as the same f32: what was rounded to it is not written with
    /// digits that it never had.
    ///
    /// - Precondition: finite.
    package mutating func value(_ number: Float) {
        precondition(number.isFinite, "a number that does not exist is absent")
        // Whole numbers up to 2^24 are all there.
        if number.magnitude <= 0x1p24, number == number.rounded(.towardZero) {
            return value(Int64(number))
        }
        reserve(32)
        let comma = needsComma ? 1 : 0
        let length = unsafe tm_json_write_float(
            number,
            UnsafeMutableRawPointer(start + count + comma).assumingMemoryBound(to: CChar.self))
        guard length > 0 else { return write(number.description) }
        separate()
        count &+= length
        needsComma = true
    }

    /// `null`.
    package mutating func null() { write("null") }

    /// A tree, as it stands.
    ///
    /// - Precondition: its numbers are finite.
    package mutating func value(_ tree: JSONValue) {
        switch tree {
        case .null: null()
        case .boolean(let flag): value(flag)
        case .integer(let number): value(number)
        case .number(let number): value(number)
        case .text(let text): value(text)
        case .array(let items):
            beginArray()
            for item in items { value(item) }
            endArray()
        case .object(let members):
            beginObject()
            for member in members {
                key(text: member.name)
                value(member.value)
            }
            endObject()
        }
    }

    /// JSON text made elsewhere.
    package mutating func raw(_ text: [UInt8]) {
        separate()
        unsafe text.withUnsafeBufferPointer { unsafe append($0) }
        needsComma = true
    }

    /// A name that needs no escapes, and a text.
    @inlinable
    package mutating func member(_ name: StaticString, _ text: String) {
        key(name)
        value(text)
    }

    /// A name that needs no escapes, and a whole number.
    @inlinable
    package mutating func member(_ name: StaticString, _ number: Int64) {
        key(name)
        value(number)
    }

    /// A name that needs no escapes, and a whole number.
    @inlinable
    package mutating func member(_ name: StaticString, _ number: Int) {
        member(name, Int64(number))
    }

    /// A name that needs no escapes, and `true` or `false`.
    @inlinable
    package mutating func member(_ name: StaticString, _ flag: Bool) {
        key(name)
        value(flag)
    }

    /// A name that needs no escapes, and a number; both are left out where it does not exist.
    @inlinable
    package mutating func member(_ name: StaticString, _ number: Double?) {
        guard let number, number.isFinite else { return }
        key(name)
        value(number)
    }

    /// A token: nothing in it needs escaping.
    private mutating func write(_ token: String) {
        separate()
        var token = token
        token.withUTF8 { unsafe append($0) }
        needsComma = true
    }

    @inlinable
    mutating func open(_ bracket: UInt8) {
        separate()
        append(bracket)
        needsComma = false
    }

    @inlinable
    mutating func close(_ bracket: UInt8) {
        append(bracket)
        needsComma = true
    }

    @inlinable
    mutating func separate() {
        if needsComma { append(0x2c) }
    }

    // MARK: Bytes

    /// Makes room for this many more bytes.
    @inlinable @inline(__always)
    mutating func reserve(_ more: Int) {
        if written &+ more > capacity { grow(by: more) }
    }

    @usableFromInline
    mutating func grow(by more: Int) {
        while count + more > capacity { capacity *= 2 }
        let larger = UnsafeMutablePointer<UInt8>.allocate(capacity: capacity)
        unsafe larger.update(from: start, count: count)
        unsafe start.deallocate()
        unsafe start = larger
    }

    @inlinable @inline(__always)
    mutating func append(_ byte: UInt8) {
        reserve(1)
        unsafe start[written] = byte
        written &+= 1
    }

    private mutating func append(_ text: UnsafeBufferPointer<UInt8>) {
        guard let base = text.baseAddress else { return }
        reserve(text.count)
        unsafe (start + count).update(from: base, count: text.count)
        count &+= text.count
    }

    private mutating func quote(_ text: String) {
        // Texts are nearly always UTF-8 in one piece, and then nobody copies them.
        let isDone: Void? = unsafe text.utf8.withContiguousStorageIfAvailable { unsafe quote($0) }
        if isDone == nil { unsafe Array(text.utf8).withUnsafeBufferPointer { unsafe quote($0) } }
    }

    private mutating func quote(_ text: UnsafeBufferPointer<UInt8>) {
        reserve(text.count &+ 2)
        append(0x22)
        // Nearly always nothing is to be escaped.
        if unsafe Self.needsEscape(text) {
            for index in 0..<text.count { escape(unsafe text[index]) }
        } else if let from = text.baseAddress {
            unsafe (start + count).update(from: from, count: text.count)
            count &+= text.count
        }
        append(0x22)
    }

    /// Whether a text holds a quote, a backslash or a control character; eight bytes at a time.
    private static func needsEscape(_ text: UnsafeBufferPointer<UInt8>) -> Bool {
        guard let bytes = unsafe UnsafeRawPointer(text.baseAddress) else { return false }
        let ones: UInt64 = 0x0101_0101_0101_0101
        let tops = ones &<< 7
        var odd: UInt64 = 0
        var at = 0
        while at &+ 8 <= text.count {
            let word = unsafe bytes.loadUnaligned(fromByteOffset: at, as: UInt64.self)
            let quotes = word ^ ones &* 0x22
            let slashes = word ^ ones &* 0x5c
            // A byte below a bound takes the top bit when the bound is taken off it, and had none.
            odd |= (word &- ones &* 0x20) & ~word
            odd |= (quotes &- ones) & ~quotes
            odd |= (slashes &- ones) & ~slashes
            at &+= 8
        }
        var isOdd = odd & tops != 0
        while at < text.count {
            let byte = unsafe text[at]
            isOdd = isOdd || byte < 0x20 || byte == 0x22 || byte == 0x5c
            at &+= 1
        }
        return isOdd
    }

    private mutating func escape(_ byte: UInt8) {
        let hex: StaticString = "0123456789abcdef"
        let letter: UInt8
        switch byte {
        case 0x22, 0x5c: letter = byte
        case 0x0a: letter = 0x6e
        case 0x0d: letter = 0x72
        case 0x09: letter = 0x74
        case 0..<0x20:
            for byte: UInt8 in [0x5c, 0x75, 0x30, 0x30] { append(byte) }
            // In bounds: a nibble, and the text has sixteen letters.
            append(unsafe hex.utf8Start[Int(byte >> 4)])
            append(unsafe hex.utf8Start[Int(byte & 15)])
            return
        default: return append(byte)
        }
        append(0x5c)
        append(letter)
    }
}
