import Synchronization

/// The process's own counters, gauges and histograms, and their text for Prometheus.
///
/// An instrument is looked up once, by name and labels, and then kept by whoever updates it: an
/// update is one atomic addition and takes no lock.
package final class Telemetry: Sendable {
    private struct Family {
        var help: String
        /// By the text of the labels, which also orders them in the output.
        var counters: [String: Counter] = [:]
        var gauges: [String: Gauge] = [:]
        var histograms: [String: Histogram] = [:]

        var type: String {
            if !counters.isEmpty { return "counter" }
            return gauges.isEmpty ? "histogram" : "gauge"
        }
    }

    private let families = Mutex<[String: Family]>([:])

    package init() {}

    /// The counter of that name and labels; the same one each time.
    package func counter(
        _ name: String,
        labels: [(name: String, value: String)] = [],
        help: String = ""
    ) -> Counter {
        let key = labelText(labels)
        return family(name, help: help) { family in
            if let known = family.counters[key] { return known }
            let new = Counter()
            family.counters[key] = new
            return new
        }
    }

    /// The gauge of that name and labels; the same one each time.
    package func gauge(
        _ name: String,
        labels: [(name: String, value: String)] = [],
        help: String = ""
    ) -> Gauge {
        let key = labelText(labels)
        return family(name, help: help) { family in
            if let known = family.gauges[key] { return known }
            let new = Gauge()
            family.gauges[key] = new
            return new
        }
    }

    /// The latency histogram of that name and labels; the same one each time.
    package func histogram(
        _ name: String,
        labels: [(name: String, value: String)] = [],
        help: String = ""
    ) -> Histogram {
        let key = labelText(labels)
        return family(name, help: help) { family in
            if let known = family.histograms[key] { return known }
            let new = Histogram()
            family.histograms[key] = new
            return new
        }
    }

    /// Everything, in Prometheus' text format, ordered by name and then by labels.
    package func prometheusText() -> String {
        let snapshot = families.withLock { $0 }
        var text = ""
        for (name, family) in snapshot.sorted(by: { $0.key < $1.key }) {
            if !family.help.isEmpty { text += "# HELP \(name) \(helpText(family.help))\n" }
            text += "# TYPE \(name) \(family.type)\n"
            for (labels, counter) in family.counters.sorted(by: { $0.key < $1.key }) {
                text += sample(name, labels, String(counter.value))
            }
            for (labels, gauge) in family.gauges.sorted(by: { $0.key < $1.key }) {
                text += sample(name, labels, number(gauge.value))
            }
            for (labels, histogram) in family.histograms.sorted(by: { $0.key < $1.key }) {
                let state = histogram.snapshot
                var running: UInt64 = 0
                for (place, bound) in Histogram.boundsSeconds.enumerated() {
                    running += state.counts[place]
                    text += sample(
                        name + "_bucket",
                        join(labels, "le=\"\(number(bound))\""),
                        String(running)
                    )
                }
                text += sample(name + "_bucket", join(labels, "le=\"+Inf\""), String(state.count))
                text += sample(name + "_sum", labels, number(Double(state.sumNs) / 1e9))
                text += sample(name + "_count", labels, String(state.count))
            }
        }
        return text
    }

    private func family<Instrument: Sendable>(
        _ name: String,
        help: String,
        _ body: (inout Family) -> Instrument
    ) -> Instrument {
        families.withLock { families in
            var family = families[name] ?? Family(help: help)
            if family.help.isEmpty { family.help = help }
            let instrument = body(&family)
            families[name] = family
            return instrument
        }
    }
}

/// A number that only grows.
package final class Counter: Sendable {
    private let total = Atomic<UInt64>(0)

    fileprivate init() {}

    /// Counts on; wraps around at 2^64.
    package func add(_ amount: UInt64 = 1) {
        total.wrappingAdd(amount, ordering: .relaxed)
    }

    /// Takes over a total that is counted elsewhere; a smaller one than before changes nothing.
    package func raise(to total: UInt64) {
        self.total.max(total, ordering: .relaxed)
    }

    /// The total as it is now.
    package var value: UInt64 { total.load(ordering: .relaxed) }
}

/// A number that goes up and down.
package final class Gauge: Sendable {
    private let bits = Atomic<UInt64>(0)

    fileprivate init() {}

    /// Takes the place of the earlier value.
    package func set(_ value: Double) {
        bits.store(value.bitPattern, ordering: .relaxed)
    }

    /// As it was last set; 0 before.
    package var value: Double { Double(bitPattern: bits.load(ordering: .relaxed)) }
}

/// How long something took, in fixed buckets from 0.1 ms to a minute.
///
/// Observed once a batch, a commit or a window, never once a row: it takes a lock.
package final class Histogram: Sendable {
    /// Upper bounds, seconds; what is over the last one is in the total alone.
    package static let boundsSeconds: [Double] = [
        0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5,
        10, 30, 60,
    ]

    fileprivate struct State {
        var counts = [UInt64](repeating: 0, count: Histogram.boundsSeconds.count)
        var count: UInt64 = 0
        var sumNs: UInt64 = 0
    }

    private let state = Mutex(State())

    fileprivate init() {}

    /// Counts a duration, nanoseconds; a negative one as 0.
    package func observe(ns: Int64) {
        let ns = UInt64(max(0, ns))
        let seconds = Double(ns) / 1e9
        state.withLock { state in
            state.count += 1
            state.sumNs &+= ns
            if let place = Self.boundsSeconds.firstIndex(where: { seconds <= $0 }) {
                state.counts[place] += 1
            }
        }
    }

    /// Observations, those beyond the last bound among them.
    package var count: UInt64 { state.withLock { $0.count } }

    fileprivate var snapshot: State { state.withLock { $0 } }
}

private func labelText(_ labels: [(name: String, value: String)]) -> String {
    labels.map { "\($0.name)=\"\(escaped($0.value))\"" }.joined(separator: ",")
}

private func join(_ a: String, _ b: String) -> String { a.isEmpty ? b : "\(a),\(b)" }

private func sample(_ name: String, _ labels: String, _ value: String) -> String {
    labels.isEmpty ? "\(name) \(value)\n" : "\(name){\(labels)} \(value)\n"
}

/// As Prometheus reads it: whole numbers without a fraction, `+Inf`, `-Inf`, `NaN`.
private func number(_ value: Double) -> String {
    if value.isNaN { return "NaN" }
    if value.isInfinite { return value < 0 ? "-Inf" : "+Inf" }
    if let whole = Int64(exactly: value) { return String(whole) }
    return "\(value)"
}

private func escaped(_ value: String) -> String {
    var text = ""
    for character in value.unicodeScalars {
        switch character {
        case "\\": text += "\\\\"
        case "\"": text += "\\\""
        case "\n": text += "\\n"
        default: text.unicodeScalars.append(character)
        }
    }
    return text
}

private func helpText(_ value: String) -> String {
    value.split(separator: "\n").joined(separator: " ")
}
