import TidemarkText

/// One flag of a verb.
struct Flag {
    let name: String
    /// What stands for its value in the help; `nil`: it takes none.
    let value: String?
    let help: String
    /// May be given more than once.
    var repeats = false
}

/// A verb of the command line: from this one value come parsing, help, completions and the nearest
/// name.
struct Verb {
    let name: String
    let arguments: String
    let summary: String
    let details: String
    let flags: [Flag]
    /// How many arguments are allowed.
    let argumentCount: ClosedRange<Int>
}

/// What a command line said.
struct Invocation {
    var verb: Verb
    var arguments: [String] = []
    var flags: [String: [String]] = [:]

    func has(_ flag: String) -> Bool { flags[flag] != nil }
    func value(_ flag: String) -> String? { flags[flag]?.last }
    func values(_ flag: String) -> [String] { flags[flag] ?? [] }

    /// The whole number that a flag was given; `nil` where it was not.
    ///
    /// Whatever is done with it later must not overflow: so each flag has a range.
    func count(
        _ flag: String, in range: ClosedRange<Int> = 1...Int(Int32.max)
    ) throws(UsageError) -> Int? {
        guard let text = value(flag) else { return nil }
        guard let number = Int(text), range.contains(number) else {
            throw UsageError(
                message:
                    "`\(flag) \(text)` is not a whole number from \(range.lowerBound) to \(range.upperBound)",
                hint: "\(flag) \(min(max(10, range.lowerBound), range.upperBound))")
        }
        return number
    }
}

/// A command line that makes no sense (exit code 2).
struct UsageError: Error {
    var message: String
    var hint: String?
}

/// Flags of other tools that read Kafka, and where the same is said here.
private let foreignFlags: [String: String] = {
    let brokers =
        "--set kafka.brokers=HOST:PORT, or the variable TIDEMARK_BROKERS where the topology does not say"
    return [
        "--brokers": brokers, "--broker": brokers, "--bootstrap-server": brokers,
        "--bootstrap-servers": brokers, "--topic": "--set source.topic=TOPIC",
        "--group": "--set app=NAME: the consumer group is named by `app`",
        "--from-beginning": "--set source.start=earliest, for an application without positions",
    ]
}()

private let overrideFlags = [
    Flag(name: "--set", value: "PATH=VALUE", help: "set one key of the topology", repeats: true),
    Flag(name: "--with", value: "FILE", help: "lay another file over the topology"),
]

let verbs: [Verb] = [
    Verb(
        name: "run", arguments: "TOPOLOGY", summary: "watch the topology's topics",
        details: """
            Reads what the topology names, publishes aggregates and alerts, and runs until SIGTERM or
            SIGINT: it then commits what it read and leaves open windows to the next start.
            """,
        flags: [
            Flag(
                name: "--input", value: "FILE",
                help: "read newline-delimited records from a file (- is standard input) instead"),
            Flag(
                name: "--output", value: "DIR",
                help:
                    "write each output topic to DIR/<topic>.ndjson instead; without it results go to Kafka"
            ),
            Flag(
                name: "--until-end", value: nil,
                help: "stop at the end of the input, publish what is open as incomplete"),
            Flag(
                name: "--baseline", value: "NAME=FILE",
                help: "a file in place of a baseline that a topic has", repeats: true),
            Flag(
                name: "--no-alerts", value: nil,
                help:
                    "a shadow beside a live process: no alerts, no commits, no state; from source.start"
            ),
            Flag(
                name: "--suffix", value: "TEXT",
                help:
                    "with --no-alerts: publish aggregates to topics with TEXT added to their names"),
            Flag(
                name: "--http", value: "ADDRESS:PORT",
                help:
                    "serve /metrics, /livez, /readyz and /startupz there (a port alone: on loopback)"
            ),
            Flag(name: "--json", value: nil, help: "print the closing summary as one JSON object"),
            Flag(name: "--quiet", value: nil, help: "no progress"),
        ] + overrideFlags, argumentCount: 1...1),
    Verb(
        name: "lint", arguments: "TOPOLOGY…", summary: "check topologies without running them",
        details: "All findings of all files at once, each with its place and what to do.",
        flags: [
            Flag(name: "--format", value: "text|json|github", help: "how findings are printed"),
            Flag(name: "--deny", value: "warning", help: "count warnings as findings too"),
        ] + overrideFlags, argumentCount: 1...1000),
    Verb(
        name: "plan", arguments: "TOPOLOGY", summary: "show what a topology would do",
        details:
            "The columns it reads, its groups, tests and their levels, memory, what it publishes.",
        flags: [Flag(name: "--json", value: nil, help: "print it as JSON")] + overrideFlags,
        argumentCount: 1...1),
    Verb(
        name: "init", arguments: "",
        summary: "write a topology to begin with, from a sample of records",
        details: """
            tidemark init --from records.ndjson --topic predictions.churn > topology.yaml

            What columns are is guessed from names and values of 2,000 records of JSON, nested ones too.
            """,
        flags: [
            Flag(
                name: "--from", value: "FILE",
                help: "records as `run --input` reads them, packed or not (- is standard input)"),
            Flag(
                name: "--topic", value: "TOPIC",
                help: "the topic of the source (default: by the file's name)"),
        ], argumentCount: 0...0),
    Verb(
        name: "baseline", arguments: "build|show|publish [FILE]",
        summary: "make a baseline from records, print one, or write it to its topic",
        details: """
            tidemark baseline build --from records.ndjson --by model --topology topology.yaml > b.json
            tidemark baseline show b.json --column score
            tidemark baseline publish b.json --topology topology.yaml
            """,
        flags: [
            Flag(
                name: "--from", value: "FILE",
                help: "records as `run --input` reads them, packed or not (- is standard input)",
                repeats: true),
            Flag(
                name: "--from-topic", value: "TOPIC",
                help: "a topic to where it ends now (default: the source of --topology)",
                repeats: true),
            Flag(name: "--column", value: "NAME", help: "show one column, cell by cell"),
            Flag(name: "--json", value: nil, help: "show it as JSON"),
            Flag(
                name: "--topology", value: "FILE",
                help: "whose schema says what the columns are (default: guessed from the records)"),
            Flag(name: "--by", value: "COLUMN", help: "a baseline for each value", repeats: true),
            Flag(name: "--windows", value: "N", help: "use only the first N windows"),
            Flag(
                name: "--window", value: "DURATION",
                help: "their length (default: the topology's, or 1m)"),
            Flag(
                name: "--edges", value: "auto|equal|quantile|topology|FILE",
                help:
                    "bin edges: auto (default) takes equal bins over the central 99.8%, or quantiles where values are skewed or some are frequent, which get bins of their own; topology: those in which it counts, for a baseline of a topic; or another baseline's"
            ),
            Flag(
                name: "--pooled", value: nil,
                help: "all groups together, too: for `fallback: pooled` in a monitor"),
            Flag(name: "--bins", value: "N", help: "how many bins (default 20)"),
            Flag(
                name: "--name", value: "BASELINE",
                help: "publish: as which baseline of the topology, if it follows several"),
            Flag(
                name: "--output", value: "FILE", help: "where to write (default: standard output)"),
        ] + overrideFlags, argumentCount: 1...2),
    Verb(
        name: "inspect", arguments: "FILE", summary: "print a record or sketch in readable form",
        details:
            "Takes an output file of `run --output`, a baseline, or the bytes of a sketch; - is standard input.",
        flags: [Flag(name: "--most", value: "N", help: "stop after N records (default 10)")],
        argumentCount: 1...1),
    Verb(
        name: "alerts", arguments: "TOPOLOGY", summary: "list the alerts that are open now",
        details: """
            Reads the alerts topic to its end and lists what fired and has not resolved, the oldest
            first. An alert whose records left the topic by retention is not seen.
            """,
        flags: [
            Flag(
                name: "--from", value: "DIR",
                help: "read what `run --output DIR` wrote instead of the topic"),
            Flag(name: "--all", value: nil, help: "resolved ones too"),
            Flag(name: "--json", value: nil, help: "print it as JSON"),
        ] + overrideFlags, argumentCount: 1...1),
    Verb(
        name: "demo", arguments: "", summary: "an hour of three models in about a minute",
        details: """
            Serves predictions of three models through an embedded Kafka, injects drift into two
            features of one of them half-way, and shows what is found and how long after.
            """,
        flags: [
            Flag(name: "--seed", value: "N", help: "another hour (default 1)"),
            Flag(name: "--records", value: "N", help: "how many (default 600000)"),
            Flag(name: "--seconds", value: "N", help: "how long the hour lasts (default 60)"),
            Flag(name: "--topology", value: "FILE", help: "default: topologies/demo.yaml"),
            Flag(
                name: "--write-records", value: "FILE",
                help: "write an hour without drift to a file instead: what its baseline is made of"),
        ], argumentCount: 0...0),
    Verb(
        name: "topics", arguments: "check|create TOPOLOGY",
        summary: "compare the topics of a topology with the cluster's, or make the missing ones",
        details: """
            check says what is there, what is needed and what would put it right; exit code 1 where
            something must be done. create makes missing outputs and internal topics, never a source,
            and changes nothing that exists.
            """,
        flags: [
            Flag(name: "--dry-run", value: nil, help: "ask the cluster whether it would make them"),
            Flag(
                name: "--replication", value: "N",
                help:
                    "replicas of what is made (default: the brokers'); from 3 on min.insync is one less"
            ),
            Flag(
                name: "--partitions", value: "N",
                help: "partitions of aggregates and sketches that are made (default 4)"),
            Flag(
                name: "--suffix", value: "TEXT",
                help: "the topics of `run --no-alerts --suffix TEXT` instead"),
            Flag(name: "--json", value: nil, help: "print it as JSON"),
        ] + overrideFlags, argumentCount: 1...2),
    Verb(
        name: "dlq", arguments: "list|replay TOPOLOGY",
        summary: "count the dead letters of a topology, or send them to its source again",
        details: """
            list counts letters by reason, operator and partition and samples their coordinates. replay
            sends the original key and bytes to where they came from, with headers that say so, and
            remembers what it sent in the group <app>-dlq, in the same transaction: run twice, it sends
            nothing twice.
            """,
        flags: [
            Flag(
                name: "--reason", value: "NAME", help: "only letters with that reason",
                repeats: true
            ),
            Flag(
                name: "--since", value: "TIME",
                help: "letters written since (2h, or 2026-01-31T12:00:00Z)"),
            Flag(
                name: "--samples", value: "N", help: "with list: samples of each reason (default 3)"
            ),
            Flag(
                name: "--limit", value: "N", help: "with replay: send at most N, the oldest first"),
            Flag(name: "--to", value: "TOPIC", help: "with replay: send them there instead"),
            Flag(name: "--dry-run", value: nil, help: "with replay: say what would be sent"),
            Flag(name: "--json", value: nil, help: "print it as JSON"),
        ] + overrideFlags, argumentCount: 1...2),
    Verb(
        name: "offsets", arguments: "show|set|clock TOPOLOGY",
        summary: "show where an application stands in its topics, or set it",
        details: """
            show prints per partition: first offset, low-water (where a restart reads from), next, end,
            lag, and what the commit's metadata says. set begins a new state epoch at the given place;
            it refuses while a process of the application is seen at work, and so does clock, which sets
            the reference clock (--to TIME) that records with a wrong time led astray, and nothing else.
            """,
        flags: [
            Flag(
                name: "--to", value: "PLACE",
                help: "earliest, latest, a time (2026-01-31T12:00:00Z) or an offset"),
            Flag(
                name: "--partition", value: "P",
                help: "only that one; TOPIC/P where there are several topics"),
            Flag(name: "--dry-run", value: nil, help: "say what would be done"),
            Flag(name: "--yes", value: nil, help: "do not ask"),
            Flag(name: "--json", value: nil, help: "with show: print it as JSON"),
        ] + overrideFlags, argumentCount: 1...2),
    Verb(
        name: "reset", arguments: "TOPOLOGY", summary: "forget an application's state",
        details: """
            Takes every entry of the state topic away and begins a new state epoch where the
            application stands, or at --to; both in one transaction. Refuses while a process of the
            application is seen at work, and fences one that is not seen.
            """,
        flags: [
            Flag(
                name: "--to", value: "PLACE",
                help: "earliest, latest, a time (2026-01-31T12:00:00Z) or an offset"),
            Flag(name: "--dry-run", value: nil, help: "say what would be done"),
            Flag(name: "--yes", value: nil, help: "do not ask"),
        ] + overrideFlags, argumentCount: 1...1),
    Verb(
        name: "list", arguments: "operators", summary: "what topologies can use",
        details: "",
        flags: [
            Flag(name: "--markdown", value: nil, help: "as docs/topology.md has it")
        ], argumentCount: 1...1),
    Verb(
        name: "schema", arguments: "", summary: "the JSON Schema of topologies, for editors",
        details: "", flags: [], argumentCount: 0...0),
    Verb(
        name: "explain", arguments: "RULE", summary: "what a finding of lint means",
        details: "", flags: [], argumentCount: 1...1),
    Verb(
        name: "completions", arguments: "bash|zsh|fish", summary: "completions for a shell",
        details: "source <(tidemark completions bash)", flags: [], argumentCount: 1...1),
    Verb(
        name: "version", arguments: "", summary: "the version of this program and of its libraries",
        details: "", flags: [], argumentCount: 0...0),
    Verb(
        name: "help", arguments: "[VERB]", summary: "this text, or the text of one verb",
        details: "", flags: [], argumentCount: 0...1),
]

/// Reads the words of a command line.
func parse(_ words: [String]) throws(UsageError) -> Invocation {
    guard let first = words.first else {
        throw UsageError(message: "no verb", hint: "tidemark help")
    }
    let name =
        first == "--help" || first == "-h" ? "help" : first == "--version" ? "version" : first
    guard let verb = verbs.first(where: { $0.name == name }) else {
        let near = nearest(name, verbs.map(\.name))
        throw UsageError(
            message: "no verb `\(name)`",
            hint: near.map { "tidemark \($0)" } ?? "tidemark help")
    }
    var invocation = Invocation(verb: verb)
    var index = 1
    while index < words.count {
        var word = words[index]
        index += 1
        if word == "--help" || word == "-h" {
            return Invocation(verb: helpVerb(), arguments: [verb.name])
        }
        guard word.hasPrefix("--"), word.utf8.count > 2 else {
            invocation.arguments.append(word)
            continue
        }
        var inlineValue: String?
        if let equals = word.firstIndex(of: "=") {
            inlineValue = String(word[word.index(after: equals)...])
            word = String(word[..<equals])
        }
        guard let flag = verb.flags.first(where: { $0.name == word }) else {
            let near = nearest(word, verb.flags.map(\.name))
            throw UsageError(
                message: "`\(verb.name)` has no flag `\(word)`",
                hint: foreignFlags[word] ?? near.map { "\($0)" } ?? "tidemark help \(verb.name)")
        }
        if flag.value == nil {
            guard inlineValue == nil else {
                throw UsageError(message: "`\(word)` takes no value", hint: word)
            }
            invocation.flags[word, default: []].append("")
            continue
        }
        let value: String
        if let inlineValue {
            value = inlineValue
        } else if index < words.count {
            value = words[index]
            index += 1
        } else {
            throw UsageError(
                message: "`\(word)` needs a value", hint: "\(word) \(flag.value ?? "")")
        }
        if !flag.repeats, invocation.has(word) {
            throw UsageError(message: "`\(word)` is given twice", hint: "give it once")
        }
        invocation.flags[word, default: []].append(value)
    }
    guard verb.argumentCount.contains(invocation.arguments.count) else {
        throw UsageError(
            message: invocation.arguments.count < verb.argumentCount.lowerBound
                ? "`\(verb.name)` needs \(verb.arguments)"
                : "`\(verb.name)` has too many arguments: `\(invocation.arguments.last ?? "")`",
            hint: "tidemark \(verb.name) \(verb.arguments)")
    }
    return invocation
}

private func helpVerb() -> Verb {
    verbs.first { $0.name == "help" } ?? verbs[verbs.count - 1]
}

/// The help of one verb, or of all.
func helpText(_ name: String?) -> String {
    if let name, let verb = verbs.first(where: { $0.name == name }) {
        var text = "tidemark \(verb.name) \(verb.arguments)\n\n\(verb.summary)\n"
        if !verb.details.isEmpty { text += "\n\(verb.details)\n" }
        if !verb.flags.isEmpty {
            text += "\n"
            let heads = verb.flags.map { "\($0.name)\($0.value.map { " " + $0 } ?? "")" }
            let width = heads.map(\.count).max() ?? 0
            for (head, flag) in zip(heads, verb.flags) {
                text += "  \(head.padded(width))  \(flag.help)\n"
            }
        }
        return text
    }
    var text = """
        tidemark watches machine-learning models while they serve: it reads their predictions from
        Kafka and publishes aggregates and drift alerts, as a topology (YAML) says.


        """
    let width = verbs.map { $0.name.count + $0.arguments.count + 1 }.max() ?? 0
    for verb in verbs {
        text += "  \("\(verb.name) \(verb.arguments)".padded(width))  \(verb.summary)\n"
    }
    text += """

        Exit codes: 0 done, 1 findings, 2 usage, 3 topology, 4 environment, 5 internal.
        tidemark help VERB says more.

        """
    return text
}

/// A completion script from the same table.
func completions(_ shell: String) throws(UsageError) -> String {
    let names = verbs.map(\.name).joined(separator: " ")
    switch shell {
    case "bash":
        var text = """
            _tidemark() {
                local word="${COMP_WORDS[COMP_CWORD]}"
                if [ "$COMP_CWORD" -eq 1 ]; then
                    COMPREPLY=($(compgen -W "\(names)" -- "$word")); return
                fi
                local flags=""
                case "${COMP_WORDS[1]}" in

            """
        for verb in verbs where !verb.flags.isEmpty {
            text +=
                "        \(verb.name)) flags=\"\(verb.flags.map(\.name).joined(separator: " "))\" ;;\n"
        }
        return text + """
                esac
                COMPREPLY=($(compgen -W "$flags" -- "$word") $(compgen -f -- "$word"))
            }
            complete -o filenames -F _tidemark tidemark

            """
    case "zsh":
        var text =
            "#compdef tidemark\n_tidemark() {\n    if (( CURRENT == 2 )); then\n        local -a verbs=(\n"
        for verb in verbs {
            text += "            '\(verb.name):\(verb.summary.replacing("'", with: "’"))'\n"
        }
        text += "        )\n        _describe verb verbs; return\n    fi\n    case $words[2] in\n"
        for verb in verbs where !verb.flags.isEmpty {
            let flags = verb.flags.map { flag in
                "'\(flag.repeats ? "*" : "")\(flag.name)[\(flag.help.replacing("'", with: "’").replacing("[", with: "(").replacing("]", with: ")"))]\(flag.value == nil ? "" : ":value:_files")'"
            }
            text +=
                "        \(verb.name)) _arguments \(flags.joined(separator: " ")) '*:file:_files' ;;\n"
        }
        return text + "    esac\n}\ncompdef _tidemark tidemark\n"
    case "fish":
        var text = "complete -c tidemark -f -n __fish_use_subcommand -a '\(names)'\n"
        for verb in verbs {
            for flag in verb.flags {
                text +=
                    "complete -c tidemark -n '__fish_seen_subcommand_from \(verb.name)' -l \(flag.name.dropFirst(2))\(flag.value == nil ? "" : " -r") -d '\(flag.help.replacing("'", with: "’"))'\n"
            }
        }
        return text
    default:
        throw UsageError(message: "no completions for `\(shell)`", hint: "bash, zsh or fish")
    }
}

extension String {
    func padded(_ width: Int) -> String {
        self + String(repeating: " ", count: max(0, width - count))
    }

    func replacing(_ word: String, with other: String) -> String {
        split(separator: word, omittingEmptySubsequences: false).joined(separator: other)
    }
}
