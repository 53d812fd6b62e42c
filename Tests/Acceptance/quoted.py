#!/usr/bin/env python3
"""Whatever documents, topologies and messages quote exists: commands and their flags, make targets, keys of topologies and
records, files, links, types and functions, metrics, variables. Shell blocks that need no Kafka are run.

usage: quoted.py [PATTERN]      (run by ops/run-tests)

A quote is a text between backticks, or a line of an indented block. It is told what it is by its form alone, by the first
rule of `kind_of` that fits; a test for each kind says what has to exist. What looks like a name and is none stands in
NOT_OURS, with the reason. Each test counts what it looked up and fails if that was too little.
"""
import collections
import functools
import json
import pathlib
import re
import shlex
import subprocess
import unittest

from acceptance import ROOT, TIDEMARK, WORK, tidemark

# Documents that describe how Tidemark is built: what is written like a name of the code has to be one.
OF_CODE = ["ARCHITECTURE.md", "CONTRIBUTING.md", "docs/glossary.md", "Tests/FAULTS.md"]
# Documents for its users.
OF_USE = ["README.md", "CHANGELOG.md", "Benchmarks/README.md"] + sorted(str(p.relative_to(ROOT)) for p in (ROOT / "docs").glob("*.md") if p.name != "glossary.md")

# Sections about other systems, whose names are not ours to check.
FOREIGN_SECTIONS = {
    ("docs/windows.md", "The same rows elsewhere"),
}

NOT_OURS = {
    # Other software, met where Tidemark works with it.
    "dlopen": "the call of the C library",
    "from_chars": "the function of C++",
    "perf": "the profiler of Linux",
    "package": "the keyword of Swift",
    "links": "a field of alerts that is gone, as CHANGELOG.md says",
    "compression.type": "a setting of Kafka's topics",
    "scipy.stats.wasserstein_distance": "a function of scipy",
    "kstwo": "a distribution of scipy",
    "CubicallyInterpolatedMapping": "a class of the Python package ddsketch",
    "MALLOC_CONF": "read by jemalloc",
    "LD_LIBRARY_PATH": "read by the loader",
    # In comments of the sources.
    "_TRANSPORT": "the end of a name of librdkafka",
    "UNKNOWN_TOPIC_OR_PART": "an error of Kafka's protocol",
    "org.apache.kafka.common.utils.Utils.murmur2": "Kafka's own code",
    "SHA256": "a function of libcrypto",
    "Ms": "the end of names of times, not a name",
}


# ---- what is quoted

Quote = collections.namedtuple("Quote", "file line section text block")


def paragraphs(text):
    """The parts of a Markdown document: (first line, heading above it, text, whether it is a block of code)."""
    section, part, start, block = "", [], 0, False
    fenced = False
    for number, line in enumerate(text.split("\n") + [""], 1):
        if line.startswith("```"):
            fenced = not fenced
            line = ""
        # A block of code is four blanks in, after an empty line and outside a list.
        indented = line.startswith("    ") and (block or not part)
        now = bool(fenced or indented)
        if part and (not line.strip() or now != block):
            yield start, section, "\n".join(part), block
            part = []
        if line.startswith("#") and not fenced:
            section = line.lstrip("# ").strip()
        if line.strip():
            if not part:
                start, block = number, now
            part.append(line)


def in_list(part):
    return re.match(r" *([-*]|\d+\.) ", part)


@functools.cache
def quotes_of(name):
    """All quotes of a document."""
    found, after_list = [], False
    for start, section, part, block in paragraphs((ROOT / name).read_text(encoding="utf-8")):
        # What is indented below an item of a list goes on with it.
        if block and after_list:
            block = False
        else:
            after_list = bool(in_list(part))
        if block:
            for offset, line in enumerate(part.split("\n")):
                found.append(Quote(name, start + offset, section, line[4:] if line.startswith("    ") else line, True))
            continue
        for hit in re.finditer(r"(`+)(.+?)\1", part, re.S):
            text = " ".join(hit[2].replace("\\|", "|").split())
            found.append(Quote(name, start + part[: hit.start()].count("\n"), section, text.strip("`"), False))
    return [quote for quote in found if (name, quote.section) not in FOREIGN_SECTIONS]


@functools.cache
def comments_of_topologies():
    found = []
    for path in sorted((ROOT / "topologies").glob("*.yaml")):
        name = str(path.relative_to(ROOT))
        for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), 1):
            comment = re.search(r"(?:^|\s)#(.*)", line)
            if comment:
                found += [Quote(name, number, "", hit[1], False) for hit in re.finditer(r"`([^`]+)`", comment[1])]
    return found


TOKENS = re.compile(r'//[^\n]*|/\*.*?\*/|#*"""(?:.|\n)*?"""#*|"(?:\\\((?:[^()"]|"[^"\n]*"|\((?:[^()]|\([^()]*\))*\))*\)|\\.|[^"\\\n])*"', re.S)


@functools.cache
def literals():
    """The texts of the Swift sources: (file, line, text), with … for what is put in."""
    found = []
    for path in sorted((ROOT / "Sources").rglob("*.swift")):
        text = path.read_text(encoding="utf-8")
        for hit in TOKENS.finditer(text):
            if not hit[0].startswith("/"):
                body = hit[0].strip("#").strip('"')
                body = re.sub(r"\\\((?:[^()]|\((?:[^()]|\([^()]*\))*\))*\)", "…", body).replace('\\"', '"')
                found.append((str(path.relative_to(ROOT)), text[: hit.start()].count("\n") + 1, body))
    return found


@functools.cache
def messages():
    """Quotes in messages: what stands between backticks, and texts that begin as a command."""
    found = []
    for name, line, text in literals():
        found += [Quote(name, line, "", " ".join(hit[1].split()), False) for hit in re.finditer(r"`([^`\n]+)`", text)]
        first = re.match(r"(tidemark|make) [a-z-]+", text)
        if first and name.startswith("Sources/") and first[0].split()[1] in (verbs() if first[1] == "tidemark" else targets()):
            found += [Quote(name, line, "", part, False) for part in [re.split(r"[,;:]| or ", text.split("\n")[0])[0]]]
    return found


@functools.cache
def helped():
    """The commands that the help texts give as examples."""
    found = []
    for verb in verbs():
        for line in tidemark("help", verb).stdout.split("\n"):
            if line.startswith("tidemark ") or line.startswith("source <(tidemark"):
                found.append(Quote(f"tidemark help {verb}", 0, "", line, True))
            found += [Quote(f"tidemark help {verb}", 0, "", hit, False) for hit in re.findall(r"`([^`]+)`", line)]
    return found


def everything():
    return [quote for name in OF_CODE + OF_USE for quote in quotes_of(name)] + comments_of_topologies() + messages() + helped()


# ---- what there is

@functools.cache
def verbs():
    """By verb: its flags, and its actions where it has some."""
    found = {}
    for line in tidemark("help").stdout.split("\n"):
        hit = re.match(r"  ([a-z]+)(?: (\S+))?.*? {2,}", line + "  ")
        if hit and line.startswith("  "):
            usage = tidemark("help", hit[1]).stdout
            actions = set(hit[2].split("|")) if hit[2] and re.fullmatch(r"[a-z]+(\|[a-z]+)*", hit[2]) else set()
            # Also one that belongs to `list`, of which there is a single one.
            found[hit[1]] = (set(re.findall(r"^  (--[\w-]+)", usage, re.M)), actions)
    return found


@functools.cache
def targets():
    return set(re.findall(r"^([a-z][\w-]*):", (ROOT / "Makefile").read_text(), re.M))


@functools.cache
def tracked():
    listed = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True)
    return listed.stdout.split("\n")[:-1]


@functools.cache
def places():
    """Each file and folder, by every end of its path: `Fold/CellFold.swift` is found, and so is `CellFold.swift`."""
    found = set()
    for name in tracked():
        parts = name.split("/")
        for end in range(1, len(parts) + 1):
            for begin in range(end):
                found.add("/".join(parts[begin:end]))
    return found


@functools.cache
def ignored():
    """The patterns of .gitignore: what is made here, and so need not be there."""
    return [line.rstrip("/") for line in (ROOT / ".gitignore").read_text().split("\n") if line and not line.startswith("!")]


@functools.cache
def schema():
    return json.loads(tidemark("schema").stdout)


@functools.cache
def schemas():
    """The topology, each of its parts by name, and what is published."""
    parts = {"topology": schema(), **schema()["$defs"]}
    for path in sorted((ROOT / "docs/schemas").glob("*.json")):
        parts[path.name.split(".")[0] + " record"] = json.loads(path.read_text())
    return parts


def forms(node, root):
    """The node and what it may stand for: references followed, alternatives taken apart."""
    if not isinstance(node, dict):
        return
    yield node
    if "$ref" in node:
        target = root
        for step in node["$ref"].removeprefix("#/").split("/"):
            target = target[step]
        yield from forms(target, root)
    for word in ("allOf", "anyOf", "oneOf"):
        for other in node.get(word, []):
            yield from forms(other, root)


def below(nodes, step, root):
    """Where a step of a path leads."""
    found = []
    for node in nodes:
        for form in forms(node, root):
            if step == "[]":
                found += [form["items"]] if "items" in form else []
            elif step in form.get("properties", {}):
                found.append(form["properties"][step])
            elif isinstance(form.get("additionalProperties"), dict):
                found.append(form["additionalProperties"])
    return found


def leads_somewhere(path):
    steps = re.findall(r"[^.\[\]]+|\[\]", path)
    starts = [(part, steps) for part in schemas().values()]
    # `decode.columns`: the name of a part, then its key.
    starts += [(part, steps[1:]) for name, part in schemas().items() if name == steps[0]]
    for part, rest in starts:
        nodes = [part]
        root = schema() if "$defs" not in part else part
        for step in rest:
            nodes = below(nodes, step, root)
        if nodes and rest:
            return True
    return False


def flow(text):
    """A small reader of YAML in flow style: maps as dicts, lists as lists, all else as text."""
    at = 0

    def blank():
        nonlocal at
        while at < len(text) and text[at] in " ,":
            at += 1

    def value(ends):
        nonlocal at
        blank()
        if at < len(text) and text[at] == "{":
            at += 1
            found = {}
            while blank() or at < len(text) and text[at] != "}":
                key = value(":}")
                if at < len(text) and text[at] == ":":
                    at += 1
                    found[key] = value(",}")
                elif key != "…":
                    raise ValueError(text)
            if at >= len(text):
                raise ValueError(text)
            at += 1
            return found
        if at < len(text) and text[at] == "[":
            at += 1
            found = []
            while blank() or at < len(text) and text[at] != "]":
                found.append(value(",]"))
            at += 1
            return found
        if at < len(text) and text[at] in "\"'":
            end = text.index(text[at], at + 1)
            found, at = text[at + 1:end], end + 1
            return Quoted(found)
        begin = at
        while at < len(text) and not (text[at] in ends and (text[at] != ":" or text[at + 1:at + 2] in (" ", ""))):
            at += 1
        return text[begin:at].strip()

    if not text.startswith("{"):
        text = "{" + text + (" …}" if text.endswith(":") else "}")
    return value("")


class Quoted(str):
    """A text that stood in quotes."""


SHAPES = ("type", "properties", "enum", "pattern", "anyOf", "allOf", "oneOf", "$ref", "const", "additionalProperties")


def fits(node, value, root):
    alternatives = list(forms(node, root))
    # What the schema leaves to the planner is any.
    if not any(shape in node for shape in SHAPES):
        return True
    if isinstance(value, dict):
        maps = [form for form in alternatives if "properties" in form or isinstance(form.get("additionalProperties"), dict)]
        open_ended = any(form.get("type") == "object" and "properties" not in form and "additionalProperties" not in form
                         for form in alternatives)
        whole = lambda form: all(
            fits(form.get("properties", {}).get(key, form.get("additionalProperties")), inner, root)
            if key in form.get("properties", {}) or isinstance(form.get("additionalProperties"), dict) else False
            for key, inner in value.items())
        return any(whole(form) for form in maps) or open_ended
    if isinstance(value, list):
        lists = [form["items"] for form in alternatives if isinstance(form.get("items"), dict)]
        # Where the schema leaves open what is in it, the planner decides.
        return all(any(fits(items, inner, root) for items in lists) or not lists for inner in value)
    words = [word for form in alternatives for word in form.get("enum", [])]
    free = any({"string", "number", "integer", "boolean"} & set([form["type"]] if isinstance(form["type"], str) else form["type"])
               for form in alternatives if "type" in form and "enum" not in form and "pattern" not in form)
    return isinstance(value, Quoted) or "…" in value or free or value in map(str, words) or value in ("true", "false", "off")


def fits_somewhere(value):
    """Whether a map is a part of a topology or of a record: one with names of its own, such as `monitors`, included."""
    named = [node for part in [schema(), *schema()["$defs"].values()] for node in part.get("properties", {}).values()
             if any(isinstance(form.get("additionalProperties"), dict) for form in forms(node, schema()) if "$ref" not in form and "properties" not in form)]
    return any(fits(part, value, part if "$defs" in part else schema()) for part in [*schemas().values(), *named])


def words_of(value):
    """All keys and plain words of a map."""
    if isinstance(value, dict):
        return [word for key, inner in value.items() for word in [key, *words_of(inner)]]
    if isinstance(value, list):
        return [word for inner in value for word in words_of(inner)]
    return [] if isinstance(value, Quoted) or not re.fullmatch(r"[a-z_]+", value) else [value]


@functools.cache
def code_words():
    """Each name that Swift, C and Python here declare, and each that stands in them as a text of its own."""
    declared = re.compile(
        r"\b(?:struct|class|enum|protocol|actor|typealias|associatedtype|func|let|var|case|import|extension|def|module)\s+(?:`([^`]+)`|(\w+))"
        r"|#define\s+(\w+)|\b(\w+)\(|^\s*(?:@Test )?func `([^`]+)`", re.M)
    found = set()
    for folder in ("Sources", "Tests", "Benchmarks", "ops"):
        for path in (ROOT / folder).rglob("*"):
            if path.suffix in (".swift", ".c", ".cpp", ".h", ".hpp", ".py") and path.is_file():
                text = path.read_text(encoding="utf-8")
                for hit in declared.finditer(text):
                    found |= {group for group in hit.groups() if group}
                # The cases of an enum beside the first, and what a pattern names.
                for line in re.findall(r"^\s*(?:indirect )?case ([^:{=\n]+)$", text, re.M):
                    found |= set(re.findall(r"\b(\w+)(?=\s*(?:,|\(|$))", line))
    return found


@functools.cache
def said_words():
    """Each word that is a text of Swift, C or C++ by itself, or one of a list of words, or stands in one between quotes."""
    found = set()
    texts = [text for _, _, text in literals()]
    for path in (ROOT / "Sources").rglob("*.[ch]pp"):
        texts += re.findall(r'"((?:\\.|[^"\\\n])*)"', path.read_text(encoding="utf-8"))
    for text in texts:
        found.add(text)
        if re.fullmatch(r"[\w.~-]+(?:, ?[\w.~-]+)*", text):
            found |= set(re.findall(r"[\w.~-]+", text))
        found |= set(re.findall(r'["`]([\w.-]+)["`]', text))
    return found


@functools.cache
def language_words():
    """Keys and words of topologies and of what is published."""
    found = set()

    def walk(node):
        if isinstance(node, dict):
            found.update(node.get("properties", {}))
            found.update(word for word in node.get("enum", []) if isinstance(word, str))
            found.update([node["const"]] if isinstance(node.get("const"), str) else [])
            for inner in node.values():
                walk(inner)
        elif isinstance(node, list):
            for inner in node:
                walk(inner)

    for part in schemas().values():
        walk(part)
    found.update(schema()["$defs"])
    listed = tidemark("list", "operators", "--markdown").stdout
    found.update(re.findall(r"`(\w+)`", listed))
    return found


# ---- what a quote is

MODULE = r"(?:Tidemark|C)[A-Z]\w*"
FILE = re.compile(r"[\w.<>*~-]*(?:/[\w.<>*…~-]+)+/?|[\w.-]+\.(?:md|py|swift|hpp|cpp|c|h|yaml|json|sh)|[\w.-]+/")
NAME = re.compile(r"[A-Za-z_]\w*(?:\.\w+)*(?:\(\w*(?::\w*)*:?\))?")


def command_of(text, block):
    """The command in a quote, with what leads to it taken away; nothing if it is none."""
    text = re.sub(r"\s+#.*$", "", text).strip()
    text = re.sub(r"^(?:(?:export )?[A-Z_]+=\S+ )+", "", text)
    if re.match(r"(tidemark|make) [a-z\[]", text) or text.startswith("source <(tidemark"):
        return text.removeprefix("source <(").rstrip(")")
    if not block:
        words = text.split()
        if words and (words[0] in verbs() and len(words) > 1 and re.match(r"[a-z|]+$|--|[A-Z]+$|…", words[1]) or re.match(r"--[a-z]", words[0])):
            return text
    return None


def kind_of(quote):
    text = quote.text
    if command_of(text, quote.block):
        return "command"
    if re.match(r"ops/\w", text) or quote.block and re.match(r"[\w-]+(?:/[\w.-]+)+(\s|$)", text):
        return "script"
    if quote.block:
        return "line"
    if re.match(r"tidemark_\w+", text):
        return "metric"
    if re.match(r"(TIDEMARK_\w+|[A-Z]{4,})(=|$)", text):
        return "variable"
    if re.fullmatch(r"/[a-z]{2,}", text):
        return "page"
    if re.match(r"https?:|/|\.", text) and not re.match(r"\.(build|venv|ci|gitignore|swift-format)\b", text):
        return "other"
    if FILE.fullmatch(text) and not re.match(r"\d|-", text):
        return "file"
    if re.match(r"[\w-]+:( |$)|\{.*\}$", text) and not re.match(r"\{\"ts\"", text):
        return "map"
    if re.fullmatch(r"[a-z_]+(?:\.[a-z_*]+|\[\])+(?:\.[a-z_*]+|\[\])*", text):
        return "path"
    if NAME.fullmatch(text):
        return "name"
    if re.fullmatch(r"[a-z]+(-[a-z]+)+", text):
        return "hyphenated"
    return "other"


def wrong_in_command(text):
    """What a command says that Tidemark or make do not know."""
    # What may be left out is a part of it; a choice is told by its parts.
    text = re.sub(r"[\[\]]", " ", text)
    try:
        words = shlex.split(text)
    except ValueError:
        words = text.split()
    stop = next((i for i, word in enumerate(words) if word in (">", "|", "&&")), len(words))
    words = words[:stop]
    if words[0] == "make":
        names = [word for word in words[1:] if "=" not in word and word != "or"]
        given = [word.split("=")[0] for word in words[1:] if "=" in word]
        makefile = (ROOT / "Makefile").read_text()
        return [f"make has no target {name}" for name in names if name not in targets()] + \
            [f"the Makefile reads no {name}" for name in given if not re.search(rf"\$\({name}\)|or \$\({name}\)|origin {name}", makefile)]
    if words[0] == "tidemark":
        words = words[1:]
    flags = set().union(*(flags for flags, _ in verbs().values()))
    if words[0].startswith("--"):
        return [f"no verb has the flag {words[0]}"] if words[0].split("=")[0] not in flags else []
    if words[0] == "VERB" or words[0] == "…":
        return []
    if words[0] not in verbs():
        return [f"there is no verb {words[0]}"]
    own, actions = verbs()[words[0]]
    wrong = [f"{words[0]} has no flag {word}" for word in words[1:] if word.startswith("--") and word.split("=")[0] not in own]
    if actions and len(words) > 1 and not words[1].startswith("--") and words[1] != "…":
        wrong += [f"{words[0]} has no {action}" for action in words[1].split("|") if action not in actions and action != "FILE"]
    # A placeholder of `help VERB` and `explain RULE` is any.
    if words[0] == "help" and len(words) > 1 and words[1] not in verbs() and words[1] not in ("VERB", "…"):
        wrong.append(f"there is no verb {words[1]}")
    return wrong


def known(name):
    """Whether a name is one of the language, of messages, of the command line or of the code."""
    bare = re.sub(r"\(.*\)$", "", name)
    # A module, a folder, or a file by its name without the ending.
    if name in NOT_OURS or any(bare + end in places() for end in ("", ".swift", ".py")):
        return True
    if bare in language_words() or bare in said_words() or bare in verbs() or bare in code_words():
        return True
    # A package of Debian that the binary needs.
    if bare in re.search(r"apt-get install (.*)", (ROOT / "docs/operations.md").read_text())[1].split():
        return True
    parts = bare.split(".")
    return len(parts) > 1 and all(part in code_words() for part in parts)


class QuotesTestCase(unittest.TestCase):
    def looked_up(self, kind, wrong, least, where=everything):
        """Fails with all that is wrong, or if less was looked up than there surely is."""
        found = [quote for quote in where() if kind_of(quote) == kind]
        said = []
        for quote in found:
            said += [f"{quote.file}:{quote.line}: `{quote.text}`: {what}" for what in wrong(quote)]
        self.assertEqual(said, [], "\n" + "\n".join(dict.fromkeys(said)))
        self.assertGreaterEqual(len(found), least, f"{kind}: {len(found)} were looked up")
        return found


class Names(QuotesTestCase):
    def test_commands_have_the_verbs_actions_and_flags_that_are_quoted(self):
        self.looked_up("command", lambda quote: wrong_in_command(command_of(quote.text, quote.block)), 130)

    def test_scripts_are_there_and_take_the_flags_that_are_quoted(self):
        def wrong(quote):
            words = quote.text.split()
            path = ROOT / words[0]
            if not path.exists():
                return ["there is no such script"]
            source = path.read_text()
            return [f"does not read {word}" for word in words[1:] if word.startswith("-") and word not in source]
        self.looked_up("script", wrong, 9)

    def test_files_and_folders_are_there(self):
        def wrong(quote):
            name = quote.text.rstrip("/")
            # What the build, a run or the application itself makes; placeholders and globs.
            if any(name == made or name.startswith(made + "/") or "*" in made and name.endswith(made.lstrip("*")) for made in ignored()):
                return []
            if re.search(r"[<>…]", name) or re.match(r"DIR/", name):
                return []
            if "*" in name:
                return [] if list(ROOT.glob(name)) else ["nothing has this form"]
            # A key of the state topic, such as baseline/name/segment.
            if quote.file == "docs/records.md" and re.match(r"(alert|baseline|freshness|silence|source|operator|by-model|window|windows)/", name):
                return []
            return [] if name in places() else ["there is no such file"]
        self.looked_up("file", wrong, 45, lambda: [q for q in everything() if not q.file.startswith("Sources/")])

    def test_links_lead_to_files_and_headings(self):
        count = 0
        for name in sorted(set(OF_CODE + OF_USE + ["findings/README.md"])):
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

    def test_pages_are_served(self):
        served = {text for _, _, text in literals()}
        # Those of records.md are ends of keys, which the sketches' own tests hold.
        pages = [name for name in OF_USE + OF_CODE if name != "docs/records.md"]
        self.looked_up("page", lambda quote: [] if quote.text in served else ["is not served"], 4,
                       lambda: [quote for name in pages for quote in quotes_of(name)])

    def test_metrics_are_documented(self):
        documented = set(re.findall(r"^\| `(tidemark_\w+)", (ROOT / "docs/metrics.md").read_text(), re.M))
        def wrong(quote):
            return [f"docs/metrics.md has no {name}" for name in re.findall(r"tidemark_\w+", quote.text) if name not in documented]
        self.looked_up("metric", wrong, 45)

    def test_variables_are_read(self):
        read = ""
        for name in tracked():
            if re.match(r"(Sources|Tests|Benchmarks|ops)/|Makefile", name) and not name.endswith((".md", "quoted.py")):
                read += (ROOT / name).read_text(encoding="utf-8", errors="replace")
        def wrong(quote):
            name = quote.text.split("=")[0]
            return [] if name in NOT_OURS or re.search(rf"\b{name}\b", read) else ["nothing reads it"]
        self.looked_up("variable", wrong, 8)

    def test_paths_of_keys_lead_somewhere(self):
        def wrong(quote):
            return [] if leads_somewhere(quote.text) or known(quote.text) else ["no key of a topology or a record"]
        self.looked_up("path", wrong, 50)

    def test_maps_have_keys_and_words_of_the_language(self):
        def wrong(quote):
            try:
                value = flow(quote.text)
            except (ValueError, IndexError):
                return ["can't be read"]
            # Some maps have no schema (a letter, `edges`, a baseline's file): their words have to stand in the sources.
            if fits_somewhere(value) or (quote.text.startswith("{") or quote.file == "docs/records.md") and said_words().issuperset(words_of(value)):
                return []
            return ["fits no part of a topology or a record"]
        self.looked_up("map", wrong, 40)

    def test_names_are_those_of_the_language_of_messages_or_of_the_code(self):
        documents = lambda: [quote for name in OF_CODE + OF_USE for quote in quotes_of(name)] + comments_of_topologies()
        found = self.looked_up("name", lambda quote: [] if known(quote.text) else ["nothing has this name"], 700, documents)
        # An exception that nobody needs any more is taken out.
        used = {quote.text.split("=")[0] for quote in everything()} | {quote.text for quote in found}
        used |= set(re.findall(r"`([^`\n]+)`", "".join(p.read_text() for p in (ROOT / "Sources").rglob("*") if p.suffix in (".swift", ".h"))))
        self.assertEqual(sorted(name for name in NOT_OURS if name not in used), [])

    def test_rules_headers_and_packages_with_a_hyphen_are_there(self):
        manifest = (ROOT / "Package.swift").read_text() + (ROOT / "ops/setup").read_text()
        def wrong(quote):
            return [] if quote.text in said_words() or re.search(rf"[\s\"]{quote.text}[\s\"]", manifest) else ["nothing has this name"]
        self.looked_up("hyphenated", wrong, 12)

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
                    if not all(word in declared for word in re.findall(r"\w+", name)):
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
