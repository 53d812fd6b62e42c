import Glibc

/// Exit codes, a promise to scripts.
enum ExitCode {
    static let done: Int32 = 0
    static let findings: Int32 = 1
    static let usage: Int32 = 2
    static let topology: Int32 = 3
    static let environment: Int32 = 4
    static let `internal`: Int32 = 5
}

/// Writes to standard output, whole.
func printOut(_ text: String) { write(text, to: 1) }

/// Writes to standard error, whole.
func printError(_ text: String) { write(text, to: 2) }

private func write(_ text: String, to descriptor: Int32) {
    var bytes = Array(text.utf8)[...]
    while !bytes.isEmpty {
        let count = unsafe bytes.withUnsafeBytes {
            unsafe Glibc.write(descriptor, $0.baseAddress, $0.count)
        }
        guard count > 0 else { return }
        bytes = bytes.dropFirst(count)
    }
}

/// A text in which control characters are shown as escapes: what came in a record must not reach the
/// terminal as a command.
func printable(_ text: String) -> String {
    guard text.unicodeScalars.contains(where: isControl) else { return text }
    var shown = ""
    for character in text.unicodeScalars {
        if isControl(character) {
            shown += "\\u{\(String(character.value, radix: 16))}"
        } else {
            shown.unicodeScalars.append(character)
        }
    }
    return shown
}

private func isControl(_ character: Unicode.Scalar) -> Bool {
    // C0, DEL and C1; and what turns the direction of a line around.
    character.value < 0x20 || 0x7f...0x9f ~= character.value
        || 0x202a...0x202e ~= character.value || 0x2066...0x2069 ~= character.value
}

/// CPU time of this process, seconds.
func processCPUSeconds() -> Double {
    var usage = rusage()
    unsafe getrusage(RUSAGE_SELF.rawValue, &usage)
    return Double(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec)
        + Double(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6
}

/// Peak resident memory of this process, bytes.
func processPeakMemoryBytes() -> Int64 {
    var usage = rusage()
    unsafe getrusage(RUSAGE_SELF.rawValue, &usage)
    return Int64(usage.ru_maxrss) * 1024
}

/// `1234567` as `1,234,567`.
func grouped(_ number: Int64) -> String {
    var digits = String(number.magnitude)
    var out = ""
    while digits.count > 3 {
        out = "," + digits.suffix(3) + out
        digits = String(digits.dropLast(3))
    }
    return (number < 0 ? "-" : "") + digits + out
}

/// `1 window`, `2,000 windows`.
func counted(_ number: Int64, _ noun: String) -> String {
    "\(grouped(number)) \(noun)\(number == 1 ? "" : "s")"
}

/// A number with so many digits after the point.
func fixed(_ number: Double, _ digits: Int) -> String {
    guard number.isFinite else { return "-" }
    var scale = 1.0
    for _ in 0..<digits { scale *= 10 }
    let scaled = (number.magnitude * scale).rounded()
    guard scaled < 9e18 else { return "\(number)" }
    let whole = Int64(scaled)
    let unit = Int64(scale)
    let sign = number < 0 && whole != 0 ? "-" : ""
    guard digits > 0 else { return sign + "\(whole)" }
    let fraction = String(whole % unit)
    return sign + "\(whole / unit)." + String(repeating: "0", count: digits - fraction.count)
        + fraction
}

extension Double {
    var exponential: Double { Glibc.exp(self) }
    var naturalLogarithm: Double { Glibc.log(self) }
    func clamped(_ lo: Double, _ hi: Double) -> Double { Swift.min(hi, Swift.max(lo, self)) }
}
