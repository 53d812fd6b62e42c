/// Every part of a topology: name, summary, keys, example.
package let operatorCatalogue: [OperatorSpec] = [
    Spec.topology, Spec.kafka, Spec.tls, Spec.sasl, Spec.source, Spec.decode, Spec.column,
    Spec.expect,
    Spec.segment, Spec.summary, Spec.histogram, Spec.quantiles, Spec.distinct, Spec.baseline,
    Spec.drift, Spec.quality, Spec.volume, Spec.freshness, Spec.budget, Spec.alerts, Spec.outputs,
    Spec.aggregates, Spec.limits, Spec.run,
]

/// The parts, by name.
enum Spec {
    static let topology = OperatorSpec(
        "topology", path: "", "a stream, and what is watched on it",
        [
            FieldSpec("language", .count(1...1), "1", "version of this language"),
            FieldSpec("name", .name, required: true, "the topology; prefix of output topics"),
            FieldSpec(
                "app", .name, "the name", "consumer group, transactional id, prefix of state"),
            FieldSpec("owner", .text(lengthMax: 1024), "who is asked; carried in alerts"),
            FieldSpec("description", .text(lengthMax: 1024), "carried in alerts"),
            FieldSpec("labels", .map("a map name → text"), "{}", "carried in alerts"),
            FieldSpec("kafka", .map("a map"), "{}", "how the cluster is reached"),
            FieldSpec("source", .map("a map"), required: true, "what is read"),
            FieldSpec(
                "filter", .condition, "keep all", "only rows for which it is true are counted"),
            FieldSpec(
                "segments", .map("a map name → segment"), "by model, by each segment column",
                "ways to slice the rows"),
            FieldSpec("windows", .list("a list of windows"), "[5m]", "`5m`, or `15m every 5m`"),
            FieldSpec(
                "pane", .duration(secondMs...minuteMs), "the longest divisor up to 1m",
                "what is folded and re-read"),
            FieldSpec(
                "summaries", .list("a list of rules"), "[]",
                "what is kept of a column, later rules win"
            ),
            FieldSpec(
                "baselines", .map("a map name → baseline"), "{}", "what windows are compared with"),
            FieldSpec(
                "monitors", .map("a map name → monitor"), "drift of all", "what is alerted on"),
            FieldSpec("budget", .map("a map"), "{}", "how many false alerts are expected"),
            FieldSpec("alerts", .map("a map"), "{}", "what monitors have in common"),
            FieldSpec("outputs", .map("a map"), "{}", "topics that are written"),
            FieldSpec("limits", .map("a map"), "{}", "what is never exceeded"),
            FieldSpec("run", .map("a map"), "{}", "how it is run"),
            .later("include", "fragments of other files"),
            .later("parameters", "names for values"),
            .later("templates", "streams with holes"),
            .later("streams", "several streams in one topology"),
            .later("lint", "rules silenced with a reason"),
            .later("tests", "cases with expected alerts"),
            .later("derive", "new columns from expressions"),
            .later("metrics", "aggregate expressions"),
        ],
        example:
            "name: churn\nsource: { topic: predictions.churn, schema: { ts: time_ms, score: score } }"
    )

    static let kafka = OperatorSpec(
        "kafka", path: "kafka", "how the cluster is reached",
        [
            FieldSpec(
                "brokers", .text(lengthMax: 4096), "${env:TIDEMARK_BROKERS:-localhost:9092}",
                "one cluster for all topics"),
            FieldSpec("tls", .map("a map"), "off", off: true, "encryption"),
            FieldSpec("sasl", .map("a map"), "off", off: true, "who we are"),
            FieldSpec(
                "properties", .map("a map property → text"), "{}", "other librdkafka properties"),
        ],
        example: "kafka: { brokers: \"${env:BROKERS}\" }")

    static let tls = OperatorSpec(
        "tls", path: "kafka.tls", "encryption",
        [
            FieldSpec("ca", .path, "the system's", "certificate authorities, PEM"),
            FieldSpec("cert", .path, "our certificate, PEM"),
            FieldSpec("key", .secret, "its key, PEM"),
            FieldSpec("verify", .boolean, "true", "check the broker's certificate"),
        ],
        example: "tls: { ca: /etc/ssl/kafka.pem }")

    static let sasl = OperatorSpec(
        "sasl", path: "kafka.sasl", "who we are",
        [
            FieldSpec(
                "mechanism",
                .choice(["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER", "GSSAPI"]),
                required: true, "how it is proved"),
            FieldSpec("username", .text(lengthMax: 1024), "the user"),
            FieldSpec("password", .secret, "`${env:NAME}` or `${file:PATH}`"),
            FieldSpec(
                "token", .secret,
                "a JSON web token for OAUTHBEARER, read anew before it expires: `${file:PATH}`"),
        ],
        example:
            "sasl: { mechanism: SCRAM-SHA-512, username: tm, password: \"${file:/run/secrets/kafka}\" }"
    )

    static let source = OperatorSpec(
        "source", path: "source", "what is read, and when it is complete",
        [
            FieldSpec("topic", .text(lengthMax: 249), "a Kafka topic; or topics, or file"),
            FieldSpec("topics", .list("a list of at most 64 topics"), "topics of one schema"),
            FieldSpec("file", .path, "NDJSON; `-` is standard input"),
            FieldSpec(
                "start", .any("committed, earliest, latest or a time"), "committed",
                "where a new application begins"),
            FieldSpec(
                "isolation", .choice(["committed", "uncommitted"]), "committed",
                "which records are read"),
            FieldSpec(
                "decode", .any("json or csv, or { format, columns, separator }"), "json",
                "encoding of a record"),
            FieldSpec(
                "schema", .map("a map column → word"), required: true, "the columns that are read"),
            FieldSpec(
                "out_of_orderness", .duration(0...hourMs), "10s",
                "watermark = greatest event time − this"),
            FieldSpec(
                "skew", .duration(secondMs...dayMs), "5m",
                "a row further ahead of the clock is quarantined"),
            FieldSpec("clock", .any("record, file or a time"), "record", "what `now` is to `skew`"),
            FieldSpec(
                "idle", .duration(2 * secondMs...weekMs), "30s", off: true,
                "a partition quiet this long does not hold up the others"),
            FieldSpec(
                "hold", .duration(2 * secondMs...weekMs), "15m", off: true,
                "a partition whose end can't be seen holds up the others this long"),
            FieldSpec(
                "alignment", .duration(0...weekMs), "1m", off: true,
                "partitions further ahead of the slowest are paused"),
            FieldSpec(
                "fetch_wait", .duration(0...secondMs),
                "a hundredth of the shortest step, at most 50ms",
                "a broker collects this long before it answers; 0: it answers at once"),
            .later("keyed_by", "equal values share a partition"),
            .later("schema_from", "columns from a file"),
            .later("weight", "rows that one row stands for"),
        ],
        example: "source: { topic: predictions.churn, schema: { ts: time_ms, score: score } }")

    static let decode = OperatorSpec(
        "decode", path: "source.decode", "encoding of a record",
        [
            FieldSpec(
                "format", .choice(["json", "csv"]), required: true, "json, or a row of values"),
            FieldSpec(
                "columns", .list("the names of all fields, in order"), "those of `schema`",
                "csv: what a row holds"),
            FieldSpec(
                "separator", .choice(["comma", "semicolon", "tab", "pipe"]), "comma",
                "csv: what stands between values"),
        ],
        example: "decode: { format: csv, columns: [ts, id, age, score] }")

    static let column = OperatorSpec(
        "column", path: "source.schema.*", "where a value lies in a record, and what it is",
        [
            FieldSpec("role", .any("a role word"), "feature", "what it is for"),
            FieldSpec("type", .any("a type word"), "by role", "how it is read"),
            FieldSpec("path", .text(lengthMax: 1024), "the name", "`output.score`, `items[0].age`"),
            FieldSpec("accept_text", .boolean, "false", "\"12.5\" is read as 12.5"),
            FieldSpec(
                "zone", .any("a zone like Europe/Berlin, UTC, or an offset like +01:00"), "UTC",
                "of time_text: what a time without an offset means"),
            FieldSpec("null_values", .list("a list of texts"), "[]", "values that mean null"),
            FieldSpec("expect", .map("a map"), "{}", "the contract"),
        ],
        example: "age: { type: integer, path: input.age, expect: { range: [18, 120] } }")

    static let expect = OperatorSpec(
        "expect", path: "source.schema.*.expect", "what a value may be",
        [
            FieldSpec("range", .list("two numbers, [least, most]"), "bounds of the histogram"),
            .later("null", "share of null or missing"), .later("values", "the values there are"),
            .later("pattern", "a regular expression"),
            .later("distinct", "bounds of distinct values"),
            .later("length", "bounds of the length of a text"),
        ],
        example: "expect: { range: [0, 1] }")

    static let segment = OperatorSpec(
        "segment", path: "segments.*", "rows in groups",
        [
            FieldSpec("by", .list("a list of columns"), "what makes a group"),
            FieldSpec("where", .condition, "all", "rows of the segment"),
            FieldSpec("limit", .count(1...1_000_000), "10000", "groups kept; the rest is `other`"),
            FieldSpec(
                "windows", .list("a list of window lengths"), "all", "narrower than the stream"),
            FieldSpec("columns", .selector, "all", "narrower than the stream"),
            FieldSpec("keep", .list("a list of maps column → value"), "[]", "groups kept first"),
        ],
        example: "segments: { by-country: { by: [model, country], limit: 200 } }")

    static let summary = OperatorSpec(
        "summary", path: "summaries[]", "what is kept of columns in each group and window",
        [
            FieldSpec("columns", .selector, required: true, "of these columns"),
            FieldSpec(
                "histogram", .any("{ edges, bins }"), "edges of the baseline", off: true,
                "counts in fixed bins"),
            FieldSpec(
                "quantiles", .any("{ at, sketch, k, relative_error, mapping }"),
                "1 5 25 50 75 95 99%",
                off: true, "by sketch"),
            FieldSpec(
                "distinct", .any("{ sketch, lg_k, registers }"), "lg_k 12", off: true, "by sketch"),
            FieldSpec("top", .count(1...1000), "10", off: true, "frequent items, with bounds"),
            FieldSpec("moments", .boolean, "true", "mean and standard deviation"),
            FieldSpec("range", .boolean, "true", "smallest and greatest value"),
            FieldSpec("shape", .boolean, "false", "skewness and kurtosis"),
            FieldSpec(
                "correlation", .boolean, "false", off: true,
                "covariance and correlation of the columns of this rule with each other"),
            FieldSpec(
                "decay", .duration(secondMs...weekMs), "off", off: true,
                "mean, deviation and rate in which a value counts half after so long"),
            FieldSpec(
                "log_linear", .boolean, "false",
                "counts in universal bins, 32 to each power of two"),
            FieldSpec(
                "counts", .count(1...4096), "off", off: true,
                "exact counts of so many different values"),
            FieldSpec(
                "sample", .count(1...10_000), "off", off: true,
                "rows chosen by a hash of their coordinates, each with partition and offset"),
        ],
        example: "- { columns: numbers, quantiles: { at: [50%, 99%] } }")

    static let histogram = OperatorSpec(
        "histogram", path: "summaries[].histogram", "counts in fixed bins",
        [
            FieldSpec(
                "edges", .any("a baseline, a list of numbers, or { from, to }"), "the baseline",
                "where bins begin and end"),
            FieldSpec("bins", .count(2...256), "20", "how many bins"),
        ],
        example: "histogram: { edges: { from: 0, to: 1 }, bins: 20 }")

    static let quantiles = OperatorSpec(
        "quantiles", path: "summaries[].quantiles", "quantiles by sketch",
        [
            FieldSpec(
                "at", .list("a list of shares"), "[1%, 5%, 25%, 50%, 75%, 95%, 99%]", "which"),
            FieldSpec(
                "sketch", .choice(["kll", "kll_f64", "ddsketch"]), "kll",
                "kll: rank error, values in f32; kll_f64; ddsketch: relative error, order-free"),
            FieldSpec("k", .count(8...4096), "200", "accuracy of kll"),
            FieldSpec("relative_error", .share(max: 0.5), "1%", "accuracy of ddsketch"),
            FieldSpec(
                "mapping", .choice(["cubic", "log"]), "cubic",
                "bins of ddsketch: cubic is faster; log is what Python's `ddsketch` merges"),
        ],
        example: "quantiles: { at: [50%, 99%], sketch: ddsketch, relative_error: 1% }")

    static let distinct = OperatorSpec(
        "distinct", path: "summaries[].distinct", "how many values there are, by sketch",
        [
            FieldSpec("sketch", .choice(["hll"]), "hll", "how"),
            FieldSpec("lg_k", .count(4...21), "12", "accuracy"),
            FieldSpec(
                "registers", .choice(["8", "6", "4"]), "8", "bits of a register in the bytes"),
        ],
        example: "distinct: { lg_k: 14 }")

    static let baseline = OperatorSpec(
        "baseline", path: "baselines.*", "what windows are compared with",
        [
            FieldSpec("file", .path, "from `tidemark baseline build`; or first, or trailing"),
            FieldSpec(
                "first", .duration(secondMs...31 * dayMs),
                "learned from each group's first complete windows, then fixed"),
            FieldSpec(
                "trailing", .duration(secondMs...31 * dayMs),
                "learned from the windows before the one that is compared"),
            FieldSpec(
                "skip", .duration(0...31 * dayMs), "0s",
                "`trailing` ends so long before the window starts"),
            FieldSpec(
                "min_rows", .count(1...1_000_000_000), "1000",
                "fewer rows of the group: `learning`"),
            FieldSpec("per", .choice(["group"]), "group", "what learns one of its own"),
            .later("topic", "the newest record of a compacted topic"),
            .later("key", "of such a record"),
            .later("same_time", "the same time some days ago"),
            .later("other", "another group"), .later("times", "of `same_time`"),
            .later("around", "of `same_time`"), .later("skip_dates", "of `same_time`"),
        ],
        example:
            "baselines: { training: { file: baselines/churn.json }, recent: { trailing: 6h, skip: 1h } }"
    )

    static let alertFields = [
        FieldSpec("severity", .choice(["page", "warn", "info"]), "page", "how loud"),
        FieldSpec("for", .hold, "1 of 1", "how long before firing"),
        FieldSpec("clear_for", .hold, "2 of 2", "how long before resolving"),
        FieldSpec("clear_below", .share(max: 1), "80%", "resolves below this share of the bound"),
        FieldSpec(
            "cool_down", .duration(0...weekMs), "1h",
            "alerts that fire so soon after the last one resolved are published muted"),
        FieldSpec(
            "max_age", .duration(0...weekMs), "1h",
            "alerts of windows that were over for longer when they were read are published muted"),
        FieldSpec(
            "resolve_after", .duration(secondMs...366 * dayMs), "7d",
            "without a verdict for so long (the group is gone) an alert resolves; what differs from a trailing baseline for so long is learned"
        ),
        FieldSpec("alert", .boolean, "true", off: true, "off: results only"),
        FieldSpec("summary", .text(lengthMax: 300), "written by us", "text of the alert"),
        FieldSpec("runbook", .text(lengthMax: 1024), "what to do"),
    ]

    static let drift = OperatorSpec(
        "drift", path: "monitors.*", "a group's window against a baseline, column by column",
        [
            FieldSpec("drift", .selector, "all", "the columns"),
            FieldSpec(
                "test", .any("a test, a list of tests, or a map test → { ignore_below }"), "auto",
                "how it is measured"),
            FieldSpec(
                "ignore_below", .share(max: 100), "by test", "the smallest effect worth hearing"),
            FieldSpec(
                "against", .any("the name of a baseline, { first } or { trailing }"),
                "the only one", "what with"),
            FieldSpec(
                "fallback", .choice(["none", "pooled"]), "none",
                "what a group is compared with that the file does not have: nothing, or all groups together"
            ),
            FieldSpec("segments", .list("a list of segments"), "all", "where"),
            FieldSpec("windows", .list("a list of window lengths"), "all", "where"),
            FieldSpec("min_rows", .count(1...1_000_000_000), "500", "fewer rows: `too_few`"),
        ] + alertFields + [
            FieldSpec(
                "description", .text(lengthMax: 1024),
                "carried in its alerts, in place of the topology's"),
            .later("combine", "any or all of several tests"),
            .later("overrides", "other bounds for some groups or columns"),
        ],
        example: "monitors: { score-drift: { drift: scores, test: psi, ignore_below: 0.2 } }")

    static let quality = OperatorSpec(
        "quality", path: "monitors.quality", "nulls, wrong types, values out of range (later)",
        [.later("quality", "the columns"), .later("checks", "which")], example: "quality: off")
    static let volume = OperatorSpec(
        "volume", path: "monitors.*", "too few or too many rows of a group in a window",
        [
            FieldSpec("volume", .choice(["rows"]), "rows", "what is counted"),
            FieldSpec(
                "drop", .share(max: 1), "50%; of `volume` itself 80%", off: true,
                "fewer than expected by this share, and significantly"),
            FieldSpec(
                "rise", .share(max: 100), "off", off: true,
                "more than expected by this share, and significantly"),
            FieldSpec("below", .count(1...1_000_000_000_000), "fewer rows than this"),
            FieldSpec("above", .count(0...1_000_000_000_000), "more rows than this"),
            FieldSpec(
                "against", .any("a learned baseline: its name, { first } or { trailing }"),
                "{ trailing: 1h }, at least 12 windows", "what is expected"),
            FieldSpec("segments", .list("a list of segments"), "all", "where"),
            FieldSpec("windows", .list("a list of window lengths"), "all", "where"),
        ] + alertFields + [
            FieldSpec(
                "description", .text(lengthMax: 1024),
                "carried in its alerts, in place of the topology's")
        ],
        example: "monitors: { traffic: { volume: rows, drop: 80%, against: { trailing: 6h } } }")
    static let freshness = OperatorSpec(
        "freshness", path: "monitors.freshness",
        "nothing comes: on the source (wall clock), of a segment or of a group (event time)",
        [
            FieldSpec("freshness", .duration(1000...31 * 86_400_000), "10m", "how long"),
            FieldSpec(
                "per", .choice(["source", "segment", "group"]), "source", "what must not be silent"),
            FieldSpec(
                "segments", .list("a list of segments"), "all", "where, per segment or group"),
            FieldSpec("severity", .choice(["page", "warn", "info"]), "page", "how loud"),
            FieldSpec("summary", .text(lengthMax: 300), "written by us", "text of the alert"),
            FieldSpec("runbook", .text(lengthMax: 1024), "what to do"),
            FieldSpec(
                "description", .text(lengthMax: 1024),
                "carried in its alerts, in place of the topology's"),
        ],
        example: "monitors: { silent: { freshness: 2h, per: group, severity: warn } }")

    static let budget = OperatorSpec(
        "budget", path: "budget", "false alerts that are expected, spread over the tests",
        [
            FieldSpec("page", .rate, "1 per week", off: true, "of severity page"),
            FieldSpec("warn", .rate, "1 per day", off: true, "of severity warn"),
            FieldSpec("info", .rate, "1 per hour", off: true, "of severity info"),
            FieldSpec("per", .choice(["topology"]), "topology", "what one budget covers"),
            FieldSpec("method", .choice(["fixed"]), "fixed", "how it is spread"),
        ],
        example: "budget: { page: 1 per month }")

    static let alerts = OperatorSpec(
        "alerts", path: "alerts", "what monitors have in common",
        alertFields + [
            .later("mute", "times of silence"), .later("destinations", "other than the topic"),
            .later("routes", "who hears what"),
        ],
        example: "alerts: { clear_for: 30s }")

    static let outputs = OperatorSpec(
        "outputs", path: "outputs", "topics that are written",
        [
            FieldSpec(
                "aggregates", .any("a topic, or { topic, layout, sketches }"), "<name>-aggregates",
                off: true, "results of every window"),
            FieldSpec("alerts", .text(lengthMax: 249), "<name>-alerts", "alerts"),
            FieldSpec(
                "dead_letters", .text(lengthMax: 249), "<name>-dead-letters",
                "records that can't be read"),
            FieldSpec("late", .text(lengthMax: 249), "off", off: true, "rows that came too late"),
            FieldSpec(
                "quarantined", .text(lengthMax: 249), "off", off: true,
                "rows too far ahead of the clock"),
            FieldSpec("audit", .choice([]), "off", off: true, "only off yet"),
        ],
        example: "outputs: { late: churn-late }")

    static let aggregates = OperatorSpec(
        "aggregates", path: "outputs.aggregates", "results of every window",
        [
            FieldSpec("topic", .text(lengthMax: 249), "<name>-aggregates", "where to"),
            FieldSpec("layout", .choice(["narrow"]), "narrow", "a record a column"),
            FieldSpec(
                "sketches", .list("a list of kll, ddsketch, hll, frequent"), "[]",
                "bytes of sketches, on <topic>-sketches"),
            .later("columns", "only some"),
        ],
        example: "aggregates: { topic: churn-aggregates, sketches: [kll] }")

    static let limits = OperatorSpec(
        "limits", path: "limits", "what is never exceeded",
        [
            FieldSpec(
                "memory", .size(32 << 20...1 << 40), "512MiB", "queues, batches, panes, entries"),
            FieldSpec(
                "record", .size(1 << 10...64 << 20), "16MiB", "a longer one is a dead letter"),
            FieldSpec(
                "max_reread", .duration(10 * secondMs...3600 * secondMs), "10m",
                "event time read again after a restart; open windows beyond it are written out"),
            FieldSpec(
                "bad_rows", .share(max: 1), "50%", off: true,
                "more dead letters than this for a minute, or of 100,000 records: reading stops, with a page; of a whole file: exit code 1"
            ),
            .later("dead_letters", "dead letters a second"), .later("alerts", "alerts a minute"),
        ],
        example: "limits: { memory: 96MiB }")

    static let run = OperatorSpec(
        "run", path: "run", "how it is run; results do not depend on it",
        [
            FieldSpec(
                "delivery", .choice(["exactly_once", "at_least_once"]), "exactly_once",
                "what a crash may repeat"),
            FieldSpec("merge", .choice(["local"]), "local", "where partitions meet"),
            FieldSpec(
                "commit", .duration(100...10 * secondMs), "1s", "longest wait between commits"),
            FieldSpec("workers", .any("a count from 1 to 1024, or auto"), "auto", "threads"),
            FieldSpec("batch_rows", .count(1...4096), "4096", "rows of a batch"),
            FieldSpec("stop_within", .duration(secondMs...10 * minuteMs), "30s", "SIGTERM to exit"),
        ],
        example: "run: { commit: 200ms, workers: 4 }")

    /// Those of `monitorKinds` that this version has.
    static let monitorKindsOfNow = monitorKinds.filter { kind in
        operatorCatalogue.contains { spec in
            spec.name == kind && spec.field(kind).map { !$0.isLater } ?? false
        }
    }

    /// Words that name what a monitor watches.
    static let monitorKinds = [
        "drift", "quality", "rule", "volume", "freshness", "metric", "when", "detect", "any_of",
        "all_of",
    ]
}
