import TidemarkCore
import TidemarkKernels
import TidemarkSketches
import TidemarkText

/// The running state of cells: what `WindowSnapshots` writes down and reads back.
///
/// A group's values, then counters, sums and sketches, column by column in the order of the plan. The
/// shape is not in it: it follows from the plan, the baselines and the values.
extension GroupCell {
    func writeState(_ bytes: inout [UInt8]) {
        for count in [rowCount, lateCount, quarantinedCount] {
            bytes.append(varint: UInt64(bitPattern: count))
        }
        bytes.append(varint: UInt64(shape.columns.count))
        for index in 0..<shape.columns.count * Self.stateCount {
            bytes.append(varint: UInt64(bitPattern: unsafe states[index]))
        }
        bytes.append(varint: UInt64(shape.counterCount))
        for index in 0..<shape.counterCount { bytes.append(varint: unsafe counters[index]) }
        for (index, column) in shape.columns.enumerated() {
            switch column.sums {
            case .exact: unsafe exact[index].writeState(&bytes)
            case .ordered: unsafe ordered[index].writeState(&bytes)
            case .none: break
            }
            unsafe kll[index].writeState(&bytes)
            for part in parts(index) { part.writeState(&bytes) }
            if let category = categories[index] {
                bytes.append(varint: UInt64(bitPattern: category.valueCount))
                category.distinct.writeState(&bytes)
                category.frequent.writeState(&bytes)
            }
        }
        for cell in correlations { cell.writeState(&bytes) }
    }

    /// Takes a state in; the cell is of the same shape, and empty.
    func readState(_ reader: inout ByteReader) throws(SketchError) {
        rowCount = Int64(bitPattern: try reader.readVarint())
        lateCount = Int64(bitPattern: try reader.readVarint())
        quarantinedCount = Int64(bitPattern: try reader.readVarint())
        guard try reader.readVarint() == UInt64(shape.columns.count) else {
            throw .corrupt(field: "columns", offset: reader.offset)
        }
        for index in 0..<shape.columns.count * Self.stateCount {
            unsafe states[index] = Int64(bitPattern: try reader.readVarint())
        }
        guard try reader.readVarint() == UInt64(shape.counterCount) else {
            throw .corrupt(field: "counters", offset: reader.offset)
        }
        for index in 0..<shape.counterCount { unsafe counters[index] = try reader.readVarint() }
        for (index, column) in shape.columns.enumerated() {
            switch column.sums {
            case .exact: unsafe exact[index] = try NumericCell.readState(&reader)
            case .ordered: unsafe ordered[index] = try OrderedCell.readState(&reader)
            case .none: break
            }
            unsafe kll[index] = try KLLSketch.readState(&reader)
            for part in parts(index) { try part.readState(&reader) }
            if let category = categories[index] {
                category.valueCount = Int64(bitPattern: try reader.readVarint())
                category.distinct = try HLLSketch.readState(&reader)
                category.frequent = try FrequentItems.readState(&reader)
            }
        }
        for cell in correlations { try cell.readState(&reader) }
    }
}

extension GroupValues {
    func writeState(_ bytes: inout [UInt8]) {
        bytes.append(varint: isOther ? 1 : 0)
        bytes.append(varint: UInt64(dimensions.count))
        for (name, value) in dimensions {
            bytes.append(sized: Array(name.utf8))
            bytes.append(varint: value == nil ? 0 : 1)
            if let value { bytes.append(sized: value) }
        }
    }

    static func readState(_ reader: inout ByteReader) throws(SketchError) -> GroupValues {
        let isOther = try reader.readVarint() == 1
        let count = Int(clamping: try reader.readVarint())
        guard count <= 64 else { throw .corrupt(field: "dimensions", offset: reader.offset) }
        var dimensions: [(name: String, value: [UInt8]?)] = []
        for _ in 0..<count {
            let name = String(decoding: try reader.readSized(), as: UTF8.self)
            let value = try reader.readVarint() == 0 ? nil : try reader.readSized()
            dimensions.append((name, value))
        }
        return GroupValues(dimensions: dimensions, isOther: isOther)
    }
}

extension NumericCell {
    fileprivate func writeState(_ bytes: inout [UInt8]) {
        bytes.append(varint: count)
        guard count > 0 || unsummed > 0 else { return bytes.append(varint: 0) }
        bytes.append(varint: 1)
        bytes.append(varint: unsummed)
        for number in [sum, square] {
            bytes.append(littleEndian: UInt64(truncatingIfNeeded: number))
            bytes.append(littleEndian: UInt64(truncatingIfNeeded: number >> 64))
        }
        bytes.append(littleEndian: min.bitPattern)
        bytes.append(littleEndian: max.bitPattern)
    }

    fileprivate static func readState(
        _ reader: inout ByteReader
    ) throws(SketchError) -> NumericCell {
        var cell = NumericCell()
        cell.count = try reader.readVarint()
        guard try reader.readVarint() == 1 else { return cell }
        cell.unsummed = try reader.readVarint()
        cell.sum = try readWide(&reader)
        cell.square = try readWide(&reader)
        cell.min = try reader.readDouble()
        cell.max = try reader.readDouble()
        return cell
    }

    private static func readWide(_ reader: inout ByteReader) throws(SketchError) -> Int128 {
        let low = try reader.read(UInt64.self)
        let high = Int64(bitPattern: try reader.read(UInt64.self))
        return Int128(high) << 64 | Int128(low)
    }
}

extension OrderedCell {
    fileprivate func writeState(_ bytes: inout [UInt8]) {
        bytes.append(varint: count)
        for number in [shift, sum, square, min, max] {
            bytes.append(littleEndian: number.bitPattern)
        }
    }

    fileprivate static func readState(
        _ reader: inout ByteReader
    ) throws(SketchError) -> OrderedCell {
        var cell = OrderedCell()
        cell.count = try reader.readVarint()
        cell.shift = try reader.readDouble()
        cell.sum = try reader.readDouble()
        cell.square = try reader.readDouble()
        cell.min = try reader.readDouble()
        cell.max = try reader.readDouble()
        return cell
    }
}
