#!/usr/bin/env python3
"""Whatever documents, topologies and messages quote exists: commands and their flags, make targets, keys of topologies and
records, files, links, types and functions, metrics, variables. Shell blocks that need no Kafka are run.

usage: quoted.py [PATTERN]      (run by ops/run-tests)

quotes.py collects the quotes and says what each is; known.py says what has to exist for it. Each test counts what it
looked up, and fails if that was too little.
"""
import json
import pathlib
import re
import subprocess
import unittest

from acceptance import ROOT, TIDEMARK, WORK, tidemark
from known import NOT_OURS, TOKENS, WRONG, code_words, places, schema, targets, tracked
from quotes import NAME, OF_CODE, OF_USE, Quote, command_of, comments_of_topologies, helped, kind_of, messages, paragraphs, quotes_of


def in_documents():
    return [quote for name in OF_CODE + OF_USE for quote in quotes_of(name)] + comments_of_topologies()


def wrong(quote):
    """What is wrong with a quote, with its place."""
    kind = kind_of(quote)
    text = command_of(quote.text, quote.block) if kind == "command" else quote.text
    return [f"{quote.file}:{quote.line}: `{quote.text}`: {what}" for what in WRONG[kind](text)] if kind in WRONG else []


class Names(unittest.TestCase):
    def looked_up(self, kind, least, where):
        """Fails with all that is wrong, or if less was looked up than there surely is."""
        found = [quote for quote in where if kind_of(quote) == kind]
        said = list(dict.fromkeys(line for quote in found for line in wrong(quote)))
        self.assertEqual(said, [], "\n" + "\n".join(said))
        self.assertGreaterEqual(len(found), least, f"{kind}: {len(found)} were looked up")

    def test_what_documents_quote_exists(self):
        for kind, least in {"command": 80, "script": 9, "file": 40, "key": 8, "page": 12, "metric": 45, "variable": 8, "path": 50, "map": 35, "name": 700,
                            "hyphenated": 8}.items():
            with self.subTest(kind):
                self.looked_up(kind, least, in_documents())

    def test_what_messages_and_help_texts_quote_exists(self):
        for kind, least in {"command": 60, "path": 8, "map": 15}.items():
            with self.subTest(kind):
                self.looked_up(kind, least, messages() + helped())

    def test_a_wrong_quote_of_each_kind_is_found(self):
        planted = {
            "command": ["tidemark lnt topology.yaml", "tidemark run t.yaml --until-ende", "tidemark topics chek", "--pooledd", "make chaoz", "make demo SEAD=2",
                        "baseline build --topologi", "tidemark help lnt"],
            "script": ["ops/tidi", "ops/files-of --mots 2"],
            "file": ["docs/metric.md", "CDecode/layouts.hpp", "topologies/*.yamll", "Tests/Acceptances/"],
            "key": ["alert/monitor/segement"],
            "page": ["/livezz"],
            "metric": ["tidemark_consumer_lag_record", "tidemark_records_total{fate}, tidemark_record_total"],
            "variable": ["TIDEMARK_LANG=1", "OMLY=pattern"],
            "path": ["limits.max_rereed", "verdicts[].efect", "source.schema.*.expekt"],
            "map": ["volume: { dropp: 80% }", "per: sauce", "delivery: exactly_onced", "{ trailing: 6h, skp: 1h }", "kafka: { broker: a }"],
            "name": ["GroupCel", "Worker.takeUsually", "late_for_sum", "neverMade()"],
            "hyphenated": ["memory-over-limits"],
        }
        self.assertEqual(set(planted), set(WRONG))
        for kind, texts in planted.items():
            for text in texts:
                quote = Quote("planted", 1, "", text, False)
                self.assertEqual(kind_of(quote), kind, text)
                self.assertNotEqual(wrong(quote), [], text)

    def test_an_exception_that_nothing_needs_is_taken_out(self):
        sources = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "Sources").rglob("*") if path.suffix in (".swift", ".h"))
        used = {quote.text.split("=")[0] for quote in in_documents() + messages()} | set(re.findall(r"`([^`\n]+)`", sources))
        self.assertEqual(sorted(set(NOT_OURS) - used), [])

    def test_links_lead_to_files_and_headings(self):
        count = 0
        for name in [*OF_CODE, *OF_USE, "findings/README.md"]:
            text = re.sub(r"`[^`\n]*`", "", (ROOT / name).read_text(encoding="utf-8"))
            for target in re.findall(r"\]\(([^)\s]+)\)", text):
                if re.match(r"https?:", target):
                    continue
                count += 1
                file, _, anchor = target.partition("#")
                path = (ROOT / name).parent / file if file else ROOT / name
                self.assertTrue(path.exists(), f"{name}: {target}")
                if anchor:
                    headings = re.findall(r"^#+ +(.*)$", path.read_text(encoding="utf-8"), re.M)
                    slugs = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
                    self.assertIn(anchor, slugs, f"{name}: {target}")
        self.assertGreaterEqual(count, 15)

    def test_comments_of_the_sources_name_what_is_there(self):
        declared, comments = set(), []
        for folder in ("Sources", "Tests", "Benchmarks"):
            for path in sorted((ROOT / folder).rglob("*")):
                if path.suffix not in (".swift", ".c", ".cpp", ".h", ".hpp", ".py") or not path.is_file():
                    continue
                text = path.read_text(encoding="utf-8")
                def apart(hit):
                    if not hit[0].startswith("/"):
                        return hit[0]
                    if folder == "Sources":
                        comments.append((path.relative_to(ROOT), text[: hit.start()].count("\n") + 1, hit[0]))
                    return " "
                declared |= set(re.findall(r"\w+", TOKENS.sub(apart, text) if path.suffix != ".py" else text))
        said, count = [], 0
        for path, line, comment in comments:
            for name in re.findall(r"`([^`\n]+)`", comment):
                # What is written like a name of the code: with a capital, an underscore or arguments. The client's are its own.
                if NAME.fullmatch(name) and re.search(r"[A-Z_(]", name) and not name.startswith("rd_kafka_") and name not in NOT_OURS:
                    count += 1
                    # A file may be named in place of what is in it.
                    if f"{name}.swift" not in places() and not all(word in declared for word in re.findall(r"\w+", name)):
                        said.append(f"{path}:{line}: {name}")
        self.assertEqual(said, [], "\n".join(said))
        self.assertGreaterEqual(count, 250)

    def test_tests_that_are_named_by_their_sentence_exist(self):
        names = code_words()
        said = []
        for quote in quotes_of("Tests/FAULTS.md"):
            if " " in quote.text and kind_of(quote) == "other" and not (quote.text in names or quote.text.replace(" ", "_") in names
                                                                       or "test_" + quote.text.replace(" ", "_") in names):
                said.append(f"{quote.file}:{quote.line}: {quote.text}")
        self.assertEqual(said, [])


class Tables(unittest.TestCase):
    """Tables of documents that repeat what stands elsewhere."""

    def test_the_table_of_imports_is_that_of_the_manifest(self):
        manifest = (ROOT / "Package.swift").read_text()
        allowed = {name: set(re.findall(r'"(\w+)"', imports)) for name, imports in
                   re.findall(r'\bmodule\(\s*"(\w+)"(?:,\s*\[([^\]]*)\])?', manifest)}
        table = {}
        for line in (ROOT / "ARCHITECTURE.md").read_text().split("\n"):
            cells = [cell.strip() for cell in line.split("|")]
            if len(cells) >= 5 and re.match(r"`Tidemark\w+`", cells[1]):
                module, *own = re.findall(r"`(\w+)`", cells[1])
                table[module] = (set(own), cells[-2])
        self.assertEqual(sorted(table), sorted(allowed), "the modules of the table and of Package.swift")
        for module, imports in allowed.items():
            own, said = table[module]
            system = {name for name in imports if not name.startswith("Tidemark")}
            self.assertEqual(own, system, f"{module}: C modules that it alone imports")
            others = {name.removeprefix("Tidemark") for name in imports if name.startswith("Tidemark")}
            # Text is bytes, dates and numbers: the table says above it that any may have it.
            self.assertEqual(set(re.findall(r"[A-Z]\w+", said)) - {"Text"}, others - {"Text"}, f"{module}: what it may import")

    def test_make_help_names_every_target(self):
        shown = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
        self.assertEqual(sorted(targets() - {"help"} - set(re.findall(r"[a-z][\w-]*", shown))), [])
        self.assertGreaterEqual(len(targets()), 15)

    def test_each_history_has_its_test(self):
        part = re.search(r"## Histories that break exactness\n(.*?)\n## ", (ROOT / "ARCHITECTURE.md").read_text(), re.S)[1]
        tested = (ROOT / "Tests/TidemarkEngineTests/HistoryTests.swift").read_text()
        told = set(re.findall(r"(?<!\d)1\.\d+", part))
        self.assertEqual({number.replace("_", ".") for number in re.findall(r"`(1_\d+) ", tested)}, told)
        self.assertGreaterEqual(len(told), 15)

    def test_each_folder_of_the_sources_is_described(self):
        described = (ROOT / "ARCHITECTURE.md").read_text()
        folders = sorted({"/".join(name.split("/")[1:-1]) for name in tracked() if re.match(r"Sources/[Tt]idemark.*\.swift$", name)})
        missing = [folder for folder in folders if f"`{folder}`" not in described and f"`{folder.split('/')[-1]}`" not in described]
        self.assertEqual(missing, [], "folders without a word in ARCHITECTURE.md")
        self.assertGreaterEqual(len(folders), 50)


class Run(unittest.TestCase):
    """Blocks of documents that need no Kafka are run."""

    def block(self, name, begins):
        parts = [part for _, _, part, block in paragraphs((ROOT / name).read_text(encoding="utf-8")) if block]
        found = [part for part in parts if part.strip().startswith(begins)]
        self.assertEqual(len(found), 1, f"{name} has {len(found)} blocks that begin with {begins!r}")
        return "\n".join(line[4:] for line in found[0].split("\n"))

    def test_the_example_of_the_readme_runs_as_it_stands(self):
        place = WORK / "readme"
        place.mkdir()
        (place / "topologies").symlink_to(ROOT / "topologies")
        (place / ".build/release").mkdir(parents=True)
        (place / ".build/release/tidemark").symlink_to(TIDEMARK)
        script = self.block("README.md", "alias tidemark=")
        done = subprocess.run(["bash", "-euo", "pipefail", "-O", "expand_aliases", "-c", script], cwd=place, capture_output=True, text=True, timeout=300)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        for said in ("adds up" if "adds up" in done.stdout else "read = ", "firing"):
            self.assertIn(said, done.stdout)
        self.assertGreaterEqual(script.count("\n"), 8)

    def test_the_topology_of_the_readme_is_the_one_that_is_shipped(self):
        shown = self.block("README.md", "name: churn")
        shipped = (ROOT / "topologies/minimal.yaml").read_text().split("\n")
        self.assertEqual(shown.strip().split("\n"), [line for line in shipped if line and not line.startswith("#")])

    def test_topologies_in_blocks_are_understood(self):
        count = 0
        keys = set(schema()["properties"])
        for name in OF_USE:
            for start, _, part, block in paragraphs((ROOT / name).read_text(encoding="utf-8")):
                first = re.match(r"    (?:- )?([\w., -]+):( |\n|$)", part)
                if not block or not first or first[1] not in keys:
                    continue
                text = "\n".join(line[4:] for line in part.split("\n"))
                given = set(re.findall(r"^([a-z_]+):", text, re.M))
                if "…" in text or "source" in given and "schema:" not in text:
                    continue
                count += 1
                more = "" if "name" in given else "name: t\n"
                more += "" if "source" in given else "source: { topic: t, schema: { ts: time_ms, model: model, country: category, score: score } }\n"
                path = WORK / "block.yaml"
                path.write_text(more + text + "\n")
                found = [json.loads(line) for line in tidemark("lint", path, "--format", "json", ok=None).stdout.split("\n") if line.startswith("{")]
                # What a piece leaves out (baseline files, secrets, columns) is not there to be found.
                odd = [f["message"] for f in found if f["rule"] in ("unknown-key", "wrong-type", "unknown-word", "syntax", "value")]
                self.assertEqual(odd, [], f"{name}:{start}")
        self.assertGreaterEqual(count, 12)


if __name__ == "__main__":
    unittest.main(verbosity=1)
