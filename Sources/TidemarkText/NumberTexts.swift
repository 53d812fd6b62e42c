import CText

/// Writes the shortest text that reads back as the same number, an integer without a point.
///
/// - Returns: how many letters were written.
/// - Precondition: finite; there is room for 32 letters.
package func writeNumber(_ number: Double, into letters: UnsafeMutablePointer<UInt8>) -> Int {
    precondition(number.isFinite, "a number that does not exist has no text")
    if number == number.rounded(.towardZero), number.magnitude < 9_007_199_254_740_992 {
        return unsafe writeInteger(Int64(number), into: letters)
    }
    let length = unsafe tm_json_write_number(
        number, UnsafeMutableRawPointer(letters).assumingMemoryBound(to: CChar.self))
    if length > 0 { return length }
    // Very large or very small: with an exponent.
    return unsafe tm_write_scientific(
        number, UnsafeMutableRawPointer(letters).assumingMemoryBound(to: CChar.self))
}

/// Writes an integer in decimal digits.
///
/// - Returns: how many letters were written.
/// - Precondition: there is room for 20 letters.
func writeInteger(_ number: Int64, into letters: UnsafeMutablePointer<UInt8>) -> Int {
    var magnitude = number.magnitude
    let sign = number < 0 ? 1 : 0
    var (length, rest) = (1, magnitude / 10)
    while rest > 0 {
        length += 1
        rest /= 10
    }
    if sign > 0 { unsafe letters[0] = 0x2d }
    for place in stride(from: sign + length - 1, through: sign, by: -1) {
        unsafe letters[place] = UInt8(truncatingIfNeeded: 0x30 + magnitude % 10)
        magnitude /= 10
    }
    return sign + length
}
