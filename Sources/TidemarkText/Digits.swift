/// An integer's decimal digits, as text has them.
package func decimalText(_ number: Int64) -> [UInt8] {
    unsafe [UInt8](unsafeUninitializedCapacity: 20) { text, count in
        // From the end on: 20 places hold the sign and 19 digits.
        var magnitude = number.magnitude
        var at = 20
        repeat {
            at -= 1
            unsafe text[at] = UInt8(truncatingIfNeeded: 0x30 + magnitude % 10)
            magnitude /= 10
        } while magnitude > 0
        if number < 0 {
            at -= 1
            unsafe text[at] = 0x2d
        }
        count = 20 - at
        if at > 0 { for place in 0..<count { unsafe text[place] = text[at + place] } }
    }
}
