/// A number that was worked out of rows.
package struct Estimate: Sendable, Equatable {
    /// What it came to.
    package var value: Double
    /// Its standard error; `nil`: it is not known.
    package var error: Double?

    package init(_ value: Double, error: Double? = nil) {
        self.value = value
        self.error = error
    }
}

/// How a number differs from another one.
package struct ChangeResult: Sendable, Equatable {
    /// Now less then, as a share of then.
    package var change: Double
    /// How likely it would be to see as much if it had changed by just the share that is asked for, or less; `nil`:
    /// the error of one of the two is not known.
    package var p: Double?
}

/// How a number differs from what it was, and whether that is surely more than by a share.
///
/// Errors are taken as normal and as independent of each other: `now − (1 ± most) · then` against 0. So nothing is
/// divided by `then`, and both bounds cost one test of two sides.
///
/// - Returns: `nil` where `then` is 0, of which nothing is a share.
/// - Source: Fieller, Some problems in interval estimation, 1954.
package func changeResult(now: Estimate, then: Estimate, most: Double) -> ChangeResult? {
    guard then.value != 0 else { return nil }
    let size = abs(then.value)
    let isAbove = now.value > then.value
    var result = ChangeResult(change: (now.value - then.value) / size)
    guard result.change.isFinite else { return nil }
    guard let nowError = now.error, let thenError = then.error else { return result }
    // How the bound moves with what it is a share of.
    let slope = 1 + (isAbove ? most : -most) * (then.value < 0 ? -1 : 1)
    let over = abs(now.value - then.value) - most * size
    let error = (nowError * nowError + slope * slope * thenError * thenError).squareRoot()
    result.p =
        error > 0 ? min(1, 2 * normalUpper(over / error)) : over > 0 ? 0 : 1
    return result
}
