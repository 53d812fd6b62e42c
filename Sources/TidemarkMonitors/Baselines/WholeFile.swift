import Glibc

/// All bytes of a small file.
///
/// - Throws: the system's words.
package func readWholeFile(_ path: String) throws(BaselineTable.Problem) -> [UInt8] {
    let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else {
        throw BaselineTable.Problem("cannot be read: \(unsafe String(cString: strerror(errno)))")
    }
    defer { close(descriptor) }
    var bytes: [UInt8] = []
    var block = [UInt8](repeating: 0, count: 1 << 16)
    while true {
        let count = unsafe read(descriptor, &block, block.count)
        if count < 0 {
            throw BaselineTable.Problem(
                "cannot be read: \(unsafe String(cString: strerror(errno)))")
        }
        if count == 0 { return bytes }
        bytes.append(contentsOf: block[..<count])
        guard bytes.count <= 256 << 20 else {
            throw BaselineTable.Problem("is larger than 256 MiB")
        }
    }
}
