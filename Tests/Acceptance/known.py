"""What there is that can be quoted: commands, keys, files, names. For quoted.py.

Each `wrong_…` says what is wrong with a quote of one kind: a list of sentences, empty where all of it exists.
"""
import functools
import json
import re
import shlex
import subprocess

from acceptance import ROOT, tidemark

# What looks like a name of ours and is none, with the reason.
NOT_OURS = {
    # Other software, met where Tidemark works with it.
    "dlopen": "the call of the C library",
    "from_chars": "the function of C++",
    "perf": "the profiler of Linux",
    "package": "the keyword of Swift",
    "outer: open": "a key of baseline files that earlier versions wrote",
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
    """Whether keys lead from a topology, a part of one or a record to something: `limits.memory`, `drift[].tests`."""
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


class InQuotes(str):
    """A text that stood in quotes."""


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
            return InQuotes(found)
        begin = at
        while at < len(text) and not (text[at] in ends and (text[at] != ":" or text[at + 1:at + 2] in (" ", ""))):
            at += 1
        return text[begin:at].strip()

    if not text.startswith("{"):
        text = "{" + text + (" …}" if text.endswith(":") else "}")
    return value("")


SHAPES = ("type", "properties", "enum", "pattern", "anyOf", "allOf", "oneOf", "$ref", "const", "additionalProperties")


def fits(node, value, root):
    """Whether a value is what a node of a JSON Schema takes: its keys, and its words where only some are taken."""
    alternatives = list(forms(node, root))
    # What the schema leaves to the planner is any.
    if not any(shape in node for shape in SHAPES):
        return True
    if isinstance(value, dict):
        maps = [form for form in alternatives if "properties" in form or isinstance(form.get("additionalProperties"), dict)]
        open_ended = any(form.get("type") == "object" and "properties" not in form and "additionalProperties" not in form
                         for form in alternatives)
        taken = [{key: form.get("properties", {}).get(key, form.get("additionalProperties")) for key in value} for form in maps]
        return open_ended or any(all(isinstance(nodes[key], dict) and fits(nodes[key], inner, root) for key, inner in value.items()) for nodes in taken)
    if isinstance(value, list):
        lists = [form["items"] for form in alternatives if isinstance(form.get("items"), dict)]
        # Where the schema leaves open what is in it, the planner decides.
        return all(any(fits(items, inner, root) for items in lists) or not lists for inner in value)
    words = [word for form in alternatives for word in form.get("enum", [])]
    free = any({"string", "number", "integer", "boolean"} & set([form["type"]] if isinstance(form["type"], str) else form["type"])
               for form in alternatives if "type" in form and "enum" not in form and "pattern" not in form)
    return isinstance(value, InQuotes) or "…" in value or free or value in map(str, words) or value in ("true", "false", "off")


def fits_somewhere(value):
    """Whether a map is a part of a topology or of a record: one with names of its own, such as `monitors`, included.

    A map from any name to any text, such as the groups of an override, would fit everything: alone it says nothing.
    """
    named = [node for part in [schema(), *schema()["$defs"].values()] for node in part.get("properties", {}).values()
             if any(form.get("additionalProperties", {}) not in ({}, True, False) and set(form["additionalProperties"]) & {"anyOf", "allOf", "$ref", "properties"} for form in forms(node, schema()) if "$ref" not in form and "properties" not in form)]
    return any(fits(part, value, part if "$defs" in part else schema()) for part in [*schemas().values(), *named])


def words_of(value):
    """All keys and plain words of a map."""
    if isinstance(value, dict):
        return [word for key, inner in value.items() for word in [key, *words_of(inner)]]
    if isinstance(value, list):
        return [word for inner in value for word in words_of(inner)]
    return [] if isinstance(value, InQuotes) or not re.fullmatch(r"[a-z_]+", value) else [value]


@functools.cache
def code_words():
    """Each name that Swift, C and Python here declare, and each that stands in them as a text of its own."""
    declared = re.compile(
        r"\b(?:struct|class|enum|protocol|actor|typealias|associatedtype|func|let|var|case|import|extension|def|module)\s+(?:`([^`]+)`|(\w+))"
        r"|#define\s+(\w+)|\b(\w+)\(|^\s*(?:@Test )?func `([^`]+)`", re.M)
    found = set()
    for folder in ("Sources", "Tests", "Benchmarks", "ops"):
        for path in (ROOT / folder).rglob("*"):
            if path.suffix in (".swift", ".c", ".cpp", ".h", ".hpp", ".py") and path.name != "quoted.py" and path.is_file():
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


def is_known(name):
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


def wrong_in_script(text):
    """What a line says of a script of the repository that it does not have."""
    name, *words = text.split()
    if not (ROOT / name).is_file():
        return ["there is no such script"]
    source = (ROOT / name).read_text(encoding="utf-8")
    return [f"does not read {word}" for word in words if word.startswith("-") and word not in source]


def wrong_in_file(text):
    name = text.rstrip("/")
    # Placeholders stand for many; what .gitignore names is made here, by a build or a run.
    if re.search(r"[<>…]", name) or any(name == made or name.startswith(made + "/") or name.endswith(made.lstrip("*")) and "*" in made for made in ignored()):
        return []
    if "*" in name:
        return [] if any(ROOT.glob(name)) else ["nothing has this form"]
    return [] if name in places() else ["there is no such file"]


def wrong_in_key(text):
    """The form of a record's key: words between slashes."""
    return [f"nothing is called {part}" for part in text.split("/") if not is_known(part)]


def wrong_in_page(text):
    """A page of `run --http`, or the end of a sketch's key, which is the sketch's word."""
    return [] if any(text == said for _, _, said in literals()) or is_known(text[1:]) else ["is not served"]


def wrong_in_metric(text):
    documented = set(re.findall(r"^\| `(tidemark_\w+)", (ROOT / "docs/metrics.md").read_text(encoding="utf-8"), re.M))
    return [f"docs/metrics.md has no {name}" for name in re.findall(r"tidemark_\w+", text) if name not in documented]


@functools.cache
def read_variables():
    """All capitals that stand in code: what is read from the environment is among them."""
    found = set()
    for name in tracked():
        if re.match(r"(Sources|Tests|Benchmarks|ops)/|Makefile", name) and not name.endswith((".md", "quoted.py")) and (ROOT / name).is_file():
            found |= set(re.findall(r"\b[A-Z][A-Z_]+\b", (ROOT / name).read_text(encoding="utf-8", errors="replace")))
    return found


def wrong_in_variable(text):
    name = text.split("=")[0]
    return [] if name in NOT_OURS or name in read_variables() else ["nothing reads it"]


def wrong_in_path(text):
    return [] if leads_somewhere(text) or is_known(text) else ["no key of a topology or a record"]


def wrong_in_map(text):
    try:
        value = flow(text)
    except (ValueError, IndexError):
        return ["can't be read"]
    # Some maps have no schema (a letter, `edges`): their words have to stand in the sources.
    if text in NOT_OURS or fits_somewhere(value) or text.startswith("{") and said_words().issuperset(words_of(value)):
        return []
    return ["fits no part of a topology or a record"]


def wrong_in_name(text):
    return [] if is_known(text) else ["nothing has this name"]


def wrong_in_hyphenated(text):
    """Rules of lint, headers, packages and targets: they stand in the sources as texts, or in the manifest or the set-up."""
    manifest = (ROOT / "Package.swift").read_text(encoding="utf-8") + (ROOT / "ops/setup").read_text(encoding="utf-8")
    return [] if text in said_words() or re.search(rf"[\s\"]{text}[\s\"]", manifest) else ["nothing has this name"]


WRONG = {
    "command": wrong_in_command, "script": wrong_in_script, "file": wrong_in_file, "key": wrong_in_key, "page": wrong_in_page, "metric": wrong_in_metric,
    "variable": wrong_in_variable, "path": wrong_in_path, "map": wrong_in_map, "name": wrong_in_name, "hyphenated": wrong_in_hyphenated,
}
