import Synchronization
import TidemarkCore
import TidemarkHTTP
import TidemarkRuntime
import TidemarkTelemetry

/// What probes ask of a run: whether it lives, has started, and does what it is there for.
///
/// The run's thread writes, the server's reads.
final class RunHealth: Sendable {
    private struct State {
        /// The coordinator's last turn, monotonic; `nil` before its first.
        var lastTurnNs: Int64?
        var isRebuilding = false
        var isHolding = false
        var isStopping = false
    }

    private let state = Mutex(State())
    private let time: any TimeSource
    /// A coordinator that has taken no turn for longer is stuck: single calls of the client wait up
    /// to a minute.
    private static let stuckNs: Int64 = 120_000_000_000

    init(time: any TimeSource) { self.time = time }

    /// Takes a reading over.
    func note(_ progress: RunProgress, isStopping: Bool) {
        let now = time.nowNs()
        state.withLock {
            $0.lastTurnNs = now
            $0.isRebuilding = progress.isRebuilding
            $0.isHolding = progress.isHolding
            $0.isStopping = isStopping
        }
    }

    /// Alive: the coordinator takes its turns; before its first one, the process is.
    var live: HTTPAnswer {
        let last = state.withLock { $0.lastTurnNs }
        guard let last, time.nowNs() - last > Self.stuckNs else { return HTTPAnswer("ok\n") }
        let seconds = (time.nowNs() - last) / 1_000_000_000
        return HTTPAnswer(status: 503, "the coordinator has not moved for \(seconds) s\n")
    }

    /// Started: positions and state were read, and reading has begun.
    var started: HTTPAnswer {
        state.withLock { $0.lastTurnNs } != nil
            ? HTTPAnswer("ok\n") : HTTPAnswer(status: 503, "positions and state are being read\n")
    }

    /// Ready: records are read and results published.
    var ready: HTTPAnswer {
        let now = state.withLock { $0 }
        if now.lastTurnNs == nil { return started }
        if live.status != 200 { return live }
        if now.isHolding {
            return HTTPAnswer(
                status: 503,
                "reading has stopped: too many dead letters in a minute (limits.bad_rows)\n")
        }
        if now.isStopping { return HTTPAnswer(status: 503, "the process is stopping\n") }
        if now.isRebuilding {
            return HTTPAnswer(
                status: 503, "records before the committed offset are being read again\n")
        }
        return HTTPAnswer("ok\n")
    }
}

/// The pages of a run.
func serve(
    at address: HTTPAddress, _ telemetry: Telemetry, _ health: RunHealth
) throws(HTTPProblem) -> HTTPServer {
    try HTTPServer(at: address) { request in
        switch request.path {
        case "/metrics": HTTPAnswer(.metrics, text: telemetry.prometheusText())
        case "/livez": health.live
        case "/readyz": health.ready
        case "/startupz": health.started
        case "/":
            HTTPAnswer("tidemark \(programVersion)\n/metrics\n/livez\n/readyz\n/startupz\n")
        default: HTTPAnswer(status: 404, "no such page; / lists them\n")
        }
    }
}
