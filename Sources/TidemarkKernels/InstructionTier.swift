import CKernels

/// Which instructions the kernels use; results are the same bit for bit.
package enum InstructionTier: Int32, Sendable, CaseIterable {
    case scalar = 0
    case avx2 = 1
    case avx512 = 2

    /// Whether the processor has what every target of this build is compiled for (x86-64-v3).
    package static var hasBaseline: Bool { tk_has_baseline() != 0 }

    /// The name that `TIDEMARK_SIMD` takes.
    package var name: String {
        switch self {
        case .scalar: "scalar"
        case .avx2: "avx2"
        case .avx512: "avx512"
        }
    }

    /// The tier in use: the best that the processor has, lowered by the environment variable
    /// `TIDEMARK_SIMD=scalar|avx2|avx512`.
    package static var current: InstructionTier {
        InstructionTier(rawValue: tk_tier()) ?? .scalar
    }

    /// Makes every kernel that the calling thread runs use `tier`, or the best below it that the
    /// processor has.
    ///
    /// For tests that compare tiers: other threads, and the tests that run there, keep theirs.
    /// - Returns: The tier now in use.
    @discardableResult
    package static func force(_ tier: InstructionTier) -> InstructionTier {
        InstructionTier(rawValue: tk_force_tier(tier.rawValue)) ?? .scalar
    }
}
