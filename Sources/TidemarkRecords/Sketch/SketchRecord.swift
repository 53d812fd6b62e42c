/// What the headers of a record of the sketches topic say of the bytes in it.
///
/// Values are UTF-8 that is made once for many records: a window has thousands of them.
package struct SketchRecord: Sendable, Equatable {
    /// The kind of sketch, which its key ends with.
    package var family: [UInt8]
    /// What it is over.
    package var item: [UInt8]
    /// The version of the bytes.
    package var serialVersion: Digits
    /// The sketch's parameter: what decides how exact it is.
    package var k: Digits
    /// Values in it.
    package var n: Digits
    /// The window, ms since 1970.
    package var windowStart: Digits
    package var windowEnd: Digits
    /// How a DDSketch parts its bins.
    package var mapping: [UInt8]?
    /// The columns of a correlation, in the order of its sums.
    package var columns: [UInt8]?

    /// A number by its decimal digits.
    package struct Digits: Sendable, Equatable, HeaderValue {
        /// ASCII.
        package var bytes: [UInt8]

        package init(_ bytes: [UInt8]) { self.bytes = bytes }

        package static var headerShape: FieldShape { .integer }
        package var headerBytes: [UInt8]? { @inline(__always) get { bytes } }
        package static func read(header: [UInt8]) -> Digits? {
            Int64.read(header: header) == nil ? nil : Digits(header)
        }
    }

    /// What is known of every sketch.
    package init(
        family: [UInt8], item: [UInt8], serialVersion: [UInt8], k: [UInt8], n: [UInt8],
        window: (start: [UInt8], end: [UInt8])
    ) {
        self.family = family
        self.item = item
        self.serialVersion = Digits(serialVersion)
        self.k = Digits(k)
        self.n = Digits(n)
        windowStart = Digits(window.start)
        windowEnd = Digits(window.end)
    }
}

extension SketchRecord: HeaderFields {
    /// The headers, in their order.
    package func headers() -> [(name: String, value: [UInt8])] { written() }

    package static var blank: SketchRecord {
        SketchRecord(family: [], item: [], serialVersion: [], k: [], n: [], window: ([], []))
    }

    @inline(__always)
    package static func headers<V: HeaderVisitor>(_ v: inout V) where V.Record == SketchRecord {
        v.header("family", \.family, "the kind of sketch, as the key ends")
        v.header("item", \.item, "what it is over: `f32`, `f64` or `string`")
        v.header("serial_version", \.serialVersion, "the version of the bytes")
        v.header("k", \.k, "the sketch's parameter, which decides how exact it is")
        v.header("n", \.n, "values in it; of `correlation` rows that have all columns")
        v.header("window_start", \.windowStart, "the window, ms since 1970, UTC")
        v.header(
            "window_end", \.windowEnd, "its end: the first millisecond that does not belong to it")
        v.header(
            "mapping", \.mapping, when: "of a DDSketch",
            "how bins are parted: `cubic` or `log`")
        v.header(
            "columns", \.columns, when: "of `correlation`",
            "its columns, in their order, parted by commas")
    }
}
