internal import CHTTP
import Glibc

/// A request, as far as handlers need it: these paths take neither a query nor a body.
package struct HTTPRequest: Sendable, Equatable {
    /// `GET`, `HEAD`, …, as it came.
    package var method: String
    /// The path, percent-decoded, without the query.
    package var path: String
}

/// What is answered to a request.
package struct HTTPAnswer: Sendable, Equatable {
    /// What the bytes are, as the header says it.
    package enum ContentType: Sendable {
        case text
        /// The text format of Prometheus.
        case metrics
        case json
    }

    /// The status code: 200, 404 and so on.
    package var status: Int
    /// What the body is.
    package var contentType: ContentType
    /// Left away by the server in the answer to HEAD.
    package var body: [UInt8]
    /// With status 405: the methods that are allowed.
    fileprivate var saysAllowed = false

    /// An answer whose bytes are made already.
    package init(status: Int = 200, _ contentType: ContentType, bytes: [UInt8]) {
        self.status = status
        self.contentType = contentType
        body = bytes
    }

    /// An answer of text that is not plain.
    package init(status: Int = 200, _ contentType: ContentType, text: String) {
        self.init(status: status, contentType, bytes: Array(text.utf8))
    }

    /// Plain text.
    package init(status: Int = 200, _ text: String) {
        self.init(status: status, .text, text: text)
    }

    fileprivate static var notAllowed: HTTPAnswer {
        var answer = HTTPAnswer(status: 405, "only GET and HEAD are answered here\n")
        answer.saysAllowed = true
        return answer
    }
}

/// Where a server listens: a numeric address and a port.
package struct HTTPAddress: Sendable, Equatable, CustomStringConvertible {
    /// A numeric address, IPv6 without brackets.
    package var host: String
    /// 0: a free one.
    package var port: UInt16

    /// `127.0.0.1:9464`, `[::1]:9464`, `localhost:9464`, or a port alone, which is on loopback.
    ///
    /// - Returns: `nil`, if it is none of these.
    package init?(_ text: String) {
        if let port = UInt16(text) {
            self.init(host: "127.0.0.1", port: port)
            return
        }
        guard let colon = text.lastIndex(of: ":"),
            let port = UInt16(text[text.index(after: colon)...])
        else { return nil }
        var host = text[..<colon]
        if host.hasPrefix("["), host.hasSuffix("]") {
            host = host.dropFirst().dropLast()
        } else if host.contains(":") {
            return nil
        }
        guard !host.isEmpty else { return nil }
        self.init(host: host == "localhost" ? "127.0.0.1" : String(host), port: port)
    }

    package init(host: String, port: UInt16) {
        self.host = host
        self.port = port
    }

    /// `127.0.0.1:9464`, `[::1]:9464`.
    package var description: String {
        host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
    }
}

/// Why a server could not start.
package struct HTTPProblem: Error, Equatable {
    /// The address and the system's reason, for a person.
    package var message: String
}

/// An HTTP/1.1 server for pages and numbers that are made in memory.
///
/// One thread of its own answers all connections; the handler is called on it, a request at a time.
/// At most 64 connections at once, each closed after ten seconds without news.
@safe
package final class HTTPServer: @unchecked Sendable {
    // The owner is whoever made it: `stop` is called once, by `deinit`.
    private let server: OpaquePointer
    private let handler: Unmanaged<Handler>

    fileprivate final class Handler: Sendable {
        let answer: @Sendable (HTTPRequest) -> HTTPAnswer
        init(_ answer: @escaping @Sendable (HTTPRequest) -> HTTPAnswer) { self.answer = answer }
    }

    /// Where it listens; the port is the one that was taken.
    package let address: HTTPAddress

    /// Listens from here on.
    ///
    /// - Throws: the system's reason, if the address is taken or is none of this host.
    package init(
        at address: HTTPAddress, answer: @escaping @Sendable (HTTPRequest) -> HTTPAnswer
    ) throws(HTTPProblem) {
        let handler = unsafe Unmanaged.passRetained(Handler(answer))
        var problem: UnsafePointer<CChar>?
        let started = unsafe tm_http_start(
            address.host, address.port, answerRequest, handler.toOpaque(), &problem)
        guard let started = unsafe started else {
            unsafe handler.release()
            let reason = unsafe problem.map { unsafe String(cString: $0) } ?? "for no stated reason"
            throw HTTPProblem(message: "cannot serve anything at \(address): \(reason)")
        }
        unsafe server = started
        unsafe self.handler = handler
        self.address = HTTPAddress(host: address.host, port: unsafe tm_http_port(started))
    }

    deinit {
        unsafe tm_http_stop(server)
        unsafe handler.release()
    }
}

/// Called by the library, on the server's thread.
private func answerRequest(
    _ context: UnsafeMutableRawPointer?, _ method: UnsafePointer<CChar>?,
    _ path: UnsafePointer<CChar>?, _ answer: UnsafeMutablePointer<tm_http_answer>?
) {
    guard let context = unsafe context, let method = unsafe method, let path = unsafe path,
        let answer = unsafe answer
    else { return }
    let handler = unsafe Unmanaged<HTTPServer.Handler>.fromOpaque(context).takeUnretainedValue()
    let request = unsafe HTTPRequest(
        method: String(cString: method), path: String(cString: path))
    let given =
        request.method == "GET" || request.method == "HEAD"
        ? handler.answer(request) : HTTPAnswer.notAllowed
    unsafe answer.pointee.status = UInt32(given.status)
    unsafe answer.pointee.content_type = given.contentType.text
    if given.saysAllowed { unsafe answer.pointee.allow = staticText("GET, HEAD") }
    guard let body = unsafe malloc(max(1, given.body.count)) else { return }
    unsafe given.body.withUnsafeBytes { bytes in
        if let base = bytes.baseAddress { unsafe memcpy(body, base, bytes.count) }
    }
    unsafe answer.pointee.body = body.assumingMemoryBound(to: CChar.self)
    unsafe answer.pointee.length = given.body.count
}

extension HTTPAnswer.ContentType {
    fileprivate var text: UnsafePointer<CChar> {
        switch self {
        case .text: unsafe staticText("text/plain; charset=utf-8")
        case .metrics: unsafe staticText("text/plain; version=0.0.4; charset=utf-8")
        case .json: unsafe staticText("application/json")
        }
    }
}

/// A literal's bytes, which live as long as the program and end with a zero.
private func staticText(_ text: StaticString) -> UnsafePointer<CChar> {
    unsafe UnsafeRawPointer(text.utf8Start).assumingMemoryBound(to: CChar.self)
}
