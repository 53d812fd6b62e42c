/// An integer's decimal digits, as text has them.
package func decimalText(_ number: Int64) -> [UInt8] {
    // From the end on: 20 places hold the sign and 19 digits.
    var places = InlineArray<20, UInt8>(repeating: 0)
    var magnitude = number.magnitude
    var at = 20
    repeat {
        at -= 1
        places[at] = UInt8(truncatingIfNeeded: 0x30 + magnitude % 10)
        magnitude /= 10
    } while magnitude > 0
    if number < 0 {
        at -= 1
        places[at] = 0x2d
    }
    var text: [UInt8] = []
    text.reserveCapacity(20 - at)
    for place in at..<20 { text.append(places[place]) }
    return text
}
