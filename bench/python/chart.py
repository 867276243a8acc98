#!/usr/bin/env python3
"""Draws processor time for each message as bars, in the rows of one loop.

    chart.py build/bench-python/python.json > chart.svg

The drawing has no background and reads on light and dark pages alike.
"""

import json
import sys
from html import escape

from peers import ASYNCIO
from report import Results, format_number
from rows import CPU, RATE

WIDTH = 960
LEFT = 330  # Of the bars; the names of rows stand before it.
RIGHT = WIDTH - 70
TOP = 76  # Title and legend.
BAR = 12
GROUP_GAP = 14
LEGEND_STEP = 150

COLOURS = {
    "libws_events": "#2f81f7",
    "libws_asyncio": "#79b8ff",
    "libws_sync": "#0b4da2",
    "picows_callbacks": "#d4a72c",
    "websockets_asyncio": "#2da44e",
    "aiohttp_asyncio": "#8c959f",
    "websocket_client": "#e16f24",
    "socketify_callbacks": "#a475f9",
}

STYLE = """
text { font: 12px system-ui, sans-serif; fill: #59636e }
.title { font-size: 16px; font-weight: 600 }
.small { font-size: 10px }
@media (prefers-color-scheme: dark) { text { fill: #9198a1 } }
"""


def text(x, y, content, kind="", anchor="start"):
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}" text-anchor="{anchor}">'
        f"{escape(content)}</text>"
    )


def draw_row(top, name, values, first):
    """A bar for each peer, as a multiple of the first one's."""
    height = BAR * len(values)
    yield text(LEFT - 10, top + height / 2 + 4, name, anchor="end")
    most = max(values.values())
    for i, (peer, value) in enumerate(values.items()):
        y = top + i * BAR
        width = max((RIGHT - LEFT) * value / most, 1)
        label = f"{format_number(value * 1e-3)} µs"
        yield (
            f'<rect x="{LEFT}" y="{y}" width="{width:.1f}" height="{BAR - 1.5}" rx="1"'
            f' fill="{COLOURS[peer.name]}"><title>{escape(peer.title)}: {label},'
            f" {value / first:.2f} times libws</title></rect>"
        )
        yield text(LEFT + width + 4, y + BAR - 3, label, "small")


def draw(run):
    """The chart of a run, as SVG."""
    results = Results(run)
    rows = [row for row in results.rows if row.loop == ASYNCIO and row.key == RATE]
    title = "Processor time for each message under asyncio (less is better)"
    parts = [text(10, 24, title, "title")]
    shown = []
    y = TOP
    for row in rows:
        values = {peer: results.median(row, peer, CPU) for peer in results.peers}
        values = {peer: value for peer, value in values.items() if value is not None}
        if not values:
            continue
        shown += [peer for peer in values if peer not in shown]
        parts += draw_row(y, row.name.removesuffix(f", {ASYNCIO}"), values, next(iter(values.values())))
        y += BAR * len(values) + GROUP_GAP
    for i, peer in enumerate(shown):
        x = 10 + i * LEGEND_STEP
        parts.append(f'<rect x="{x}" y="43" width="10" height="10" fill="{COLOURS[peer.name]}"/>')
        parts.append(text(x + 14, 52, peer.title))
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y}" role="img"'
        f' aria-label="{escape(title)}">'
    )
    return "\n".join([head, f"<style>{STYLE}</style>", *parts, "</svg>\n"])


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as file:
        sys.stdout.write(draw(json.load(file)))
