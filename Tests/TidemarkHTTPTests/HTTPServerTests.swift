import Glibc
import Testing
import TidemarkHTTP

@Suite struct HTTPServerTests {
    /// Sends bytes and reads the answer to its end.
    private func exchange(_ server: HTTPServer, _ request: String) -> String {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(descriptor) }
        var to = sockaddr_in()
        to.sin_family = sa_family_t(AF_INET)
        to.sin_port = server.address.port.bigEndian
        to.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        let connected = unsafe withUnsafePointer(to: &to) {
            unsafe $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard connected == 0 else { return "" }
        let bytes = Array(request.utf8)
        _ = unsafe bytes.withUnsafeBytes { unsafe send(descriptor, $0.baseAddress, $0.count, 0) }
        var answer: [UInt8] = []
        var part = [UInt8](repeating: 0, count: 4096)
        while true {
            let count = unsafe part.withUnsafeMutableBytes {
                unsafe recv(descriptor, $0.baseAddress, $0.count, 0)
            }
            guard count > 0 else { break }
            answer.append(contentsOf: part[..<count])
        }
        return String(decoding: answer, as: UTF8.self)
    }

    private func server() throws -> HTTPServer {
        try HTTPServer(at: HTTPAddress(host: "127.0.0.1", port: 0)) { request in
            request.path == "/long"
                ? HTTPAnswer(.json, bytes: Array(repeating: 0x61, count: 300_000))
                : HTTPAnswer(status: request.path == "/a b" ? 200 : 404, request.path)
        }
    }

    @Test func `a page is answered, and the path is decoded`() throws {
        let server = try server()
        let answer = exchange(
            server, "GET /a%20b?x=1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        #expect(answer.hasPrefix("HTTP/1.1 200 OK\r\n"))
        #expect(answer.hasSuffix("\r\n\r\n/a b"))
        #expect(answer.contains("Content-Type: text/plain; charset=utf-8\r\n"))
    }

    @Test func `an answer longer than a buffer arrives whole`() throws {
        let server = try server()
        let answer = exchange(server, "GET /long HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        #expect(answer.contains("Content-Length: 300000\r\n"))
        #expect(answer.utf8.count(where: { $0 == 0x61 }) >= 300_000)
    }

    @Test func `HEAD has no body, and other methods are refused with those that are allowed`()
        throws
    {
        let server = try server()
        let head = exchange(server, "HEAD /long HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        #expect(head.contains("Content-Length: 300000\r\n"))
        #expect(head.hasSuffix("\r\n\r\n"))
        let post = exchange(
            server,
            "POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 3\r\n\r\nabc")
        #expect(post.hasPrefix("HTTP/1.1 405 "))
        #expect(post.contains("Allow: GET, HEAD\r\n"))
    }

    @Test func `a port that is taken is an error with the reason`() throws {
        let server = try server()
        #expect(throws: HTTPProblem.self) {
            _ = try HTTPServer(at: server.address) { _ in HTTPAnswer("") }
        }
        #expect(throws: HTTPProblem.self) {
            _ = try HTTPServer(at: HTTPAddress(host: "no.number", port: 0)) { _ in HTTPAnswer("") }
        }
    }

    @Test(arguments: [
        ("127.0.0.1:9464", "127.0.0.1:9464"), ("9464", "127.0.0.1:9464"),
        ("localhost:1", "127.0.0.1:1"), ("[::1]:80", "[::1]:80"), ("0.0.0.0:9", "0.0.0.0:9"),
    ])
    func `addresses are read as people write them`(text: String, read: String) {
        #expect(HTTPAddress(text)?.description == read)
    }

    @Test(arguments: ["", ":", "a", ":80", "::1:80", "h:99999", "h:-1", "[::1]"])
    func `what is no address and port is refused`(text: String) {
        #expect(HTTPAddress(text) == nil)
    }
}
