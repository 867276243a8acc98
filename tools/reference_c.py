"""docs/reference-c.md, from the headers: every function, type, field and constant,
with all that their comments say."""

import itertools
import os
import re

TITLE = "Reference of the C library"

HEADERS = ("ws.h", "tls.h", "conn.h", "url.h", "base.h")

INTRODUCTION = """Include `<ws/ws.h>` for everything, or `<ws/conn.h>` for the engine alone. Functions
return 0 or a [negative error](errors.md), unless more is said; sizes are in bytes and
times in milliseconds; 0 and NULL in an option mean its default. A call belongs to the
thread of its loop, unless it says "any thread". Everything is there since 0.1.
"""

# What stands elsewhere, and is only mentioned here.
NOT_LISTED = {"ws_err": "Its constants: [errors](errors.md).",
              "WS_ERR_MAP": "The names, numbers and texts: [errors](errors.md)."}

TOKEN = re.compile(
    r"""^(?P<comment>/\*.*?\*/)
      | ^(?P<function>(?:WS_API|static\s+inline)\s[^;{]*?\b(?P<fname>ws_\w+)\([^;{]*\))\s*(?:;|\{.*?^\})
      | ^(?:typedef\s+)?(?P<kind>struct|enum|union)\s+(?P<type>ws_\w+)\s*\{(?P<body>.*?)^\}[\s\w]*;
      | ^typedef\s+struct\s+(?P<opaque>ws_\w+)\s+(?P=opaque);
      | ^(?P<callback>typedef[^;{]*?\(\*(?P<cname>ws_\w+)\)[^;]*;)
      | ^(?P<macro>\#define\s+(?P<mname>WS_(?!\w+_H\b|API\b)\w+)(?:[^\n]*\\\n)*[^\n]*)
      | (?P<gap>\n\n)""",
    re.MULTILINE | re.DOTALL | re.VERBOSE)

FIELD = re.compile(
    r"""(?P<comment>/\*.*?\*/)
      | (?P<open>(?:struct|union)\s*\{)
      | \}\s*(?P<close>\w+);
      | (?P<field>[\w\s*]*?(?P<pointer>\(\*)?(?P<name>\w+)(?:\)\([^)]*\))?(?:\[\w+\])?);
      | (?P<constant>WS_\w+)(?:\s=\s\d+)?,?(?=\s)
      | (?P<gap>\n\n)""",
    re.DOTALL | re.VERBOSE)

# Words of a comment that are names: those with an underscore inside or, for short,
# before them. What is marked already stays.
NAME = re.compile(r"`[^`]*`|(?<![\w/.:*-])(\w*_\w+(?:\(\))?)|([*<])")


class Entry:
    """What one comment is about: mostly one name, sometimes several."""

    def __init__(self, comment):
        self.comment = comment
        self.names = []
        self.code = []
        self.rows = []  # Of the fields or constants: (declaration, comment).

    @property
    def heading(self):
        if len(self.names) > 4:
            return os.path.commonprefix(self.names) + "..."
        return ", ".join(self.names)


# -- Reading ------------------------------------------------------------------------

def uncomment(comment):
    """The text of a C comment, with its line breaks."""
    text = re.sub(r"\A\s*/\*+ ?|\s*\*+/\s*\Z", "", comment)
    return re.sub(r"\n[ \t]*\*? ?", "\n", text).replace("Since 0.1.", "").replace("Since\n0.1.", "").strip()


def read_header(text):
    """(what the header is, [(section, what it says, [Entry])])"""
    purpose, comment, sections = None, "", [("", "", [])]
    for token in TOKEN.finditer(text):
        if token["comment"] and purpose is None:
            purpose = uncomment(re.sub(r"\s+ws/\w+\.h - ", " ", token["comment"], count=1))
        elif token["comment"]:
            comment = uncomment(token["comment"])
            if comment.startswith("-- "):
                title, _, comment = comment[3:].partition(" --")
                comment = comment.lstrip("-").strip()
                sections.append((title, "", []))
        elif token["gap"]:
            # A comment is for what follows directly, or for the section.
            title, about, entries = sections[-1]
            if comment and not entries and not about:
                sections[-1] = (title, comment, entries)
            comment = ""
        else:
            add(sections[-1][2], token, comment)
    return purpose, [section for section in sections if section[2]]


def add(entries, token, comment):
    """Adds what a token declares to the entry of the same comment, or to a new one."""
    name = token["fname"] or token["type"] or token["opaque"] or token["cname"] or token["mname"]
    if name.startswith("WS_VERSION_") and not comment:
        comment = entries[-1].comment
    if not (entries and comment and entries[-1].comment == comment):
        entries.append(Entry(comment))
    entry = entries[-1]
    entry.names.append(f"{name}()" if token["fname"] else name)
    if name in NOT_LISTED:
        entry.comment += "\n\n" + NOT_LISTED[name]
    elif token["fname"]:
        entry.code.append(re.sub(r"^(WS_API|static\s+inline)\s+", "", token["function"]) + ";")
    elif token["body"]:
        entry.rows += fields(token["body"])
    elif token["cname"] or token["mname"]:
        entry.code.append(token["callback"] or token["macro"])


def fields(body):
    """[(declaration, comment)] of what stands in braces; `size` is no option. Those of
    an inner struct have its name before theirs."""
    rows, comment, inner = [], "", []
    for token in FIELD.finditer(body):
        if token["comment"]:
            text = uncomment(token["comment"])
            line = body[:token.start()].rpartition("\n")[2]
            if line.strip() and rows:  # Behind a field, on its line.
                rows[-1] = (rows[-1][0], text)
            else:
                comment = text
        elif token["open"]:
            inner.append((len(rows), comment))
            comment = ""
        elif token["close"]:
            first, about = inner.pop()
            rows[first:] = [(re.sub(r"(\w+)((?:\[\w+\])?)$", rf"{token['close']}.\1\2", declaration), text)
                            for declaration, text in rows[first:]]
            rows.insert(first, (f"struct {token['close']}", about))
        elif token["gap"]:
            comment = ""
        elif token["constant"] or token["name"] != "size":
            rows.append((token["constant"] or " ".join(token["field"].split()), comment))
    return rows


# -- Writing ------------------------------------------------------------------------

class Page:
    """Knows where each name stands, so that others may link to it."""

    def __init__(self):
        self.places = {}

    def learn(self, entries):
        for entry in entries:
            constants = [name for name, _ in entry.rows if name.startswith("WS_")]
            for name in entry.names + constants:
                self.places[name.removesuffix("()")] = anchor(entry.heading)

    def prose(self, text, here=()):
        """A comment as Markdown: paragraphs, lists, examples of code."""
        parts = []
        for part in re.split(r"\n\n+|\n(?=Returns? )", text):
            if all(line.startswith("    ") for line in part.split("\n")):
                code = "\n".join(line[4:] for line in part.split("\n"))
                parts.append(f"```text\n{code}\n```")
            else:
                parts.append(self.words(re.sub(r"^ +- ", "- ", part, flags=re.MULTILINE), here))
        return "\n\n".join(parts).replace("\n```\n\n```text\n", "\n\n")

    def words(self, line, here=()):
        def marked(match):
            if match[2]:
                return {"*": "\\*", "<": "&lt;"}[match[2]]
            name = match[1]
            if name is None:
                return match[0]
            place = self.places.get(name.removesuffix("()"))
            return f"`{name}`" if place is None or name in here else f"[`{name}`](#{place})"
        return NAME.sub(marked, line)

    def cell(self, text, here=()):
        return self.words(" ".join(text.split()), here).replace("|", "\\|")

    def entry(self, entry):
        lines = [f"#### {entry.heading}", ""]
        if entry.code:
            lines += ["```c", *entry.code, "```", ""]
        if entry.comment:
            lines += [self.prose(entry.comment, entry.names), ""]
        if entry.rows:
            lines += ["| | |", "|---|---|"]
            lines += [f"| {declarations} | {self.cell(text)} |" for declarations, text in in_groups(entry.rows)]
            lines += [""]
        return lines


def in_groups(rows):
    """The same with the declarations that one comment is for in one row."""
    for text, group in itertools.groupby(rows, key=lambda row: row[1] or row):
        declarations = "<br>".join(f"`{declaration}`" for declaration, _ in group)
        yield declarations, text if isinstance(text, str) else ""


def anchor(heading):
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def make(root):
    folder = root / "libws/include/ws"
    read = {name: read_header((folder / name).read_text(encoding="utf-8")) for name in HEADERS}
    page = Page()
    for _, sections in read.values():
        for _, _, entries in sections:
            page.learn(entries)

    lines = [INTRODUCTION]
    for name, (purpose, sections) in read.items():
        lines += [f"## ws/{name}", "", page.prose(purpose), "", f"[{name}](../libws/include/ws/{name})", ""]
        for title, about, entries in sections:
            lines += [f"### {title}", ""] if title else []
            lines += [page.prose(about), ""] if about else []
            for entry in entries:
                lines += page.entry(entry)
    return "\n".join(lines)
