package import TidemarkDataflow
package import TidemarkDrift
import TidemarkLanguage

/// Why a baseline file can't be used: follows its path in a message (`is no JSON: …`).
package struct BaselineProblem: Error, Sendable, Equatable {
    /// Follows the path.
    package var message: String
    /// A problem in these words.
    package init(_ message: String) { self.message = message }
}

/// Why a file can't be read: follows its path in a message (`does not exist`, `is a directory`).
package struct FileProblem: Error, Sendable, Equatable {
    /// Follows the path.
    package var message: String
    /// A problem in these words.
    package init(_ message: String) { self.message = message }
}

/// What `tidemark plan` prints beside the plan.
package struct PlanFacts: Sendable {
    /// By place of the baseline; `nil` where it is learned.
    package var baselines: [BaselineSummary?] = []
    /// As the topology has it.
    package var budget = Budget()
    /// By place of the segment: how many groups are expected, and whether a baseline counted them.
    package var groups: [(count: Int, isCounted: Bool)] = []
    /// What groups take; `nil` where there are errors.
    package var memory: MemoryEstimate?
    /// Tests a period over all alerting monitors of a severity.
    package var testsPerPeriod: [Severity: Double] = [:]
    /// What is not watched though it might be thought so: the name of a row, and what it says.
    package var silent: [(name: String, text: String)] = []
    /// Keys that were asked for, whether or not the topology has them: `part.key`.
    package var keysRead: Set<String> = []

    package init() {}
}

/// False alerts that are expected; `nil`: off.
package struct Budget: Sendable, Equatable {
    /// For monitors of severity page.
    package var page: ErrorBudget? = ErrorBudget(count: 1, periodMs: weekMs)
    /// For monitors of severity warn.
    package var warn: ErrorBudget? = ErrorBudget(count: 1, periodMs: dayMs)
    /// For monitors of severity info.
    package var info: ErrorBudget? = ErrorBudget(count: 1, periodMs: hourMs)
    /// Each monitor has so much for itself; else all monitors of a severity share it.
    package var isOfMonitor = false

    /// What is expected where a topology says nothing.
    package init() {}

    /// That of one severity; `nil`: off, then the effect alone decides.
    package func rate(of severity: Severity) -> ErrorBudget? {
        switch severity {
        case .page: page
        case .warn: warn
        case .info: info
        }
    }
}
