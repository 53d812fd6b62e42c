/// How many false alarms are acceptable in which time, spread over the tests that will be run.
package struct ErrorBudget: Sendable, Hashable {
    /// Expected false alarms in one period, at most.
    package let count: Double
    /// The period, milliseconds.
    package let periodMs: Int64

    /// A rate such as 1 in 7 days.
    ///
    /// - Precondition: both positive.
    package init(count: Double, periodMs: Int64) {
        precondition(count > 0 && periodMs > 0, "the planner rejects an empty budget")
        self.count = count
        self.periodMs = periodMs
    }

    /// How many tests are run in the period: one for each window that begins, every `stepMs`, in each
    /// of so many series (a column of a group, say).
    package func testsInPeriod(series: Int, stepMs: Int64) -> Double {
        precondition(stepMs > 0)
        return Double(series) * Double(periodMs) / Double(stepMs)
    }

    /// The level of one test: the budget ÷ the tests in the period, at most 1.
    ///
    /// The union bound: whatever the dependence between tests, the expected number of false alarms
    /// in a period is at most the budget.
    ///
    /// `testsInPeriod`: of all series that share the budget.
    package func level(testsInPeriod: Double) -> Double {
        guard testsInPeriod > 0 else { return 1 }
        return min(1, count / testsInPeriod)
    }
}
