"""Draws processor time for each message as bars, in the rows of one loop."""

import drawing
from peers import ASYNCIO
from report import Results
from rows import CPU, RATE

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


def draw(run):
    """The chart of a run, as SVG."""
    results = Results(run)
    groups = []
    for row in results.rows:
        if row.loop == ASYNCIO and row.key == RATE:
            values = [(peer, results.median(row, peer, CPU)) for peer in results.peers]
            bars = [(p.title, COLOURS[p.name], v * 1e-3) for p, v in values if v is not None]
            groups.append((row.name.removesuffix(f", {ASYNCIO}"), bars))
    return drawing.bar_chart("Processor time for each message under asyncio (less is better)", groups)
