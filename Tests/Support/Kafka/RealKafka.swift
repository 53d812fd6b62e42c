import Foundation
import Synchronization

/// A real Apache Kafka on loopback, of its own directory and ports, for one suite of tests.
///
/// Made by the script that `TIDEMARK_TEST_KAFKA` names (`../shared/kafka/kafka` beside the package
/// otherwise). Whatever becomes of the tests, the broker goes with their process: a small shell waits
/// for its end and wipes.
package final class RealKafka: Sendable {
    /// The script, if there is one.
    package static let script: String? = {
        let named = ProcessInfo.processInfo.environment["TIDEMARK_TEST_KAFKA"]
        let path = named ?? packageRoot + "/../shared/kafka/kafka"
        return FileManager.default.isExecutableFile(atPath: path) ? path : nil
    }()

    package static var isAvailable: Bool { script != nil }
    package static let skipReason =
        "no Kafka here: set TIDEMARK_TEST_KAFKA to the script that starts one"

    private static var packageRoot: String {
        URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().deletingLastPathComponent().path
    }

    package struct Failure: Error, CustomStringConvertible {
        package let description: String
    }

    package let directory: String
    package let port: Int
    package let brokers: Int
    /// The plain listeners.
    package let bootstrap: String
    private let script: String
    private let isWiped = Atomic<Bool>(false)

    /// Starts the brokers and waits until they answer.
    package init(brokers: Int = 1, secure: Bool = false) throws {
        guard let script = Self.script else { throw Failure(description: Self.skipReason) }
        self.script = script
        self.brokers = brokers
        directory =
            FileManager.default.temporaryDirectory
            .appendingPathComponent("tidemark-kafka-\(UUID().uuidString)").path
        port = try freePort(count: 10 * brokers)
        var arguments = ["up", "--brokers", String(brokers)]
        if secure { arguments.append("--secure") }
        try runReaper(script: script, directory: directory, port: port)
        let output: String
        do {
            output = try runScript(script, arguments, directory: directory, port: port)
        } catch {
            _ = try? runScript(script, ["wipe"], directory: directory, port: port)
            throw error
        }
        bootstrap = output.split(separator: "\n").last.map(String.init) ?? ""
    }

    deinit { wipe() }

    /// The SASL_SSL listener of the first broker.
    package var secureBootstrap: String { "127.0.0.1:\(port + 1)" }
    package var certificateAuthority: String { directory + "/tls/ca.pem" }

    /// Runs the script with these arguments and gives what it printed.
    @discardableResult
    package func run(_ arguments: String...) throws -> String {
        try runScript(script, arguments, directory: directory, port: port)
    }

    package func createTopic(_ name: String, partitions: Int, config: [String] = []) throws {
        var arguments = ["topics", "--create", "--topic", name, "--partitions", String(partitions)]
        for entry in config { arguments += ["--config", entry] }
        _ = try runScript(script, arguments, directory: directory, port: port)
    }

    /// Freezes a broker (SIGSTOP) and thaws it.
    package func pause(_ broker: Int = 1) throws { try run("pause", String(broker)) }
    package func resume(_ broker: Int = 1) throws { try run("resume", String(broker)) }
    /// kill -9.
    package func kill(_ broker: Int = 1) throws { try run("kill", String(broker)) }
    package func stop(_ broker: Int = 1) throws { try run("stop", String(broker)) }
    package func start(_ broker: Int = 1) throws { try run("start", String(broker)) }

    /// Stops the brokers and deletes their data.
    package func wipe() {
        guard !isWiped.exchange(true, ordering: .relaxed) else { return }
        for broker in 1...brokers { _ = try? run("resume", String(broker)) }
        _ = try? run("wipe")
    }
}

private func runScript(
    _ script: String,
    _ arguments: [String],
    directory: String,
    port: Int
) throws -> String {
    // A file, not a pipe: a broker inherits it and would hold a pipe open.
    let scratch = FileManager.default.temporaryDirectory
        .appendingPathComponent("tidemark-kafka-\(UUID().uuidString).out").path
    defer { try? FileManager.default.removeItem(atPath: scratch) }
    let child = try spawn([script] + arguments, output: scratch, directory: directory, port: port)
    var status: Int32 = 0
    while unsafe waitpid(child, &status, 0) < 0 && errno == EINTR {}
    let text = (try? String(contentsOfFile: scratch, encoding: .utf8)) ?? ""
    guard status == 0 else {
        throw RealKafka.Failure(
            description: "kafka \(arguments.joined(separator: " ")) failed: \(text.suffix(2000))"
        )
    }
    return text
}

/// Wipes after the end of this process, however it ends.
private func runReaper(script: String, directory: String, port: Int) throws {
    let loop = "while kill -0 \(getpid()) 2>/dev/null; do sleep 1; done; '\(script)' wipe"
    _ = try spawn(
        ["/usr/bin/setsid", "sh", "-c", loop],
        output: "/dev/null",
        directory: directory,
        port: port
    )
}

/// Starts a program. (Foundation's `Process` waits for a broker that the program leaves behind.)
private func spawn(
    _ arguments: [String],
    output: String,
    directory: String,
    port: Int
) throws -> pid_t {
    var variables = ProcessInfo.processInfo.environment
    variables["KAFKA_DIR"] = directory
    variables["KAFKA_PORT"] = String(port)
    // The child gets neither sockets of a client nor pipes of the test runner.
    let closing =
        #"for f in /proc/self/fd/*; do n=${f##*/}; [ $n -gt 2 ] && eval "exec $n>&-"; done; exec "$@""#
    let arguments = ["/bin/bash", "-c", closing, "bash"] + arguments
    var argv = unsafe arguments.map { unsafe strdup($0) }
    unsafe argv.append(nil)
    var envp = unsafe variables.map { unsafe strdup("\($0.key)=\($0.value)") }
    unsafe envp.append(nil)
    defer {
        unsafe argv.forEach { unsafe free($0) }
        unsafe envp.forEach { unsafe free($0) }
    }
    var actions = unsafe posix_spawn_file_actions_t()
    unsafe posix_spawn_file_actions_init(&actions)
    defer { unsafe posix_spawn_file_actions_destroy(&actions) }
    unsafe posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
    unsafe posix_spawn_file_actions_addopen(&actions, 1, output, O_WRONLY | O_CREAT, 0o600)
    unsafe posix_spawn_file_actions_adddup2(&actions, 1, 2)
    var child = pid_t()
    let code = unsafe posix_spawn(&child, arguments[0], &actions, nil, argv, envp)
    guard code == 0 else {
        throw RealKafka.Failure(description: "cannot start \(arguments[0]): error \(code)")
    }
    return child
}

/// The first of `count` consecutive ports that nobody listens on.
private func freePort(count: Int) throws -> Int {
    let start = Int(ProcessInfo.processInfo.processIdentifier) % 250
    for attempt in 0..<250 {
        let port = 20_192 + (start + attempt) % 250 * 40
        if (port..<port + count).allSatisfy(isFree) { return port }
    }
    throw RealKafka.Failure(description: "no free ports for Kafka")
}

private func isFree(_ port: Int) -> Bool {
    let socket = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    guard socket >= 0 else { return false }
    defer { _ = Glibc.close(socket) }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = UInt16(port).bigEndian
    address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
    let result = unsafe withUnsafePointer(to: &address) { address in
        unsafe address.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
            unsafe bind(socket, address, socklen_t(MemoryLayout<sockaddr_in>.size))
        }
    }
    return result == 0
}
