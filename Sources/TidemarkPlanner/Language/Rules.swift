/// The long form of a rule, for `tidemark explain RULE`; `nil`: no such rule.
package func explain(rule: String) -> String? {
    guard let text = rules.first(where: { $0.name == rule })?.text else { return nil }
    return "\(rule)\n\n\(text)"
}

/// Every rule by name.
package let ruleNames: [String] = rules.map(\.name)

private let rules: [(name: String, text: String)] = [
    // The text of the file.
    (
        "file-unreadable",
        "The file, or one that it refers to, can't be read by this process: look at the path and its permissions. Paths are seen from the folder of the topology."
    ),
    ("file-empty", "A topology needs at least `name` and `source`."),
    ("file-too-long", "A file has at most 1 MiB, so that reading one costs nothing."),
    ("not-utf8", "Topologies are UTF-8. The place is the first byte that is not."),
    (
        "control-character",
        "Control characters but tab and line feed are refused: they are invisible, and mean something else in every tool."
    ),
    ("out-of-memory", "There was no memory left while the file was read."),
    (
        "yaml-anchor",
        "Anchors and aliases make one place of the file change another, and errors point to the wrong line. What monitors have in common stands in `alerts`."
    ),
    (
        "yaml-alias",
        "YAML takes a value that begins with `*` for an alias. A pattern that begins so needs quotes."
    ),
    ("yaml-merge", "Merge keys (`<<`) are not part of YAML 1.2 and differ between tools."),
    ("yaml-tag", "Types come from the key, never from a tag."),
    ("yaml-directive", "Lines that begin with `%` change how YAML is read; none is needed."),
    ("yaml-documents", "A file holds one topology; a line `---` begins another document."),
    (
        "yaml-depth",
        "Nesting is limited to 32, so that no file costs more to read than it has bytes."
    ),
    ("yaml-nodes", "A file holds at most 100,000 values. Ranges such as `f0..f999` count once."),
    ("yaml-key", "Keys are text, followed by `: `."),
    (
        "yaml-comma",
        "Inside { } and [ ] a comma ends a value. Expressions with a comma need quotes there."
    ),
    (
        "yaml-brace",
        "Inside { } and [ ] a `{` begins a map: references such as `${env:NAME}` need quotes there."
    ),
    ("yaml-tab", "YAML indents by spaces only."),
    (
        "yaml-quote",
        "A quote was opened and the file ended, or another began, before it was closed."
    ),
    ("yaml-bracket", "A `{` or `[` has no partner, or a comma is missing between two entries."),
    (
        "yaml-colon",
        "A colon and a space make a key. Text that has them needs quotes; without the space it is not a key."
    ),
    (
        "yaml-character",
        "Some characters (`@`, a backtick, `%`) may not begin a value without quotes."
    ),
    ("yaml-indent", "Keys of one map stand in the same column."),
    (
        "yaml-escape",
        "Inside double quotes a backslash begins an escape; inside single quotes it is a plain character."
    ),
    ("yaml-syntax", "The file is not YAML from this place on."),
    (
        "duplicate-key",
        "A key occurs twice. Most YAML readers silently take the last one. The message names both places."
    ),
    // Keys and values.
    (
        "unknown-key",
        "An unknown key is always an error: a typo that does nothing is worse than one that stops. The nearest known key is proposed."
    ),
    ("misplaced-key", "The key exists one level up or down, or beside another key."),
    ("missing-key", "A required key is missing."),
    (
        "empty-value",
        "A key without a value, `null` and `~` are errors: leave a key out for its default, and write `off` to switch it off."
    ),
    (
        "later",
        "The full language has this; this version does not run it yet, and says so instead of ignoring it."
    ),
    ("not-a-map", "Keys were expected here."),
    ("not-a-list", "A list was expected here: `[a, b]`, or lines that begin with `- `."),
    ("not-a-text", "A single value was expected here."),
    ("not-off", "What is watched, counted or needed can't be switched off here."),
    ("empty-list", "A list with nothing in it watches nothing."),
    ("listed-twice", "A list has the same entry twice."),
    ("too-many", "Everything that can grow has a limit."),
    ("too-long", "The text is longer than its limit."),
    ("too-deep", "Expressions nest at most 64 deep."),
    (
        "bad-pattern",
        "Regular expressions are those of RE2: linear in time, without references back and without looking ahead."
    ),
    (
        "bad-offset",
        "Hours and days are counted in UTC, or at a fixed offset from it: zones whose clocks change are not read."
    ),
    ("bad-bounds", "The bounds of a bucket ascend, so that each value lies in one of them."),
    (
        "not-a-literal",
        "Patterns, offsets and bounds are written into the expression: they are the same for all rows."
    ),
    (
        "not-a-column",
        "`missing`, `wrong_type` and `non_finite` tell why a record has no value for a column: they take the name of one that is read."
    ),
    (
        "not-a-column-value",
        "Columns hold numbers, text or truths. Of a time take the hour or the day, of a duration the seconds."
    ),
    ("derive-circle", "A derived column is computed of others, and so cannot need itself."),
    (
        "bad-name",
        "Names are a lower-case letter, then letters, digits, `_` or `-`, at most 63; columns take capitals and no `-`."
    ),
    (
        "bad-duration",
        "A duration is a number with a unit: 250ms, 5s, 5m, 1h, 1d, 1w, or 1h30m. `m` is minutes."
    ),
    ("bad-size", "A size is a number with a unit: 64KiB, 512MiB, 2GiB, or 500MB."),
    ("bad-share", "A share is `5%` or `0.05`."),
    (
        "bad-boolean",
        "`true` or `false`; other words mean different things to different YAML readers."
    ),
    ("bad-count", "Digits, with `_` between them if you like; no leading zero, sign or exponent."),
    ("bad-number", "Decimal, or like 1e-3; infinity and NaN are not numbers here."),
    ("bad-rate", "A rate is `1 per week`: second, minute, hour, day, week, month (30 days)."),
    ("bad-hold", "A duration (`5m`), or windows (`2 of 3`)."),
    (
        "bad-weekly",
        "A day (`Mon` to `Sun`) and hours: `Sun 02:00-04:00`, UTC. Hours that end before they begin end on the next day."
    ),
    (
        "override-empty",
        "An override names groups or columns, and then settings that hold for them."
    ),
    (
        "mute-endless",
        "A time of `mute` has neither an end nor a time of the week: its alerts are muted for ever."
    ),
    (
        "no-share",
        "The check counts no rows, so there is no share that could be allowed: `auto` or `off`."
    ),
    ("bad-time", "RFC 3339, with a time zone: 2026-01-31T12:00:00Z."),
    (
        "bad-clock",
        "The reference clock decides which rows lie in the future. It is never the wall clock."
    ),
    ("bad-path", "A path names keys and places: `output.score`, `instances[0].age`."),
    ("bad-range", "A range of columns is `f0..f11`; a range of values is `[least, most]`."),
    ("bad-edges", "Edges of bins ascend."),
    ("bad-topic", "Kafka takes letters, digits, `.`, `_` and `-`, at most 249 of them."),
    ("bad-override", "`--set PATH=VALUE`: keys with dots between them, then a value as YAML."),
    (
        "bad-reference",
        "`${env:NAME}`, `${env:NAME:-default}` and `${file:PATH}`; `$${` is a literal `${`."
    ),
    (
        "out-of-limits",
        "The value is outside of the limits of its key: `tidemark list operators` has them."
    ),
    (
        "memory-over-limit",
        "The groups that a `limit` allows, or that a baseline has, take more memory than `limits.memory` leaves for panes, windows and entry state (about a third of it; the rest is queues and batches). `tidemark plan` says how many groups it holds. What is not known before it runs is held by waiting: partitions wait for the slowest one."
    ),
    ("unknown-word", "The key takes one of a few words."),
    ("env-unset", "An environment variable that is not set is an error, never an empty text."),
    ("unknown-reference", "A reference is `${env:NAME}` or `${file:PATH}`."),
    (
        "secret-literal",
        "Secrets come from the environment or from files; what was written into a topology has been read by everyone who can read it."
    ),
    ("reserved-property", "Results and recovery rest on these properties of the Kafka client."),
    // Columns.
    (
        "unknown-column",
        "Columns are declared in `source.schema`: what a plan reads does not depend on the data."
    ),
    ("matches-nothing", "A selector that matches no column is a typo."),
    (
        "not-watched",
        "Ids, attributes and the event time are read for expressions and groups, never summarised."
    ),
    ("not-a-dimension", "Groups are made of categories and booleans."),
    ("type-of-role", "The type, or the key, does not fit what the column is for."),
    ("two-times", "A row has one event time."),
    (
        "two-weights",
        "A row stands for one number of rows: that of the column with `role: weight`, or `source.weight` for all."
    ),
    (
        "weighted-rank",
        "Where rows stand for different numbers of rows, metrics are put together from sums. Ranks are no sums: `share(x <= bound)` says how many rows lie below a bound."
    ),
    ("path-of-range", "All columns of a range would read the same place."),
    ("two-sources", "A stream has one source."),
    (
        "no-event-time",
        "Without an event time the time of the Kafka record is used: rows that are replayed land in the windows of today."
    ),
    // Expressions.
    (
        "bad-expression",
        "Expressions: comparisons, and, or, not, in [ ], is null, + - * /, and row functions."
    ),
    ("one-equals", "Equality is `==`."),
    (
        "type-mismatch",
        "Nothing is converted without being asked: texts are compared with texts, numbers with numbers."
    ),
    (
        "compares-null",
        "A comparison with null gives null, and null passes no filter: use `is null`."
    ),
    ("not-a-condition", "The key takes what is true or false for a row."),
    (
        "unknown-function",
        "`tidemark list operators` and the language reference have the functions."
    ),
    ("argument-count", "The function takes another number of arguments."),
    ("aggregate-in-row", "A filter sees one row at a time: an aggregate needs a window."),
    // Windows, segments, summaries.
    (
        "window-step",
        "Windows are made of whole steps, so that each row counts in length / step of them."
    ),
    (
        "windows-overlap",
        "Windows that overlap test the same rows again and again, and each test costs budget."
    ),
    (
        "pane-step",
        "Panes are what windows are made of: their length divides every length and step."
    ),
    ("unknown-window", "The stream has no window of this length."),
    ("unknown-segment", "No segment has this name."),
    ("nothing-watched", "Results are per segment: without one there is nothing to publish."),
    (
        "edges-missing",
        "Bins need edges that are known before the data: a baseline's, a list, or from and to."
    ),
    ("bins-differ", "The edges decide how many bins there are."),
    // Baselines and monitors.
    (
        "baseline-unreadable",
        "The file of a baseline can't be used. `tidemark baseline build` makes one."
    ),
    (
        "retention",
        "What is published carries the time at which it is written, so a replay of old records is kept as long as any. What is asked for again much later (rows of long windows by a restart, records of open alerts) is there only if its topic keeps it; `tidemark topics check` reads the topics' own retention.ms."
    ),
    (
        "trailing-follows-drift",
        "A slow change looks like no change from one window to the next. A trailing span of ten windows or more that ends some time before the window (`skip`) still sees it; a file, or `first`, always does."
    ),
    (
        "volume-without-bound",
        "A volume monitor compares rows with what is expected (drop, rise), or with a number (below, above)."
    ),
    (
        "baseline-without-volume",
        "The file of a baseline counts rows of any time. How many rows a window has is learned on the stream."
    ),
    (
        "too-few-windows",
        "How much the number of rows varies from window to window is estimated from the windows of the baseline. One or two are too few for that, and a few give only a rough estimate."
    ),
    (
        "freshness-below-pane",
        "Whether a group is silent is decided at the end of each pane. A shorter silence is not seen, and a group that does not have a row in every pane would be called silent."
    ),
    (
        "no-groups",
        "`per: group` watches the groups of a segment one by one. A segment without `by` is one whole, which `per: segment` watches."
    ),
    ("unknown-baseline", "No baseline has this name."),
    (
        "no-baseline",
        "Drift is a difference from a baseline: without one there is nothing to compare with."
    ),
    ("against-needed", "With several baselines a monitor says which one it means."),
    (
        "baseline-lacks-column",
        "A monitor of a column that the baseline does not know would never have a verdict."
    ),
    ("baseline-other-schema", "The baseline was built when the column had another type."),
    (
        "baseline-learned",
        "Without a baseline the first hour of each group becomes the truth, with whatever was wrong in it. A file from `tidemark baseline build`, or a trailing span, says what is meant."
    ),
    (
        "edges-universal",
        "What is compared with windows of the stream is counted in bins that are known before the data. Without a range these are universal ones: right for any size of numbers, and coarse."
    ),
    (
        "edges-differ",
        "Groups are compared with each other cell by cell, so all of them have to be counted in the same bins. A file that was built by group has other bins for each."
    ),
    (
        "unknown-dimension",
        "`other` replaces values of dimensions: a segment has to be grouped by them, so that both groups are there."
    ),
    (
        "other-without-dimension",
        "A group of a segment without that dimension has no other group to be compared with: the monitor looks elsewhere."
    ),
    (
        "same-time-too-long",
        "The same time of one day must not reach into that of the next, or a row would count twice."
    ),
    ("bad-date", "A date is year, month and day: 2026-12-25. Days are those of UTC."),
    (
        "baseline-other-groups",
        "The baseline holds no group of this segment; windows have nothing to be compared with there."
    ),
    (
        "no-histogram",
        "Drift compares counts in the bins of the baseline: the column needs a histogram with its edges."
    ),
    ("no-kind", "Each monitor has exactly one kind key, which says what it watches."),
    ("two-kinds", "Each monitor has exactly one kind key, each baseline one source."),
    (
        "unknown-monitor",
        "Some monitors exist without being mentioned, such as drift, volume and freshness. Only those can be switched off by name."
    ),
    (
        "unknown-test",
        "`tidemark list operators` has the tests; `auto` chooses by the column's type."
    ),
    ("test-of-type", "Kolmogorov-Smirnov needs an order; categories have none."),
    ("not-testable", "Text is counted, never listed: nothing is left to compare."),
    ("budget-off", "Without a budget the effect alone decides, and chance alarms are not bounded."),
    (
        "route-unreachable",
        "Of several routes the first that takes an alert decides; one that gets none is a mistake in their order."
    ),
    (
        "page-unrouted",
        "A page that goes to no destination is in the topic of alerts alone, and nobody may look there. A route without `monitors` and `groups` takes what is left."
    ),
    (
        "destination-unused",
        "A destination gets the alerts that a route sends to it, and no others."
    ),
    ("output-twice", "Two outputs to one topic could not be told apart."),
    ("output-is-source", "The topology would read its own results."),
    (
        "shared-app",
        "An `app` is a consumer group, a transactional id and a state topic: two topologies with the same `app` would fence each other and remove each other's state."
    ),
]
