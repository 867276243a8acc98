"""Draws processor time for each message as bars, in the rows of one loop."""

import drawing
from drawing import WIDTH, text
from harness import format_number
from peers import ASYNCIO
from report import Results
from rows import CPU, RATE

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

def draw_row(top, name, values, first):
    """A bar for each peer, as a multiple of the first one's."""
    height = BAR * len(values)
    yield text(LEFT - 10, top + height / 2 + 4, name, anchor="end")
    most = max(values.values())
    for i, (peer, value) in enumerate(values.items()):
        y = top + i * BAR
        width = max((RIGHT - LEFT) * value / most, 1)
        label = f"{format_number(value * 1e-3)} µs"
        words = f"{peer.title}: {label}, {value / first:.2f} times libws"
        yield drawing.bar(LEFT, y, width, BAR - 1.5, COLOURS[peer.name], words)
        yield text(LEFT + width + 4, y + BAR - 3, label, "small")


def draw(run):
    """The chart of a run, as SVG."""
    results = Results(run)
    rows = [row for row in results.rows if row.loop == ASYNCIO and row.key == RATE]
    title = "Processor time for each message under asyncio (less is better)"
    parts = []
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
    parts += drawing.legend(10, LEGEND_STEP, [(p.title, COLOURS[p.name]) for p in shown])
    return drawing.chart(title, 10, y, parts)
