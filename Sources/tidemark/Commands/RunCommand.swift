import Glibc
import Synchronization
import TidemarkCodec
import TidemarkCore
import TidemarkDataflow
import TidemarkFiles
import TidemarkHTTP
import TidemarkKafka
import TidemarkOperators
import TidemarkRuntime
import TidemarkTelemetry
import TidemarkText

/// Set by SIGTERM and SIGINT; looked at about twenty times a second.
private let stopRequested = Atomic<Bool>(false)

/// A stop that takes longer ends the process.
private let stopWithinSeconds = Atomic<UInt32>(30)

private func requestStop(_ signal: Int32) {
    // A second signal ends the process at once.
    if stopRequested.exchange(true, ordering: .relaxed) { _exit(128 + signal) }
    // Single calls of the client wait for a broker for as long as it does not answer.
    alarm(stopWithinSeconds.load(ordering: .relaxed))
}

/// Ends the process when the time to stop is over: the next start repeats what was not committed.
private func giveUpStopping(_ signal: Int32) {
    let text: StaticString =
        "tidemark: the last commit did not finish within run.stop_within; the next start repeats it\n"
    _ = unsafe write(2, text.utf8Start, text.utf8CodeUnitCount)
    _exit(ExitCode.environment)
}

/// Runs a plan; prints what happens.
func runPlan(_ loaded: LoadedPlan, _ options: RunOptions) throws(ConnectorError) -> RunSummary {
    let started = SystemTime().nowNs()
    let time = SystemTime()
    let telemetry = Telemetry()
    let log = Log(time: time, level: options.quiet || options.json ? .warning : .info)
    let health = RunHealth(time: time)
    var server: HTTPServer?
    if let address = options.http {
        do throws(HTTPProblem) {
            server = try serve(at: address, telemetry, health)
        } catch {
            throw ConnectorError(.environment, error.message, hint: "--http 127.0.0.1:9464")
        }
    }
    // It serves until the run is over.
    defer { withExtendedLifetime(server) {} }
    if let server { log.info("metrics and probes are served", ["at": "http://\(server.address)/"]) }
    // Two seconds more: by then the run has ended by itself where the client lets it.
    stopWithinSeconds.store(
        UInt32(clamping: (loaded.plan.run.stopWithinMs + 999) / 1000 + 2), ordering: .relaxed)
    signal(SIGALRM, giveUpStopping)
    signal(SIGTERM, requestStop)
    signal(SIGINT, requestStop)
    signal(SIGPIPE, SIG_IGN)
    var totals = RunTotals()
    var last = RunProgress()
    var clockMs: Int64?
    var isFirst = true
    // Whoever has new partitions to read begins as a new process would, from its own commit.
    while true {
        let ended = try EngineRun(
            loaded: loaded, options: options, isFirst: isFirst, time: time, telemetry: telemetry,
            log: log, isStopped: { stopRequested.load(ordering: .relaxed) }
        ).ended(after: totals, health: health)
        totals = ended.totals
        last = ended.last
        clockMs = ended.clockMs
        isFirst = false
        guard ended.last.hasGrown, !stopRequested.load(ordering: .relaxed) else { break }
        log.warning("the input has new partitions: reading goes on with them")
    }
    let isPipe = (options.input ?? loaded.plan.stream.source.file) == "-"
    let untilEnd = options.untilEnd || isPipe
    return RunSummary(
        loaded.plan, totals: totals, last: last,
        untilEnd: untilEnd && !stopRequested.load(ordering: .relaxed),
        seconds: Double(time.nowNs() - started) / 1e9, clockMs: clockMs, isPipe: isPipe)
}
