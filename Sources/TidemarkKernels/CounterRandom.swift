/// Random numbers that are a pure function of a key and an ordinal.
///
/// The same draw comes out wherever and however often it is made, so a replay repeats it, and
/// draws need no order. Two rounds of the finaliser of splitmix64, key and ordinal spread by
/// unrelated odd constants; not for secrets.
package struct CounterRandom: BitwiseCopyable, Sendable {
    let key: UInt64

    /// Draws under `key`.
    package init(key: UInt64) { self.key = key }

    /// 64 random bits.
    package func draw(_ ordinal: UInt64) -> UInt64 {
        Self.mix(Self.mix(ordinal &* 0x9e37_79b9_7f4a_7c15 &+ key) &+ key &* 0xd1b5_4a32_d192_ed03)
    }

    /// One key out of two: for chains such as operator, partition, group, pane.
    package static func key(_ a: UInt64, _ b: UInt64) -> UInt64 { CounterRandom(key: a).draw(b) }

    static func mix(_ x: UInt64) -> UInt64 {
        var z = x
        z = (z ^ z >> 30) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ z >> 27) &* 0x94d0_49bb_1331_11eb
        return z ^ z >> 31
    }
}
