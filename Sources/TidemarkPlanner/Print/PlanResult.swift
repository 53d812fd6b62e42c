package import TidemarkDataflow
package import TidemarkTopology

/// What became of a topology.
package struct PlanResult: Sendable {
    /// `nil` exactly if a diagnostic is an error.
    package var plan: Plan?
    /// Hash of what shapes the data, 16 hex digits.
    package var dataHash: String
    /// In order of place.
    package var diagnostics: [Diagnostic]
    /// What was found out on the way; without a plan, as far as it goes.
    package var facts: PlanFacts
    /// The language that it was planned in.
    package var catalogue: Catalogue
}
