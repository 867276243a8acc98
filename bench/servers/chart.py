"""Draws the echo rows as bars beside the raw echo, which is the line at 1."""

from html import escape

import drawing
from drawing import WIDTH, text
from peers import OURS, RAW
from report import Results
from rows import SIZES

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

def upright(x, y, content):
    """Text that ends at the top of a bar, in it."""
    return (
        f'<text transform="translate({x:.1f} {y:.1f}) rotate(-90)" class="small value"'
        f' text-anchor="end">{escape(content)}</text>'
    )


def line(y, kind):
    return f'<line x1="{MARGIN}" x2="{RIGHT}" y1="{y:.1f}" y2="{y:.1f}" class="{kind}"/>'


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
        words = f"{peer.title}: {value:.2f}"
        yield drawing.bar(
            x, base - height, bar_width - 1.5, height, COLOURS[peer.name], words
        )
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


def draw(run):
    """The chart of a run, as SVG."""
    results = Results(run)
    panels = [(title, list(panel_values(results, loads))) for title, loads in PANELS]
    values = [v for _, groups in panels for _, group in groups for v in group.values()]
    most = max([1.1, *(value * 1.08 for value in values if value is not None)])
    height = TOP + len(PANELS) * (PANEL + PANEL_GAP) - 16
    shown = [(p.title.split(" (")[0], COLOURS[p.name]) for p in results.peers if p is not RAW]
    parts = [*drawing.legend(MARGIN, LEGEND_STEP, shown)]
    for i, (name, groups) in enumerate(panels):
        parts += draw_panel(TOP + 16 + i * (PANEL + PANEL_GAP), name, groups, most)
    title = "Echoed messages per second, beside a raw TCP echo (dashed line); one core each"
    return drawing.chart(title, MARGIN, height, parts)
