import CDictionary

/// The texts of one column, each with a code: its number in the order of arrival.
///
/// Codes mean nothing outside the dictionary and never reach an output. The owner is one worker.
///
/// - Complexity: O(length) a lookup; memory is that of the different texts.
@safe
package final class TextDictionary {
    /// What C++ readers intern into.
    package let handle: OpaquePointer

    package init() { unsafe handle = tm_dictionary_new() }

    deinit { unsafe tm_dictionary_free(handle) }

    /// Texts that it holds: codes are smaller.
    package var count: Int { Int(unsafe tm_dictionary_count(handle)) }

    /// Memory that it holds, bytes.
    package var byteCount: Int { Int(unsafe tm_dictionary_bytes(handle)) }

    /// The code of a text, which is added if it is new.
    package func code(of text: [UInt8]) -> UInt32 {
        unsafe tm_dictionary_intern(handle, text, text.count)
    }

    /// The code of a text, which is added if it is new; it may not lie in this dictionary.
    package func code(of text: UnsafeRawBufferPointer) -> UInt32 {
        unsafe tm_dictionary_intern(
            handle, text.baseAddress?.assumingMemoryBound(to: UInt8.self), text.count)
    }

    /// The text of a code, which must be one; valid until the next text is added or forgotten.
    package func text(_ code: UInt32) -> UnsafeRawBufferPointer {
        var length = 0
        let bytes = unsafe tm_dictionary_text(handle, code, &length)
        return unsafe UnsafeRawBufferPointer(start: bytes, count: length)
    }

    /// Forgets every text whose code is not marked.
    ///
    /// - Returns: the new code of each old one; `UInt32.max` for what was forgotten.
    package func compact(keeping used: [UInt8]) -> [UInt32] {
        precondition(used.count == count, "a mark for each code")
        var remap = [UInt32](repeating: .max, count: used.count)
        unsafe tm_dictionary_compact(handle, used, &remap)
        return remap
    }
}
