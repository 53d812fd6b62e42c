import Glibc

/// P(D ≥ d) of the two-sample Kolmogorov–Smirnov statistic of `n` and `m` values without ties.
///
/// Up to 100,000 pairs of values it is exact: the share of lattice paths that reach d. Beyond, it is the
/// law of one sample of round(n m / (n + m)) values, as scipy's `ks_2samp(method="asymp")` takes it: at
/// 500 and 5,000 values within 2% of the exact law at 4e-6, where Kolmogorov's limit is 12% above. With
/// ties (values in cells) both are too large, never too small.
/// - Complexity: O(n m) where it is exact, O(min(n, m)) at d = 1; else O(1), and O(500) below about 2.5%.
/// - Source: Hodges, 1958; Simard and L'Ecuyer, 2011.
package func ksUpper(_ d: Double, _ n: UInt64, _ m: UInt64) -> Double {
    guard d > 0, n > 0, m > 0 else { return 1 }
    let (pairs, isOver) = n.multipliedReportingOverflow(by: m)
    if !isOver, pairs <= 100_000 {
        return d >= 1 ? separatedUpper(Int(n), Int(m)) : exactUpper(d, Int(n), Int(m))
    }
    let (a, b) = (Double(n), Double(m))
    return kolmogorovUpper(d, count: (a / (a + b) * b).rounded())
}

/// P(D = 1): of all orders of the values the two in which one sample lies below the other.
///
/// - Complexity: O(min(n, m)).
private func separatedUpper(_ n: Int, _ m: Int) -> Double {
    let most = Double(max(n, m))
    let share = (1...min(n, m)).reduce(1.0) { $0 * Double($1) / (most + Double($1)) }
    return 2 * share
}

/// The share of paths from (0, 0) to (n, m) that are somewhere at least d off the diagonal.
///
/// Adds up what reaches it, never what does not, so small shares keep their digits. Points of one sum i + j
/// rest on those of the sum before alone, so that vectors of them are worked out at once.
private func exactUpper(_ d: Double, _ n: Int, _ m: Int) -> Double {
    let (a, b) = (Double(n), Double(m))
    // Differences are multiples of 1 / (n m): d itself counts as reached.
    let bound = ((d * a * b - 1e-7).rounded(.down) + 0.5) / (a * b)
    let (rows, columns) = (n + 2, m + 1)
    return unsafe withUnsafeTemporaryAllocation(
        of: Double.self, capacity: 4 * rows + 2 * columns
    ) { space in
        unsafe space.initialize(repeating: 0)
        guard let base = space.baseAddress else { return 1 }
        // By i, one place further on: outside of the points there are no paths.
        var (before, reached) = unsafe (base, base + rows)
        let (across, shares) = unsafe (base + 2 * rows, base + 3 * rows)
        // By m − j.
        let (up, ups) = unsafe (base + 4 * rows, base + 4 * rows + columns)
        for i in 0...n { unsafe (across[i], shares[i]) = (Double(i), Double(i) / a) }
        for j in 0...m { unsafe (up[m - j], ups[m - j]) = (Double(j), Double(j) / b) }
        for sum in 1...(n + m) {
            unsafe swap(&before, &reached)
            let total = Double(sum)
            let shift = m - sum
            for i in max(0, sum - m)...min(n, sum) {
                let isOff = unsafe abs(shares[i] - ups[shift &+ i]) > bound
                let paths =
                    unsafe across[i] / total * before[i]
                    + up[shift &+ i] / total * before[i &+ 1]
                unsafe reached[i &+ 1] = isOff ? 1 : paths
            }
        }
        return unsafe reached[n + 1]
    }
}

/// P(D ≥ d) of one sample of `count` values: the finite law, to relative 1e-4 and better.
///
/// - Source: Simard and L'Ecuyer, Computing the two-sided Kolmogorov–Smirnov distribution, 2011.
package func kolmogorovUpper(_ d: Double, count n: Double) -> Double {
    let t = n * d
    if t <= 0.5 { return 1 }
    if d >= 1 { return 0 }
    if t <= 1 {
        // n! (2d − 1/n)^n
        return 1 - exp(logFactorial(n) + n * log(2 * d - 1 / n))
    }
    if t >= n - 1 { return 2 * pow(1 - d, n) }
    let z2 = t * d
    // Both sides at once are too rare there to matter.
    if d >= 0.5 || z2 >= (n <= 140 ? 4 : 2.2) { return min(1, 2 * smirnovUpper(d, n)) }
    if n <= 140 { return 1 - matrixLower(d, Int(n)) }
    return 1 - asymptoticLower(d, n)
}

/// P(D⁺ ≥ d): Smirnov's finite sum; for more than 500 values its expansion in 1/√n.
private func smirnovUpper(_ d: Double, _ n: Double) -> Double {
    guard n <= 500 else {
        let z = n.squareRoot() * d
        let (z2, root) = (z * z, n.squareRoot())
        return exp(
            -2 * z2 - 2 * z / (3 * root) + 4 / 9 * (z2 - z2 * z2) / n
                + (4 / 45 * z - 88 / 405 * z * z2) / (n * root))
    }
    let last = (n * (1 - d)).rounded(.down)
    var logChoose = 0.0
    var sum = 0.0
    for j in stride(from: 0.0, through: last, by: 1) {
        let x = d + j / n
        if x < 1 {
            sum += exp(logChoose + (j - 1) * log(x) + (n - j) * log1p(-x))
        }
        logChoose += log((n - j) / (j + 1))
    }
    return d * sum
}

/// ln(n!).
private func logFactorial(_ n: Double) -> Double {
    var sum = 0.0
    if n <= 256 {
        for i in stride(from: 2.0, through: n, by: 1) { sum += log(i) }
        return sum
    }
    // Stirling, to 1e-16 from here on.
    return (n + 0.5) * log(n) - n + 0.5 * log(2 * Double.pi) + 1 / (12 * n)
        - 1 / (360 * n * n * n)
}

/// P(D < d) of up to 140 values: Durbin's matrix, as Marsaglia, Tsang and Wang raise it.
private func matrixLower(_ d: Double, _ n: Int) -> Double {
    let k = Int(Double(n) * d) + 1
    let size = 2 * k - 1
    let h = Double(k) - Double(n) * d
    var matrix = [Double](repeating: 0, count: size * size)
    for i in 0..<size {
        for j in 0..<size where i - j + 1 >= 0 { matrix[i * size + j] = 1 }
    }
    for i in 0..<size {
        matrix[i * size] -= pow(h, Double(i + 1))
        matrix[(size - 1) * size + i] -= pow(h, Double(size - i))
    }
    if 2 * h - 1 > 0 { matrix[(size - 1) * size] += pow(2 * h - 1, Double(size)) }
    // Each is divided by (i − j + 1)!, factor by factor; all but those of the first column and of the last row are 1
    // before that.
    var quotients = [Double](repeating: 1, count: size + 1)
    for g in 1...size { quotients[g] = quotients[g - 1] / Double(g) }
    for i in 0..<size {
        for j in 0..<size where i - j + 1 > 0 {
            if j > 0, i < size - 1 {
                matrix[i * size + j] = quotients[i - j + 1]
            } else {
                for g in 1...(i - j + 1) { matrix[i * size + j] /= Double(g) }
            }
        }
    }
    // Of the power one element is asked for. So of a product with a square one row is carried along, and of the
    // last square one column: both are sums over the same terms in the same order as in the whole product.
    let middle = k - 1
    var row: [Double]?
    var square = matrix
    var rest = n
    while rest > 1 {
        if rest & 1 == 1 {
            row =
                row.map { rowProduct($0, square, size) }
                ?? Array(square[middle * size..<(middle + 1) * size])
        }
        rest >>= 1
        if rest > 1 { square = matrixProduct(square, square, size) }
    }
    // Here `square` still has to be squared once, unless there is one value alone.
    var column = (0..<size).map { square[$0 * size + middle] }
    if n > 1 { column = columnProduct(square, column, size) }
    var lower = 0.0
    if let row {
        for g in 0..<size where row[g] != 0 { lower += row[g] * column[g] }
    } else {
        lower = column[middle]
    }
    for i in 1...n { lower *= Double(i) / Double(n) }
    return lower
}

/// A product of two matrices that stand row by row; every sum goes up the inner index.
///
/// - Complexity: O(size³).
private func matrixProduct(_ a: [Double], _ b: [Double], _ size: Int) -> [Double] {
    precondition(a.count == size * size && b.count == size * size, "square matrices")
    // In bounds: as the precondition has it. Checked element by element it would take twice as long.
    return unsafe [Double](unsafeUninitializedCapacity: size * size) { c, count in
        unsafe c.initialize(repeating: 0)
        unsafe b.withUnsafeBufferPointer { b in
            for i in 0..<size {
                for g in 0..<size where a[i * size + g] != 0 {
                    let factor = a[i * size + g]
                    for j in 0..<size { unsafe c[i * size + j] += factor * b[g * size + j] }
                }
            }
        }
        count = size * size
    }
}

/// A row times a matrix, as `matrixProduct` has that row.
private func rowProduct(_ row: [Double], _ b: [Double], _ size: Int) -> [Double] {
    var sums = [Double](repeating: 0, count: size)
    for g in 0..<size where row[g] != 0 {
        for j in 0..<size { sums[j] += row[g] * b[g * size + j] }
    }
    return sums
}

/// A matrix times a column, as `matrixProduct` has that column.
private func columnProduct(_ a: [Double], _ column: [Double], _ size: Int) -> [Double] {
    (0..<size).map { i in
        var sum = 0.0
        for g in 0..<size where a[i * size + g] != 0 { sum += a[i * size + g] * column[g] }
        return sum
    }
}

/// P(D < d) of more than 140 values: the limit and three terms of its expansion in 1/√n.
///
/// - Source: Pelz and Good, 1976.
private func asymptoticLower(_ d: Double, _ n: Double) -> Double {
    let z = n.squareRoot() * d
    let (z2, pi2) = (z * z, Double.pi * Double.pi)
    let (z4, pi4) = (z2 * z2, pi2 * pi2)
    let (z6, pi6) = (z4 * z2, pi4 * pi2)
    var k0 = 0.0
    var k1 = 0.0
    var k2 = 0.0
    var k3 = 0.0
    var k2Rest = 0.0
    var k3Rest = 0.0
    let terms = Int((16 * z / Double.pi).rounded(.up))
    for k in 1...max(1, terms) {
        let odd = Double(2 * k - 1)
        let m2 = odd * odd
        let (m4, m6) = (m2 * m2, m2 * m2 * m2)
        let q = exp(-m2 * pi2 / (8 * z2))
        k0 += q
        k1 += (pi2 / 4 * m2 - z2) * q
        k2 +=
            (6 * z6 + 2 * z4 + (2 * z4 - 5 * z2) * pi2 / 4 * m2 + pi4 * (1 - 2 * z2) / 16 * m4) * q
        k3 +=
            (-30 * z6 - 90 * z4 * z4 + pi2 * (135 * z4 - 96 * z6) / 4 * m2
                + pi4 * (-60 * z2 + 212 * z4) / 16 * m4 + pi6 * (5 - 30 * z2) / 64 * m6) * q
        let square = Double(k * k)
        let even = exp(-square * pi2 / (2 * z2))
        k2Rest += square * even
        k3Rest += (3 * z2 - pi2 * square) * square * even
    }
    let root = (2 * Double.pi).squareRoot()
    k0 *= root / z
    k1 *= root / (6 * z4)
    k2 = k2 * root / (72 * z6 * z) - pi2 * root / (36 * z2 * z) * k2Rest
    k3 = k3 * root / (6480 * z6 * z4) + pi2 * root / (216 * z6) * k3Rest
    let lower = k0 + k1 / n.squareRoot() + k2 / n + k3 / (n * n.squareRoot())
    return min(1, max(0, lower))
}
