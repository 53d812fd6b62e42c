import TidemarkLanguage

/// A time as the language writes it (`2026-01-31T12:00:00Z`), in ms since 1970; `nil` if it is none.
package func timeMs(_ text: String) -> Int64? { Scalars.time(text) }

/// A duration as the language writes it (`1h30m`), in ms; `nil` if it is none.
package func durationMs(_ text: String) -> Int64? {
    if case .success(let ms) = Scalars.duration(text, "a duration") { return ms }
    return nil
}
