import CZlib
import CZstd
import Glibc
import TidemarkDataflow

/// The bytes of a file, unpacked where gzip or Zstandard packed them.
///
/// Told by the first bytes, not by the name, so that standard input may be packed too. What is unpacked
/// is never held as a whole.
///
/// - Memory: 256 KiB, and what the unpacker needs (at most 128 MiB of Zstandard, as its own tool allows).
@safe
final class InputBytes {
    private enum Form { case plain, gzip, zstd }

    private let descriptor: Int32
    private let path: String
    private var form: Form?
    /// Bytes of the file that wait to be unpacked, or (of a plain file) to be handed out.
    private let packed: UnsafeMutablePointer<UInt8>
    private static let packedByteCountMax = 256 << 10
    private var at = 0
    private var end = 0
    private var hasEnded = false
    /// Bytes of the file that were read, for messages.
    private var readCount: Int64 = 0
    /// A packed part has begun and not ended.
    private var isInside = false
    /// It is a pipe or a terminal: reading it may wait for whoever writes it.
    private let isStream: Bool
    /// How long to wait for a stream, ms, before it counts as having nothing right now.
    var patienceMs: Int32 = 0
    private let gzip: UnsafeMutablePointer<z_stream>
    private var zstd: OpaquePointer?

    init(descriptor: Int32, path: String) {
        self.descriptor = descriptor
        self.path = path
        var status = stat()
        isStream = unsafe fstat(descriptor, &status) == 0 && status.st_mode & S_IFMT != S_IFREG
        unsafe packed = .allocate(capacity: Self.packedByteCountMax)
        unsafe gzip = .allocate(capacity: 1)
        unsafe gzip.initialize(to: z_stream())
    }

    deinit {
        if form == .gzip { unsafe inflateEnd(gzip) }
        if let zstd = unsafe zstd { unsafe ZSTD_freeDStream(zstd) }
        unsafe gzip.deallocate()
        unsafe packed.deallocate()
    }

    /// Whether the bytes are those of the file: then it may grow.
    var isPlain: Bool { form == nil || form == .plain }

    /// Up to `count` bytes.
    ///
    /// - Returns: how many; 0 at the end; `nil` where there are none right now.
    /// - Throws: environment errors: the file can't be read, is damaged, or is cut off.
    func read(into target: UnsafeMutableRawPointer, count: Int) throws(ConnectorError) -> Int? {
        if form == nil {
            guard try recognise() else { return nil }
        }
        switch form {
        case .gzip: return try unsafe inflate(into: target, count: count)
        case .zstd: return try unsafe unpack(into: target, count: count)
        case .plain, nil:
            if at < end {
                let some = min(count, end - at)
                unsafe target.copyMemory(from: packed + at, byteCount: some)
                at += some
                return some
            }
            return try unsafe readFile(into: target, count: count)
        }
    }

    private func readFile(
        into target: UnsafeMutableRawPointer, count: Int
    ) throws(ConnectorError) -> Int? {
        if isStream {
            var ready = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            guard unsafe Glibc.poll(&ready, 1, patienceMs) != 0 else { return nil }
        }
        let got = unsafe Glibc.read(descriptor, target, count)
        if got < 0 {
            if errno == EINTR || errno == EAGAIN { return nil }
            throw ConnectorError(.environment, "cannot read \(path): \(errorText(errno))")
        }
        readCount += Int64(got)
        return got
    }

    /// Reads on where nothing waits.
    ///
    /// - Returns: false where there is nothing right now.
    private func refill() throws(ConnectorError) -> Bool {
        guard at == end, !hasEnded else { return true }
        guard let got = try unsafe readFile(into: packed, count: Self.packedByteCountMax) else {
            return false
        }
        (at, end) = (0, got)
        hasEnded = got == 0
        return true
    }

    // MARK: Which form

    /// What files begin with that are packed, or no lines at all.
    private static let beginnings: [(bytes: [UInt8], form: Form?, name: String)] = [
        ([0x1f, 0x8b], .gzip, "gzip"), ([0x28, 0xb5, 0x2f, 0xfd], .zstd, "Zstandard"),
        ([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00], nil, "an xz archive"),
        ([0x42, 0x5a, 0x68, 0x31], nil, "a bzip2 archive"),
        ([0x42, 0x5a, 0x68, 0x39], nil, "a bzip2 archive"),
        ([0x04, 0x22, 0x4d, 0x18], nil, "an LZ4 archive"),
        ([0x50, 0x4b, 0x03, 0x04], nil, "a zip archive"),
        ([0x50, 0x41, 0x52, 0x31], nil, "a Parquet file"),
        ([0x4f, 0x62, 0x6a, 0x01], nil, "an Avro file"),
        ([0x4f, 0x52, 0x43, 0x00], nil, "an ORC file"),
    ]

    /// Finds out what the file is by its first bytes; false where too few of them are there.
    private func recognise() throws(ConnectorError) -> Bool {
        while true {
            let known = unsafe Array(UnsafeBufferPointer(start: packed, count: end).prefix(6))
            let candidates = Self.beginnings.filter { beginning in
                zip(beginning.bytes, known).allSatisfy { $0 == $1 }
            }
            if let whole = candidates.first(where: { $0.bytes.count <= known.count }) {
                guard let form = whole.form else {
                    throw ConnectorError(
                        .environment, "\(path) is \(whole.name)",
                        hint: "files are lines of JSON or of CSV: plain, gzip or Zstandard")
                }
                try begin(form)
                return true
            }
            if hasEnded || (candidates.isEmpty && !known.isEmpty) {
                form = .plain
                return true
            }
            guard
                let got = try unsafe readFile(
                    into: packed + end, count: Self.packedByteCountMax - end)
            else { return false }
            end += got
            hasEnded = got == 0
        }
    }

    private func begin(_ form: Form) throws(ConnectorError) {
        self.form = form
        switch form {
        case .plain: break
        case .gzip:
            // 31: a gzip header, the largest window.
            let code = unsafe inflateInit2_(
                gzip, 31, ZLIB_VERSION, Int32(truncatingIfNeeded: MemoryLayout<z_stream>.size))
            guard code == Z_OK else {
                self.form = .plain
                throw ConnectorError(.environment, "cannot unpack \(path): no memory")
            }
        case .zstd:
            unsafe zstd = ZSTD_createDStream()
            guard unsafe zstd != nil else {
                throw ConnectorError(.environment, "cannot unpack \(path): no memory")
            }
        }
    }

    private func damaged(_ form: String, _ why: String) -> ConnectorError {
        ConnectorError(
            .environment,
            "\(path) is damaged: its \(form) data is wrong near byte \(readCount - Int64(end - at)) (\(why))"
        )
    }

    private func cutOff(_ form: String) -> ConnectorError {
        ConnectorError(
            .environment, "\(path) is cut off: its \(form) data ends early (\(readCount) bytes)",
            hint: "copy it again; `gzip -t` and `zstd -t` say whether a file is whole")
    }

    // MARK: gzip

    private func inflate(
        into target: UnsafeMutableRawPointer, count: Int
    ) throws(ConnectorError) -> Int? {
        let room = min(count, 1 << 30)
        unsafe gzip.pointee.next_out = target.assumingMemoryBound(to: UInt8.self)
        unsafe gzip.pointee.avail_out = UInt32(truncatingIfNeeded: room)
        while true {
            let made = room - Int(unsafe gzip.pointee.avail_out)
            if made > 0 { return made }
            guard try refill() else { return nil }
            if at == end {
                if isInside { throw cutOff("gzip") }
                return 0
            }
            if !isInside {
                // Between members some writers leave zeros.
                if unsafe packed[at] == 0 {
                    at += 1
                    continue
                }
                unsafe inflateReset(gzip)
                isInside = true
            }
            unsafe gzip.pointee.next_in = packed + at
            unsafe gzip.pointee.avail_in = UInt32(truncatingIfNeeded: end - at)
            let code = unsafe CZlib.inflate(gzip, Z_NO_FLUSH)
            at = end - Int(unsafe gzip.pointee.avail_in)
            switch code {
            case Z_OK, Z_BUF_ERROR: break
            case Z_STREAM_END: isInside = false
            default:
                let text = unsafe gzip.pointee.msg.map { unsafe String(cString: $0) }
                throw damaged("gzip", text ?? "code \(code)")
            }
        }
    }

    // MARK: Zstandard

    private func unpack(
        into target: UnsafeMutableRawPointer, count: Int
    ) throws(ConnectorError) -> Int? {
        while true {
            guard try refill() else { return nil }
            // What was read before may still stand in the unpacker when the file has ended.
            if at == end, !isInside { return 0 }
            var input = unsafe ZSTD_inBuffer(src: packed + at, size: end - at, pos: 0)
            var output = unsafe ZSTD_outBuffer(dst: target, size: count, pos: 0)
            let left = unsafe ZSTD_decompressStream(zstd, &output, &input)
            at += unsafe input.pos
            if ZSTD_isError(left) != 0 {
                throw damaged("Zstandard", unsafe String(cString: ZSTD_getErrorName(left)))
            }
            isInside = left != 0
            let made = unsafe output.pos
            if made > 0 { return made }
            if at == end, hasEnded {
                if isInside { throw cutOff("Zstandard") }
                return 0
            }
        }
    }
}
