/// The two-sample tests that there are.
package enum TwoSample {
    /// In the order in which they are listed to people.
    package static let all: [any TwoSampleTest.Type] = [
        PSI.self, KolmogorovSmirnov.self, ChiSquare.self, JensenShannon.self, LInfinity.self,
        Wasserstein.self, Hellinger.self, TotalVariation.self,
    ]

    /// What they are, in the same order.
    package static var specs: [TestSpec] { all.map { $0.spec } }

    /// Tests that people look for and do not find, each with the reason, and with what serves instead.
    package static let refused: [String: (because: String, instead: String)] = [
        "js_divergence": ("it is the square of a distance", "js_distance"),
        "kl_divergence": ("it has no bound where a cell is empty", "psi"),
        "cramer_von_mises": ("`ks` says how sure a difference is, and this not how large", "ks"),
        "anderson_darling": ("`ks` says how sure a difference is, and this not how large", "ks"),
        "energy": (
            "in one column it orders differences as a distance of moved values does", "wasserstein"
        ),
        "g_test": ("of counts as large as these it says the same", "chi_square"),
        "fisher": ("its size is that of a share", "l_infinity"),
        "two_proportions": ("its size is that of a share", "l_infinity"),
        "mean_shift": ("it is a metric, `mean` with `against` and `change`", "wasserstein"),
        "quantile_shift": (
            "it is a metric, `quantile` with `change` beside another group", "wasserstein"
        ),
        "mmd": ("it needs rows, and cells are kept", "hellinger"),
        "classifier": ("it needs rows, and cells are kept", "js_distance"),
        "top_tail": ("new values are what the check `unseen` of quality tells", "auto"),
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
