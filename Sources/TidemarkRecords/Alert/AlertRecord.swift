package import TidemarkCore

/// One event in the life of an alert.
package struct AlertRecord: Sendable {
    /// What happened to the alert.
    package enum Transition: String, Sendable, FieldWord {
        case firing, resolved
        /// Nothing arrives: the firing of a freshness monitor.
        case noData = "no_data"
    }

    /// Why an alert resolved without a window that cleared it.
    package enum Reason: String, Sendable, FieldWord {
        /// No verdict for `resolve_after`: its group is gone, or too small to be judged.
        case expired
        /// It went on for `resolve_after`, and was learned as what is usual now.
        case learned
        /// The topology was changed, and its windows are not continued.
        case changed
    }

    /// The same from firing to resolution: a hash of monitor, group, column and opening window.
    package var id: String
    /// The `ce_id` of this event: the same when it is published again after a restart.
    package var eventId: String
    /// What happened.
    package var transition: Transition
    /// Name of the topology.
    package var topology: String
    /// `Plan.revision`, 16 hex digits.
    package var revision: String
    /// The monitor's name in the topology.
    package var monitor: String
    /// `page`, `warn` or `info`.
    package var severity: String
    /// Why it is published and nobody is paged: `backfill`, `cool_down` or `planned`.
    package var mutedBy: String?
    /// Why it resolved, where no window said that all is well again.
    package var reason: Reason?
    /// One line for a person: what, where, how much.
    package var summary: String
    /// What the topology's author says of the monitor, or of the topology.
    package var description: String?
    /// A link, as the monitor has it.
    package var runbook: String?
    /// Who answers for the topology, as it says.
    package var owner: String?
    /// As the topology has them, in its order.
    package var labels: [(name: String, value: String)] = []
    /// The segment's name; empty where the alert is about the source as a whole.
    package var operatorName: String
    /// Whose rows it is about; without dimensions where it is about the source.
    package var group: GroupValues
    /// The column that differs; empty for volume, freshness and the source.
    package var column: String
    /// The test that decides on size; `volume`, `freshness`, or the word for a condition of the source.
    package var test: String
    /// What was measured, in the test's own unit (seconds for freshness); `nil`: no window cleared
    /// the alert.
    package var value: Double?
    /// The bound that `value` is held against.
    package var threshold: Double
    /// How large the difference is, in the unit of the bound; `nil`: it has none, or it is the value.
    package var effect: Double?
    /// What `effect` is held against, where that is not the threshold; it is not published.
    package var effectBound: Double?
    /// What was usual, in the column's own terms; `nil`: nobody can say.
    package var usual: String?
    /// What is so now, in the same terms.
    package var now: String?
    /// The cells that differ most, the largest difference first.
    package var changes: [CellChange] = []
    /// The alerts of the model that fire with it, the largest first, itself among them; none where it is alone.
    package var members: [AlertMember] = []
    /// The id of the alert that speaks for it; `nil`: it speaks for itself.
    package var lead: String?
    /// Names of the destinations that it goes to beside the topic of alerts.
    package var routes: [String] = []
    /// The value is above the threshold where it fires, or below it.
    package var isAbove = true
    /// p of the test that decides on significance; `nil`: it has none.
    package var p: Double?
    /// The p that had to be reached; `nil`: only the size counts.
    package var level: Double?
    /// The window that made the transition; the span of the silence where freshness is watched.
    package var window: Window
    /// Start of the window that opened the alert, ms: part of its id.
    package var openedMs: Int64
    /// End of that window, ms of event time: when it was first seen.
    package var firstSeenMs: Int64
    /// The window was long over when its first row was read.
    package var backfill: Bool
    /// Values of the window that were compared; its rows where volume is watched.
    package var n: Int64
    /// Values or rows of the baseline; 0: there is no baseline.
    package var nBaseline: Int64
    /// As records name it; empty: there is none.
    package var baseline: String
    /// Every test that was run, the one that decides among them.
    package var tests: [TestRecord] = []
    /// Rows of the window by cell: bins, or categories and then all others.
    package var current: [Int64] = []
    /// Rows of the baseline, cell by cell as in `current`.
    package var reference: [Int64] = []
    /// Bounds of the cells of numbers, ascending; empty for categories.
    package var edges: [Double] = []
    /// Names of the cells of a category column; empty for numbers, and where cells are hashes.
    package var categories: [String] = []

    package init(
        id: String, eventId: String, transition: Transition, topology: String, revision: String,
        monitor: String, severity: String, summary: String, operatorName: String,
        group: GroupValues, column: String, test: String, threshold: Double, window: Window,
        openedMs: Int64, firstSeenMs: Int64, backfill: Bool, n: Int64, nBaseline: Int64,
        baseline: String
    ) {
        self.id = id
        self.eventId = eventId
        self.transition = transition
        self.topology = topology
        self.revision = revision
        self.monitor = monitor
        self.severity = severity
        self.summary = summary
        self.operatorName = operatorName
        self.group = group
        self.column = column
        self.test = test
        self.threshold = threshold
        self.window = window
        self.openedMs = openedMs
        self.firstSeenMs = firstSeenMs
        self.backfill = backfill
        self.n = n
        self.nBaseline = nBaseline
        self.baseline = baseline
    }
}
