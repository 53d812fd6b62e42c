"""What documents, topologies and messages quote, and what each quote is: for quoted.py.

A quote is a text between backticks, or a line of an indented block. Its form alone says what it is (`kind_of`).
"""
import collections
import functools
import re

from acceptance import ROOT, tidemark
from known import literals, targets, verbs

# Documents that describe how Tidemark is built: what is written like a name of the code has to be one.
OF_CODE = ["ARCHITECTURE.md", "CONTRIBUTING.md", "docs/glossary.md", "Tests/FAULTS.md"]
# Documents for its users.
OF_USE = ["README.md", "CHANGELOG.md", "Benchmarks/README.md"] + sorted(str(p.relative_to(ROOT)) for p in (ROOT / "docs").glob("*.md") if p.name != "glossary.md")

# Sections about other systems, whose names are not ours to check.
FOREIGN_SECTIONS = {
    ("docs/windows.md", "The same rows elsewhere"),
}


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


FILE = re.compile(r"[\w.<>*~-]*(?:/[\w.<>*…~-]+)+/?|[\w.-]+\.(?:md|py|swift|hpp|cpp|c|h|yaml|json|sh)|[\w.-]+/")
NAME = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*(?:\(\w*(?::\w*)*:?\))?")


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
    """What a quote is, by the first rule that fits; `line` and `other` are not looked up."""
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
    if re.fullmatch(r"[a-z]+(/[a-z]+)+", text) and not (ROOT / text.split("/")[0]).exists():
        return "key"
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
