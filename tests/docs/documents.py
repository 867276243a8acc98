"""The pages of the documentation as tests see them: fenced blocks, headings and
links of Markdown."""

import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parents[2]

FENCE = re.compile(r"^( *)```(\w*)\s*$")


class Block:
    """A fenced block: its language, its text, and where that begins."""

    def __init__(self, page, line, language):
        self.page = page
        self.line = line
        self.language = language
        self.lines = []

    @property
    def text(self):
        return "\n".join(self.lines) + "\n"

    def __str__(self):
        return f"{self.page.name}:{self.line}"


class Page:
    def __init__(self, path):
        self.path = path
        self.name = str(path.relative_to(ROOT))
        self.blocks = []
        self.prose = []  # All lines outside of blocks, in their place.
        self._read(path.read_text(encoding="utf-8"))

    def _read(self, text):
        block = None
        for number, line in enumerate(text.splitlines(), 1):
            fence = FENCE.match(line)
            if block is None and fence:
                block = Block(self, number + 1, fence[2])
                indent = len(fence[1])
                self.blocks.append(block)
            elif block is not None and fence:
                block = None
            elif block is not None:
                block.lines.append(line[indent:])
            self.prose.append("" if block or fence else line)
        if block is not None:
            raise AssertionError(f"{block}: the block does not end")

    def anchors(self):
        """The names that links may have behind a "#"."""
        return {anchor(line.lstrip("#")) for line in self.prose if line.startswith("#")}

    def links(self):
        """Pairs of line number and target."""
        for number, line in enumerate(self.prose, 1):
            for target in re.findall(r"\]\(([^)\s]+)\)|(?:src|href)=\"([^\"]+)\"", line):
                yield number, "".join(target)


def anchor(heading):
    """What a heading is called in a link, as forges make it."""
    plain = re.sub(r"[^\w\- ]", "", heading.strip().lower())
    return plain.replace(" ", "-")


def pages():
    """All pages that are for readers."""
    paths = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/**/*.md")]
    return [Page(path) for path in sorted(paths)]


def blocks(language):
    return [b for page in pages() for b in page.blocks if b.language == language]
