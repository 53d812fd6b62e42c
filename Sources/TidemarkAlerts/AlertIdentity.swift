/// Names of alerts and of their events, the same on every replay.
///
/// The hash comes in from outside: 128 bits of a byte string, two halves.
package struct AlertIdentity: Sendable {
    /// 128 bits of a byte string.
    package typealias Hash = @Sendable ([UInt8]) -> (UInt64, UInt64)

    private let hash: Hash

    /// Names by `hash`.
    package init(hash: @escaping Hash) { self.hash = hash }

    /// The alert's id: 32 hexadecimal digits of (monitor, group part, column, opening window).
    ///
    /// It stays the same until the alert resolves, across revisions of the topology.
    /// - `monitor`: The monitor's name.
    /// - `group`: The group part of the aggregate's key.
    /// - `column`: The column; empty where the monitor watches the group as a whole.
    /// - `openingStartMs`: Start of the opening window.
    /// - `openingEndMs`: End of the opening window: two window lengths are two alerts.
    package func alertID(
        monitor: String,
        group: String,
        column: String,
        openingStartMs: Int64,
        openingEndMs: Int64
    ) -> String {
        hex([monitor, group, column, String(openingStartMs), String(openingEndMs)])
    }

    /// The event's id: 32 hexadecimal digits of (alert id, transition, sequence).
    package func eventID(alert: String, transition: String, sequence: Int) -> String {
        hex([alert, transition, String(sequence)])
    }

    /// Parts with their lengths, so that no two lists of parts make the same bytes.
    private func hex(_ parts: [String]) -> String {
        var bytes: [UInt8] = []
        for part in parts {
            bytes.append(contentsOf: String(part.utf8.count).utf8)
            bytes.append(UInt8(ascii: ":"))
            bytes.append(contentsOf: part.utf8)
        }
        let (high, low) = hash(bytes)
        let digits = Array("0123456789abcdef".utf8)
        var text: [UInt8] = []
        for half in [high, low] {
            for shift in stride(from: UInt64(60), through: 0, by: -4) {
                text.append(digits[Int(half >> shift & 15)])
            }
        }
        return String(decoding: text, as: UTF8.self)
    }
}
