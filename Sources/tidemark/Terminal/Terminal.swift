import Glibc
import Synchronization
import TidemarkMonitors

/// Exit codes, a promise to scripts.
enum ExitCode {
    static let done: Int32 = 0
    static let findings: Int32 = 1
    static let usage: Int32 = 2
    static let topology: Int32 = 3
    static let environment: Int32 = 4
    static let `internal`: Int32 = 5
}

/// The error number of the first text that could not be written to standard output; 0: none.
private let outputFailure = Atomic<Int32>(0)

/// Writes to standard output, whole; a failure is kept for `outputProblem`.
///
/// Control characters but line feeds and tabs go out as escapes that JSON has, too: what came in a record
/// must not reach a terminal as a command. `isOurs`: the text holds commands of our own.
func printOut(_ text: String, isOurs: Bool = false) {
    let code = write(isOurs ? text : withoutControl(text), to: 1)
    if code != 0 {
        _ = outputFailure.compareExchange(expected: 0, desired: code, ordering: .relaxed)
    }
}

/// Writes to standard error, whole.
func printError(_ text: String) { _ = write(withoutControl(text), to: 2) }

/// The text with control characters other than line feeds and tabs as `\u001b`.
func withoutControl(_ text: String) -> String {
    // Nearly all texts have none: their bytes say so.
    let isPlain = text.utf8.allSatisfy {
        ($0 >= 0x20 && $0 < 0x7f) || $0 == 0x0a || $0 == 0x09
    }
    if isPlain { return text }
    var shown = ""
    for character in text.unicodeScalars {
        if isControl(character), character != "\n", character != "\t" {
            let hex = String(character.value, radix: 16)
            shown += "\\u" + String(repeating: "0", count: 4 - hex.utf8.count) + hex
        } else {
            shown.unicodeScalars.append(character)
        }
    }
    return shown
}

/// Why what was printed did not reach standard output; `nil` where it did.
var outputProblem: String? {
    let code = outputFailure.load(ordering: .relaxed)
    return code == 0 ? nil : unsafe String(cString: strerror(code))
}

/// - Returns: 0, or the error number.
private func write(_ text: String, to descriptor: Int32) -> Int32 {
    var bytes = Array(text.utf8)[...]
    while !bytes.isEmpty {
        let count = unsafe bytes.withUnsafeBytes {
            unsafe Glibc.write(descriptor, $0.baseAddress, $0.count)
        }
        if count < 0, errno == EINTR { continue }
        guard count > 0 else { return errno }
        bytes = bytes.dropFirst(count)
    }
    return 0
}

/// Takes the descriptors 0 to 2 where the process was started without them: else the next file that is
/// opened gets one of them, and what is meant for a person lands in it.
///
/// Without standard output nothing that is printed arrives, so there writing fails.
func takeStandardDescriptors() {
    for (descriptor, path) in [(Int32(0), "/dev/null"), (1, "/dev/full"), (2, "/dev/null")]
    where fcntl(descriptor, F_GETFD) < 0 {
        // The lowest free one is taken: lower ones are there by now.
        _ = unsafe open(path, descriptor == 0 ? O_RDONLY : O_WRONLY)
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

/// Peak resident memory of this program, bytes.
///
/// What `getrusage` says is never less than what the process held before it became this program: the
/// memory of whoever started it. `VmHWM` begins anew with a program.
func processPeakMemoryBytes() -> Int64 {
    if let status = try? readWholeFile("/proc/self/status") {
        for line in String(decoding: status, as: UTF8.self).split(separator: "\n")
        where line.hasPrefix("VmHWM:") {
            if let kib = line.split(whereSeparator: { $0 == " " || $0 == "\t" }).dropFirst().first
                .flatMap({ Int64($0) })
            {
                return kib * 1024
            }
        }
    }
    var usage = rusage()
    unsafe getrusage(RUSAGE_SELF.rawValue, &usage)
    return Int64(usage.ru_maxrss) * 1024
}

extension Double {
    var exponential: Double { Glibc.exp(self) }
    var naturalLogarithm: Double { Glibc.log(self) }
    func clamped(_ lo: Double, _ hi: Double) -> Double { Swift.min(hi, Swift.max(lo, self)) }
}
