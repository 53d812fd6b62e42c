/// `baseline/name/segment/size/group` is the head of what is learned of a group; with the start of a window behind
/// it, one window.
extension StateKeys {
    /// `startMs`: `nil` for the head.
    func learned(
        _ place: LearnedBaselines.Place, _ group: [UInt8], startMs: Int64? = nil
    ) -> [UInt8] {
        var parts = [
            Array("baseline".utf8), baselines[place.baseline], segments[place.segment],
            sizes[place.size], group,
        ]
        if let startMs { parts.append(Array(String(startMs).utf8)) }
        return Self.joined(parts)
    }

    func learned(
        _ key: [UInt8]
    ) -> (place: LearnedBaselines.Place, group: [UInt8], startMs: Int64?)? {
        let parts = Self.parts(key)
        guard parts.count == 5 || parts.count == 6, parts[0] == Array("baseline".utf8),
            let baseline = baselines.firstIndex(of: parts[1]),
            let segment = segments.firstIndex(of: parts[2]),
            let size = sizes.firstIndex(of: parts[3])
        else { return nil }
        var startMs: Int64?
        if parts.count == 6 {
            startMs = Int64(String(decoding: parts[5], as: UTF8.self))
            guard startMs != nil else { return nil }
        }
        return (
            LearnedBaselines.Place(baseline: baseline, segment: segment, size: size), parts[4],
            startMs
        )
    }
}
