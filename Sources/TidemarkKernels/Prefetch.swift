import CKernels

/// Begins to fetch the cache lines of some bytes that will be written; changes nothing.
///
/// Any address will do, also one that is not mapped.
@inline(__always)
package func prefetchForWriting(_ start: UnsafeRawPointer, byteCount: Int) {
    unsafe tk_prefetch(start, byteCount)
}

/// Begins to fetch the cache lines of some bytes that will be read; changes nothing.
///
/// Any address will do, also one that is not mapped.
@inline(__always)
package func prefetchForReading(_ start: UnsafeRawPointer, byteCount: Int) {
    unsafe tk_prefetch_reading(start, byteCount)
}
