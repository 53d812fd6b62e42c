import Glibc

extension [UInt8] {
    /// Whether it comes before another one, byte by byte as unsigned numbers, a prefix first.
    ///
    /// What `lexicographicallyPrecedes` says, many bytes at a time: keys of state entries and groups
    /// differ at their ends.
    package func precedes(_ other: [UInt8]) -> Bool {
        let order = unsafe memcmp(self, other, Swift.min(count, other.count))
        return order == 0 ? count < other.count : order < 0
    }
}
