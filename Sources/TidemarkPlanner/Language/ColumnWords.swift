import TidemarkDataflow

/// The words of the language for columns, each with what it means: messages, the JSON Schema and the
/// documentation read this.
package enum ColumnWords {
    /// What a value is.
    static let types: [(word: String, type: ColumnType, meaning: String)] = [
        ("number", .number, "a double; NaN and infinity are counted as `non_finite`"),
        ("integer", .integer, "a whole number of 64 bits; 5.0 is one, 5.5 is a wrong type"),
        (
            "boolean", .boolean,
            "`true` or `false`; in CSV also `True`, `TRUE`, `1` and their opposites"
        ),
        (
            "category", .category,
            "text that is compared by value; booleans and numbers are their text, and equal numbers one value (5 and 5.0 are `5`)"
        ),
        ("text", .text, "text that is counted, never listed"),
    ]

    /// Event times: `type`, or the word alone.
    static let times: [(word: String, unit: TimeUnit, meaning: String)] = [
        ("time_s", .s, "seconds since 1970, `1705312800` or `1705312800.25`"),
        ("time_ms", .ms, "milliseconds since 1970, `1705312800000`"),
        ("time_us", .us, "microseconds since 1970"),
        ("time_ns", .ns, "nanoseconds since 1970"),
        ("time_text", .text, "ISO 8601, `2024-01-15T10:00:00.250Z`"),
    ]

    /// What a column is for.
    static let roles: [(word: String, role: ColumnRole, type: ColumnType, meaning: String)] = [
        ("model", .model, .category, "the model's name: rows are grouped by it"),
        ("version", .version, .category, "the model's version"),
        ("environment", .environment, .category, "production, staging and so on"),
        ("segment", .segment, .category, "a part of the traffic: rows are grouped by it as well"),
        ("class", .class, .category, "the class that the model predicted"),
        ("label", .label, .category, "the truth that the model predicts, where records have it"),
        ("id", .id, .text, "names the row; never watched"),
        ("score", .score, .number, "a number that the model predicted"),
        (
            "weight", .weight, .number,
            "how many rows the row stands for, above 0, in a sample: metrics count it"
        ),
        ("attribute", .attribute, .category, "for filters and segments alone; never watched"),
    ]

    /// Words that pick columns, wherever a key takes some.
    static let selectors: [(word: String, meaning: String)] = [
        ("all", "every watched column: roles feature, score, class and label"),
        ("features", "those of role feature"), ("numbers", "numbers and integers"),
        ("categories", "categories"), ("booleans", "booleans"), ("texts", "texts"),
        ("scores", "those of role score"), ("classes", "those of role class"),
        ("labels", "those of role label"),
    ]

    /// The words that may stand alone behind a column's name.
    package static let all: [String] = types.map(\.word) + roles.map(\.word) + times.map(\.word)
    /// What `role:` takes.
    package static let ofRole: [String] = ["feature"] + roles.map(\.word)
    /// What `type:` takes.
    package static let ofType: [String] = types.map(\.word) + times.map(\.word)
}
