"""Draws processor time for each message as bars: servers on their own loops, and in
nginx."""

import drawing
from peers import IN_NGINX, LOOP
from report import Results
from rows import CPU

COLOURS = {
    "libws": "#2f81f7",
    "libws-5.4": "#79b8ff",
    "lua-http": "#d4a72c",
    "resty": "#0b4da2",
    "lua-resty-websocket": "#2da44e",
}


def draw(run):
    """The chart of a run, as SVG."""
    results = Results(run)
    groups = []
    for row in results.rows:
        if row.place in (LOOP, IN_NGINX):
            values = [(peer, results.median(row, peer, CPU)) for peer in results.peers]
            bars = [(p.title, COLOURS[p.name], v * 1e-3) for p, v in values if v is not None]
            groups.append((row.name, bars))
    return drawing.bar_chart("Processor time for each message (less is better)", groups)
