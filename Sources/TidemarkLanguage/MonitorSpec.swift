/// What the language has to know of a kind of monitor that watches columns: its keys, and what it compares with.
///
/// The code that judges declares its kind in one of these, and the list is handed to the planner's `init`.
/// Nothing else names it: reading, checks, the row in `tidemark plan`, its JSON, the identity, the JSON Schema and
/// the reference are derived.
///
/// In a topology it is `NAME: { NAME: COLUMNS, KEY: VALUE, … }`, with the keys that all monitors have (`segments`,
/// `windows`, `severity`, `for`, …). In the plan it is a `MonitorPlan` of this kind, with the values of its keys.
package struct MonitorSpec: Sendable {
    /// What the columns are that it can watch.
    package enum Columns: String, Sendable, CaseIterable {
        case numbers, categories, texts
    }

    /// The key that names it in a monitor, and the columns behind it.
    package var name: String
    /// What it watches for, in a few words.
    package var help: String
    /// Columns that it can watch; those that are picked by a word are left out where it can't.
    package var columns: Set<Columns>
    /// Its own keys.
    package var keys: [SettingKey]
    /// It compares windows with a baseline, and has the key `against`.
    package var needsBaseline: Bool
    /// Tests of a column of a group in a window that draw on the budget of false alerts; 0 for what has fixed bounds.
    package var testCount: Int
    /// YAML, a line.
    package var example: String

    package init(
        _ name: String, of columns: Set<Columns>, keys: [SettingKey] = [],
        needsBaseline: Bool = false, testCount: Int = 0, example: String, _ help: String
    ) {
        self.name = name
        self.help = help
        self.columns = columns
        self.keys = keys
        self.needsBaseline = needsBaseline
        self.testCount = testCount
        self.example = example
    }
}
