/// The two-sample tests that there are.
package enum TwoSample {
    /// In the order in which they are listed to people.
    package static let all: [any TwoSampleTest.Type] = [
        PSI.self, KolmogorovSmirnov.self, ChiSquare.self, JensenShannon.self, LInfinity.self,
        Wasserstein.self,
    ]

    /// What they are, in the same order.
    package static var specs: [TestSpec] { all.map { $0.spec } }

    /// Names that are kept for tests to come.
    package static let later = [
        "js_divergence", "kl_divergence", "hellinger", "total_variation", "cramer_von_mises",
        "anderson_darling", "energy", "g_test", "fisher", "two_proportions",
        "mean_shift", "quantile_shift", "mmd", "classifier", "top_tail",
    ]

    /// The test of a name.
    package static func named(_ name: String) -> (any TwoSampleTest.Type)? {
        all.first { $0.spec.name == name }
    }

    /// `test: auto`: what the size of a difference is measured by.
    package static let automatic: any TwoSampleTest.Type = PSI.self

    /// What says whether a difference is significant, whichever test says how large it is.
    package static func significance(ofNumbers: Bool) -> any TwoSampleTest.Type {
        ofNumbers ? KolmogorovSmirnov.self : ChiSquare.self
    }
}
