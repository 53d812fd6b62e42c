import Glibc

/// Where rows of CSV end: at a line feed that no quotes hold.
///
/// Quotes count where they begin a field, as the decoder has it: in the middle of one they are letters.
@safe
struct RowScanner {
    private enum Place { case fieldStart, field, quoted, behindQuote }

    let separator: UInt8
    private var place = Place.fieldStart

    init(separator: UInt8) { self.separator = separator }

    /// What was looked at so far ends inside quotes.
    var isQuoted: Bool { place == .quoted }
    /// Nothing of the row at hand was looked at.
    var isAtStart: Bool { place == .fieldStart }

    /// The next byte begins a row.
    mutating func reset() { place = .fieldStart }
    /// The next byte stands in the middle of a field.
    mutating func enterField() { if place == .fieldStart { place = .field } }

    /// The place of the line feed that ends the row; `nil`: it is not in `from..<end`, and the next call
    /// goes on from `end`.
    mutating func rowEnd(_ bytes: UnsafeRawPointer, from: Int, to end: Int) -> Int? {
        var at = from
        while at < end {
            let byte = unsafe bytes.load(fromByteOffset: at, as: UInt8.self)
            switch place {
            case .quoted:
                guard let quote = unsafe memchr(bytes + at, 0x22, end - at) else { return nil }
                at = unsafe UnsafeRawPointer(quote) - bytes
                place = .behindQuote
            case .behindQuote where byte == 0x22: place = .quoted
            case .fieldStart where byte == 0x22: place = .quoted
            default:
                if byte == 0x0a {
                    place = .fieldStart
                    return at
                }
                place = byte == separator ? .fieldStart : .field
            }
            at += 1
        }
        return nil
    }
}
