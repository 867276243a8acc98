#!/usr/bin/env python3
"""Draws the echo rows as bars beside the raw echo, which is the line at 1.

    chart.py build/bench/servers.json > chart.svg

The drawing has no background and reads on light and dark pages alike.
"""

import json
import sys
from html import escape

from peers import OURS, RAW
from report import Results
from rows import SIZES

WIDTH = 960
MARGIN = 40
RIGHT = WIDTH - 10
TOP = 84  # Title and legend.
PANEL = 150
PANEL_GAP = 58
GROUP_FILL = 0.84  # Of a group's width, the rest being space between groups.
LEGEND_STEP = 116

# Of a row's name, for each size; where there are none for it, the last.
PANELS = (
    ("1 connection", ("1 connection",)),
    ("64 connections", ("64 connections",)),
    (
        "64 connections, 16 messages in flight on each (1 MiB: 8 and 4)",
        ("64 connections, 16 in flight", "8 connections, 4 in flight"),
    ),
)

COLOURS = {
    "libws": "#2f81f7",
    "uwebsockets": "#d4a72c",
    "libwebsockets": "#8c959f",
    "gws": "#2da44e",
    "gorilla": "#7bc98f",
    "fastwebsockets": "#e16f24",
    "tungstenite": "#f2aa7e",
    "ws": "#a475f9",
}

STYLE = """
text { font: 12px system-ui, sans-serif; fill: #59636e }
.title { font-size: 16px; font-weight: 600 }
.panel { font-weight: 600 }
.small { font-size: 10px }
.value { fill: #fff }
.grid { stroke: #59636e; stroke-opacity: .22 }
.limit { stroke: #59636e; stroke-dasharray: 4 3 }
@media (prefers-color-scheme: dark) {
  text:not(.value) { fill: #9198a1 }
  .grid, .limit { stroke: #9198a1 }
}
"""


def text(x, y, content, kind="", anchor="start"):
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}" text-anchor="{anchor}">'
        f"{escape(content)}</text>"
    )


def upright(x, y, content):
    """Text that ends at the top of a bar, in it."""
    return (
        f'<text transform="translate({x:.1f} {y:.1f}) rotate(-90)" class="small value"'
        f' text-anchor="end">{escape(content)}</text>'
    )


def line(y, kind):
    return f'<line x1="{MARGIN}" x2="{RIGHT}" y1="{y:.1f}" y2="{y:.1f}" class="{kind}"/>'


def bar(x, y, width, height, peer, value):
    return (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" rx="1"'
        f' fill="{COLOURS[peer.name]}"><title>{escape(peer.title)}: {value:.2f}</title></rect>'
    )


def panel_values(results, loads):
    """By size and peer, in the order of both."""
    by_name = {row.name: row for row in results.rows}
    for size in SIZES:
        rows = [by_name.get(f"echo {size}, {load}") for load in loads]
        row = next((row for row in rows if row is not None), None)
        yield size, {p: row and results.median(row, p) for p in results.peers if p is not RAW}


def draw_group(left, width, base, scale, values):
    """The bars of one size."""
    bar_width = width * GROUP_FILL / max(len(values), 1)
    for i, (peer, value) in enumerate(values.items()):
        if value is None:
            continue
        x = left + width * (1 - GROUP_FILL) / 2 + i * bar_width
        height = value * scale
        yield bar(x, base - height, bar_width - 1.5, height, peer, value)
        if peer is OURS:
            yield upright(x + bar_width / 2 + 3, base - height + 5, f"{value:.2f}")


def draw_panel(top, title, groups, most):
    base = top + PANEL
    scale = PANEL / most
    yield text(MARGIN, top - 12, title, "panel")
    for tick in (0, 0.25, 0.5, 0.75, 1):
        yield line(base - tick * scale, "limit" if tick == 1 else "grid")
        yield text(MARGIN - 6, base - tick * scale + 4, f"{tick:g}", "small", "end")
    width = (RIGHT - MARGIN) / len(groups)
    for i, (size, values) in enumerate(groups):
        left = MARGIN + i * width
        yield from draw_group(left, width, base, scale, values)
        yield text(left + width / 2, base + 16, size, anchor="middle")


def draw_legend(peers):
    for i, peer in enumerate(peers):
        x = MARGIN + i * LEGEND_STEP
        yield f'<rect x="{x}" y="43" width="10" height="10" fill="{COLOURS[peer.name]}"/>'
        yield text(x + 14, 52, peer.title.split(" (")[0])


def draw(run):
    """The chart of a run, as SVG."""
    results = Results(run)
    panels = [(title, list(panel_values(results, loads))) for title, loads in PANELS]
    values = [v for _, groups in panels for _, group in groups for v in group.values()]
    most = max([1.1, *(value * 1.08 for value in values if value is not None)])
    height = TOP + len(PANELS) * (PANEL + PANEL_GAP) - 16
    title = "Echoed messages per second, beside a raw TCP echo (dashed line); one core each"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}"'
        f' role="img" aria-label="{escape(title)}">',
        f"<style>{STYLE}</style>",
        text(MARGIN, 24, title, "title"),
        *draw_legend([peer for peer in results.peers if peer is not RAW]),
    ]
    for i, (name, groups) in enumerate(panels):
        parts += draw_panel(TOP + 16 + i * (PANEL + PANEL_GAP), name, groups, most)
    return "\n".join([*parts, "</svg>\n"])


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as file:
        sys.stdout.write(draw(json.load(file)))
