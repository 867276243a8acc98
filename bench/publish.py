#!/usr/bin/env python3
"""Puts the tables and the chart of a run into the documentation.

    bench/publish.py servers build/bench/servers.json
    bench/publish.py python build/bench-python/python.json
    bench/publish.py lua build/bench-lua/lua.json

In docs/performance.md the tables stand between <!-- NAME --> and <!-- end of NAME -->;
what is said about them there is written by hand. The chart goes to docs/images.
"""

import json
import sys
from pathlib import Path

BENCH = Path(__file__).resolve().parent
DOCS = BENCH.parent / "docs"
NAMES = ("servers", "python", "lua")


def replace_between(text, first, last, new):
    before, found, rest = text.partition(first)
    _, found_too, after = rest.partition(last)
    if not (found and found_too):
        sys.exit(f"There is no {first} and {last}.")
    return f"{before}{first}\n{new}\n{last}{after}"


def main(name, results):
    sys.path[:0] = [str(BENCH / name), str(BENCH)]
    import chart
    import report

    run = json.loads(Path(results).read_text(encoding="utf-8"))
    page = DOCS / "performance.md"
    tables = "\n".join(report.tables(run)) + "\n"
    text = page.read_text(encoding="utf-8")
    text = replace_between(text, f"<!-- {name} -->", f"<!-- end of {name} -->", tables)
    page.write_text(text, encoding="utf-8")
    (DOCS / f"images/bench-{name}.svg").write_text(chart.draw(run), encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[1] not in NAMES:
        sys.exit(__doc__)
    main(*sys.argv[1:])
