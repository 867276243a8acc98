"""docs/reference-command.md, from the man page cli/libws.1."""

import re
import shlex

TITLE = "The command"

INTRODUCTION = "`libws` comes with the C library; this is its man page. `python -m libws` has the same\noptions.\n"


def plain(text):
    """What is printed, with nothing of roff in it."""
    return re.sub(r"\\f.", "", text).replace("\\-", "-").replace("\\e", "\\")


def split(line):
    """The words of a line with a macro: quotes hold one together."""
    words = shlex.shlex(line, posix=True)
    words.whitespace_split, words.quotes, words.commenters, words.escape = True, '"', "", ""
    return [plain(word) for word in words]


def marked(macro, words):
    """The words in the fonts of the macro: B is code, I a placeholder."""
    if macro in ("B", "I"):
        words = [" ".join(words)]
    elif set(macro) == {"B", "I"}:
        return f"`{''.join(words)}`"
    fonts = [macro[i % len(macro)] for i in range(len(words))]
    marks = {"B": "`", "I": "*", "R": ""}
    return "".join(f"{marks[font]}{word}{marks[font]}" for font, word in zip(fonts, words))


class Writer:
    """Takes the page line by line; `lines` is what has come of it."""

    def __init__(self):
        self.lines, self.paragraph, self.tag = [], [], None
        self.wants_tag = self.is_in_table = False

    def end_paragraph(self):
        text, self.paragraph = " ".join(self.paragraph), []
        if self.tag is not None:
            if not self.is_in_table:
                self.lines += ["", "| | |", "|---|---|"]
            self.lines.append("| {} | {} |".format(*(one.replace("|", "\\|") for one in (f"`{self.tag}`", text))))
            self.tag, self.is_in_table = None, True
        elif text:
            self.lines += ["", text]
            self.is_in_table = False

    def heading(self, level, words):
        self.end_paragraph()
        title = " ".join(words)
        title = title.lower() if title.startswith("LIBWS") else title.capitalize() if title.isupper() else title
        self.lines += ["", f"{level} {title.replace('Json', 'JSON')}"]
        self.is_in_table = False

    def take(self, line):
        if not line.startswith("."):
            self.paragraph.append(plain(line).replace("<", "&lt;"))
            return
        macro, _, rest = line[1:].partition(" ")
        words = split(rest)
        if self.wants_tag:
            self.tag, self.wants_tag = (" " if macro in ("B", "I") else "").join(words), False
        elif macro in ("SH", "SS"):
            self.heading("##" if macro == "SH" else "###", words)
        elif macro == "TP":
            self.end_paragraph()
            self.wants_tag = True
        elif macro == "PP":
            self.end_paragraph()
        elif macro in ("B", "I", "BI", "BR", "RB", "IR", "RI"):
            self.paragraph.append(marked(macro, words))

    def code(self, lines):
        self.end_paragraph()
        self.lines += ["", "```text", *map(plain, lines), "```"]


def make(root):
    page = (root / "cli/libws.1").read_text(encoding="utf-8")
    page = page[page.index(".SH DESCRIPTION"):].replace(".SH DESCRIPTION\n", "", 1)
    writer, lines = Writer(), iter(page.splitlines())
    for line in lines:
        if line == ".nf":
            writer.code(iter(lines.__next__, ".fi"))
        elif not line.startswith('.\\"'):
            writer.take(line)
    writer.end_paragraph()
    return "\n".join([INTRODUCTION.rstrip("\n"), *writer.lines]) + "\n\n"
