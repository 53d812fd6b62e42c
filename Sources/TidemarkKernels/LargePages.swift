import Glibc

/// Memory that is touched at random places: in large pages where the system has them, for else each
/// touch waits for the address to be translated.
///
/// Freed by `deallocate()`.
/// - Precondition: `alignment` is a power of two and divides `byteCount`.
package func allocateLargePages(byteCount: Int, alignment: Int) -> UnsafeMutableRawPointer {
    let memory = UnsafeMutableRawPointer.allocate(byteCount: byteCount, alignment: alignment)
    // Only advice: without it all is the same, but slower.
    unsafe _ = madvise(memory, byteCount, MADV_HUGEPAGE)
    return unsafe memory
}
