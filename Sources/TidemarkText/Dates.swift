extension Int64 {
    /// The quotient rounded towards negative infinity.
    ///
    /// - Precondition: `divisor > 0`.
    @inlinable
    package func flooredDivision(by divisor: Int64) -> Int64 {
        let (quotient, remainder) = quotientAndRemainder(dividingBy: divisor)
        return remainder < 0 ? quotient - 1 : quotient
    }
}

/// Days since 1970 of the Gregorian calendar.
package enum CivilDate {
    /// The day of a date.
    package static func day(year: Int64, month: Int64, day: Int64) -> Int64 {
        let shifted = month <= 2 ? year - 1 : year
        let era = shifted.flooredDivision(by: 400)
        let yearOfEra = shifted - era * 400
        let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
        return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
            - 719_468
    }

    /// The year that a day lies in.
    package static func year(ofDay day: Int64) -> Int64 {
        // A guess, which is off by one at most.
        var year = 1970 + (day * 400).flooredDivision(by: 146_097)
        while Self.day(year: year, month: 1, day: 1) > day { year -= 1 }
        while Self.day(year: year + 1, month: 1, day: 1) <= day { year += 1 }
        return year
    }

    /// The date of a day.
    ///
    /// - Source: Hinnant, chrono-compatible low-level date algorithms: years that begin in March, eras of 400 years.
    package static func date(ofDay day: Int64) -> (year: Int64, month: Int64, day: Int64) {
        let shifted = day + 719_468
        let era = shifted.flooredDivision(by: 146_097)
        let dayOfEra = shifted - era * 146_097
        let yearOfEra =
            (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let fromMarch = (5 * dayOfYear + 2) / 153
        let month = fromMarch < 10 ? fromMarch + 3 : fromMarch - 9
        return (
            yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month,
            dayOfYear - (153 * fromMarch + 2) / 5 + 1
        )
    }
}

/// RFC 3339 in UTC with milliseconds; a time far outside of the calendar as its milliseconds.
package func timeText(_ ms: Int64) -> String {
    unsafe withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 32) { letters in
        guard let start = letters.baseAddress else { return "" }
        let count = unsafe writeTime(ms, into: start)
        return unsafe String(
            decoding: UnsafeBufferPointer(start: start, count: count), as: UTF8.self)
    }
}

/// Writes a time as `timeText` does.
///
/// - Returns: how many letters were written.
/// - Precondition: there is room for 32 letters.
package func writeTime(_ ms: Int64, into letters: UnsafeMutablePointer<UInt8>) -> Int {
    // Dates of six digits and more are no RFC 3339, and say less than the number.
    guard (-62_135_596_800_000...253_402_300_799_999).contains(ms) else {
        let count = unsafe writeInteger(ms, into: letters)
        for (place, letter) in " ms".utf8.enumerated() { unsafe letters[count + place] = letter }
        return count + 3
    }
    let days = ms.flooredDivision(by: 86_400_000)
    let inDay = ms - days * 86_400_000
    let (year, month, day) = CivilDate.date(ofDay: days)
    var count = 0
    func put(_ number: Int64, _ width: Int, then mark: UInt8) {
        var rest = number
        for place in stride(from: count + width - 1, through: count, by: -1) {
            unsafe letters[place] = UInt8(truncatingIfNeeded: 0x30 + rest % 10)
            rest /= 10
        }
        unsafe letters[count + width] = mark
        count += width + 1
    }
    put(year, 4, then: 0x2d)
    put(month, 2, then: 0x2d)
    put(day, 2, then: 0x54)
    put(inDay / 3_600_000, 2, then: 0x3a)
    put(inDay / 60_000 % 60, 2, then: 0x3a)
    put(inDay / 1000 % 60, 2, then: 0x2e)
    put(inDay % 1000, 3, then: 0x5a)
    return count
}
