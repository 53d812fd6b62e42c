import Testing
import TidemarkCore
import TidemarkTelemetry
import TidemarkTestSupport

@Suite struct TelemetryTests {
    @Test func `an instrument of one name and labels is one instrument`() {
        let telemetry = Telemetry()
        telemetry.counter("a_total", labels: [("x", "1")]).add(2)
        telemetry.counter("a_total", labels: [("x", "1")]).add()
        telemetry.counter("a_total", labels: [("x", "2")]).add(5)
        #expect(telemetry.counter("a_total", labels: [("x", "1")]).value == 3)
    }

    @Test func `the text is what Prometheus reads`() {
        let telemetry = Telemetry()
        telemetry.counter("b_total", labels: [("topic", "a\"b\\c")], help: "Rows.").add(7)
        telemetry.gauge("a_ratio").set(0.25)
        let histogram = telemetry.histogram("c_seconds")
        histogram.observe(ns: 300_000)
        histogram.observe(ns: 90_000_000_000)
        let text = telemetry.prometheusText()
        #expect(text.hasPrefix("# TYPE a_ratio gauge\na_ratio 0.25\n# HELP b_total Rows.\n"))
        #expect(text.contains("b_total{topic=\"a\\\"b\\\\c\"} 7\n"))
        #expect(text.contains("c_seconds_bucket{le=\"0.00025\"} 0\n"))
        #expect(text.contains("c_seconds_bucket{le=\"0.0005\"} 1\n"))
        #expect(text.contains("c_seconds_bucket{le=\"60\"} 1\n"))
        #expect(text.contains("c_seconds_bucket{le=\"+Inf\"} 2\n"))
        #expect(text.contains("c_seconds_count 2\n"))
    }

    @Test func `a log line is one event with fields`() {
        let lines = Lines()
        let log = lines.log(level: .info)
        log.debug("unseen")
        log.warning("pane overflow", ["topology": "w1", "rows": 12, "why": "a \"b\"\nc"])
        let text = lines.text
        #expect(
            text.hasSuffix(
                "Z level=warning event=\"pane overflow\" topology=w1 rows=12 why=\"a \\\"b\\\"\\nc\"\n"
            )
        )
        #expect(text.hasPrefix("ts=20"))
        #expect(text.split(separator: "\n").count == 1)
    }

    @Test func `journald gets its own level instead of the time`() {
        let lines = Lines()
        lines.log(journal: true).error("stopped")
        #expect(lines.text == "<3>level=error event=stopped\n")
    }

    @Test func `a line takes the status line away and draws it again`() {
        let lines = Lines()
        let log = lines.log(journal: true)
        log.setStatus("50%")
        log.info("news")
        log.setStatus("")
        log.info("more")
        #expect(
            lines.text
                == "\r\u{1b}[K50%\r\u{1b}[K<6>level=info event=news\n50%\r\u{1b}[K"
                + "<6>level=info event=more\n"
        )
    }
}
