/// FNV-1a, 64 bits: names an application, a cluster, a topology; no defence against anybody.
///
/// - Complexity: O(n).
/// - Source: Fowler, Noll, Vo; draft-eastlake-fnv.
package func fnv1a(_ text: String) -> UInt64 {
    var hash: UInt64 = 0xcbf2_9ce4_8422_2325
    for byte in text.utf8 {
        hash ^= UInt64(byte)
        hash &*= 0x100_0000_01b3
    }
    return hash
}
