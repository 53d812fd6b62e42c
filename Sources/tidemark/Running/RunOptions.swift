import TidemarkDataflow
import TidemarkHTTP
import TidemarkRuntime

/// What a run is made of, beside the plan.
struct RunOptions {
    var input: String?
    var output: String?
    var untilEnd = false
    /// Files in place of baselines that a topic has, by the name of the baseline.
    var baselines: [String: String] = [:]
    var json = false
    var quiet = false
    /// Publish no alerts, commit nothing: beside a live process.
    var isShadow = false
    /// Appended to the topics of a shadow's aggregates; `nil`: they are published to no topic.
    var suffix: String?
    /// Named in commands that would help.
    var topologyPath = "TOPOLOGY"
    /// Serve metrics and probes there.
    var http: HTTPAddress?
    /// Compare the topics with what the plan needs before anything is read.
    var checksTopics = true
    /// Called with each progress reading, for those who draw their own.
    var onProgress: ((RunProgress) -> Void)?
    /// Puts another source around the cluster's.
    var makeSource: ((any Source) -> any Source)?
    /// Tell of alerts once they are out; whoever reads the topic tells by itself.
    var tellsAlerts = true
    /// A reason to stop beside the signals.
    var shouldStop: (() -> Bool)?
}
