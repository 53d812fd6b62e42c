import Glibc
import TidemarkKafka
import TidemarkKernels

/// The program's version.
let programVersion = "0.1.0"

/// Why this processor cannot run the program, in words; `nil` if it can.
///
/// Looked at first: what is compiled for a newer processor would end in an illegal instruction.
func processorProblem() -> String? {
    #if arch(x86_64)
        return InstructionTier.hasBaseline
            ? nil
            : "this processor is older than x86-64-v3 (AVX2, BMI, FMA), which this build needs"
    #else
        return nil
    #endif
}

func versionText() -> String {
    "tidemark \(programVersion) (librdkafka \(kafkaLibraryVersion()), \(InstructionTier.current.name))\n"
}
