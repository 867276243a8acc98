#!/usr/bin/env python3
"""Builds the documentation as HTML with a search, into build/site:

    tools/site.py            then open build/site/html/index.html
    tools/site.py --check    checks the spelling too, and that nothing comes from elsewhere

The pages are those of docs/, of the examples, and the ones at the top; links and
their anchors are checked, and a fault is an error. Blocks of code in several
languages that follow each other become tabs. MkDocs, its theme and codespell come
from PyPI, into build/site/venv.
"""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
OUT = ROOT / "build/site"
SOURCE = OUT / "source"
VENV = OUT / "venv"
REQUIREMENTS = ROOT / "tools/site-requirements.txt"
ASSETS = ROOT / "tools/site"

PAGES = ("*.md", "docs/**/*.md", "examples/**/*.md", "bench/**/README.md", "tests/**/README.md")
LINK = re.compile(r"\]\(([^)\s#]+)(?:#[^)\s]*)?\)|(?:src|href)=\"([^\"#]+)")

TABS = {"c": "C", "python": "Python", "lua": "Lua"}

CONFIG = {
    "site_name": "libws",
    "docs_dir": str(SOURCE),
    "site_dir": str(OUT / "html"),
    "use_directory_urls": False,
    "theme": {
        "name": "material",
        "font": False,
        "features": ["content.code.copy", "content.tabs.link", "navigation.top", "search.highlight"],
        "palette": [
            {"media": "(prefers-color-scheme: light)", "scheme": "default"},
            {"media": "(prefers-color-scheme: dark)", "scheme": "slate"},
        ],
    },
    "plugins": ["search", "offline"],
    "extra_css": ["assets/site.css"],
    # In place of that of "offline", which would come from a host of others.
    "extra": {"polyfills": ["assets/iframe-worker.js"], "generator": False},
    "markdown_extensions": [
        "tables",
        {"toc": {"permalink": True}},
        "pymdownx.highlight",
        "pymdownx.superfences",
        {"pymdownx.tabbed": {"alternate_style": True}},
    ],
    "validation": {"links": {"anchors": "warn", "unrecognized_links": "warn", "not_found": "warn"}, "nav": {"omitted_files": "ignore"}},
}


# -- The source -----------------------------------------------------------------

def pages():
    found = {path for pattern in PAGES for path in ROOT.glob(pattern)}
    return sorted(path for path in found if "build" not in path.relative_to(ROOT).parts[:1])


def linked_files(path):
    """The files, no pages, that a page links to."""
    for target in LINK.findall(path.read_text(encoding="utf-8")):
        file = (path.parent / "".join(target)).resolve()
        if file.is_file() and file.suffix != ".md" and file.is_relative_to(ROOT):
            yield file


def blocks(text):
    """[(language or None, lines)]: fenced blocks, and what stands between them."""
    parts, language = [(None, [])], None
    for line in text.splitlines():
        fence = re.match(r"```(\w*)\s*$", line)
        if fence and language is None:
            language = fence[1]
            parts.append((language, [line]))
        elif fence:
            parts[-1][1].append(line)
            parts.append((None, []))
            language = None
        else:
            parts[-1][1].append(line)
    return parts


def is_blank(part):
    return part[0] is None and not any(line.strip() for line in part[1])


def with_tabs(text):
    """The page with code in several languages, one after the other, as tabs."""
    parts, lines, i = blocks(text), [], 0
    while i < len(parts):
        run = [i]
        while parts[i][0] in TABS and run[-1] + 2 < len(parts) and is_blank(parts[run[-1] + 1]) \
                and parts[run[-1] + 2][0] in TABS.keys() - {parts[j][0] for j in run}:
            run.append(run[-1] + 2)
        if len(run) == 1:
            lines += parts[i][1]
        for j in run if len(run) > 1 else ():
            lines += [f'=== "{TABS[parts[j][0]]}"', "", *("    " + line for line in parts[j][1]), ""]
        i = run[-1] + 1
    return "\n".join(lines) + "\n"


def stage():
    """Copies the pages, in their places, and what they link to."""
    shutil.rmtree(SOURCE, ignore_errors=True)
    shutil.copytree(ASSETS, SOURCE / "assets")
    for page in pages():
        copy = SOURCE / page.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        text = with_tabs(page.read_text(encoding="utf-8"))
        copy.write_text(without_folders(page, text), encoding="utf-8")
        for file in linked_files(page):
            place = SOURCE / file.relative_to(ROOT)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, place)


def without_folders(page, text):
    """Links to whole folders stay words: there is no page for them."""
    def word(match):
        return match[1] if (page.parent / match[2]).is_dir() else match[0]
    return re.sub(r"\[([^\]]*)\]\(([^)\s#:]+)\)", word, text)


def navigation():
    """The sections of docs/README.md and the pages that they link to."""
    index = ROOT / "docs/README.md"
    sections, seen = [{"Overview": "README.md"}, {"Documentation": "docs/README.md"}], set()
    for line in index.read_text(encoding="utf-8").splitlines():
        if line.startswith("## "):
            sections.append({line[3:]: []})
        for target in re.findall(r"\]\(([^)\s#]+\.md)\)", line):
            path = (index.parent / target).resolve().relative_to(ROOT).as_posix()
            if path not in seen and path != "README.md":
                seen.add(path)
                next(iter(sections[-1].values())).append(path)
    return sections


# -- Building -------------------------------------------------------------------

def tool(name):
    """A program of the environment, which is made when it is needed first."""
    stamp = VENV / "requirements.txt"
    if not stamp.exists() or stamp.read_bytes() != REQUIREMENTS.read_bytes():
        subprocess.run([sys.executable, "-m", "venv", "--clear", VENV], check=True)
        subprocess.run([VENV / "bin/pip", "install", "--quiet", "-r", REQUIREMENTS], check=True)
        shutil.copyfile(REQUIREMENTS, stamp)
    return VENV / "bin" / name


def build():
    stage()
    config = OUT / "mkdocs.yml"
    config.write_text(json.dumps({**CONFIG, "nav": navigation()}, indent=2), encoding="utf-8")
    quiet = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}  # The theme tells of its successor.
    command = [tool("mkdocs"), "build", "--strict", "--quiet", "-f", config]
    return subprocess.run(command, env=quiet, check=False).returncode


def check_loads():
    """Whether a page loads something from elsewhere: it shall work from a folder."""
    outside = re.compile(r'<(?:script|link|img|iframe)\b[^>]*?\b(?:src|href)="(https?:[^"]*)"')
    faults = [f"{page.relative_to(OUT)} loads {address}" for page in sorted(OUT.glob("html/**/*.html"))
              for address in outside.findall(page.read_text(encoding="utf-8"))]
    print("".join(f"{fault}\n" for fault in faults), end="", file=sys.stderr)
    return len(faults)


def check_spelling():
    folders = ("docs", "libws", "bindings", "python", "lua", "cli", "examples", "tools", "tests", "bench")
    return subprocess.run(
        [tool("codespell"), "--config", ROOT / ".codespellrc", *ROOT.glob("*.md"), *(ROOT / f for f in folders)],
        check=False,
    ).returncode


def main():
    if sys.argv[1:] not in ([], ["--check"]):
        print(__doc__, file=sys.stderr)
        return 2
    OUT.mkdir(parents=True, exist_ok=True)
    try:
        failed = build()
        if sys.argv[1:]:
            failed = any([failed, check_loads(), check_spelling()])
    except subprocess.CalledProcessError as error:
        print(f"{error}\nMkDocs comes from PyPI; without a network it cannot be installed.", file=sys.stderr)
        return 1
    if not failed:
        print("The documentation is at build/site/html/index.html")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
