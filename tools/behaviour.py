#!/usr/bin/env python3
"""Joins the contract, docs/behaviour.rows, with the tests that carry its numbers.

    behaviour.py           writes docs/behaviour.md
    behaviour.py --check   changes nothing; prints what is stale or has no test
    behaviour.py --gaps    prints the rows without a test, a line for each language

A test carries the numbers that stand in it, in the comment above it or in its
name, as "Row 235.", "Rows 12, 13.", "Rows 361 to 367" or test_row_235.
What stands in a table outside of any test counts for the file.
"""

import ast
import collections
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
ROWS = ROOT / "docs/behaviour.rows"
PAGE = ROOT / "docs/behaviour.md"

Language = collections.namedtuple("Language", "name tests")
LANGUAGES = {
    "C": Language("C", ["tests/unit/*.c", "tests/net/*.c", "tests/peers/test_*.py"]),
    "P": Language("Python", ["tests/python/test_*.py"]),
    "L": Language("Lua", ["tests/lua/spec/*_spec.lua", "tests/lua/resty/test_*.py"]),
}
SCOPES = ("client", "server", "both")

INTRODUCTION = """\
# The contract

<!-- Made by tools/behaviour.py of docs/behaviour.rows and the tests. -->

What libws does, in numbered rows: the WebSocket of browsers (the WHATWG standard
and the web platform tests), RFC 6455 and RFC 7692, what npm's ws has beside them,
and what is ours. They are a sample; where a row is missing, the standards decide.

Each row is tested in every language in which it means something, by the files
that its line links to; `grep -rn "Row.* 235" tests` finds the very test, and so
does the tip of a link. "Both" is for clients and servers. Where an error is told
"and close 1006", the order is: the event `error`, then `close` with code 1006, no
reason, not clean. Rows are tested against peers that speak bytes, not libws.
"""

# -- The contract ---------------------------------------------------------------

Row = collections.namedtuple("Row", "number scope languages text")


def read_rows():
    """A list of (title, rows) as the file has them."""
    sections = []
    last = 0
    for line in ROWS.read_text().splitlines():
        if line.startswith("= "):
            sections.append((line[2:], []))
        elif line and not line.startswith("#"):
            number, scope, languages, text = line.split(" | ", 3)
            row = Row(int(number), scope, languages.split(), text)
            if row.number <= last or scope not in SCOPES or set(languages) - set("C P L"):
                sys.exit(f"{ROWS}: {line}")
            last = row.number
            sections[-1][1].append(row)
    return sections


# -- The tests -------------------------------------------------------------------

MENTION = re.compile(
    r"(?<![a-z])rows?[ _](\d+(?:(?:,| and| to|, and|_and|_to)[\s_]+\d+)*)", re.IGNORECASE
)
# What begins a line that goes on with a comment.
COMMENT = re.compile(r"\n\s*(?:\*|#|--)")


def numbers_of(text, known):
    """The numbers that a text names, and of its ranges those that are `known`."""
    numbers = set()
    for mention in MENTION.findall(COMMENT.sub("\n ", text)):
        for part in re.split(r",(?: and)?|and", mention.replace("_", " ")):
            first, _, last = part.partition("to")
            numbers.update({int(first), int(last or first)})
            numbers |= known & set(range(int(first), int(last or first)))
    return numbers


def blocks_of_python(text):
    """(name, text) of each test function, decorators included, and (None, rest)."""
    lines = text.splitlines(keepends=True)
    rest = list(lines)
    for node in ast.walk(ast.parse(text)):
        is_function = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        if not is_function or not node.name.startswith("test_"):
            continue
        start = min([node.lineno, *(one.lineno for one in node.decorator_list)]) - 1
        while start > 0 and lines[start - 1].lstrip().startswith("#"):
            start -= 1
        yield node.name, "".join(lines[start : node.end_lineno])
        rest[start : node.end_lineno] = ["\n"] * (node.end_lineno - start)
    yield None, "".join(rest)


# A function at the margin with the comment right above it.
C_TEST = re.compile(
    r"(?:^/\*(?:(?!\*/).)*\*/\n)?^static void (\w+)\(void \*\*\w*\) \{.*?^\}", re.M | re.S
)
LUA_TEST = re.compile(r"^(\s*)it\(\s*([\"'])(.*?)\2.*?^\1end\)", re.M | re.S)


def blocks_by(pattern, group, text):
    for match in pattern.finditer(text):
        yield match[group], match[0]
    yield None, pattern.sub("", text)


def blocks(path):
    text = path.read_text()
    if path.suffix == ".py":
        return blocks_of_python(text)
    if path.suffix == ".c":
        return blocks_by(C_TEST, 1, text)
    return blocks_by(LUA_TEST, 3, text)


def numbers_in(sections):
    return {row.number for _, rows in sections for row in rows}


def read_tests(known):
    """{language: {row: {file: [names of tests]}}}"""
    found = {}
    for key, language in LANGUAGES.items():
        rows = found[key] = collections.defaultdict(lambda: collections.defaultdict(list))
        for path in sorted(path for one in language.tests for path in ROOT.glob(one)):
            for name, text in blocks(path):
                for number in numbers_of(text, known):
                    rows[number][path] += [name] if name else []
    return found


# -- What comes of it ------------------------------------------------------------


def link(path, names):
    label = path.stem.removeprefix("test_").removesuffix("_spec")
    names = (re.sub(r" \(rows? [^)]*\)$", "", name) for name in names)
    tip = ", ".join(dict.fromkeys(names)).replace('"', "'").replace("|", "/")
    tip = f' "{tip}"' if tip else ""
    return f"[{label}](../{path.relative_to(ROOT)}{tip})"


def cell(row, key, tests):
    if key not in row.languages:
        return "–"
    return ", ".join(link(path, names) for path, names in tests[key][row.number].items())


def count(sections):
    """(how many rows there are, "236 in C, ...")"""
    rows = [row for _, of_section in sections for row in of_section]
    by_language = (
        f"{sum(key in row.languages for row in rows)} in {language.name}" for key, language in LANGUAGES.items()
    )
    return len(rows), ", ".join(by_language)


def page(sections, tests):
    total, by_language = count(sections)
    lines = [INTRODUCTION, f"There are {total} rows: {by_language}."]
    for title, rows in sections:
        heads = " | ".join(language.name for language in LANGUAGES.values())
        lines += ["", f"## {title}", "", f"| # | scope | what holds | {heads} |"]
        lines.append("|---|---|---|" + "---|" * len(LANGUAGES))
        for row in rows:
            cells = " | ".join(cell(row, key, tests) for key in LANGUAGES)
            lines.append(f"| {row.number} | {row.scope} | {row.text} | {cells} |")
    return "\n".join(lines) + "\n"


def gaps(sections, tests):
    """{language: rows that have no test in it}"""
    return {
        key: [
            row.number
            for _, rows in sections
            for row in rows
            if key in row.languages and row.number not in tests[key]
        ]
        for key in LANGUAGES
    }


def check(sections, tests):
    faults = []
    for key, missing in gaps(sections, tests).items():
        name = LANGUAGES[key].name
        if missing:
            faults.append(f"rows without a test in {name}: {', '.join(map(str, missing))}")
        for number in sorted(set(tests[key]) - numbers_in(sections)):
            where = ", ".join(str(path.relative_to(ROOT)) for path in tests[key][number])
            faults.append(f"no such row: {number}, in {where}")
    if not PAGE.exists() or PAGE.read_text() != page(sections, tests):
        faults.append("docs/behaviour.md is stale: run tools/behaviour.py")
    total, by_language = count(sections)
    readme = " ".join((ROOT / "README.md").read_text().split())
    for claim in (f"{total} numbered behaviours", by_language):
        if claim not in readme:
            faults.append(f'README.md does not say "{claim}"')
    return faults


def main(arguments):
    sections = read_rows()
    tests = read_tests(numbers_in(sections))
    if not arguments:
        PAGE.write_text(page(sections, tests))
    elif arguments == ["--gaps"]:
        for key, missing in gaps(sections, tests).items():
            print(f"{LANGUAGES[key].name}: {', '.join(map(str, missing)) or 'none'}")
    elif arguments == ["--check"]:
        faults = check(sections, tests)
        print("\n".join(faults) or "each row has its tests, and docs/behaviour.md is current")
        return 1 if faults else 0
    else:
        print(__doc__, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
